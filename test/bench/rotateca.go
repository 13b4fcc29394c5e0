package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// The sizes of the fleets under which the Org CA is rotated, and how often: each rotation adds a generation, which
// every later one reads, so more of them would measure a history that no organisation has.
var fleetSizes = []int{10, 1_000, 100_000}

const (
	caRotations = 100
	caBudget    = 100 * time.Millisecond // p99
)

// rotateCA measures whether replacing the Org CA takes longer the more agents there are.
func (b *bench) rotateCA(ctx context.Context) error {
	if err := b.rotateCAInMemory(ctx); err != nil {
		return err
	}
	return b.rotateCAOnDatabase(ctx)
}

func (b *bench) rotateCAInMemory(ctx context.Context) error {
	const injected = readLatency + writeLatency + swapLatency
	for _, size := range fleetSizes {
		b.say("rotate-ca: in-memory store with latencies, %d agents", size)
		o := &organisation{}
		s := memstore.New(memstore.Config{Latency: o.latency})
		if err := o.build(s); err != nil {
			return err
		}
		for n := range size {
			a := fleetAgent(n)
			if err := s.Apply(ctx, registry.Change{ID: fmt.Sprint("load-", n), Agent: &a}); err != nil {
				return err
			}
		}
		done, err := o.rotations(ctx)
		if err != nil {
			return err
		}
		b.addRotations("rotate-ca with a standby, in-memory store, injected latencies", size, done, injected, "injected")
	}
	return nil
}

func (b *bench) rotateCAOnDatabase(ctx context.Context) error {
	system, err := b.stack(ctx)
	if err != nil {
		return err
	}
	floor, err := b.swapFloor(ctx)
	if err != nil {
		return err
	}
	for _, size := range fleetSizes {
		prefix, err := b.load(ctx, size)
		if err != nil {
			return err
		}
		b.say("rotate-ca: DynamoDB Local, %d agents", size)
		o := &organisation{}
		if err := o.build(dynamo.New(dynamo.Config{
			Client: dynamo.NewClient(databaseConfig(system)),
			Prefix: prefix,
		})); err != nil {
			return err
		}
		done, err := o.rotations(ctx)
		if err != nil {
			return err
		}
		b.addRotations("rotate-ca with a standby, DynamoDB Local", size, done, floor.quantile(0.5),
			"for the same three calls, bare")
	}
	return nil
}

func (b *bench) addRotations(section string, size int, s sample, floor time.Duration, floorName string) {
	b.report.add(section,
		figure{
			Name:  fmt.Sprintf("%d agents, p50", size),
			Value: ms(s.quantile(0.5)),
			Unit:  millis,
		}.over(ms(floor), floorName),
		figure{Name: fmt.Sprintf("%d agents, p99", size), Value: ms(s.quantile(0.99)), Unit: millis}.within(ms(caBudget)).
			remark("of %d", len(s.each)))
}

// rotations rotates again and again. The standby job runs in between, off the clock, as it does in the background.
func (o *organisation) rotations(ctx context.Context) (sample, error) {
	const warmUp = 5
	var s sample
	for n := range warmUp + caRotations {
		if _, err := o.standby.Run(ctx); err != nil {
			return s, fmt.Errorf("make the standby: %w", err)
		}
		o.slow.Store(true)
		began := time.Now()
		_, err := o.rotate.expect(ctx, mintRequest(), 200)
		took := time.Since(began)
		o.slow.Store(false)
		if err != nil {
			return s, err
		}
		if n >= warmUp {
			s.each, s.took = append(s.each, took), s.took+took
		}
	}
	slices.SortFunc(s.each, cmp.Compare)
	return s, nil
}

func mintRequest() request {
	r := asAdmin("POST", "/pki/rotate-ca", "")
	r.MultiValueQueryStringParameters = map[string][]string{"mode": {"mint"}}
	return r
}
