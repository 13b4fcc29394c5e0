package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry"
)

// Benchmark measures what requests do most, from eight goroutines per processor: a view, a proof, and the rotation of
// an agent per goroutine. s must be empty.
func Benchmark(b *testing.B, s registry.Store) {
	p := fullPointer()
	if err := s.Apply(b.Context(), registry.Change{ID: newID(), Pointer: &p}); err != nil {
		b.Fatal(err)
	}
	for n := range 100 {
		if err := s.Apply(b.Context(), enrolment(agentID(n), 1)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("View", func(b *testing.B) {
		parallel(b, func(worker, n int) error {
			_, err := s.View(b.Context(), agentID(n%100))
			return err
		})
	})
	b.Run("UseProof", func(b *testing.B) {
		run := newID()
		parallel(b, func(worker, n int) error {
			return s.UseProof(b.Context(), run, fmt.Sprint(worker, "/", n), noon.Add(time.Minute), noon)
		})
	})
	b.Run("Apply", func(b *testing.B) {
		var workers atomic.Int64
		first := int(benched.Add(1000)) // an agent's first row is written once
		b.SetParallelism(8)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			c := enrolment(agentID(first+int(workers.Add(1))), 1)
			for pb.Next() {
				if err := s.Apply(b.Context(), c); err != nil {
					b.Error(err)
					return
				}
				c = rotation(*storedAgent(*c.Agent), 2)
			}
		})
	})
}

var benched atomic.Int64

func parallel(b *testing.B, do func(worker, n int) error) {
	var workers atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		worker := int(workers.Add(1))
		for n := 0; pb.Next(); n++ {
			if err := do(worker, n); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
