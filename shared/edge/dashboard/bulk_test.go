package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// delivered enrols an agent whose certificates go into its secret.
func (w *world) delivered(t testing.TB, name string) {
	t.Helper()
	if _, err := w.Enroll.Enroll(t.Context(), enroll.Request{
		Name:    name,
		Deliver: agent.SecretsManager,
		By:      audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
}

// chipsOf are the links above the list, with their numbers.
func chipsOf(a answer) map[string]string {
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`<li><a href="([^"]*)"[^>]*>([^<]*?)(?: <span>([^<]*)</span>)?</a></li>`).
		FindAllStringSubmatch(a.body, -1) {
		found[m[2]] = m[3]
	}
	return found
}

// The links above the list say how many agents each has, out of indexes: nothing reads the records of the fleet.
func TestTheListIsCounted(t *testing.T) {
	w, b := signedIn(t)
	for n := range 60 {
		w.admit(t, fmt.Sprintf("agent-%02d", n))
	}
	if err := w.Enroll.Deactivate(t.Context(), enroll.Deactivation{
		Agent: "orga::agent-07",
		By:    audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	if _, err := w.Rotate(t.Context(), "orga::agent-01"); err != nil {
		t.Fatal(err)
	}
	w.Advance(10 * time.Second) // the last count is forgotten
	a := b.page(t, "/proxy/agents")
	chips := chipsOf(a)
	for name, want := range map[string]string{"All": "60", "On the old Org CA": "58", "Due within 30 days": "0",
		"Silent": "", "Deactivated": "1", "Minted": "59", "BYOCA": "0", "SPIFFE": "0"} {
		if got, ok := chips[name]; !ok || got != want {
			t.Errorf("%s: %q, want %q of %v", name, got, want, chips)
		}
	}
	says(t, a, "60 agents")
	says(t, b.page(t, "/proxy/agents?show=old"), "58 agents, on the old Org CA", "until 24 Nov 2026")
	says(t, b.page(t, "/proxy/agents?q=T-0"), "10 agents, with “T-0” in the name")
	says(t, b.page(t, "/proxy/agents?show=deactivated"), "1 agent, deactivated")
	if got := named(b.page(t, "/proxy/agents?show=deactivated")); got != "agent-07" {
		t.Errorf("deactivated: %q", got)
	}
	if got := named(b.page(t, "/proxy/agents?show=generation-2")); got != "agent-01" {
		t.Errorf("of G2: %q", got)
	}
	if calls := w.Store.Calls(); calls["Agents"] > 0 {
		t.Errorf("the fleet was read: %v", calls)
	}
}

// Silent agents are looked for a few at a time, and the page says at how many it looked.
func TestSilentAgentsAreFound(t *testing.T) {
	w, b := signedIn(t)
	w.inUse(t, "busy")
	for n := range 130 {
		w.admit(t, fmt.Sprintf("never-%03d", n))
	}
	a := b.page(t, "/proxy/agents?show=silent")
	if got := len(strings.Fields(named(a))); got != 50 || strings.Contains(named(a), "busy") {
		t.Errorf("%d agents: %s", got, named(a))
	}
	says(t, a, "51 agents in the order of names were looked at for this page.", "Look on")
	all := strings.Fields(named(a))
	for range 2 {
		m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(a.body)
		if m == nil {
			t.Fatal("no next page")
		}
		a = b.page(t, strings.ReplaceAll(m[1], "&amp;", "&"))
		all = append(all, strings.Fields(named(a))...)
	}
	if len(all) != 130 || all[129] != "never-129" {
		t.Errorf("%d silent agents, the last is %s", len(all), all[len(all)-1])
	}
}

// An operator selects agents and orders certificates for them: the job is for these alone, and its page has the
// progress.
func TestSelectedAgentsAreRotated(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "a", "b", "c")
	w.delivered(t, "d")
	w.delivered(t, "e")
	list := b.page(t, "/proxy/agents")
	if n := strings.Count(list.body, `name="id"`); n != 5 {
		t.Fatalf("%d agents can be selected", n)
	}
	if a := b.get(t, "/proxy/rotate?selected=1"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("nothing selected: status %d", a.status)
	}
	page := b.page(t, "/proxy/rotate?selected=1&id=orga::a&id=orga::d")
	says(t, page, "Rotate 2 agents", "New certificate in a secret 1", "Owner is notified 1")
	fields := url.Values{"id": {"orga::a", "orga::d"}}
	a := b.submit(t, page, "/proxy/rotate", fields)
	path := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(path, "/proxy/jobs/") {
		t.Fatalf("status %d to %q: %s", a.status, path, text(a.body))
	}
	if again := b.submit(t, page, "/proxy/rotate", fields); again.status != http.StatusConflict {
		t.Errorf("sent twice: status %d", again.status)
	}
	says(t, b.page(t, path), "New certificates are being made", "0 of 2 agents dealt with")
	says(t, b.page(t, "/proxy/agents"), "New certificates for many agents are being made.")
	other := b.page(t, "/proxy/rotate?selected=1&id=orga::b")
	says(t, other, "Another order is being carried out")
	second := b.submit(t, other, "/proxy/rotate", url.Values{"id": {"orga::b"}})
	if second.status != http.StatusUnprocessableEntity {
		t.Errorf("a second order: status %d", second.status)
	}
	if err := w.Hygiene.Orders(t.Context()); err != nil {
		t.Fatal(err)
	}
	says(t, b.page(t, path), "New certificates were made", "2 of 2 agents dealt with", "New certificate in a secret 1",
		"Owner notified 1")
	var live struct {
		Open     bool
		Percent  int
		Reissued string
	}
	into(t, b.get(t, path, header("Accept", "application/json")), &live)
	if live.Open || live.Percent != 100 || live.Reissued != "1" {
		t.Errorf("to a script: %+v", live)
	}
	for id, want := range map[agent.ID]audit.Event{"orga::a": audit.AgentCertDue, "orga::d": audit.AgentCertRotated,
		"orga::b": audit.AgentEnrolled, "orga::e": audit.AgentEnrolled} {
		row, err := w.Store.LastRow(t.Context(), string(id))
		if err != nil || row.EventType != want {
			t.Errorf("%s: last event %v, %v, want %s", id, row.EventType, err, want)
		}
	}
	if a := b.get(t, "/proxy/jobs/none"); a.status != http.StatusNotFound {
		t.Errorf("no such job: status %d", a.status)
	}
}

// What a list is narrowed to is what the order is for.
func TestAWholeListIsRotated(t *testing.T) {
	w, b := signedIn(t)
	w.admit(t, "kyc-1", "kyc-2", "pay")
	list := b.page(t, "/proxy/agents?q=KYC")
	if !strings.Contains(list.body, `href="/proxy/rotate?q=KYC"`) {
		t.Error("the list does not lead to its order")
	}
	page := b.page(t, "/proxy/rotate?q=KYC")
	says(t, page, "Rotate the agents of a list", "with “KYC” in the name", "Owner is notified 2")
	a := b.submit(t, page, "/proxy/rotate", nil)
	job, err := w.Enroll.Job(t.Context(), strings.TrimPrefix(a.header.Get("Location"), "/proxy/jobs/"))
	want := registry.Filter{Name: "KYC", Status: agent.Active}
	if err != nil || job.Filter != want || job.Total != 2 || !strings.HasPrefix(job.Actor, "dashboard:") {
		t.Errorf("job %+v, %v", job, err)
	}
	for _, list := range []string{"silent", "deactivated", "week-2026-11-23"} { // which no job's filter says
		if a := b.get(t, "/proxy/rotate?show="+list); a.status != http.StatusNotFound {
			t.Errorf("%s: status %d", list, a.status)
		}
		if strings.Contains(b.page(t, "/proxy/agents?show="+list).body, `"/proxy/rotate?`) {
			t.Errorf("%s leads to an order", list)
		}
	}
	says(t, b.page(t, "/proxy/rotate"), "Rotate all agents", "Owner is notified 3")
}
