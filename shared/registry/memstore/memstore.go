// Package memstore is a hostile in-memory store for tests. It fails on misuse. On request it loses a write, loses the
// answer to a write, or applies a write long after its caller gave up.
package memstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/session"
)

// Fault is what becomes of one call. A read knows None and failure only.
type Fault int

// The faults.
const (
	None    Fault = iota
	Lose          // does not happen; ErrUnknown
	HalfAck       // happens, if its conditions hold; ErrUnknown either way
	Refuse        // does not happen; ErrUnavailable
	Late          // does not happen before Deliver, and then only if its conditions hold; ErrUnknown
)

// Config says how the store behaves. The zero Config is a store that works.
type Config struct {
	// Fault decides the outcome of each call; op is the name of the method. It is called from the goroutine of the call.
	Fault func(op string) Fault
	// Latency is how long a call takes before it does anything.
	Latency func(op string) time.Duration
}

var _ registry.Store = (*Store)(nil)

// Store is the state in memory. It is safe for concurrent use. It panics on a request that only a bug can make; see
// Apply.
type Store struct {
	cfg   Config
	calls map[string]*atomic.Int64 // of every operation; the map itself never changes

	mu          sync.RWMutex
	agents      map[agent.ID]agent.Agent
	keys        map[agent.ID]agent.Keys
	pointer     *orgca.Pointer
	generations map[int64]orgca.Generation
	truststore  registry.Truststore
	plan        orgca.Plan
	reissue     *orgca.Reissue
	jobs        map[string]registry.Job
	head        audit.Head
	lease       orgca.Lease
	rows        map[string][]row // by subject; row n is at n-1
	answers     map[string]registry.Answer
	proofs      map[proof]time.Time
	tokenKeys   map[int64]registry.TokenKey
	seen        map[agent.ID]registry.Sighting
	burndown    registry.Burndown
	deaths      map[string]registry.Deaths // by change
	note        registry.StatusNote
	holders     map[agent.ProvedKey]registry.KeyHolder
	refusals    map[agent.ID]registry.Refusal
	aliases     map[string]agent.ID
	edgeCAs     map[string]registry.EdgeCA // by DER
	namings     map[string]map[agent.ID]bool
	moved       map[string]audit.Leaf // by subject: what no checkpoint covers yet
	checkpoint  *registry.LastCheckpoint
	applied     ring
	sessions    sessions
	late        []func()
}

var operations = []string{
	"KeyHolders", "HoldKey", "View", "ViewKeys", "ViewSeen", "ViewBoth", "Keys", "Pointer", "Org", "Acquire",
	"Extend", "Release", "Apply", "Agents", "Census", "Due", "CountDue", "Records", "Expiring", "Suspects", "Seen",
	"SeenAt", "Refuse", "Refusals", "Burndown", "PutBurndown", "Status", "PutStatusNote", "Answer", "UseProof",
	"TokenKey", "TokenKeys", "PutTokenKey", "Rows", "Find", "List", "Count", "Job", "Jobs", "Alias", "EdgeCAs",
	"Named", "Moved", "Cover", "Checkpoint", "Covered", "LastRow", "RowsOfDay", "Session", "PutSession",
	"DropSession", "EndSessions", "Gates", "PutGate", "LatestRows", "DueTimes", "Names",
}

// New returns an empty store.
func New(cfg Config) *Store {
	s := &Store{
		cfg:         cfg,
		calls:       map[string]*atomic.Int64{},
		agents:      map[agent.ID]agent.Agent{},
		keys:        map[agent.ID]agent.Keys{},
		generations: map[int64]orgca.Generation{},
		rows:        map[string][]row{},
		moved:       map[string]audit.Leaf{},
		answers:     map[string]registry.Answer{},
		proofs:      map[proof]time.Time{},
		tokenKeys:   map[int64]registry.TokenKey{},
		seen:        map[agent.ID]registry.Sighting{},
		holders:     map[agent.ProvedKey]registry.KeyHolder{},
		refusals:    map[agent.ID]registry.Refusal{},
		jobs:        map[string]registry.Job{},
		deaths:      map[string]registry.Deaths{},
		aliases:     map[string]agent.ID{},
		edgeCAs:     map[string]registry.EdgeCA{},
		namings:     map[string]map[agent.ID]bool{},
		applied:     ring{changes: map[string]changeCopy{}},
		sessions:    sessions{open: map[string]session.Session{}, gates: map[string]session.Gate{}},
	}
	for _, op := range operations {
		s.calls[op] = new(atomic.Int64)
	}
	return s
}

