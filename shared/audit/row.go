// Package audit is the hash chain: each subject's events in order. Every change and every missing event is
// detectable.
package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrBroken reports a chain that does not verify.
var ErrBroken = problem.Internal("audit chain is broken")

// ErrEvent reports an event type that is not in the list, or an entry that cannot be written.
var ErrEvent = problem.Internal("invalid audit event")

// ErrNoChain reports a subject without any recorded event.
var ErrNoChain = problem.New(404, "audit_subject_not_found", "nothing is recorded of this subject").
	Says("Nothing is recorded of this subject. It is an agent's id, or the organisation's.")

// Event is what happened.
type Event string

// The events.
const (
	AgentEnrolled      Event = "agent.enrolled"
	AgentCertRotated   Event = "agent.cert_rotated"
	AgentCertRenewed   Event = "agent.cert_renewed"
	AgentCertActivated Event = "agent.cert_activated" // first use of a successor: the certificates before it ended
	AgentCertDue       Event = "agent.cert_due"
	AgentHygieneSet    Event = "agent.hygiene_set" // what is done when its certificate is due
	// AgentCredentialSuspect: a dead certificate of the agent was shown, by a caller that has its key; or the agent and
	// another one have proved one key.
	AgentCredentialSuspect Event = "agent.credential_suspect" //nolint:gosec // a name
	AgentUpdated           Event = "agent.updated"            // an operator changed its profile
	AgentDeactivated       Event = "agent.deactivated"
	OrgCACreated           Event = "org_ca.created"
	OrgCAStaged            Event = "org_ca.staged"
	OrgCARotated           Event = "org_ca.rotated"
	OrgCARolledBack        Event = "org_ca.rolled_back"
	OverlapEnded           Event = "org_ca.overlap_ended"
	RotationScheduled      Event = "org_ca.rotation_scheduled" // or moved to another date
	RotationDropped        Event = "org_ca.rotation_dropped"   // the plan went stale
	RotationCancelled      Event = "org_ca.rotation_cancelled"
	RotationWave           Event = "org_ca.rotation_wave"     // the next wave of a re-issue began
	RotationHalted         Event = "org_ca.rotation_halted"   // by the gate between two waves
	RotationLate           Event = "org_ca.rotation_late"     // the waves that remain do not fit before the overlap's end
	RotationFinished       Event = "org_ca.rotation_finished" // every agent has moved, or its owner was named
	ReissuePaused          Event = "org_ca.reissue_paused"
	ReissueResumed         Event = "org_ca.reissue_resumed"
	OrgCADiscarded         Event = "org_ca.discarded"
	OrgCARetired           Event = "org_ca.retired"
	OrgCAUploadRefused     Event = "org_ca.upload_refused"
	AdminLoginRefused      Event = "admin.login_refused"
	CheckpointMade         Event = "audit.checkpoint"
)

var events = map[Event]bool{
	AgentEnrolled:          true,
	AgentCertRotated:       true,
	AgentCertRenewed:       true,
	AgentCertActivated:     true,
	AgentCertDue:           true,
	AgentHygieneSet:        true,
	AgentCredentialSuspect: true,
	AgentUpdated:           true,
	AgentDeactivated:       true,
	OrgCACreated:           true,
	OrgCAStaged:            true,
	OrgCARotated:           true,
	OrgCARolledBack:        true,
	OverlapEnded:           true,
	RotationScheduled:      true,
	RotationDropped:        true,
	RotationCancelled:      true,
	RotationWave:           true,
	RotationHalted:         true,
	RotationLate:           true,
	RotationFinished:       true,
	ReissuePaused:          true,
	ReissueResumed:         true,
	OrgCADiscarded:         true,
	OrgCARetired:           true,
	OrgCAUploadRefused:     true,
	AdminLoginRefused:      true,
	CheckpointMade:         true,
}

// Known reports whether e is in the list.
func (e Event) Known() bool { return events[e] }

// Genesis is the prev_hash of a chain's first row.
var Genesis = strings.Repeat("0", 64)

// Head is the end of a chain: how many rows it has and the hash of the last. The zero Head is an empty chain.
type Head struct {
	Seq     int64
	Hash    string
	Version int64 // of the stored item, where the head is an item of its own
}

// Entry is an event before it has its place in a chain.
type Entry struct {
	Time    time.Time
	Event   Event
	Actor   string
	Subject string         // an agent's id, or the organisation's
	Details map[string]any // JSON values; never a secret
}

// Row is an event in its place. Its JSON form is what an auditor is given.
type Row struct {
	ID        string         `json:"id"` // ULID; deduplicates and sorts by time across chains
	Seq       int64          `json:"seq"`
	Timestamp string         `json:"timestamp"` // RFC 3339, UTC, milliseconds
	EventType Event          `json:"event_type"`
	Actor     string         `json:"actor"`
	Subject   string         `json:"subject"`
	Details   map[string]any `json:"details"`
	PrevHash  string         `json:"prev_hash"`
	Hash      string         `json:"hash"` // SHA-256, lower-case hex, over the RFC 8785 form of all the rest
}

const timestampFormat = "2006-01-02T15:04:05.000Z"

