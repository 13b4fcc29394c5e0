package rotateca_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

func admit(t *testing.T, m *inmemory.Mastio, names ...string) (admitted []enroll.Result) {
	t.Helper()
	for _, name := range names {
		result, err := m.Admit(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		admitted = append(admitted, result)
	}
	return admitted
}

// put stores an agent that the Mastio did not enrol itself.
func put(t *testing.T, m *inmemory.Mastio, a agent.Agent) {
	t.Helper()
	if err := m.Store.Apply(t.Context(), registry.Change{ID: m.NewID(), Agent: &a}); err != nil {
		t.Fatal(err)
	}
}

// shows compares the counts of the status, after the remembered count has expired.
func shows(t *testing.T, m *inmemory.Mastio, when string, want rotateca.Progress) {
	t.Helper()
	m.Advance(5 * time.Second)
	status, err := m.RotateCA.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := *status.Progress
	got.Laggards = nil                     // TestLaggardsAreThoseSeenLast
	got.LastTokens = rotateca.LastTokens{} // TestLastTokensByHour
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: progress (-want +got):\n%s", when, diff)
	}
}

func moved(agents, reEnrolled, used, remaining, silent int64) rotateca.AgentCounts {
	return rotateca.AgentCounts{Agents: agents, ReEnrolled: reEnrolled, Used: used, Remaining: remaining, Silent: silent}
}

func TestProgressFollowsTheFleet(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	methods := func(minted, byoca, spiffe rotateca.AgentCounts) map[agent.Method]rotateca.AgentCounts {
		return map[agent.Method]rotateca.AgentCounts{agent.Minted: minted, agent.BYOCA: byoca, agent.SPIFFE: spiffe}
	}
	none := rotateca.AgentCounts{}
	shows(t, m, "nobody is there", rotateca.Progress{PerMethod: methods(none, none, none)})

	all := admit(t, m, "one", "two", "three")
	put(t, m, agent.Agent{
		ID:     "orga::own",
		Method: agent.BYOCA,
		Status: agent.Active,
		Pins:   []agent.Pin{{Thumbprint: "t", Generation: 1}},
	})
	put(t, m, agent.Agent{ID: "orga::workload", Method: agent.SPIFFE, Status: agent.Active, SPIFFEID: "spiffe://x/y"})
	put(t, m, agent.Agent{ID: "orga::gone", Method: agent.Minted, Status: agent.Deactivated})
	put(t, m, agent.Agent{
		ID:     "orga::odd",
		Method: agent.Minted,
		Status: "suspended",
		Pins:   []agent.Pin{{Thumbprint: "u", Generation: 1}},
	})
	shows(t, m, "all are there", rotateca.Progress{
		AgentCounts: moved(5, 5, 1, 0, 0),
		PerMethod:   methods(moved(3, 3, 0, 0, 0), moved(1, 1, 0, 0, 0), moved(1, 1, 1, 0, 0)),
	})

	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	shows(t, m, "just rotated", rotateca.Progress{
		AgentCounts: moved(5, 1, 1, 4, 4),
		PerMethod:   methods(moved(3, 0, 0, 3, 3), moved(1, 0, 0, 1, 1), moved(1, 1, 1, 0, 0)),
	})

	if _, err := m.Rotate(t.Context(), all[0].Agent.ID); err != nil {
		t.Fatal(err)
	}
	if err := m.Enroll.Deactivate(t.Context(), enroll.Deactivation{
		Agent: all[1].Agent.ID,
		By:    audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	shows(t, m, "one moved, one gone", rotateca.Progress{
		AgentCounts: moved(4, 2, 1, 2, 2),
		PerMethod:   methods(moved(2, 1, 0, 1, 1), moved(1, 0, 0, 1, 1), moved(1, 1, 1, 0, 0)),
	})

	m.Do(t, rotateca.Request{Mode: rotateca.Rollback}) // who had moved remains, the others are where they were
	shows(t, m, "rolled back", rotateca.Progress{
		AgentCounts: moved(4, 3, 1, 1, 1),
		PerMethod:   methods(moved(2, 1, 0, 1, 1), moved(1, 1, 0, 0, 0), moved(1, 1, 1, 0, 0)),
	})
}

func TestProgressIsRememberedForFiveSeconds(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	admit(t, m, "one")
	counted := func(what string, want int, agents int64) {
		t.Helper()
		status, err := m.RotateCA.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Store.Calls()["Census"]; got != want || status.Progress.Agents != agents {
			t.Errorf("%s: counted %d times, %d agents; want %d times, %d agents", what, got, status.Progress.Agents, want,
				agents)
		}
	}
	counted("the first look", 1, 1)
	admit(t, m, "two")
	counted("at once again", 1, 1)
	m.Advance(5*time.Second - time.Millisecond)
	counted("a millisecond before five seconds", 1, 1)
	m.Advance(time.Millisecond)
	counted("after five seconds", 2, 2)
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	counted("of another generation", 3, 2)
	m.Advance(-time.Second)
	counted("a clock that was set back", 4, 2)
}

// A failed count is shown as unknown; the rest of the status is still there, and the log says why.
func TestProgressThatCannotBeCounted(t *testing.T) {
	broken := false
	m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if broken && op == "Census" {
			return memstore.Refuse
		}
		return memstore.None
	}})
	var log bytes.Buffer
	cfg := m.RotateCA.Config
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	rotator := rotateca.New(cfg)
	broken = true
	status, err := rotator.Status(t.Context())
	if err != nil || status.Progress != nil || status.Generation != 1 {
		t.Errorf("status of generation %d with progress %v, %v; want generation 1 without", status.Generation,
			status.Progress, err)
	}
	if !bytes.Contains(log.Bytes(), []byte("pki.rotate.progress_unknown")) {
		t.Errorf("log: %s", log.Bytes())
	}
	broken = false
	if status, err = rotator.Status(t.Context()); err != nil || status.Progress == nil {
		t.Errorf("a failure was remembered: progress %v, %v", status.Progress, err)
	}
}

// slowCensus never answers.
type slowCensus struct{ rotateca.Store }

func (slowCensus) Census(ctx context.Context, _, _ int64) (map[agent.Method]registry.Tally, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("%w: %w", registry.ErrUnavailable, ctx.Err())
}

func TestProgressEndsWithItsRequest(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	cfg := m.RotateCA.Config
	cfg.Store = slowCensus{m.Store}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	status, err := rotateca.New(cfg).Status(ctx)
	if err != nil || status.Progress != nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("progress %v, %v, context %v; want none once the request is over", status.Progress, err, ctx.Err())
	}
}
