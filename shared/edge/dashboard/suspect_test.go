package dashboard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// suspect marks an agent as a use case would.
func (w *world) suspect(t testing.TB, id agent.ID, s agent.Suspect) {
	t.Helper()
	view, err := w.Store.View(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	s.At = w.Now()
	next, changed := view.Agent.Shares(s)
	if !changed {
		t.Fatalf("%s cannot become suspect", id)
	}
	c := registry.Change{ID: "suspect " + string(id), Agent: &next, Was: view.Agent}.Ends(*view.Agent, s.At)
	if err := w.Store.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// The overview names the suspect agents, and an agent's page has the evidence and what to do. A rotation ends it.
func TestSuspectAgentsAreShown(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc", "pay", "other")
	if a := b.page(t, "/proxy/overview"); strings.Contains(a.body, "Suspect credentials") {
		t.Error("suspect agents before there is one")
	}
	if n := w.Store.Calls()["Suspects"]; n != 1 {
		t.Errorf("looked for suspects %d times for a page without one, want once", n)
	}
	w.Advance(2 * time.Minute) // the state of health is of this minute
	w.suspect(t, "orga::kyc", agent.Suspect{Evidence: agent.DeadCertificate, Thumbprint: strings.Repeat("ab", 32)})
	w.suspect(t, "orga::pay", agent.Suspect{Evidence: agent.ForeignProofKey, Other: "orga::other"})

	overview := b.page(t, "/proxy/overview")
	says(t, overview, "An agent's credential is suspect", "Suspect credentials", "kyc", "A dead certificate was used",
		"pay", "One DPoP key was used by this agent and by orga::other.")
	for _, link := range []string{"/proxy/agents/orga::kyc", "/proxy/agents/orga::pay", "/proxy/overview#suspect"} {
		if !strings.Contains(overview.body, `href="`+link+`"`) {
			t.Errorf("the overview does not lead to %s", link)
		}
	}
	says(t, b.page(t, "/proxy/agents/orga::kyc"), "Suspect", "A dead certificate was used",
		"rotate its certificate with the reason keyCompromise", "Until then it gets tokens", "abab")
	says(t, b.page(t, "/proxy/agents/orga::pay"), "Suspect", "Key shared with", "orga::other")
	if _, err := w.Rotate(t.Context(), "orga::kyc"); err != nil {
		t.Fatal(err)
	}
	w.Advance(2 * time.Minute)
	if a := b.page(t, "/proxy/overview"); strings.Contains(a.body, "agents/orga::kyc\"") ||
		!strings.Contains(a.body, "agents/orga::pay\"") {
		t.Error("a rotation of one agent ends its suspicion, and no other")
	}
	if a := b.page(t, "/proxy/agents/orga::kyc"); strings.Contains(a.body, "Suspect since") {
		t.Error("suspect after the rotation")
	}
}

// However many are suspect, the overview names twenty.
func TestManySuspectAgents(t *testing.T) {
	w, b := signedIn(t)
	for n := range 22 {
		name := fmt.Sprintf("a%02d", n)
		w.admit(t, name)
		w.suspect(t, agent.ID("orga::"+name), agent.Suspect{Evidence: agent.ForeignRequest, Other: "orga::x"})
	}
	w.Advance(2 * time.Minute)
	overview := b.page(t, "/proxy/overview")
	says(t, overview, "There are more.")
	if n :=
		strings.Count(overview.body, `href="/proxy/agents/orga::a`); n != 20 {
		t.Errorf("%d agents are named, want 20", n)
	}
}