// Calls returns how often each operation was called, whatever became of it. Operations never called are left out.
func (s *Store) Calls() map[string]int {
	counts := map[string]int{}
	for op, n := range s.calls {
		if n := n.Load(); n > 0 {
			counts[op] = int(n)
		}
	}
	return counts
}

// Deliver applies the late writes in their order and returns how many there were. A late write whose condition no
// longer holds changes nothing.
func (s *Store) Deliver() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.late
	s.late = nil
	for _, do := range late {
		do()
	}
	return len(late)
}

// enter counts a call, lets it take its time and decides its fate. Its error is the context's.
func (s *Store) enter(ctx context.Context, op string) (Fault, error) {
	s.calls[op].Add(1)
	if err := ctx.Err(); err != nil {
		return Refuse, err
	}
	if s.cfg.Latency != nil {
		if err := sleep(ctx, s.cfg.Latency(op)); err != nil {
			return Lose, err
		}
	}
	if s.cfg.Fault != nil {
		return s.cfg.Fault(op), nil
	}
	return None, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read runs do under the lock for readers, unless the call fails.
func (s *Store) read(ctx context.Context, op, doing string, do func()) error {
	fault, err := s.enter(ctx, op)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w: %w", doing, registry.ErrUnavailable, err)
	case fault != None:
		return fmt.Errorf("%s: %w", doing, registry.ErrUnavailable)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	do()
	return nil
}

// write runs do, which is all or nothing, under the lock: now, later or never. do must refer to
// the store's own values only.
func (s *Store) write(ctx context.Context, op, doing string, do func() error) error {
	fault, err := s.enter(ctx, op)
	if err == nil {
		err = s.carryOut(fault, do)
	} else if fault == Refuse {
		err = fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	} else {
		err = fmt.Errorf("%w: %w", registry.ErrUnknown, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func (s *Store) carryOut(fault Fault, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch fault {
	case None:
		return do()
	case HalfAck:
		do() //nolint:errcheck // its answer is what gets lost
		return registry.ErrUnknown
	case Lose:
		return registry.ErrUnknown
	case Late:
		s.late = append(s.late, func() { do() }) //nolint:errcheck // no caller waits for the answer any more
		return registry.ErrUnknown
	case Refuse:
		return registry.ErrUnavailable
	}
	panic(fmt.Sprintf("memstore: unknown fault %d", fault))
}

// Backup remembers the whole state and returns what brings it back, as restoring the tables from a backup would.
func (s *Store) Backup() (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	agents, keys, generations, answers := maps.Clone(s.agents), maps.Clone(s.keys), maps.Clone(s.generations),
		maps.Clone(s.answers)
	proofs, tokenKeys, rows := maps.Clone(s.proofs), maps.Clone(s.tokenKeys), map[string][]row{}
	for subject, all := range s.rows {
		rows[subject] = slices.Clone(all)
	}
	pointer, head, held, scheduled, reissue := s.pointer, s.head, s.lease, s.plan, s.reissue
	seen := maps.Clone(s.seen)
	refusals, deaths := maps.Clone(s.refusals), maps.Clone(s.deaths)
	jobs, holders := maps.Clone(s.jobs), maps.Clone(s.holders)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.agents, s.keys, s.generations, s.answers, s.proofs, s.tokenKeys, s.rows = agents, keys, generations, answers,
			proofs, tokenKeys, rows
		s.pointer, s.head, s.lease, s.plan, s.reissue, s.late = pointer, head, held, scheduled, reissue, nil
		s.seen = seen
		s.refusals, s.deaths, s.note = refusals, deaths, registry.StatusNote{} // a restore leaves the note out
		s.jobs, s.holders = jobs, holders
		s.applied = ring{changes: map[string]changeCopy{}}
	}
}
