// Package events publishes rows of the audit trail as events: the rows are the outbox. A row is committed with its
// change, so no event exists without its change, and no change without its event.
package events

import (
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

// Event is the public part of a row.
type Event struct {
	Type    audit.Event
	Subject string
	Time    time.Time
	Detail  map[string]any
}

// published lists the published events, and the published members of their rows' details. Everything else stays in the
// audit trail: who made the request, from where, and the comment.
var published = map[audit.Event][]string{
	audit.AgentCertRotated: {"cert_thumbprint", "generation", "previous_thumbprint", "grace_seconds", "deliver",
		"secret_version"},
	audit.AgentCertDue: {"cert_thumbprint", "generation", "not_before", "not_after", "org_ca_generation", "deadline",
		"owner", "method", "job_id"},
	audit.AgentCredentialSuspect: {"evidence", "contained", "cert_thumbprint", "successor_thumbprint", "activated_at",
		"other_agent", "dpop_jkt", "key_thumbprint"},
	audit.OrgCARotated: {"generation", "fingerprint", "source", "reason", "overlap_seconds", "previous_generation",
		"previous_fingerprint"},
	audit.RotationWave:      {"generation", "from", "wave", "waves", "percent", "skipped"},
	audit.RotationHalted:    {"generation", "from", "wave", "waves", "percent", "why", "agents", "on_halt"},
	audit.RotationLate:      {"generation", "from", "wave", "waves", "percent"},
	audit.RotationFinished:  {"generation", "from", "waves"},
	audit.OverlapEnded:      {"generation", "ended"},
	audit.RotationScheduled: {"at", "moved_from", "generation", "fingerprint", "source", "reason", "overlap_seconds"},
	audit.RotationDropped:   {"at", "fingerprint", "code", "why"},
	audit.RotationCancelled: {"at", "fingerprint", "was"},
}

// Of returns the event of a row; ok is false for a row that is not published. The detail's id is the row's: an event
// that comes twice has the same id. Its seq is the row's place in the chain of its subject and orders the events of
// one subject.
func Of(r audit.Row) (e Event, ok bool, err error) {
	members, ok := published[r.EventType]
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
	e = Event{
		Type:    r.EventType,
		Subject: r.Subject,
		Time:    at,
		Detail: map[string]any{
			"id": r.ID, "seq": r.Seq, "timestamp": r.Timestamp, "subject": r.Subject,
		},
	}
	for _, name := range members {
		if v, there := r.Details[name]; there {
			e.Detail[name] = v
		}
	}
	return e, true, nil
}
