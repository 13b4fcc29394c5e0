package dashboard_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// The page shows where a re-issue stands, and has a button for each step that fits.
func TestReissueIsSteered(t *testing.T) {
	w, b := signedIn(t)
	w.Do(t, rotateca.Request{
		Mode:    rotateca.Mint,
		Overlap: 24 * time.Hour,
		Moves: orgca.Moves{
			Waves:  orgca.DefaultWaves(),
			Hold:   orgca.DefaultHold,
			OnHalt: orgca.HoldOnHalt,
		},
	})
	step := func(action string, want ...string) {
		t.Helper()
		says(t, b.page(t, "/proxy/pki/rotation"), want...)
		page := b.page(t, "/proxy/pki")
		says(t, page, want...)
		if a := b.submit(t, page, "/proxy/pki/reissue", url.Values{"action": {action}}); a.status != http.StatusSeeOther {
			t.Fatalf("%s: status %d: %s", action, a.status, text(a.body))
		}
	}
	step("pause", "wave 1 of 3 running", "Wave 2: 10 % Wave 3: all agents", "Pause", "Begin the next wave now")
	step("resume", "wave 1 of 3 paused", "Resume")
	step("skip_wave", "wave 1 of 3 running")
	step("rollback", "wave 2 of 3 running", "keep G2 until its agents are back")
	if n, m, k := len(w.events(t, audit.ReissuePaused)), len(w.events(t, audit.RotationWave)),
		len(w.events(t, audit.OrgCARolledBack)); n != 1 || m != 1 || k != 1 {
		t.Errorf("%d pauses, %d waves, %d rollbacks; want one each", n, m, k)
	}
	page := b.page(t, "/proxy/pki")
	a := b.submit(t, page, "/proxy/pki/reissue", url.Values{"action": {"finalise"}})
	if a.status != http.StatusBadRequest {
		t.Errorf("an action that is none: status %d", a.status)
	}
}

// The form of the commit asks how the agents move; waves need an overlap.
func TestACommitInWaves(t *testing.T) {
	w, b := signedIn(t)
	staged := w.Do(t, rotateca.Request{Mode: rotateca.Stage})
	path := "/proxy/pki/rotate-ca/preflight?fingerprint=" + staged.Fingerprint
	page := b.page(t, path)
	says(t, page, "in waves, back after a halt")
	form := url.Values{"confirm": {staged.Fingerprint[:8]}, "overlap": {"0"}, "waves": {"rollback"}}
	page = b.submit(t, page, path, form)
	says(t, page, "Waves need an overlap")
	form["overlap"], form["waves"] = []string{"86400"}, []string{"faster"}
	page = b.submit(t, page, path, form)
	says(t, page, "Waves need an overlap")
	form["waves"] = []string{"rollback"}
	if a := b.submit(t, page, path, form); a.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", a.status, text(a.body))
	}
	if r := w.Org(t).Reissue; len(r.Waves) != 3 || r.OnHalt != orgca.RollBackOnHalt || r.Hold != orgca.DefaultHold {
		t.Errorf("re-issue: %+v", r)
	}
}

// A halt is on the page, with the agents and the reason.
func TestAHaltIsShown(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 24 * time.Hour})
	r := *w.Org(t).Reissue
	r.State, r.Why, r.Agents = orgca.Halted, "wave 1 of 1: 2 of 3 agents failed", []string{"orga::kyc"}
	if err := w.Store.Apply(t.Context(), registry.Change{ID: w.NewID(), Reissue: &r}); err != nil {
		t.Fatal(err)
	}
	page := b.page(t, "/proxy/pki")
	says(t, page, "wave 1 of 1: 2 of 3 agents failed", "orga::kyc", "The re-issue of agents' certificates halted",
		"Resume")
}
