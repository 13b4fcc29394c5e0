package httpapi_test

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// lastSeen is what the list and the page of an agent say.
func (w *world) lastSeen(t testing.TB, want *time.Time) {
	t.Helper()
	type seen struct {
		LastSeen *time.Time `json:"last_seen"`
	}
	var one seen
	w.send(t, event("GET", "/v1/admin/agents/orga::busy", admin)).into(t, 200, &one)
	var list struct{ Agents []seen }
	w.send(t, event("GET", "/v1/admin/agents", admin)).into(t, 200, &list)
	for _, got := range append(list.Agents, one) {
		if (got.LastSeen == nil) != (want == nil) || want != nil && !got.LastSeen.Equal(*want) {
			t.Errorf("last_seen: got %v, want %v", got.LastSeen, want)
		}
	}
	if len(list.Agents) != 1 {
		t.Errorf("%d agents are listed, want 1", len(list.Agents))
	}
}

// When an agent got a token is shown to the hour, and what a clock far ahead has noted is not.
func TestLastSeen(t *testing.T) {
	w := open(t, memstore.Config{})
	a, err := w.Admit(t.Context(), "busy")
	if err != nil {
		t.Fatal(err)
	}
	w.lastSeen(t, nil)
	w.Advance(25 * time.Minute)
	if _, err := w.TokenFor(t.Context(), a.Certificate.CertPEM); err != nil {
		t.Fatal(err)
	}
	hour := w.Now().Truncate(time.Hour)
	w.lastSeen(t, &hour)
	w.Advance(50 * time.Hour)
	w.lastSeen(t, &hour)
	ahead := registry.SightingOf(a.Agent.ID, 1, w.Now().Add(3*time.Hour))
	if err := w.Store.Seen(t.Context(), ahead); err != nil {
		t.Fatal(err)
	}
	w.lastSeen(t, nil)
}
