package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/session"
)

// over is a context that has ended.
func over(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func overBeforeItBegan(t *testing.T, f fixture) {
	ctx := over(t)
	for name, err := range map[string]error{
		"View":      second(f.View(ctx, agentID(1))),
		"ViewKeys":  second(f.ViewKeys(ctx, agentID(1))),
		"ViewSeen":  second(f.ViewSeen(ctx, agentID(1))),
		"ViewBoth":  second(f.ViewBoth(ctx, agentID(1), agentID(2))),
		"Pointer":   second(f.Pointer(ctx, agentID(1))),
		"Org":       second(f.Org(ctx)),
		"Answer":    second(f.Answer(ctx, "key", noon)),
		"TokenKey":  second(f.TokenKey(ctx, 1)),
		"TokenKeys": second(f.TokenKeys(ctx, 1)),
		"Rows":      second(f.Rows(ctx, orgID, 0, 1)),
		"Agents":    second(f.Agents(ctx, registry.Query{Limit: 1})),
		"Find":      second(f.Find(ctx, registry.Search{Limit: 1})),
		"Gates":     second(f.Gates(ctx, "a")),
		"Census":    second(f.Census(ctx, 1, 1)),
		"Due":       second(f.Due(ctx, registry.DueQuery{At: noon, Limit: 1})),
		"CountDue":  second(f.CountDue(ctx, registry.DueQuery{At: noon})),
		"DueTimes":  third(f.DueTimes(ctx, registry.DueQuery{At: noon, Limit: 1})),
		"List":      second(f.List(ctx, registry.Selection{Limit: 1, Keys: 1, Records: 1})),
		"Job":       second(f.Job(ctx, "a")),
		"Jobs":      second(f.Jobs(ctx)), "Names": third(f.Names(ctx, 1)),
		"Count":    second(f.Count(ctx, registry.Selection{})),
		"Refuse":   f.Refuse(ctx, registry.Refusal{Agent: agentID(1), Thumbprint: "t"}),
		"Refusals": second(f.Refusals(ctx, []agent.ID{agentID(1)})),
		"Records":  second(f.Records(ctx, []agent.ID{agentID(1)})),
		"Suspects": second(f.Suspects(ctx, 1)), "KeyHolders": second(f.KeyHolders(ctx, agent.ProvedKey{})),
		"Expiring": second(f.Expiring(ctx, noon, noon)),
		"Burndown": second(f.Burndown(ctx)),
		"Status":   second(f.Status(ctx, noon)),
		"SeenAt":   second(f.SeenAt(ctx, []agent.ID{agentID(1)})),
	} {
		f.fails(name, err, registry.ErrUnavailable)
	}
	for name, err := range map[string]error{
		"Apply":         f.Apply(ctx, enrolment(agentID(1), 1)),
		"Acquire":       second(f.Acquire(ctx, want("a", noon), noon)),
		"Extend":        f.Extend(ctx, want("a", noon)),
		"Release":       f.Release(ctx, want("a", noon)),
		"UseProof":      f.UseProof(ctx, "jkt", "jti", noon.Add(time.Minute), noon),
		"PutTokenKey":   f.PutTokenKey(ctx, fullTokenKey(1)),
		"Seen":          f.Seen(ctx, registry.SightingOf(agentID(1), 1, noon)),
		"HoldKey":       f.HoldKey(ctx, registry.KeyHolder{Agent: agentID(1)}, ""),
		"PutBurndown":   f.PutBurndown(ctx, registry.Burndown{}),
		"PutStatusNote": f.PutStatusNote(ctx, registry.StatusNote{Seq: 1}, 0),
		"PutSession":    f.PutSession(ctx, session.Session{ID: "a", Expires: noon}),
		"DropSession":   f.DropSession(ctx, "a"),
		"EndSessions":   f.EndSessions(ctx),
		"PutGate":       f.PutGate(ctx, session.Gate{Key: "a"}, noon),
	} {
		if !errors.Is(err, registry.ErrUnavailable) && !errors.Is(err, registry.ErrUnknown) {
			t.Errorf("%s: got %v, want %v or %v", name, err, registry.ErrUnavailable, registry.ErrUnknown)
		}
	}
	f.same("view", f.view(agentID(1)), registry.View{})
	f.same("org", f.org(), registry.Org{})
	f.fails("proof", f.UseProof(t.Context(), "jkt", "jti", noon.Add(time.Minute), noon), nil)
	f.fails("token key", f.PutTokenKey(t.Context(), fullTokenKey(1)), nil)
}

func third[T, U any](_ T, _ U, err error) error { return err }

func second[T any](_ T, err error) error { return err }
