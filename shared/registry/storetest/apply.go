package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

func versions(t *testing.T, f fixture) {
	write := func(version int64) error {
		a := fullAgent()
		a.Version = version
		return f.Apply(t.Context(), registry.Change{ID: newID(), Agent: &a})
	}
	f.fails("change of an agent that does not exist", write(1), registry.ErrConflict)
	f.fails("creation", write(0), nil)
	f.fails("creation of an agent that exists", write(0), registry.ErrConflict)
	f.fails("change", write(1), nil)
	f.fails("change with the version before", write(1), registry.ErrConflict)
	f.fails("change with a version to come", write(3), registry.ErrConflict)
	if got := f.view(agentID(1)).Agent.Version; got != 2 {
		t.Errorf("version: got %d, want 2", got)
	}
}

// everything is what atomicity compares before and after.
type everything struct {
	View    registry.View
	Org     registry.Org
	Agent   []audit.Row
	OrgRows []audit.Row
	Answers []*registry.Answer
}

func (f fixture) everything(keys ...string) everything {
	f.t.Helper()
	e := everything{View: f.view(agentID(1)), Org: f.org(), Agent: f.rows(string(agentID(1))), OrgRows: f.rows(orgID)}
	for _, key := range keys {
		a, err := f.Answer(f.t.Context(), key, noon)
		f.fails("answer", err, nil)
		e.Answers = append(e.Answers, a)
	}
	return e
}

// wholeChange touches every kind of record; versions, heads and lease are those of the state read.
func wholeChange(v registry.View, o registry.Org, key string) registry.Change {
	a, p, answer, held, ts := fullAgent(), fullPointer(), fullAnswer(), o.Lease, fullTruststore()
	ts.Version = o.Truststore.Version
	planned := fullPlan()
	planned.Version = o.Plan.Version
	moving := fullReissue()
	if o.Reissue != nil {
		moving.Version = o.Reissue.Version
	}
	var agentHead audit.Head
	if v.Agent != nil {
		a.Version, agentHead, p.Version = v.Agent.Version, v.Agent.Head, v.Pointer.Version
	}
	c := registry.Change{ID: newID(), Truststore: &ts, Agent: &a, Pointer: &p, Answer: &answer, Release: &held}
	c.Plan, c.Reissue = &planned, &moving
	for number := int64(1); number <= 2; number++ {
		g, _ := o.Generation(number)
		next := fullGeneration(number)
		next.Version = g.Version
		c.Generations = append(c.Generations, next)
	}
	agentRow, agentHead := appended(agentHead, string(a.ID), audit.AgentCertRotated)
	orgRow, head := appended(o.Head, orgID, audit.OrgCARotated)
	a.Head, c.Head, c.Rows = agentHead, &head, []audit.Row{agentRow, orgRow}
	answer.Key, answer.Owner = key, c.ID
	return c
}

