package main

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony/ceremonytest"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/usecase/tokenkeys"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// store is what rotating the Org CA and making the standby need of the state.
type store interface {
	ceremony.Store
	rotateca.Store
	tokenkeys.Store
	truststore.Store
	standby.Store
}

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
func (o *organisation) build(s store) error {
	keys, objects, log := ceremonytest.New(), &inmemory.Objects{}, slog.New(slog.DiscardHandler)
	keys.Fault = func(_ string, after bool) error {
		if !after && o.slow.Load() {
			time.Sleep(kmsLatency)
		}
		return nil
	}
	newID := func() string { return ulid.Make().String() }
	trust := truststore.NewKeeper(truststore.Config{
		Objects: objects, Domain: truststore.NoDomain{}, Store: s, Now: time.Now, NewID: newID, Log: log,
	}).Reconcile
	c := ceremony.New(ceremony.Config{
		Store: s, Keys: keys, OrgID: inmemory.OrgID, TrustDomain: inmemory.TrustDomain, Now: time.Now, NewID: newID, Log: log,
	})
	r := rotateca.New(rotateca.Config{Store: s, Preparer: c, Trust: trust, OrgID: inmemory.OrgID, Now: time.Now, NewID: newID, Log: log})
	ring := tokenkeys.New(tokenkeys.Config{Store: s, Vault: keys, OrgID: inmemory.OrgID, TTL: token.TTL})
	o.standby = standby.New(standby.Config{
		Store: s, Ceremony: c, Notes: keys, Rotator: r, Trust: trust, Keys: ring.Ensure, Now: time.Now, NewID: newID, Log: log,
	})
	mux, err := httpapi.New(httpapi.Config{Handlers: httpapi.RotateCA(r), Admin: inmemory.Admin, Log: log, Now: time.Now})
	if err == nil {
		o.rotate = inmemory.Lambda(mux)
	}
	return err
}
