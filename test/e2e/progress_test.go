package e2e

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ProgressLine is one line of the progress.
type ProgressLine struct {
	Agents     int64 `json:"agents"`
	ReEnrolled int64 `json:"re_enrolled"`
	Remaining  int64 `json:"remaining"`
}

type progress struct {
	ProgressLine
	PerMethod map[string]ProgressLine `json:"per_method"`
}

func (m *target) progressNow(t *testing.T) progress {
	t.Helper()
	var status struct {
		Progress *progress `json:"progress"`
	}
	a := m.operator().must(t, 200, "GET", "/pki/rotate-ca", m.admin(), nil)
	if err := json.Unmarshal(a.body, &status); err != nil || status.Progress == nil {
		t.Fatalf("no progress: %v\n%s", err, a.body)
	}
	var sum ProgressLine
	for _, m := range status.Progress.PerMethod {
		sum.Agents, sum.ReEnrolled, sum.Remaining = sum.Agents+m.Agents, sum.ReEnrolled+m.ReEnrolled,
			sum.Remaining+m.Remaining
	}
	p := *status.Progress
	if diff := cmp.Diff(sum, p.ProgressLine); diff != "" || p.Agents != p.ReEnrolled+p.Remaining || len(p.PerMethod) != 3 {
		t.Errorf("the methods do not add up (-sum +total):\n%s", diff)
	}
	return p
}

// The counts follow a rotation at once, for they are remembered for one generation only, and the fleet as it moves.
func TestProgress(t *testing.T) {
	onlyLocally(t, "an instance cannot be made to forget what it counted")
	m := borrow(t)
	m.forget(t)
	agents := []credential{m.enrol(t, fresh("moving")), m.enrol(t, fresh("moving")), m.enrol(t, fresh("moving"))}
	m.rotateCA(t)
	rotated := m.progressNow(t)
	if rotated.ReEnrolled != rotated.PerMethod["spiffe"].Agents || rotated.PerMethod["minted"].Remaining < 3 {
		t.Errorf("just rotated: %+v", rotated)
	}
	m.rotate(t, agents[0].AgentID)
	m.rotate(t, agents[1].AgentID)
	m.operator().must(t, 204, "DELETE", "/v1/admin/agents/"+agents[2].AgentID, m.admin(), nil)
	if diff := cmp.Diff(rotated, m.progressNow(t)); diff != "" {
		t.Errorf("what was counted a moment ago was counted again (-before +after):\n%s", diff)
	}
	m.Lambda.Kill("rotateca")
	want := rotated
	want.Agents, want.ReEnrolled, want.Remaining = want.Agents-1, want.ReEnrolled+2, want.Remaining-3
	want.PerMethod = map[string]ProgressLine{"byoca": rotated.PerMethod["byoca"], "spiffe": rotated.PerMethod["spiffe"]}
	minted := rotated.PerMethod["minted"]
	want.PerMethod["minted"] = ProgressLine{minted.Agents - 1, minted.ReEnrolled + 2, minted.Remaining - 3}
	if diff := cmp.Diff(want, m.progressNow(t)); diff != "" {
		t.Errorf("two have moved and one is gone (-want +got):\n%s", diff)
	}
}
