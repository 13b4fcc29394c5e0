package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/events"
)

// fleet lists agents three at a time.
type fleet []agent.Agent

func (f fleet) Agents(_ context.Context, q registry.Query) (registry.Page, error) {
	at := 0
	if q.Cursor != "" {
		if _, err := fmt.Sscan(q.Cursor, &at); err != nil {
			return registry.Page{}, err
		}
	}
	end := min(at+3, len(f))
	p := registry.Page{Agents: f[at:end]}
	if end < len(f) {
		p.Next = fmt.Sprint(end)
	}
	return p, nil
}

// broken cannot be read.
type broken struct{}

func (broken) Agents(context.Context, registry.Query) (registry.Page, error) {
	return registry.Page{}, registry.ErrUnavailable
}

func owned(owner string, status agent.Status, ids ...string) (all []agent.Agent) {
	for _, id := range ids {
		all = append(all, agent.Agent{ID: agent.ID("orga::" + id), Status: status, Profile: agent.Profile{Owner: owner}})
	}
	return all
}

// Each owner gets the owner's agents, whichever page of the listing they are on. A deactivated agent is named to no
// owner.
func TestOwnersAreTold(t *testing.T) {
	b := &bus{fate: func() int { return 0 }}
	r := relay(b)
	r.Fleet = fleet(slices.Concat(owned("a@example.com", agent.Active, "a1"), owned("", agent.Active, "n1"),
		owned("team b", agent.Active, "b1", "b2"), owned("a@example.com", agent.Active, "a2", "a1"),
		owned("left", agent.Deactivated, "l1")))
	c := chains{}
	date := map[string]any{"at": "2027-01-15T02:00:00Z", "scheduled_by": "admin:v1"}
	records := []events.Record{
		{Sequence: "1", Row: c.row(t, audit.AgentCertDue, "orga::a1", nil)},
		{Sequence: "2", Row: c.row(t, audit.RotationScheduled, "orga", date)},
		{Sequence: "3", Row: c.row(t, audit.OrgCARotated, "orga", map[string]any{"generation": int64(2)})},
	}
	if got := r.Run(t.Context(), records); got.Failed != "" || got.Sent != len(b.taken) {
		t.Errorf("report %+v, %d events", got, len(b.taken))
	}
	var got []string
	for _, e := range b.taken {
		if e.Detail["scheduled_by"] != nil {
			t.Errorf("%s names the actor", e.Type)
		}
		got = append(got, fmt.Sprint(e.Type, " ", e.Detail["owner"], " ", e.Detail["agents"]))
	}
	want := []string{
		"agent.cert_due <nil> <nil>",
		"org_ca.rotation_scheduled  [orga::n1]",
		"org_ca.rotation_scheduled a@example.com [orga::a1 orga::a2]",
		"org_ca.rotation_scheduled team b [orga::b1 orga::b2]",
		"org_ca.rotated <nil> <nil>",
		"org_ca.rotation_started  [orga::n1]",
		"org_ca.rotation_started a@example.com [orga::a1 orga::a2]",
		"org_ca.rotation_started team b [orga::b1 orga::b2]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Whatever is published about a rotation of the fleet names the owners' agents.
func TestEveryEventOfARotationNamesTheOwners(t *testing.T) {
	seen := 0
	for e := range events.Published {
		if !strings.HasPrefix(string(e), "org_ca.rotation_") {
			continue
		}
		seen++
		if _, ok := events.Addressed[e]; !ok {
			t.Errorf("%s names no owner's agents", e)
		}
	}
	if seen < 7 {
		t.Errorf("%d events of a rotation: the search is broken", seen)
	}
}

// The agents that the gate names and the agents of an owner are two members.
func TestAHaltNamesBoth(t *testing.T) {
	b := &bus{fate: func() int { return 0 }}
	r := relay(b)
	r.Fleet = fleet(owned("team b", agent.Active, "b1", "b2"))
	row := chains{}.row(t, audit.RotationHalted, "orga", map[string]any{"agents": []any{"orga::b2"}, "why": "silent"})
	if got := r.Run(t.Context(), []events.Record{{Sequence: "1", Row: row}}); got.Failed != "" || len(b.taken) != 2 {
		t.Fatalf("report %+v, %d events", got, len(b.taken))
	}
	d := b.taken[1].Detail
	if fmt.Sprint(d["agents"], d["gate_agents"]) != "[orga::b1 orga::b2] [orga::b2]" || d["owner"] != "team b" {
		t.Errorf("detail: %v", d)
	}
}

// Ten thousand agents of one owner go out in events that are small enough: EventBridge takes ten in one call.
func TestManyAgentsOfOneOwner(t *testing.T) {
	const limit = 256 << 10 // octets in one call to PutEvents
	var all fleet
	for n := range 10_000 {
		all = append(all, owned("platform@example.com", agent.Active, fmt.Sprintf("%s-%05d", strings.Repeat("n", 50), n))...)
	}
	b := &bus{fate: func() int { return 0 }}
	r := relay(b)
	r.Fleet = all
	row := chains{}.row(t, audit.RotationScheduled, "orga", map[string]any{"at": "2027-01-15T02:00:00Z"})
	if got := r.Run(t.Context(), []events.Record{{Sequence: "1", Row: row}}); got.Failed != "" {
		t.Fatalf("report %+v", got)
	}
	seen, parts := map[string]bool{}, 0
	for _, e := range b.taken {
		body, err := json.Marshal(e.Detail)
		if err != nil || len(body) > limit/events.Batch {
			t.Fatalf("an event of %d octets, %v", len(body), err)
		}
		if e.Detail["owner"] != "platform@example.com" {
			continue
		}
		if parts++; e.Detail["part"] != parts {
			t.Errorf("part %v is number %d", e.Detail["part"], parts)
		}
		for _, id := range e.Detail["agents"].([]string) {
			seen[id] = true
		}
	}
	if len(seen) != 10_000 || b.taken[len(b.taken)-1].Detail["parts"] != parts {
		t.Errorf("%d agents in %d parts of %v", len(seen), parts, b.taken[len(b.taken)-1].Detail["parts"])
	}
	t.Logf("10,000 agents of one owner: %d events", parts)
}

// A fleet that cannot be read holds the event back: the stream offers the row again.
func TestOwnersThatCannotBeRead(t *testing.T) {
	b := &bus{fate: func() int { return 0 }}
	r := relay(b)
	r.Fleet = broken{}
	row := chains{}.row(t, audit.RotationDropped, "orga", map[string]any{"code": "plan_stale"})
	if got := r.Run(t.Context(), []events.Record{{Sequence: "7", Row: row}}); got.Failed != "7" || len(b.taken) > 0 {
		t.Errorf("report %+v, %d events", got, len(b.taken))
	}
	r.Fleet = fleet(nil)
	if got := r.Run(t.Context(), []events.Record{{Sequence: "7", Row: row}}); got.Failed != "" || len(b.taken) != 1 ||
		b.taken[0].Detail["code"] != "plan_stale" {
		t.Errorf("report %+v, events %+v", got, b.taken)
	}
}

// The bus takes some of an owner's events and not others: what is left is offered again, and nothing is lost.
func TestOwnersOfABusThatFails(t *testing.T) {
	fails := 7
	b := &bus{}
	b.fate = func() int {
		if fails--; fails >= 0 && fails%2 == 0 {
			return 1
		}
		return 0
	}
	r := relay(b)
	for n := range 40 {
		r.Fleet = append(toFleet(r.Fleet), owned(fmt.Sprint("owner ", n), agent.Active, fmt.Sprint("a", n))...)
	}
	row := chains{}.row(t, audit.RotationCancelled, "orga", nil)
	records := []events.Record{{Sequence: "1", Row: row}}
	for offer := 0; r.Run(t.Context(), records).Failed != ""; offer++ {
		if offer > 10 {
			t.Fatal(errors.New("the events never go out"))
		}
	}
	owners := map[any]bool{}
	for _, e := range b.taken {
		owners[e.Detail["owner"]] = true
	}
	if len(owners) != 41 {
		t.Errorf("%d owners were notified, want 40 and the empty one", len(owners))
	}
}

func toFleet(f registry.Lister) fleet {
	known, _ := f.(fleet)
	return known
}