// Append gives e its place after h and returns the row and the new end of the chain. It returns ErrEvent for an
// event that is not listed, or details that have no canonical JSON form.
func (h Head) Append(e Entry) (Row, Head, error) {
	if !events[e.Event] || e.Subject == "" || e.Actor == "" {
		return Row{}, h, fmt.Errorf("%w: type %q, actor %q, subject %q", ErrEvent, e.Event, e.Actor, e.Subject)
	}
	id, err := ulid.New(ulid.Timestamp(e.Time), rand.Reader)
	if err != nil {
		return Row{}, h, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	r := Row{
		ID:        id.String(),
		Seq:       h.Seq + 1,
		Timestamp: Stamp(e.Time),
		EventType: e.Event,
		Actor:     e.Actor,
		Subject:   e.Subject,
		Details:   e.Details,
		PrevHash:  h.last(),
	}
	if r.Hash, err = r.sum(); err != nil {
		return Row{}, h, err
	}
	if err := r.lasting(); err != nil {
		return Row{}, h, err
	}
	return r, Head{Seq: r.Seq, Hash: r.Hash, Version: h.Version}, nil
}

func (h Head) last() string {
	if h.Seq == 0 {
		return Genesis
	}
	return h.Hash
}

// sum hashes the canonical form of the row without its hash.
func (r Row) sum() (string, error) {
	fields := map[string]any{
		"id": r.ID, "seq": r.Seq, "timestamp": r.Timestamp, "event_type": r.EventType,
		"actor": r.Actor, "subject": r.Subject, "details": r.Details, "prev_hash": r.PrevHash,
	}
	encoded, err := canonical(fields)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(encoded)
	return hex.EncodeToString(digest[:]), nil
}

// FirstID is the first id that a row of a time can have: ids are in the order of their times.
func FirstID(t time.Time) string {
	var id ulid.ULID
	if err := id.SetTime(ulid.Timestamp(t)); err != nil { // beyond the year 10889
		return ""
	}
	return id.String()
}

// IDTime is the time of an id. It returns ErrBroken for a malformed id.
func IDTime(id string) (time.Time, error) {
	parsed, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return parsed.Timestamp(), nil
}

// Time is when the event happened. It returns ErrBroken for a timestamp that no row has.
func (r Row) Time() (time.Time, error) {
	at, err := time.Parse(timestampFormat, r.Timestamp)
	if err != nil {
		return at, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return at, nil
}

// Encode returns the row as JSON, the form it is stored and exported in.
func (r Row) Encode() ([]byte, error) { return json.Marshal(r) }

// Decode reads a row from its JSON form. It checks the form alone; Verify checks the hashes.
func Decode(data []byte) (Row, error) {
	var r Row
	if err := json.Unmarshal(data, &r); err != nil {
		return Row{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if r.Details == nil {
		r.Details = map[string]any{}
	}
	return r, nil
}

// Parse reads a row from exactly the octets that Encode makes: another case, order of members or blank is an error.
// It returns ErrBroken.
func Parse(line []byte) (Row, error) {
	r, err := Decode(line)
	if err != nil {
		return Row{}, err
	}
	r.Details = positive(r.Details).(map[string]any)
	again, err := r.Encode()
	if err != nil || !bytes.Equal(line, again) {
		return r, fmt.Errorf("%w: the row is not spelt as it was written", ErrBroken)
	}
	return r, nil
}

// positive makes every -0 a 0, in place: the only number that has two spellings in encoding/json and one in RFC 8785.
func positive(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = positive(member)
		}
	case []any:
		for i, element := range v {
			v[i] = positive(element)
		}
	case float64:
		if v == 0 {
			return float64(0)
		}
	}
	return v
}

// lasting checks that reading the row's JSON form and writing it again changes nothing: a number beyond 2^53 would.
// Then an export has exactly the stored octets.
func (r Row) lasting() error {
	encoded, err := r.Encode()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEvent, err)
	}
	if _, err := Parse(encoded); err != nil {
		return fmt.Errorf("%w: details cannot be written and read without loss", ErrEvent)
	}
	return nil
}

// Follow checks that r is the next row of the chain that ends in h and returns the chain's new end.
// It returns ErrBroken, with the reason, if it is not.
func (h Head) Follow(r Row) (Head, error) {
	if r.Seq != h.Seq+1 {
		return h, fmt.Errorf("%w: %s: row %d follows row %d", ErrBroken, r.Subject, r.Seq, h.Seq)
	}
	if r.PrevHash != h.last() {
		return h, fmt.Errorf("%w: %s: row %d does not continue from row %d", ErrBroken, r.Subject, r.Seq, h.Seq)
	}
	if err := r.Check(); err != nil {
		return h, err
	}
	return Head{Seq: r.Seq, Hash: r.Hash, Version: h.Version}, nil
}

// Check checks a row alone: it says nothing about its place in the chain. It returns ErrBroken.
func (r Row) Check() error {
	if !events[r.EventType] {
		return fmt.Errorf("%w: %s: row %d has the unknown type %q", ErrBroken, r.Subject, r.Seq, r.EventType)
	}
	if sum, err := r.sum(); err != nil || sum != r.Hash {
		return fmt.Errorf("%w: %s: row %d does not have the hash it states", ErrBroken, r.Subject, r.Seq)
	}
	return nil
}

// Verify checks one whole chain from its first row and returns its end.
func Verify(rows []Row) (Head, error) {
	var h Head
	var err error
	for _, r := range rows {
		if r.Subject != rows[0].Subject {
			return h, fmt.Errorf("%w: row %d is of %s, not of %s", ErrBroken, r.Seq, r.Subject, rows[0].Subject)
		}
		if h, err = h.Follow(r); err != nil {
			return h, err
		}
	}
	return h, nil
}
