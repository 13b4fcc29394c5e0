package inmemory_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// A certificate that a record drops is listed as dead while any pointer could let its generation count. Only then a
// status document may leave it out: introspection refuses its tokens either way.
func TestDroppedCertificatesAreListedWhileTheirGenerationCounts(t *testing.T) {
	const overlap = 24 * time.Hour
	again := func(t *testing.T, m *inmemory.Mastio) {
		t.Helper()
		m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: overlap})
	}
	after := func(d time.Duration, then func(*testing.T, *inmemory.Mastio)) func(*testing.T, *inmemory.Mastio) {
		return func(t *testing.T, m *inmemory.Mastio) { m.Advance(d); then(t, m) }
	}
	for name, c := range map[string]struct {
		between func(t *testing.T, m *inmemory.Mastio)
		listed  bool
	}{
		"in the overlap":          {again, true},
		"a second before its end": {after(overlap-time.Second, again), true},
		"after the overlap":       {after(overlap, again), false},
		"finalised before": {func(t *testing.T, m *inmemory.Mastio) {
			m.Do(t, rotateca.Request{Mode: rotateca.Finalise})
			again(t, m)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			first := admit(t, m, "kyc")
			old := first.Certificate.Pin
			m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: overlap})
			counts(t, m, "the first successor", succeed(t, m, first.Agent.ID), true)
			c.between(t, m)
			before := *must[registry.View](t)(m.Store.View(t.Context(), first.Agent.ID)).Agent
			if !slices.ContainsFunc(before.Pins, func(p agent.Pin) bool { return p.Thumbprint == old.Thumbprint && p.Dormant }) {
				t.Fatalf("the first certificate is not dormant: %+v", before.Pins)
			}
			succeed(t, m, first.Agent.ID)
			view := must[registry.View](t)(m.Store.View(t.Context(), first.Agent.ID))
			if slices.ContainsFunc(view.Agent.Pins, func(p agent.Pin) bool { return p.Thumbprint == old.Thumbprint }) {
				t.Fatal("the first certificate is still on record")
			}
			dead := must[registry.Status](t)(m.Store.Status(t.Context(), time.Time{}))
			listed := slices.ContainsFunc(dead.Deaths, func(d registry.Deaths) bool {
				return slices.ContainsFunc(d.Dead, func(d agent.Death) bool { return d.Thumbprint == old.Thumbprint })
			})
			if listed != c.listed || !listed && view.Pointer.Accepts(old.Generation, m.Now()) {
				t.Errorf("the first certificate is listed: %t, want %t; the Org CA is %+v", listed, c.listed, view.Pointer.Accepted)
			}
			x5t := must[string](t)(accesstoken.X5TFromThumbprint(old.Thumbprint))
			grant := agent.Grant{X5T: x5t, Handle: before.Handle.String(), Generation: old.Generation, At: m.Now()}
			if err := view.Agent.Honours(grant, view.Pointer, m.Now()); !errors.Is(err, agent.ErrRevoked) {
				t.Errorf("introspection of the first certificate's token: %v", err)
			}
		})
	}
}
