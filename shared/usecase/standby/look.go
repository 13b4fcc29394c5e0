package standby

import (
	"context"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// look is what a run sees of the agents of the waves that have begun. It reads the index and each agent's record once:
// one read unit for an agent, and one for each that the waves take, while waves remain.
type look struct {
	wave  orgca.Wave
	first string // the agent that the next larger bound would take; empty: no agent can move without a human
}

// lookSize is how many agents are read at once.
const lookSize = 1000

func (j *Job) look(ctx context.Context, r orgca.Reissue) (l look, err error) {
	now := j.Now()
	l.wave.Failed = r.Failed
	for page, err := range registry.Pages(ctx, j.Store, registry.Query{Limit: lookSize}) {
		if err != nil {
			return l, err
		}
		var taken []agent.Agent
		for _, a := range page {
			switch {
			case a.Status != agent.Active || a.Pin().Generation == 0 || !a.EnrolledAt.Before(r.Began):
			case r.Takes(string(a.ID)):
				taken = append(taken, a)
			case movesAlone(a) && (l.first == "" || orgca.Share(string(a.ID)) < orgca.Share(l.first)):
				l.first = string(a.ID)
			}
		}
		if err := j.count(ctx, &l.wave, taken, r, now); err != nil {
			return l, err
		}
	}
	return l, nil
}

// count adds agents of the wave to it.
func (j *Job) count(ctx context.Context, w *orgca.Wave, taken []agent.Agent, r orgca.Reissue, now time.Time) error {
	if len(taken) == 0 {
		return nil
	}
	ids := make([]agent.ID, len(taken))
	for i, a := range taken {
		ids[i] = a.ID
	}
	seen, err := j.Store.SeenAt(ctx, ids)
	if err != nil {
		return err
	}
	refused, err := j.Store.Refusals(ctx, ids)
	if err != nil {
		return err
	}
	for _, a := range taken {
		s, pin := seen[a.ID], a.Pin()
		if pin.Generation != r.Generation {
			w.Await(string(a.ID), movesAlone(a) && a.Hygiene.Named != r.Fence && s.Recent(now), a.Concerning().Failed > 0)
			continue
		}
		w.Moves(string(a.ID), orgca.MovedAgent{
			Recent:  s.Recent(now),
			Used:    !pin.Unused || s.Generation == r.Generation && s.Recent(now),
			Refused: refused[a.ID].Of(pin),
			Silent:  fellSilent(s, pin, now),
		})
	}
	return nil
}

// movesAlone reports whether an agent moves without a human: its certificates are delivered, or it has renewed one
// itself.
func movesAlone(a agent.Agent) bool {
	return a.Delivers() || a.Method == agent.Minted && a.RenewsItself()
}

// fellSilent reports whether an agent has been silent since it moved, for three of its own usual intervals, although it
// was not before.
func fellSilent(s registry.Sighting, pin agent.Pin, now time.Time) bool {
	moved := pin.Renewed
	if moved.IsZero() {
		moved = pin.NotBefore
	}
	if s.Silent(moved) || s.Interval == 0 {
		return false
	}
	if s.Hour.Before(moved.UTC().Truncate(time.Hour)) { // not seen since: what it was silent before does not count
		s.Hour = moved.UTC().Truncate(time.Hour)
	}
	return s.Silent(now)
}
