package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/session"
)

func searches(t *testing.T, f fixture) {
	fleet := f.fleet()
	f.settled(fleet)
	slices.SortFunc(fleet, func(a, b agent.Agent) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for _, prefix := range []string{"", "acme::", "acme::agent-", "acme::agent-0", "acme::agent-04", "acme::agent-042",
		"acme::agent-042x", "acme::b", "acne"} {
		want := slices.DeleteFunc(slices.Clone(fleet),
			func(a agent.Agent) bool { return !strings.HasPrefix(string(a.ID), prefix) })
		for _, limit := range []int{7, 100} {
			var got []agent.Agent
			q := registry.Search{Prefix: prefix, Limit: limit}
			for {
				page, err := f.Find(t.Context(), q)
				if err != nil || len(page.Agents) > limit {
					t.Fatalf("find %q: %d agents of at most %d, %v", prefix, len(page.Agents), limit, err)
				}
				got = append(got, page.Agents...)
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
			f.same(fmt.Sprintf("agents that begin with %q in pages of %d", prefix, limit), append([]agent.Agent{}, got...), want)
		}
	}
	page, err := f.Find(t.Context(), registry.Search{Prefix: "acme::agent-0", Limit: 7})
	if err != nil || page.Next == "" { // also the small fleet of -short goes on
		t.Fatalf("first page: got %+v, %v", page, err)
	}
	for _, q := range []registry.Search{
		{
			Prefix: "acme::agent-1",
			Cursor: page.Next,
		}, {Cursor: "!"}, {Cursor: page.Next + "="}, {Cursor: "YWJj"}, {Cursor: page.Next[1:]},
	} {
		q.Limit = 7
		_, err := f.Find(t.Context(), q)
		f.fails(fmt.Sprintf("cursor of %+v", q), err, registry.ErrCursor)
	}
}

func sessions(t *testing.T, f fixture) {
	ctx := t.Context()
	read := func(id string, want *session.Session, wantEpoch int64) {
		t.Helper()
		got, epoch, err := f.Session(ctx, id)
		f.fails("session", err, nil)
		f.same("session "+id, got, want)
		f.same("epoch", epoch, wantEpoch)
	}
	one := session.Session{
		ID:      "one",
		Actor:   "dashboard",
		Admin:   "alice",
		Epoch:   2,
		Version: "v1",
		Created: noon,
		Expires: noon.Add(session.TTL),
	}
	two := session.Session{ID: "two", Expires: noon}
	read("one", nil, 0)
	f.fails("put", f.PutSession(ctx, one), nil)
	f.fails("put again", f.PutSession(ctx, one), nil)
	f.fails("put another", f.PutSession(ctx, two), nil)
	read("one", &one, 0)
	read("two", &two, 0)
	f.fails("end all", f.EndSessions(ctx), nil)
	read("one", &one, 1)
	f.fails("drop", f.DropSession(ctx, "one"), nil)
	f.fails("drop again", f.DropSession(ctx, "one"), nil)
	read("one", nil, 1)
	read("two", &two, 1)
}

func gates(t *testing.T, f fixture) {
	ctx := t.Context()
	read := func() []session.Gate {
		t.Helper()
		got, err := f.Gates(ctx, "b", "a")
		f.fails("gates", err, nil)
		return got
	}
	f.same("gates that nobody tried", read(), []session.Gate{{Key: "b"}, {Key: "a"}})
	a := session.Gate{Key: "a", Attempts: 7, Last: noon, Until: noon.Add(time.Minute)}
	f.fails("put", f.PutGate(ctx, a, noon), nil)
	f.fails("put a second first", f.PutGate(ctx, a, noon), registry.ErrConflict)
	a.Version = 1
	f.same("gates", read(), []session.Gate{{Key: "b"}, a})
	moved := 0
	for _, err := range atOnce(func(int) error { return f.PutGate(ctx, a, noon) }) {
		if err == nil {
			moved++
		} else {
			f.fails("put at once", err, registry.ErrConflict)
		}
	}
	if moved != 1 {
		t.Errorf("%d of %d attempts at once moved the gate, want 1", moved, many)
	}
}
