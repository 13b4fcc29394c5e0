// Package remoteca lets the dashboard order a rotation of the Org CA from the function rotateca, which may make an
// Org CA's keys. So an attacker who takes over the pages does not get the rights on KMS.
//
// An order is a Lambda Invoke, which IAM grants to the dashboard. It cannot come in through API Gateway, whose events
// always name a method. The right to invoke a function, which a pipeline often has, does not make an operator: an
// order carries the token of a session, which only the operator's browser and this request hold, and the session
// names the actor.
package remoteca

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// ErrOrder reports an event that is no order, or one that may not be given this way.
var ErrOrder = errors.New("event is no order to rotate the Org CA")

// order is a rotateca.Request on its way. Its migration is not among the fields: that is the schedule's alone.
type order struct {
	Mode           rotateca.Mode `json:"mode"`
	Certificates   []byte        `json:"certificates,omitempty"`
	Key            []byte        `json:"key,omitempty"` // of an uploaded CA; Lambda keeps no record of what it passes on
	Fingerprint    string        `json:"fingerprint,omitempty"`
	Overlap        int64         `json:"overlap_seconds,omitempty"`
	At             time.Time     `json:"at,omitzero"`
	Moves          orgca.Moves   `json:"moves,omitzero"`
	DryRun         bool          `json:"dry_run,omitempty"`
	IfSafe         bool          `json:"if_safe,omitempty"`
	SkipBackup     bool          `json:"skip_backup,omitempty"`
	Reason         string        `json:"reason,omitempty"`
	Comment        string        `json:"comment,omitempty"`
	Session        string        `json:"session"` // its token; the store has the hash alone
	RequestID      string        `json:"request_id"`
	SourceIP       string        `json:"source_ip"`
	IdempotencyKey string        `json:"idempotency_key,omitempty"`
}

// event is what Lambda passes on.
type event struct {
	Order *order `json:"rotate_ca"`
}

// newOrder writes a request down. Its actor is left out: the session says who that is.
func newOrder(token string, req rotateca.Request) order {
	o := order{
		Mode:           req.Mode,
		Fingerprint:    req.Fingerprint,
		Overlap:        int64(req.Overlap / time.Second),
		At:             req.At,
		Moves:          req.Moves,
		DryRun:         req.DryRun,
		IfSafe:         req.IfSafe,
		SkipBackup:     req.SkipBackup,
		Reason:         req.Reason,
		Comment:        req.Comment,
		Session:        token,
		RequestID:      req.RequestID,
		SourceIP:       req.SourceIP,
		IdempotencyKey: req.IdempotencyKey,
	}
	if req.Upload != nil {
		o.Certificates, o.Key = req.Upload.Certificates, req.Upload.Key
	}
	return o
}

// maxOverlap keeps seconds from overflowing a duration; what is allowed is for the use case to say.
const maxOverlap = int64(time.Duration(1<<63-1) / time.Second)

// read takes an order out of an event, and the token of the session that gives it. Unknown fields are refused.
func read(raw []byte) (token string, req rotateca.Request, err error) {
	var e event
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return "", req, fmt.Errorf("%w: not the JSON of one", ErrOrder) // the decoder's words may quote a key
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", req, fmt.Errorf("%w: something follows it", ErrOrder)
	}
	o := e.Order
	switch {
	case o == nil:
		return "", req, ErrOrder
	case o.Session == "":
		return "", req, fmt.Errorf("%w: only a session of the dashboard gives one", ErrOrder)
	case o.Overlap < 0 || o.Overlap > maxOverlap:
		return "", req, fmt.Errorf("%w: overlap_seconds is out of range", ErrOrder)
	}
	req = rotateca.Request{
		Mode:           o.Mode,
		Fingerprint:    o.Fingerprint,
		Overlap:        time.Duration(o.Overlap) * time.Second,
		At:             o.At,
		Moves:          o.Moves,
		DryRun:         o.DryRun,
		IfSafe:         o.IfSafe,
		SkipBackup:     o.SkipBackup,
		Reason:         o.Reason,
		Comment:        o.Comment,
		By:             audit.By{RequestID: o.RequestID, SourceIP: o.SourceIP},
		IdempotencyKey: o.IdempotencyKey,
	}
	if len(o.Certificates) > 0 || len(o.Key) > 0 {
		req.Upload = &rotateca.Files{Certificates: o.Certificates, Key: o.Key}
	}
	return o.Session, req, nil
}

// answer is what comes back: a result, or the API's problem document (RFC 9457).
type answer struct {
	Result     *rotateca.Result `json:"result,omitempty"`
	Problem    json.RawMessage  `json:"problem,omitempty"`
	RetryAfter int64            `json:"retry_after,omitempty"` // seconds
}