// atomicity makes each record of a change in turn the one whose condition does not hold.
func atomicity(t *testing.T, f fixture) {
	f.acquire("first", noon)
	f.apply(wholeChange(f.view(agentID(1)), f.org(), "first"))
	f.acquire("second", noon)
	before := f.everything("first", "second")

	for _, c := range []struct {
		name  string
		spoil func(*registry.Change)
	}{
		{"pointer of another version", func(c *registry.Change) { c.Pointer.Version++ }},
		{"pointer that must not exist", func(c *registry.Change) { c.Pointer.Version = 0 }},
		{"first generation of another version", func(c *registry.Change) { c.Generations[0].Version++ }},
		{"second generation of another version", func(c *registry.Change) { c.Generations[1].Version++ }},
		{"generation that must not exist", func(c *registry.Change) { c.Generations[1].Version = 0 }},
		{"generation that must exist", func(c *registry.Change) { c.Generations[1].Number = 9 }},
		{"truststore of another version", func(c *registry.Change) { c.Truststore.Version++ }},
		{"truststore that must not exist", func(c *registry.Change) { c.Truststore.Version = 0 }},
		{"plan of another version", func(c *registry.Change) { c.Plan.Version++ }},
		{"plan that must not exist", func(c *registry.Change) { c.Plan.Version = 0 }},
		{"re-issue of another version", func(c *registry.Change) { c.Reissue.Version++ }},
		{"re-issue that must not exist", func(c *registry.Change) { c.Reissue.Version = 0 }},
		{"agent of another version", func(c *registry.Change) { c.Agent.Version++ }},
		{"agent that must not exist", func(c *registry.Change) { c.Agent.Version = 0 }},
		{"head of another version", func(c *registry.Change) { c.Head.Version++ }},
		{"head that must not exist", func(c *registry.Change) { c.Head.Version = 0 }},
		{"row of the agent whose place is taken", func(c *registry.Change) { c.Rows[0].Seq = 1 }},
		{"row of the organisation whose place is taken", func(c *registry.Change) { c.Rows[1].Seq = 1 }},
		{"lease of another holder", func(c *registry.Change) { c.Release.Holder = "first" }},
		{"lease of another fence", func(c *registry.Change) { c.Release.Fence-- }},
		{"lease of nobody", func(c *registry.Change) { *c.Release = orgca.Lease{} }},
		{"answer whose key is taken", func(c *registry.Change) { c.Answer.Key = "first" }},
	} {
		change := wholeChange(before.View, before.Org, "second")
		c.spoil(&change)
		f.fails(c.name, f.Apply(t.Context(), change), registry.ErrConflict)
		f.same(c.name+": state", f.everything("first", "second"), before)
	}

	f.apply(wholeChange(before.View, before.Org, "second"))
	after := f.everything("first", "second")
	if after.View.Agent.Version != 2 || after.Org.Pointer.Version != 2 || after.Org.Head.Version != 2 ||
		after.Org.Generations[1].Version != 2 || after.Org.Truststore.Version != 2 || after.Org.Plan.Version != 2 ||
		after.Org.Reissue.Version != 2 {
		t.Errorf("versions after the unspoilt change: got %+v, want 2 everywhere", after)
	}
	if len(after.Agent) != 2 || len(after.OrgRows) != 2 || after.Answers[1] == nil {
		t.Errorf("after the unspoilt change: got %d and %d rows and the answer %v, want 2 and 2 and one", len(after.Agent),
			len(after.OrgRows), after.Answers[1])
	}
	f.same("released lease", after.Org.Lease, orgca.Lease{Fence: 2})
}

func once(t *testing.T, f fixture) {
	c := enrolment(agentID(1), 1)
	for n, err := range atOnce(func(int) error { return f.Apply(t.Context(), c) }) {
		// That the first one is still at work is all that a store may not know.
		if err != nil && !errors.Is(err, registry.ErrUnknown) {
			t.Errorf("application %d: got %v, want success or %v", n, err, registry.ErrUnknown)
		}
	}
	f.fails("application after the others", f.Apply(t.Context(), c), nil)
	f.same("agent", f.view(agentID(1)).Agent, storedAgent(*c.Agent))
	f.same("rows", f.rows(string(agentID(1))), c.Rows)

	f.apply(rotation(*f.view(agentID(1)).Agent, 2))
	f.fails("application after the next change", f.Apply(t.Context(), c), nil)
	if got := f.view(agentID(1)).Agent; got.Version != 2 || got.Pin().Generation != 2 {
		t.Errorf("agent after a change was applied once more: got %+v, want the next change's", got)
	}
}

func reusedID(t *testing.T, f fixture) {
	first, second := enrolment(agentID(1), 1), enrolment(agentID(2), 1)
	second.ID = first.ID
	f.apply(first)
	f.fails("another change with the same id", f.Apply(t.Context(), second), registry.ErrConflict)
	f.same("agent of the second", f.view(agentID(2)).Agent, (*agent.Agent)(nil))
	f.same("agent of the first", f.view(agentID(1)).Agent, storedAgent(*first.Agent))
}

