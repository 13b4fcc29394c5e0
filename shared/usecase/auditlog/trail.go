// Package auditlog keeps the audit trail. A Trail exports it: rows, page by page; the ends of chains; bundles that an
// auditor can verify. A Sealer signs, on a schedule, the end of every chain that moved. A Recorder records refused
// callers.
package auditlog

import (
	"context"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Errors of a request.
var (
	ErrLimit  = problem.New(400, "limit_invalid", "limit takes 1 to 10000")
	ErrPeriod = problem.New(400, "period_invalid", "start and end take a time as in RFC 3339 (2026-11-25T08:00:00Z), or "+
		"a day (2026-11-25); end comes "+
		"after start")
	ErrEvent = problem.New(400, "event_type_unknown", "event_type is not one that is recorded, such as "+
		"agent.cert_rotated or org_ca.rotated")
	ErrParts = problem.New(400, "checkpoint_invalid", "from_checkpoint and to_checkpoint take numbers of "+
		"checkpoints that exist").
		Says("from_checkpoint and to_checkpoint take numbers of checkpoints that exist. GET " +
			"/v1/admin/audit/head shows the last one.")
	// ErrTooLarge: it does not fit into one answer. There is a way in parts.
	ErrTooLarge = problem.New(413, "audit_answer_too_large", "the answer would be too large").
			Says("It does not fit into one answer. Follow the Link header: the answers to it hold a part each, " +
			"and lead from one to the next.")
	// ErrTail: what no checkpoint covers yet does not fit into one answer.
	ErrTail = problem.New(413, "audit_unsealed_too_large", "too much has happened since the last checkpoint").
		Says("More has happened since the last checkpoint than fits into one answer. POST " +
			"/v1/admin/audit/checkpoint, then ask again.")
)

// TrailStore is what this package needs of the registry.
type TrailStore interface {
	Rows(ctx context.Context, subject string, after int64, limit int) ([]audit.Row, error)
	RowsOfDay(ctx context.Context, day, after, before string, limit int) ([]audit.Row, error)
	LatestRows(ctx context.Context, day, after, before string, limit int) ([]audit.Row, error)
	LastRow(ctx context.Context, subject string) (*audit.Row, error)
	Covered(ctx context.Context, leaves ...audit.Leaf) ([]audit.Row, error)
	Moved(ctx context.Context, limit int) ([]audit.Leaf, error)
	Checkpoint(ctx context.Context) (*registry.LastCheckpoint, error)
}

// TrailConfig is what a Trail is made of; all fields but the last are required.
type TrailConfig struct {
	Store   TrailStore
	Archive Archive
	Key     func(ctx context.Context) (audit.Key, error) // that signs checkpoints now
	OrgID   string
	Now     func() time.Time
	// MaxBundle is how many octets a bundle may take; zero: what a function can answer.
	MaxBundle int64
}

// maxBundle leaves room in the 6 MB that a function can answer, for base64 and for headers.
const maxBundle = 4_300_000

// Trail reads the audit trail. It is safe for concurrent use.
type Trail struct{ TrailConfig }

// NewTrail returns a Trail.
func NewTrail(cfg TrailConfig) *Trail {
	if cfg.MaxBundle == 0 {
		cfg.MaxBundle = maxBundle
	}
	return &Trail{cfg}
}

// Head is where the trail has got to.
type Head struct {
	Subject    string            `json:"subject"`
	Seq        int64             `json:"seq"`
	Hash       string            `json:"hash"`
	Timestamp  string            `json:"timestamp,omitempty"` // of the last row
	Checkpoint *HashedCheckpoint `json:"checkpoint"`
	SigningKey SigningKey        `json:"signing_key"`
}

// HashedCheckpoint is the last one, with the hash that an auditor notes down.
type HashedCheckpoint struct {
	audit.SignedCheckpoint
	Hash string `json:"hash"`
}

// SigningKey is the public half of the key that signs checkpoints now.
type SigningKey struct {
	Fingerprint string `json:"fingerprint"`
	PEM         string `json:"pem"`
}

// Head reads the end of one chain, the organisation's if subject is empty, and the last checkpoint of all.
//
// Errors: audit.ErrNoChain.
func (t *Trail) Head(ctx context.Context, subject string) (Head, error) {
	h := Head{Subject: subject, Hash: audit.Genesis}
	if subject == "" {
		h.Subject = t.OrgID
	}
	row, err := t.Store.LastRow(ctx, h.Subject)
	if err != nil {
		return h, err
	}
	if row == nil && h.Subject != t.OrgID {
		return h, audit.ErrNoChain
	}
	if row != nil {
		h.Seq, h.Hash, h.Timestamp = row.Seq, row.Hash, row.Timestamp
	}
	last, err := t.Store.Checkpoint(ctx)
	if err != nil {
		return h, err
	}
	if last != nil {
		h.Checkpoint = &HashedCheckpoint{SignedCheckpoint: last.Sealed}
		if h.Checkpoint.Hash, err = last.Sealed.Checkpoint.Hash(); err != nil {
			return h, err
		}
	}
	key, err := t.Key(ctx)
	if err != nil {
		return h, err
	}
	pem, err := key.EncodePEM()
	h.SigningKey = SigningKey{key.Fingerprint, string(pem)}
	return h, err
}

// Last reads the end of one chain; nil: there is no such chain.
func (t *Trail) Last(ctx context.Context, subject string) (*audit.Row, error) {
	return t.Store.LastRow(ctx, subject)
}
