package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// operation is one kind of request, made over and over by one caller.
type operation struct {
	name     string
	function string
	status   int
	request  func(s *spine, n int) (request, error) // good for one call
	floor    func(c cryptoFloors) time.Duration     // the cryptography without which it cannot be done
	budget   time.Duration                          // of handler CPU; zero: none is set
}

// Certificates of the fleet are rotated by some operations, so the ones that need a certificate that counts come first.
func operations() []operation {
	return []operation{
		{"token", "token", 200, tokenRequest, func(c cryptoFloors) time.Duration { return c.sign }, 500 * time.Microsecond},
		{"token with DPoP proof", "token", 200, provenRequest,
			func(c cryptoFloors) time.Duration { return c.sign + c.verify }, 0},
		{"enrol, CSR", "enroll", 201, func(s *spine, _ int) (request, error) { return s.enrolment(), nil }, issuing, 0},
		{"enrol, minted keys", "enroll", 201, func(s *spine, _ int) (request, error) { return s.mintedEnrolment(), nil },
			minting, 0},
		{"rotate-cert, CSR", "rotatecert", 200, func(s *spine, n int) (request, error) { return s.rotation(n, true), nil },
			issuing, 700 * time.Microsecond},
		{"rotate-cert, minted keys", "rotatecert", 200,
			func(s *spine, n int) (request, error) { return s.rotation(n, false), nil }, minting, 0},
	}
}

// issuing is one signature and three verifications: of the CSR, and of the two links of the chain that is handed out.
func issuing(c cryptoFloors) time.Duration { return c.sign + 3*c.verify }

// minting makes two keys instead of reading a CSR.
func minting(c cryptoFloors) time.Duration { return c.sign + 2*c.verify + 2*c.generate }

func tokenRequest(s *spine, n int) (request, error) {
	return asAgent(s.fleet[n%len(s.fleet)].certPEM, ""), nil
}

func provenRequest(s *spine, n int) (request, error) {
	proof, err := s.prover.proof(s.Now())
	return asAgent(s.fleet[n%len(s.fleet)].certPEM, proof), err
}

const handlerFleet = 100 // agents

// handlers measures what the handlers themselves cost: events in, events out, no network, no database.
func (b *bench) handlers(ctx context.Context) error {
	floors := b.cryptoFloors()
	const section = "handler CPU, in-memory store"
	b.report.add(section,
		figure{
			Name:  "P-256 sign",
			Value: us(floors.sign),
			Unit:  micros,
		}, figure{Name: "P-256 verify", Value: us(floors.verify), Unit: micros},
		figure{Name: "P-256 key", Value: us(floors.generate), Unit: micros})
	s, err := newSpine(ctx, handlerFleet)
	if err != nil {
		return err
	}
	for _, o := range operations() {
		b.say("handler: %s", o.name)
		remote, err := o.calls(ctx, s)
		if err != nil {
			return err
		}
		c, err := o.cost(ctx, s)
		if err != nil {
			return err
		}
		cpu := figure{Name: o.name, Value: us(c.cpu), Unit: micros}.over(us(o.floor(floors)), "of cryptography").
			remark("%.0f µs elapsed", us(c.elapsed))
		if o.budget > 0 {
			cpu = cpu.within(us(o.budget))
		}
		b.report.add(section, cpu,
			figure{Name: "  allocations", Value: float64(c.allocs), Unit: allocs}.remark("%.1f KiB", float64(c.bytes)/1024),
			figure{Name: "  remote calls", Value: float64(remote.total()), Unit: calls}.remark("%s", remote))
	}
	return nil
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// cost is what one call takes, on average.
type cost struct {
	cpu, elapsed  time.Duration // cpu counts every thread, the garbage collector's too
	allocs, bytes int64
}

func (o operation) cost(ctx context.Context, s *spine) (cost, error) {
	var failed error
	r := testing.Benchmark(func(b *testing.B) {
		if failed == nil {
			failed = o.benchmark(ctx, b, s)
		}
	})
	if failed != nil {
		return cost{}, failed
	}
	return cost{time.Duration(r.Extra[cpuMetric]), time.Duration(r.NsPerOp()), r.AllocsPerOp(), r.AllocedBytesPerOp()}, nil
}

// cpuMetric is this process's CPU time. On a machine with other work to do it says more than the time that went by.
const cpuMetric = "cpu-ns/op"

func (o operation) benchmark(ctx context.Context, b *testing.B, s *spine) error {
	requests := make([]request, b.N)
	for n := range requests {
		var err error
		if requests[n], err = o.request(s, n); err != nil {
			return err
		}
	}
	f := s.functions[o.function]
	b.ReportAllocs()
	b.ResetTimer()
	began := ownCPU()
	for _, r := range requests {
		if _, err := f.expect(ctx, r, o.status); err != nil {
			return err
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(ownCPU()-began)/float64(b.N), cpuMetric)
	return nil
}

// remoteCalls counts calls by operation.
type remoteCalls map[string]int

func (c remoteCalls) total() (n int) {
	for _, count := range c {
		n += count
	}
	return n
}

func (c remoteCalls) String() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		list = append(list, fmt.Sprintf("%d %s", c[name], name))
	}
	return strings.Join(list, ", ")
}

// calls counts what one request asks of the store and of KMS, in an instance that is warm.
func (o operation) calls(ctx context.Context, s *spine) (remoteCalls, error) {
	var before remoteCalls
	for n := range 2 {
		before = s.calls()
		r, err := o.request(s, n)
		if err != nil {
			return nil, err
		}
		if _, err := s.functions[o.function].expect(ctx, r, o.status); err != nil {
			return nil, err
		}
	}
	made := s.calls()
	for name, n := range before {
		made[name] -= n
	}
	maps.DeleteFunc(made, func(_ string, n int) bool { return n == 0 })
	return made, nil
}

func (s *spine) calls() remoteCalls {
	all := remoteCalls{}
	for name, n := range s.Store.Calls() {
		all["store "+name] = n
	}
	for name, n := range s.Keys.Calls() {
		all["KMS "+name] = n
	}
	return all
}
