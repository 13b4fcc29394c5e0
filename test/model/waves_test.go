package model

import (
	"time"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// drawMoves draws waves that fit an overlap of ten minutes.
func drawMoves(t *rapid.T) orgca.Moves {
	return orgca.Moves{
		Waves:  rapid.SampledFrom([][]int{{1, 10, 100}, {50, 100}, {100}}).Draw(t, "waves"),
		Hold:   rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "hold"),
		OnHalt: rapid.SampledFrom([]orgca.OnHalt{orgca.HoldOnHalt, orgca.RollBackOnHalt}).Draw(t, "on halt"),
	}
}

// steer takes an operator's step of the re-issue. A step that is reported is visible at once.
func (m *machine) steer(t *rapid.T) {
	mode := rapid.SampledFrom([]rotateca.Mode{rotateca.Pause, rotateca.Resume, rotateca.SkipWave}).Draw(t, "step")
	before := m.org(t)
	over := m.troubledBy(t, jumps)
	_, err := m.RotateCA.Do(m.ctx, rotateca.Request{Mode: mode, By: audit.By{Actor: "test"}})
	over()
	after := m.org(t)
	if err != nil || m.intruded {
		return
	}
	want, r := *before.Reissue, after.Reissue
	want.State = map[rotateca.Mode]orgca.ReissueState{rotateca.Pause: orgca.Paused}[mode]
	if mode != rotateca.Pause {
		want.State = orgca.Running
	}
	if mode == rotateca.SkipWave {
		want.Wave++
	}
	if r.State != want.State || r.Wave != want.Wave || r.Fence != want.Fence ||
		after.Pointer.Current != before.Pointer.Current {
		t.Fatalf("%s: re-issue is %+v, was %+v", mode, r, before.Reissue)
	}
}

// refused is the newest certificate of every agent being refused a token, or of none: the next run of the schedule may
// halt the re-issue, and roll back.
func (m *machine) refused(t *rapid.T) {
	over := m.troubled(t)
	defer over()
	for _, id := range []agent.ID{"orga::a", "orga::b", "orga::c"} {
		view, err := m.Store.View(m.ctx, id)
		if err != nil || view.Agent == nil || view.Agent.Pin().Thumbprint == "" {
			continue
		}
		pin := view.Agent.Pin()
		_ = m.Store.Refuse(m.ctx, registry.Refusal{
			Agent:      id,
			Thumbprint: pin.Thumbprint,
			Generation: pin.Generation,
			Code:       "certificate_expired",
			At:         m.Now(),
		})
	}
}

// goBack rolls back as the gate does. Every certificate that counted counts on: that of an agent that has moved, since
// it may have nothing else, and that of an agent that has not.
func (m *machine) goBack(t *rapid.T) {
	before := m.org(t)
	counted := map[agent.ID][]certificate{}
	for id, held := range m.issued {
		for _, c := range held {
			if before.Pointer != nil && m.authenticates(t, id, c) {
				counted[id] = append(counted[id], c)
			}
		}
	}
	over := m.troubledBy(t, jumps)
	_, err := m.RotateCA.Do(m.ctx, rotateca.Request{Mode: rotateca.Return, By: audit.By{Actor: "test"}})
	over()
	if err != nil || m.intruded {
		return
	}
	after := m.org(t)
	if after.Pointer.Current != before.Pointer.Previous || !after.Pointer.Accepts(before.Pointer.Current, m.Now()) ||
		after.Reissue.Generation != after.Pointer.Current || after.Reissue.State != orgca.Running {
		t.Fatalf("went back from %+v to %+v, re-issue %+v", before.Pointer, after.Pointer, after.Reissue)
	}
	for id, held := range counted {
		for _, c := range held {
			if m.skew == 0 && !m.authenticates(t, id, c) {
				t.Fatalf("%s is locked out: %+v counted before the rollback\n%+v", id, c.pin, after.Pointer.Accepted)
			}
		}
	}
}
