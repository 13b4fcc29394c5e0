package main

import "testing"

// BenchmarkHandler is what the program's section of that name measures, for profiles:
//
//	go test ./test/bench -run '^$' -bench 'Handler/token$' -cpuprofile cpu.out
func BenchmarkHandler(b *testing.B) {
	s, err := newSpine(b.Context(), handlerFleet)
	if err != nil {
		b.Fatal(err)
	}
	for _, o := range operations() {
		b.Run(o.name, func(b *testing.B) {
			if err := o.benchmark(b.Context(), b, s); err != nil {
				b.Fatal(err)
			}
		})
	}
}
