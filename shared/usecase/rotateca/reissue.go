package rotateca

import (
	"context"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Errors of a step of a re-issue.
var (
	ErrAction = problem.New(400, "action_unknown", "unknown action").
			Says("action takes pause, resume, skip_wave or rollback.")
	ErrNoReissue = problem.New(409, "reissue_not_running", "no re-issue is in the state for this action").
			Says("No re-issue is in the state for this action: pause takes one that runs, resume one that was paused or " +
			"halted, skip_wave one that has not finished. Nothing was changed; GET /pki/rotate-ca shows it.")
	ErrLastWave = problem.New(409, "wave_is_last", "the last wave has begun already").
			Says("The last wave has begun already, so there is none to skip to. Nothing was changed.")
)

// Action is what an operator wants of a re-issue.
type Action string

var actions = map[Action]Mode{"pause": Pause, "resume": Resume, "skip_wave": SkipWave, "rollback": Return}

// steers reports whether a mode changes nothing but how a re-issue goes on.
func (m Mode) steers() bool { return m == Pause || m == Resume || m == SkipWave }

// Mode returns the mode that carries an action out: ErrAction.
func (a Action) Mode() (Mode, error) {
	mode, ok := actions[a]
	if !ok {
		return "", ErrAction
	}
	return mode, nil
}

func (w *run) goBack(ctx context.Context) (Result, error) { return w.decide(ctx, w.planRollback) }

func (w *run) pause(ctx context.Context) (Result, error) {
	return w.steer(ctx, audit.ReissuePaused, func(r orgca.Reissue, _ time.Time) (orgca.Reissue, error) {
		if r.State != orgca.Running {
			return r, ErrNoReissue
		}
		r.State = orgca.Paused
		return r, nil
	})
}

// goOn excuses the failures that halted the re-issue: the operator has seen them.
func (w *run) goOn(ctx context.Context) (Result, error) {
	return w.steer(ctx, audit.ReissueResumed, func(r orgca.Reissue, _ time.Time) (orgca.Reissue, error) {
		if r.State != orgca.Paused && r.State != orgca.Halted {
			return r, ErrNoReissue
		}
		if r.State == orgca.Halted {
			r.Excused = r.Failures()
		}
		r.State, r.Why, r.Agents, r.Next = orgca.Running, "", nil, time.Time{}
		return r, nil
	})
}

func (w *run) skipWave(ctx context.Context) (Result, error) {
	return w.steer(ctx, audit.RotationWave, func(r orgca.Reissue, now time.Time) (orgca.Reissue, error) {
		if r.LastWave() {
			return r, ErrLastWave
		}
		r.Excused = r.Failures()
		return r.NextWave(now), nil
	})
}

// steer commits what an operator changes of a re-issue: the record, the slots of agents that renew themselves, the row.
func (w *run) steer(
	ctx context.Context, event audit.Event, change func(orgca.Reissue, time.Time) (orgca.Reissue, error),
) (Result, error) {
	return w.decide(ctx, func(org registry.Org) (plan, error) {
		if !org.Reissue.Goes(org.Pointer) {
			return plan{}, ErrNoReissue
		}
		now := w.Now()
		next, err := change(*org.Reissue, now)
		if err != nil {
			return plan{}, err
		}
		current, ok := org.Generation(org.Pointer.Current)
		if !ok {
			return plan{}, orgca.ErrTransition
		}
		pointer := next.Steer(*org.Pointer)
		pointer.Fence = w.held.Fence
		details := WaveDetails(next)
		details["fence"] = pointer.Fence
		if event == audit.RotationWave {
			details["skipped"] = true
		}
		org.Reissue, org.Pointer = &next, &pointer
		result := describe(org, current)
		result.Reissue = reissueOf(org, now)
		p, err := w.sealed(org, orgca.Swap{Pointer: pointer}, result, w.entry(event, now, details))
		p.change.Reissue = &next
		return p, err
	})
}

// WaveDetails is what a row about a wave says.
func WaveDetails(r orgca.Reissue) map[string]any {
	return map[string]any{
		"generation": r.Generation,
		"from":       r.From,
		"wave":       int64(r.Wave + 1),
		"waves":      int64(len(r.Waves)),
		"percent":    int64(percent(r)),
	}
}

func percent(r orgca.Reissue) int {
	if r.Wave < len(r.Waves) {
		return r.Waves[r.Wave]
	}
	return 100
}

// Reissue is how far the fleet has been brought to the current generation.
type Reissue struct {
	State       orgca.ReissueState `json:"state"`
	From        int64              `json:"from"` // the generation that agents leave
	BeganAt     time.Time          `json:"began_at"`
	Waves       []int              `json:"waves"` // cumulative percents
	Wave        int                `json:"wave"`  // of Waves, from 1
	WaveBeganAt time.Time          `json:"wave_began_at"`
	HoldSeconds int64              `json:"hold_seconds"`
	OnHalt      orgca.OnHalt       `json:"on_halt"`
	Deadline    *time.Time         `json:"deadline"` // the end of the overlap; null: there is none
	Late        bool               `json:"late"`     // the waves that remain do not fit before the deadline, or hardly
	Why         string             `json:"why,omitempty"`
	Agents      []string           `json:"agents,omitempty"` // the first ten that Why is about
	orgca.ReissueCounts
	orgca.WaveCounts
}

// reissueOf is nil if no re-issue is about the current generation.
func reissueOf(org registry.Org, now time.Time) *Reissue {
	r := org.Reissue
	if r == nil || org.Pointer == nil || r.Generation != org.Pointer.Current {
		return nil
	}
	shown := &Reissue{
		State:         r.State,
		From:          r.From,
		BeganAt:       r.Began,
		Waves:         r.Waves,
		Wave:          r.Wave + 1,
		WaveBeganAt:   r.WaveBegan,
		HoldSeconds:   int64(r.Hold / time.Second),
		OnHalt:        r.OnHalt,
		Late:          r.Late(org.Pointer, now),
		Why:           r.Why,
		Agents:        r.Agents,
		ReissueCounts: r.ReissueCounts,
		WaveCounts:    r.WaveCounts,
	}
	if end := r.OverlapEnds(*org.Pointer, now); !end.IsZero() {
		shown.Deadline = &end
	}
	return shown
}
