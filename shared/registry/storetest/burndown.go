package storetest

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

func burndown(t *testing.T, f fixture) {
	read := func() registry.Burndown {
		t.Helper()
		b, err := f.Burndown(t.Context())
		f.fails("burn-down", err, nil)
		return b
	}
	f.same("before the first", read(), registry.Burndown{})
	b := registry.Burndown{Generation: 2, Since: noon}
	for n := range registry.MostPoints {
		b = b.With(registry.BurndownPoint{At: noon.Add(time.Duration(n) * time.Minute),
			Remaining: map[agent.Method]int64{agent.Minted: 1_000_000, agent.BYOCA: int64(n)}})
	}
	f.fails("put", f.PutBurndown(t.Context(), b), nil)
	f.fails("put a second first", f.PutBurndown(t.Context(), b), registry.ErrConflict)
	b.Version++
	f.same("burn-down", read(), b)
	b.Points[0].Remaining[agent.Minted] = 7
	if got := read(); got.Points[0].Remaining[agent.Minted] != 1_000_000 {
		t.Error("the store shares memory with what was put")
	}
	next := registry.Burndown{Generation: 3, Since: noon.Add(time.Hour), Version: b.Version}
	f.fails("put the next rotation's", f.PutBurndown(t.Context(), next), nil)
	next.Version++
	f.same("of the next rotation", read(), next)
}
