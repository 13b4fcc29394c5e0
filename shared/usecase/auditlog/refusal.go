package auditlog

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// RecorderStore is what recording needs of the registry.
type RecorderStore interface {
	LastRow(ctx context.Context, subject string) (*audit.Row, error)
	Apply(ctx context.Context, c registry.Change) error
}

// RecorderConfig is what a Recorder is made of; all fields are required.
type RecorderConfig struct {
	Store RecorderStore
	OrgID string
	Now   func() time.Time
	NewID func() string // unique, at most 36 characters
	Log   *slog.Logger
}

// Refusal is one request that was refused.
type Refusal struct {
	audit.By // the actor is what was tried: "api", "dashboard"
	Event    audit.Event
	Reason   string // fixed words, never what the client sent
}

// RefusalSubject is the chain of an event's refusals.
func RefusalSubject(orgID string, event audit.Event) string { return orgID + "/" + string(event) }

const (
	// RefusalWindow is the time in which all instances together write one row of an event.
	RefusalWindow = time.Minute
	// patience is how long a refused client waits for its refusal to be recorded, once a window.
	patience   = 2 * time.Second
	maxSources = 8
)

// Recorder records refused callers in the audit trail. It is safe against floods: it writes one row a minute, however
// many refusals there are, in a chain of its own, so that no rotation waits for it. It is safe for concurrent use.
//
// The first refusal of a window is written at once, so that a single refusal shows within its own request. Later
// refusals of the window are counted in memory, without a read or a write, and a row of a later window reports them.
// So a row's count is what this instance has seen since its last row. The sum of counts is a lower bound: an instance
// that ends, or that another instance always precedes, loses its count. The log has each refusal.
type Recorder struct {
	RecorderConfig
	mu      sync.Mutex
	tallies map[audit.Event]*tally
}

// tally is what was refused and is not on the record yet.
type tally struct {
	count   int64
	sources []string
	tried   time.Time // window in which this instance has looked last
}

// NewRecorder returns a Recorder.
func NewRecorder(cfg RecorderConfig) *Recorder {
	return &Recorder{RecorderConfig: cfg, tallies: map[audit.Event]*tally{}}
}

// Record counts a refusal and, once a window, writes a row. The caller is refused whether or not the write succeeds;
// a failure is logged.
func (r *Recorder) Record(ctx context.Context, f Refusal) {
	now := r.Now()
	entry, due := r.count(f, now)
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	count, _ := entry.Details["count"].(int64)
	switch err := r.write(ctx, entry, now.Truncate(RefusalWindow)); {
	case err == nil, errors.Is(err, registry.ErrUnknown): // better to report too few than too many
		r.reported(f.Event, count)
	case !errors.Is(err, registry.ErrConflict): // another instance's row is there: the count stays for the next window
		r.Log.ErrorContext(ctx, "audit.unrecorded", "event", string(f.Event), "cause", err.Error())
	}
}

// count adds to the tally. It returns the row that reports the count, if this instance has not looked in this window
// yet.
func (r *Recorder) count(f Refusal, now time.Time) (audit.Entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tallies[f.Event]
	if t == nil {
		t = &tally{}
		r.tallies[f.Event] = t
	}
	t.count++
	if f.SourceIP != "" && len(t.sources) < maxSources && !slices.Contains(t.sources, f.SourceIP) {
		t.sources = append(t.sources, f.SourceIP)
	}
	window := now.Truncate(RefusalWindow)
	if t.tried.Equal(window) {
		return audit.Entry{}, false
	}
	t.tried = window
	sources := make([]any, len(t.sources))
	for i, s := range t.sources {
		sources[i] = s
	}
	return audit.Entry{
		Time:    now,
		Event:   f.Event,
		Actor:   f.Actor,
		Subject: RefusalSubject(r.OrgID, f.Event),
		Details: f.Note(map[string]any{
			"count": t.count, "reason": f.Reason, "sources": sources,
		}),
	}, true
}

// reported subtracts the reported count from the tally.
func (r *Recorder) reported(event audit.Event, count int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tallies[event]
	t.count -= count
	t.sources = nil
}

// write appends the row unless the chain has one of this window. Its place in the chain is the only condition: of two
// instances, one gets it.
func (r *Recorder) write(ctx context.Context, e audit.Entry, window time.Time) error {
	last, err := r.Store.LastRow(ctx, e.Subject)
	if err != nil {
		return err
	}
	var head audit.Head
	if last != nil {
		// A row that is dated further ahead was written while a clock was: it keeps no later one from being written.
		if at, err := last.Time(); err == nil && !at.Before(window) && at.Before(window.Add(2*RefusalWindow)) {
			return registry.ErrConflict
		}
		head = audit.Head{Seq: last.Seq, Hash: last.Hash}
	}
	row, _, err := head.Append(e)
	if err != nil {
		return err
	}
	return registry.Settle(ctx, r.Store.Apply, registry.Change{ID: r.NewID(), Rows: []audit.Row{row}})
}
