package rotateca

import (
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Result describes the current generation as a rotation left it.
type Result struct {
	Generation int64 `json:"generation"`
	// absent, as the next three: of a dry run, the generation is not made yet
	Fingerprint  string             `json:"fingerprint,omitempty"`
	Subject      string             `json:"subject,omitempty"`
	NotBefore    time.Time          `json:"not_before,omitzero"`
	NotAfter     time.Time          `json:"not_after,omitzero"`
	Source       orgca.Source       `json:"source"`
	Reason       string             `json:"reason"`
	Previous     *Previous          `json:"previous"`
	OverlapUntil *time.Time         `json:"overlap_until"`
	Truststore   Truststore         `json:"truststore"`
	Backup       *Backup            `json:"backup,omitempty"` // of the rotation that this is the answer to
	Audit        *Audit             `json:"audit,omitempty"`
	Status       orgca.State        `json:"status,omitempty"` // of a pre-flight: the generation is not current
	Chain        []string           `json:"chain,omitempty"`  // of a pre-flight: PEM, from the issuing CA to the root
	Checks       []Check            `json:"checks,omitempty"` // of a pre-flight
	DryRun       bool               `json:"dry_run,omitempty"`
	Effect       *Effect            `json:"effect,omitempty"`    // of a dry run of a swap
	Scheduled    *ScheduledRotation `json:"scheduled,omitempty"` // the rotation with a date that this is the answer to
	// of a finalise, and of its dry run; absent: could not be looked up in time
	CutsOff *CutOff `json:"cuts_off,omitempty"`
	// how many agents have moved to this generation; absent: no agent has to
	Reissue *Reissue `json:"reissue,omitempty"`
	// the request was carried out before, under the same idempotency key
	Replayed bool `json:"-"`
}

// Effect is what a swap would do to the fleet that there is now.
type Effect struct {
	// that lose what they have under this Org CA and earlier ones; null: could not be counted now
	Agents    *int64                  `json:"agents"`
	PerMethod map[agent.Method]int64  `json:"per_method"` // of Agents; those with a SPIFFE ID are not among them
	AtOnce    bool                    `json:"at_once"`    // their certificates stop with the swap
	StopAt    *time.Time              `json:"stop_at"`    // those under this Org CA; null: at once
	Overlaps  []OverlappingGeneration `json:"overlaps"`   // earlier Org CAs that are in an overlap now
}

// OverlappingGeneration is an earlier Org CA whose certificates still work.
type OverlappingGeneration struct {
	Generation int64     `json:"generation"`
	Until      time.Time `json:"until"`        // as it is now, and afterwards unless EndsAtOnce
	EndsAtOnce bool      `json:"ends_at_once"` // a swap without an overlap ends it
}

// Previous is the generation that was superseded.
type Previous struct {
	Generation  int64       `json:"generation"`
	Fingerprint string      `json:"fingerprint"`
	Status      orgca.State `json:"status"`
}

// Truststore is the state of the agents' domain with the object that holds the generation.
type Truststore struct {
	Version  string                    `json:"version"` // of the object; empty: it does not hold the generation yet
	Status   registry.TruststoreStatus `json:"status"`
	Warnings []string                  `json:"warnings,omitempty"` // what the domain finds wrong with the object
}

// Audit names the row of the rotation in the organisation's chain.
type Audit struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

func describe(org registry.Org, g orgca.Generation) Result {
	return Result{
		Generation:  g.Number,
		Fingerprint: g.Fingerprint(),
		Subject:     g.Subject,
		NotBefore:   g.NotBefore,
		NotAfter:    g.NotAfter,
		Source:      g.Source,
		Reason:      g.Reason,
		Truststore:  truststoreOf(org.Truststore, g),
	}
}

// truststoreOf returns the recorded state of the truststore: a rotation calls neither S3 nor API Gateway. The object
// may have changed since it first held the generation, but generations stay in it.
func truststoreOf(seen registry.Truststore, g orgca.Generation) Truststore {
	if g.Truststore == "" || seen.Status == "" {
		return Truststore{Status: registry.TruststorePending}
	}
	return Truststore{seen.Object, seen.Status, seen.Warnings}
}

// preflight describes a generation that is not current yet.
func preflight(org registry.Org, g orgca.Generation, now time.Time) Result {
	r := describe(org, g)
	r.Status, r.Checks = g.State, checks(g, now)
	for _, der := range g.Chain() {
		if len(der) > 0 {
			r.Chain = append(r.Chain, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		}
	}
	return r
}

func resultOf(org registry.Org, s orgca.Swap) Result {
	r := describe(org, s.Next)
	if s.Previous != nil {
		r.Previous = &Previous{s.Previous.Number, s.Previous.Fingerprint(), s.Previous.State}
	}
	for _, a := range s.Pointer.Accepted {
		r.OverlapUntil = &a.Until
	}
	return r
}

// Status is the present state of the Org CA.
type Status struct {
	Result
	Rotation Rotation `json:"rotation"`
	Staged   *Entry   `json:"staged"`
	// the rotation that waits for its date, or was dropped and not looked at since; null: none
	Scheduled *ScheduledRotation `json:"scheduled"`
	History   []Entry            `json:"history"`  // newest first
	Progress  *Progress          `json:"progress"` // null: could not be counted now
}

// Rotation is the operation that runs now.
type Rotation struct {
	InProgress bool       `json:"in_progress"`
	Operation  string     `json:"operation,omitempty"`
	Phase      string     `json:"phase,omitempty"`
	Holder     string     `json:"holder,omitempty"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
}

// Entry is one generation in the history.
type Entry struct {
	Generation   int64        `json:"generation"`
	Status       orgca.State  `json:"status"`
	Fingerprint  string       `json:"fingerprint"`
	Subject      string       `json:"subject"`
	NotBefore    time.Time    `json:"not_before"`
	NotAfter     time.Time    `json:"not_after"`
	Source       orgca.Source `json:"source"`
	Reason       string       `json:"reason"`
	CreatedAt    time.Time    `json:"created_at"`
	CurrentAt    *time.Time   `json:"current_at"`
	SupersededAt *time.Time   `json:"superseded_at"`
	// AcceptedUntil is when certificates of a superseded generation stop; null: no overlap accepts them.
	AcceptedUntil *time.Time `json:"accepted_until"`
}

// ObserverStore is what an Observer needs of the registry.
type ObserverStore interface {
	Org(ctx context.Context) (registry.Org, error)
	Census(ctx context.Context, current, newest int64) (map[agent.Method]registry.Tally, error)
	Agents(ctx context.Context, q registry.Query) (registry.Page, error)
	SeenAt(ctx context.Context, ids []agent.ID) (map[agent.ID]registry.Sighting, error)
}

// Observer reads the present state and can change nothing. It is safe for concurrent use.
type Observer struct {
	Store ObserverStore
	Now   func() time.Time
	Log   *slog.Logger

	counted progressCache
}

// Status reads the present state: one read, the count of agents, and the look-up of lookedUp agents of each kind.
func (o *Observer) Status(ctx context.Context) (Status, error) {
	org, err := o.Store.Org(ctx)
	if err != nil {
		return Status{}, err
	}
	return o.of(ctx, org, true)
}

// Of is Status for a caller that has already read the organisation, and that shows the count alone: nothing is looked
// up for Progress.Used and Progress.Silent.
func (o *Observer) Of(ctx context.Context, org registry.Org) (Status, error) {
	return o.of(ctx, org, false)
}

// Look is Of, and looks up lookedUp agents of each kind.
func (o *Observer) Look(ctx context.Context, org registry.Org) (Status, error) {
	return o.of(ctx, org, true)
}

func (o *Observer) of(ctx context.Context, org registry.Org, look bool) (Status, error) {
	s := Status{Rotation: rotation(org, o.Now()), History: history(org, o.Now()), Scheduled: scheduledIn(org)}
	if g, ok := org.Standby(o.Now()); ok {
		e := entryOf(g)
		s.Staged = &e
	}
	if org.Pointer == nil {
		s.Progress = moved(nil)
		return s, nil
	}
	s.Progress = o.progress(ctx, org, look)
	var err error
	s.Result, err = present(org)
	s.Reissue = reissueOf(org, o.Now())
	for _, a := range org.Pointer.Accepted {
		if org.Pointer.Accepts(a.Generation, o.Now()) {
			s.OverlapUntil = &a.Until
		}
	}
	return s, err
}

// present rebuilds the result from the state. The chain has moved on, so the row is not named.
func present(org registry.Org) (Result, error) {
	current, ok := org.Generation(org.Pointer.Current)
	if !ok {
		return Result{}, fmt.Errorf("generation %d: %w", org.Pointer.Current, orgca.ErrTransition)
	}
	result := describe(org, current)
	for _, g := range org.Generations {
		if g.State == orgca.Superseded && g.SupersededAt.Equal(current.CurrentAt) {
			result.Previous = &Previous{g.Number, g.Fingerprint(), g.State}
		}
	}
	return result, nil
}

func rotation(org registry.Org, now time.Time) Rotation {
	l := org.Lease
	if !l.Held(now) {
		return Rotation{}
	}
	return Rotation{InProgress: true, Operation: l.Operation, Phase: l.Phase, Holder: l.Holder, ExpiresAt: &l.Expires}
}

func history(org registry.Org, now time.Time) []Entry {
	entries := []Entry{}
	for _, g := range org.Generations {
		if g.State == orgca.Failed {
			continue
		}
		e := entryOf(g)
		if org.Pointer != nil {
			if until, ok := org.Pointer.AcceptedUntil(g.Number, now); ok {
				e.AcceptedUntil = &until
			}
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(b.Generation, a.Generation) })
	return entries
}

func entryOf(g orgca.Generation) Entry {
	return Entry{
		Generation:   g.Number,
		Status:       g.State,
		Fingerprint:  g.Fingerprint(),
		Subject:      g.Subject,
		NotBefore:    g.NotBefore,
		NotAfter:     g.NotAfter,
		Source:       g.Source,
		Reason:       g.Reason,
		CreatedAt:    g.CreatedAt,
		CurrentAt:    optional(g.CurrentAt),
		SupersededAt: optional(g.SupersededAt),
	}
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
