package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

func into(t testing.TB, a answer, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("status %d: %v: %s", a.status, err, a.body)
	}
}

// The profile is edited in one form, each field of it; nothing else of the agent changes.
func TestAProfileIsEdited(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	before, err := w.Store.View(t.Context(), "orga::kyc")
	if err != nil {
		t.Fatal(err)
	}
	page := b.page(t, "/proxy/agents/orga::kyc/edit")
	if !strings.Contains(page.body, `value="kyc:read"`) {
		t.Errorf("the form does not show the capabilities: %s", text(page.body))
	}
	fields := url.Values{"display_name": {"KYC screener"}, "owner": {" Team KYC "},
		"capabilities": {"kyc:read  kyc:write"}, "suspicion": {"contain"}}
	a := b.submit(t, page, "/proxy/agents/orga::kyc/edit", fields)
	if a.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", a.status, text(a.body))
	}
	says(t, b.page(t, a.header.Get("Location")), "Saved.", "Team KYC", "kyc:write", "KYC screener",
		"no token until you rotate its certificate", "Profile changed")
	view, err := w.Store.View(t.Context(), "orga::kyc")
	if err != nil {
		t.Fatal(err)
	}
	got := view.Agent.Profile
	if got.Owner != "Team KYC" || !slices.Equal(got.Capabilities, []string{"kyc:read", "kyc:write"}) ||
		got.Suspicion != agent.SuspicionContain || view.Agent.Pin() != before.Agent.Pin() {
		t.Errorf("the record: %+v", view.Agent)
	}
	// A form that was opened before does not undo the change.
	a = b.submit(t, page, "/proxy/agents/orga::kyc/edit", url.Values{"owner": {"Team Old"}})
	if a.status != http.StatusUnprocessableEntity {
		t.Errorf("an old form: status %d", a.status)
	}
	says(t, a, "The profile was changed after you had opened this page")
	if !strings.Contains(a.body, `value="Team KYC"`) {
		t.Error("the form does not show the present owner")
	}
	a = b.submit(t, b.page(t, "/proxy/agents/orga::kyc/edit"), "/proxy/agents/orga::kyc/edit",
		url.Values{"capabilities": {`a"b`}})
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="capabilities-wrong"`) {
		t.Errorf("a bad capability: status %d", a.status)
	}
	// What the form leaves empty is removed.
	b.submit(t, b.page(t, "/proxy/agents/orga::kyc/edit"), "/proxy/agents/orga::kyc/edit",
		url.Values{"owner": {""}, "capabilities": {""}, "suspicion": {""}, "display_name": {""}})
	view, err = w.Store.View(t.Context(), "orga::kyc")
	if p := view.Agent.Profile; err != nil || p.Owner != "" || len(p.Capabilities) > 0 || p.Suspicion != "" ||
		p.DisplayName != "kyc" {
		t.Errorf("emptied: %+v, %v", p, err)
	}
}

// What is done when a certificate is due can be chosen, for certificates that the Mastio issues.
func TestHygieneIsChosen(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc")
	page := b.page(t, "/proxy/agents/orga::kyc/edit")
	a := b.submit(t, page, "/proxy/agents/orga::kyc/hygiene", url.Values{"deliver": {"secretsmanager"}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", a.status, text(a.body))
	}
	says(t, b.page(t, a.header.Get("Location")), "a new certificate is delivered into its secret", "Hygiene set")
	view, err := w.Store.View(t.Context(), "orga::kyc")
	if err != nil || view.Agent.Hygiene.Deliver != agent.SecretsManager {
		t.Errorf("the record: %+v, %v", view.Agent.Hygiene, err)
	}
	page = b.page(t, "/proxy/agents/orga::kyc/edit")
	if a := b.submit(t, page, "/proxy/agents/orga::kyc/hygiene",
		url.Values{"deliver": {"mail"}}); a.status != http.StatusBadRequest {
		t.Errorf("an unknown way: status %d", a.status)
	}
	if err := w.Enroll.Deactivate(t.Context(), enroll.Deactivation{
		Agent: "orga::kyc",
		By:    audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	if a := b.get(t, "/proxy/agents/orga::kyc/edit"); a.status != http.StatusConflict {
		t.Errorf("a deactivated agent: status %d", a.status)
	}
}
