package main

import (
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// organisation is the part of a Mastio that rotates the Org CA, over any store, with keys and truststore in memory. Its
// clock is the real one.
type organisation struct {
	rotate  lambda
	standby *standby.Job
	slow    atomic.Bool // remote calls take as long as on AWS
}

// Latencies as a function in the same region sees them.
const (
	readLatency  = 5 * time.Millisecond
	writeLatency = 8 * time.Millisecond
	swapLatency  = 20 * time.Millisecond // a transaction
	kmsLatency   = 10 * time.Millisecond
)

// latency is memstore's Config.Latency.
func (o *organisation) latency(op string) time.Duration {
	if !o.slow.Load() {
		return 0
	}
	switch op {
	case "Apply":
		return swapLatency
	case "Acquire", "Extend", "Release", "UseProof", "PutTokenKey":
		return writeLatency
	default:
		return readLatency
	}
}

// build assembles the organisation over a store.
func (o *organisation) build(s registry.Store) error {
	m := inmemory.New(memstore.Config{})
	m.Keys.Fault = func(_ string, after bool) error {
		if !after && o.slow.Load() {
			time.Sleep(kmsLatency)
		}
		return nil
	}
	services := m.Services(time.Now)
	services.Store = s
	p := m.Assemble(services.Over(m.Parts.Config, time.Now, func() string { return ulid.Make().String() }))
	functions, err := p.Functions()
	if err != nil {
		return err
	}
	o.standby, o.rotate = p.Standby, functions["rotateca"]
	return nil
}
