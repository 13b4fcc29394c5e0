package memstore_test

import (
	"testing"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/registry/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) registry.Store { return memstore.New(memstore.Config{}) })
}

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, memstore.New(memstore.Config{})) }