// conflicting applies many changes; one of them can win. A store may also report a conflict with a change that is
// merely in flight, so each change is retried until the agent is there.
func conflicting(t *testing.T, f fixture) {
	errs := atOnce(func(n int) error {
		c := enrolment(agentID(1), int64(n))
		for {
			err := f.Apply(t.Context(), c)
			if !errors.Is(err, registry.ErrConflict) {
				return err
			}
			v, readErr := f.View(t.Context(), agentID(1))
			if readErr != nil || v.Agent != nil {
				return errors.Join(err, readErr)
			}
		}
	})
	winner := -1
	for n, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("changes %d and %d were both applied", winner, n)
		case err == nil:
			winner = n
		default:
			f.fails(fmt.Sprintf("change %d", n), err, registry.ErrConflict)
		}
	}
	got := f.view(agentID(1)).Agent
	if winner < 0 || got == nil || got.Version != 1 || got.Pin().Generation != int64(winner) ||
		len(f.rows(string(agentID(1)))) != 1 {
		t.Errorf("got %+v, want the agent of change %d, once", got, winner)
	}
}

func disjoint(t *testing.T, f fixture) {
	p := fullPointer()
	f.apply(registry.Change{ID: newID(), Pointer: &p})
	for n, err := range atOnce(func(n int) error {
		enrol := enrolment(agentID(n), 1)
		if err := f.Apply(t.Context(), enrol); err != nil {
			return err
		}
		return f.Apply(t.Context(), rotation(*storedAgent(*enrol.Agent), 2))
	}) {
		f.fails(string(agentID(n)), err, nil)
	}
}

func appendOnly(t *testing.T, f fixture) {
	first := enrolment(agentID(1), 1)
	f.apply(first)
	a := *f.view(agentID(1)).Agent

	forged := first.Rows[0]
	forged.Actor = "somebody else"
	f.fails("row in a place that is taken", f.Apply(t.Context(), registry.Change{
		ID:   newID(),
		Rows: []audit.Row{forged},
	}), registry.ErrConflict)
	f.same("rows after that", f.rows(string(a.ID)), first.Rows)

	second := rotation(a, 2)
	f.apply(second)
	rows := f.rows(string(a.ID))
	f.same("rows", rows, append(first.Rows, second.Rows...))
	end, err := audit.Verify(rows)
	f.fails("verification of the chain", err, nil)
	f.same("head", f.view(a.ID).Agent.Head, end)
}

func rowParts(t *testing.T, f fixture) {
	const length = 12 // so that the order is that of numbers, not of their digits
	var all []audit.Row
	head := audit.Head{}
	for range length {
		row, next := appended(head, orgID, audit.OrgCAStaged)
		f.apply(registry.Change{ID: newID(), Head: &next, Rows: []audit.Row{row}})
		head, all = next, append(all, row)
		head.Version++
	}
	for _, c := range []struct {
		after       int64
		limit       int
		first, last int
	}{
		{0, 100, 0, length}, {0, 5, 0, 5}, {5, 5, 5, 10}, {10, 5, 10, length}, {-3, 2, 0, 2},
	} {
		got, err := f.Rows(t.Context(), orgID, c.after, c.limit)
		f.fails("rows", err, nil)
		f.same(fmt.Sprintf("%d rows after %d", c.limit, c.after), got, all[c.first:c.last])
	}
	for _, after := range []int64{length, 1 << 40} {
		got, err := f.Rows(t.Context(), orgID, after, 5)
		f.fails("rows behind the end", err, nil)
		f.same("rows behind the end", got, []audit.Row(nil))
	}
	f.same("rows of another subject", f.rows("acm"), []audit.Row(nil))
	f.same("pointer", f.org().Pointer, (*orgca.Pointer)(nil))
}
