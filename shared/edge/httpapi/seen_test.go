package httpapi_test

import (
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// lastSeen is what the list and the page of an agent say.
func (w *world) lastSeen(t testing.TB, want *time.Time) {
	t.Helper()
	type lastSeenAnswer struct {
		LastSeen *time.Time `json:"last_seen"`
	}
	var one lastSeenAnswer
	w.send(t, event("GET", "/v1/admin/agents/orga::busy", admin)).into(t, 200, &one)
	var list struct{ Agents []lastSeenAnswer }
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

func TestFinaliseIfSafe(t *testing.T) {
	w := open(t, memstore.Config{})
	a, err := w.Admit(t.Context(), "busy")
	if err != nil {
		t.Fatal(err)
	}
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 7 * 24 * time.Hour})
	if _, err := w.TokenFor(t.Context(), a.Certificate.CertPEM); err != nil {
		t.Fatal(err)
	}
	hour := w.Now().Truncate(time.Hour)
	ask := func(pairs ...string) answer {
		t.Helper()
		e := event("POST", "/pki/rotate-ca", admin, query("mode", "finalise"))
		for i := 0; i < len(pairs); i += 2 {
			e = with(e, query(pairs[i], pairs[i+1]))
		}
		return w.send(t, e)
	}
	type ends struct {
		DryRun  bool             `json:"dry_run"`
		CutsOff *rotateca.CutOff `json:"cuts_off"`
	}
	var dry ends
	ask("dry_run", "true", "if_safe", "true").into(t, 200, &dry)
	if c := dry.CutsOff; !dry.DryRun || c == nil || c.Agents != 1 || c.PerMethod["minted"] != 1 || c.Seen != 1 {
		t.Errorf("dry run: %+v", dry)
	}
	var refused problem.Problem
	ask("if_safe", "true").into(t, 409, &refused)
	if r := refused.Remain; refused.Code != "agents_remain" || r == nil || r.Count != 1 || len(r.First) != 1 ||
		r.First[0].ID != "orga::busy" || r.First[0].Method != "minted" || !r.First[0].LastSeen.Equal(hour) {
		t.Errorf("refusal: %+v %+v", refused, r)
	}
	for _, wrong := range []answer{ask("if_safe", "yes"), w.send(t, event("POST", "/pki/rotate-ca", admin,
		query("mode", "mint"), query("if_safe", "true")))} {
		if wrong.status != 400 {
			t.Errorf("status %d, want 400: %s", wrong.status, wrong.body)
		}
	}
	var done ends
	ask("if_safe", "false").into(t, 200, &done)
	if done.DryRun || done.CutsOff == nil || done.CutsOff.Seen != 1 {
		t.Errorf("plain: %+v", done)
	}
}
