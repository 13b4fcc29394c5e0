// Package events tells the outside what happened, from the rows of the audit trail: the rows are the outbox. A row is
// committed with its change, so no event is ever without its change, nor a change without its event.
package events

import (
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

// Event is what the outside is told of a row.
type Event struct {
	Type    audit.Event
	Subject string
	Time    time.Time
	Detail  map[string]any
}

// told are the events that go out, and of their rows' details those members that do. What is not named here stays: who
// asked, from where, and in which words is for the audit trail.
var told = map[audit.Event][]string{
	audit.AgentCertRotated: {"cert_thumbprint", "generation", "previous_thumbprint", "grace_seconds", "deliver", "secret_version"},
	audit.AgentCertDue:     {"cert_thumbprint", "generation", "not_before", "not_after"},
	audit.OrgCARotated:     {"generation", "fingerprint", "source", "reason", "overlap_seconds", "previous_generation", "previous_fingerprint"},
	audit.OverlapEnded:     {"generation", "ended"},
}

// Of returns the event of a row; ok is false for a row of which the outside is not told. The detail's id is the row's: an
// event that comes twice has the same. Its seq is the row's place in the chain of its subject: events of one subject are
// in that order.
func Of(r audit.Row) (e Event, ok bool, err error) {
	members, ok := told[r.EventType]
	if !ok {
		return Event{}, false, nil
	}
	if err := r.Check(); err != nil {
		return Event{}, false, err
	}
	at, err := r.Time()
	if err != nil {
		return Event{}, false, err
	}
	e = Event{Type: r.EventType, Subject: r.Subject, Time: at, Detail: map[string]any{
		"id": r.ID, "seq": r.Seq, "timestamp": r.Timestamp, "subject": r.Subject,
	}}
	for _, name := range members {
		if v, there := r.Details[name]; there {
			e.Detail[name] = v
		}
	}
	return e, true, nil
}
