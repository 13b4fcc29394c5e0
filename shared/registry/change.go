// Package registry is the state of a Mastio and the atomic changes to the state, as values: a store only applies the
// changes.
package registry

import (
	"crypto/x509"
	"encoding/json"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
)

// How an operation on a store can end other than well. Every store wraps these, and nothing else.
var (
	// ErrConflict: a condition of the change did not hold, so nothing of it happened. Read again, then decide.
	ErrConflict = problem.New(409, "changed_concurrently", "changed by another request in the meantime").
			Says("Other requests keep changing the same record. This request changed nothing; retry.").
			After(time.Second)
	// ErrUnknown: the change may have happened, may not have, or may still happen. Read again before anything else;
	// applying the same Change again, with the same ID, is always safe.
	ErrUnknown = problem.New(503, "outcome_unknown", "outcome is not known").
			Says("The store did not confirm the change, which may have happened. Read the present state before " +
			"you retry.").
		AtToken("temporarily_unavailable").
		After(time.Second)
	// ErrUnavailable: a read got no answer, or a change certainly did not happen because the store refused to work.
	ErrUnavailable = problem.New(503, "store_unavailable", "store is unavailable").
			Says("The store did not answer. Nothing was changed; retry.").
			AtToken("temporarily_unavailable").
			After(time.Second)
	// ErrReplayed: a proof id was seen before.
	ErrReplayed = problem.New(400, "dpop_proof_replayed", "proof was used before").
			Says("The DPoP proof was used before").
			AtToken("invalid_dpop_proof")
	// ErrUnsupported: this store has no such thing.
	ErrUnsupported = problem.Internal("not supported by this store")
	// ErrCursor: a page cursor is not one that the store gave out.
	ErrCursor = problem.New(400, "cursor_invalid", "malformed cursor").
			Says("The cursor is not one that this listing gave out. Send the next_cursor of the page before, " +
			"with the same sort and filter.")
)

// Change is a set of writes: all of them happen, or none. Each record carries the version that was read. The store
// writes it with the next version iff it has not changed since; a record with version zero must not exist yet.
//
// Applying a Change twice, with the same ID, applies it once, for ten minutes at least (DynamoDB's ClientRequestToken).
type Change struct {
	ID          string             // 1 to 36 characters
	Pointer     *orgca.Pointer     // in all its copies
	Generations []orgca.Generation //
	Truststore  *Truststore        //
	Plan        *orgca.Plan        // of a rotation with a date
	Reissue     *orgca.Reissue     // of the last swap
	Agent       *agent.Agent       //
	// what the store returned for the agent, untouched, with the same version; optional: a store need not write again what
	// follows from the agent and stays
	Was        *agent.Agent
	Keys       *agent.Keys     // of one agent
	Job        *Job            // of an operator
	Head       *audit.Head     // the organisation's chain; an agent's head is in its record
	Rows       []audit.Row     // appended; their place in the chain must be free
	Aliases    []Alias         // lead to their agent from now on; each must be free or the same agent's
	Forget     []Alias         // lead nowhere from now on; each must be free or the same agent's
	EdgeCAs    []EdgeCA        // are known from now on, if they were not before, and unmarked
	Naming     *Naming         // what an agent's bundle names
	Mark       *EdgeMark       // one CA of the edge; it must have the mark that it was read with
	Checkpoint *LastCheckpoint // the last one of the audit trail
	Release    *orgca.Lease    // becomes free; must still be held by this holder under this fence
	Deaths     *Deaths         // which tokens die with the agent's change; see Ends
	Suspect    *bool           // the agent becomes suspect with the change, or is no longer; nil: neither. See Ends
	// kept for a repeated request; its key must be free or of the same Owner, or its record not be Kept AnswerTTL before
	// this one ends
	Answer *Answer
}

// LastCheckpoint is the last checkpoint of the audit trail, and whether everything that follows from it was done.
type LastCheckpoint struct {
	Sealed audit.SignedCheckpoint
	Done   bool // it is in the archive, and the chains that it covers are no longer listed as moved
	// the archive's last one when the store was found to know less, until an operator has looked; zero: never
	SetBack int64
	Version int64
}

// Answer is the result of a request that named an idempotency key.
type Answer struct {
	Key     string
	Request string          // what was asked: the same key with another request is a mistake of the caller
	Result  json.RawMessage // at most MaxAnswer octets
	Expires time.Time       // whole seconds
	// Owner is the call that wrote the answer, and may replace it: a certificate that has to be issued again is committed
	// twice. Empty: no call may replace it.
	Owner string
}

// Alias leads from a SPIFFE ID or a certificate to the agent that may own it, where the certificate's names do not
// say. An alias only says which record to read and authenticates no caller. One SPIFFE ID, and one certificate, leads
// to one agent.
type Alias struct {
	Name    string // SPIFFEAlias or PinAlias
	Agent   agent.ID
	Expires time.Time // whole seconds; a store may forget it from then on; zero: never
}

// SPIFFEAlias is the alias of a SPIFFE ID.
func SPIFFEAlias(id string) string { return "spiffe:" + id }

// PinAlias is the alias of a certificate by its thumbprint.
func PinAlias(thumbprint string) string { return "pin:" + thumbprint }

// Kept reports whether the answer is one that a repeated request gets at now. An answer that ends later than the
// latest possible end was stored under a fast clock. It does not count: otherwise its key would stay taken until that
// time.
func (a Answer) Kept(now time.Time) bool {
	return now.Before(a.Expires) && !a.Expires.After(LatestAnswer(now))
}

// LatestAnswer is the latest end of an answer that is believed at now: an hour more than AnswerTTL, far more than
// clocks differ.
func LatestAnswer(now time.Time) time.Time { return now.Add(AnswerTTL + time.Hour) }

// AnswerTTL is how long a repeated request with the same idempotency key is answered with the first one's result.
const AnswerTTL = 24 * time.Hour

// MaxAnswer bounds an answer. The largest one describes an uploaded CA, whose file has at most 64 KiB.
const MaxAnswer = 128 << 10

// View is what one request about an agent needs, read in one call: each record alone is strongly consistent.
type View struct {
	Agent   *agent.Agent   // nil: no such agent
	Pointer *orgca.Pointer // nil: no Org CA yet
	Keys    *agent.Keys    // nil: not asked for
	Seen    *Sighting      // nil: not asked for; the zero Sighting: none is known
	Other   *agent.Agent   // nil: not asked for, or no such agent
}

// Org is everything about the organisation's CA, read in one call: each record alone is strongly consistent.
type Org struct {
	Pointer     *orgca.Pointer // nil: no Org CA yet
	Generations []orgca.Generation
	Truststore  Truststore
	Plan        orgca.Plan     // its zero Version: a rotation was never scheduled
	Reissue     *orgca.Reissue // nil: no Org CA has superseded another yet
	Head        audit.Head
	Lease       orgca.Lease
}

// Generation finds a generation by its number.
func (o Org) Generation(number int64) (orgca.Generation, bool) {
	for _, g := range o.Generations {
		if g.Number == number {
			return g, true
		}
	}
	return orgca.Generation{}, false
}

// Standby finds the staged generation that the next rotation takes: the oldest minted one that is newer than the
// current and fit at now. A generation that an operator staged is only committed by its fingerprint.
func (o Org) Standby(now time.Time) (orgca.Generation, bool) {
	for _, g := range o.Generations {
		if g.State == orgca.Staged && g.Source == orgca.Mint && (o.Pointer == nil || g.Number > o.Pointer.Current) &&
			g.Fit(now) {
			return g, true
		}
	}
	return orgca.Generation{}, false
}

// LeftCompromised reports whether a generation was superseded because its key is in wrong hands; an unknown
// generation counts as compromised.
func (o Org) LeftCompromised(number int64) bool {
	left, ok := o.Generation(number)
	if !ok {
		return true
	}
	if left.Left != "" {
		return orgca.Compromised(left.Left)
	}
	return slices.ContainsFunc(o.Generations, func(next orgca.Generation) bool { // as an earlier release has it
		return next.Number != number && !left.SupersededAt.IsZero() && next.CurrentAt.Equal(left.SupersededAt) &&
			orgca.Compromised(next.Reason)
	})
}

// Owned returns the Org CA and the issuing CA of every generation that is, or ever was, current. One that never was has
// issued nothing, and may not be the Mastio's own in the end. Error: a certificate that cannot be read.
func (o Org) Owned() ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, g := range o.Generations {
		switch g.State {
		case orgca.Current, orgca.Superseded, orgca.Retired:
		case orgca.Preparing, orgca.Staged, orgca.Failed:
			continue
		}
		own, err := g.Own()
		if err != nil {
			return nil, err
		}
		all = append(all, own...)
	}
	return all, nil
}

// NextNumber is the number for a new generation: above every one that was ever given out.
func (o Org) NextNumber() int64 {
	var last int64
	for _, g := range o.Generations {
		last = max(last, g.Number)
	}
	return last + 1
}

// Query asks for a page of agents.
type Query struct {
	Limit      int    // 1 to 1,000
	Cursor     string // of the page before; empty: the first page
	Generation int64  // zero: any
	// Method may be agent.SPIFFE, where Generation is zero: agents that are known by their SPIFFE ID, active or not.
	Method agent.Method
}

// DueQuery asks for a page of the agents that hygiene is to look at.
type DueQuery struct {
	At     time.Time // returns the agents that are due at this instant
	After  time.Time // skips those that were due by this earlier instant, and those that were notified; zero: skips none
	Told   bool      // lists first the agents whose operators were notified, by the end of their certificates
	Limit  int       // 1 to 1,000
	Cursor string    // of the page before; empty: the first page
}

// DuePage is a page of them, in the order in which they became due, or will.
type DuePage struct {
	Agents []agent.ID
	Next   string // cursor of the next page; empty: this was the last
}

// Search asks for a page of agents by the beginning of their ids.
type Search struct {
	Prefix string // of the id, in ASCII; empty: any
	Limit  int    // 1 to 100
	Cursor string // of the page before; empty: the first page
}

// Listed is an agent as pages have it: without its chain head, its version and what only a request about it needs.
func Listed(a agent.Agent) agent.Agent {
	return agent.Agent{
		ID:         a.ID,
		Profile:    a.Profile,
		Method:     a.Method,
		Status:     a.Status,
		Pins:       a.Pins,
		Hygiene:    a.Hygiene,
		Suspect:    a.Suspect,
		EnrolledAt: a.EnrolledAt,
		UpdatedAt:  a.UpdatedAt,
	}
}

// Page is a page of agents, in the order of generation (oldest first), method and id. An agent that changes its
// generation during the listing can appear twice. The records have no chain head and no version.
type Page struct {
	Agents []agent.Agent
	Next   string // cursor of the next page; empty: this was the last
}

// Tally is how many active agents of one method have their newest pin under a generation, or before or after it.
type Tally struct {
	Older   int64 // or no pin at all: see Store.Census
	Current int64
	Newer   int64 // a rollback leaves them
}

// TokenKey is the token signing key of one epoch. The private key is encrypted under KMS.
type TokenKey struct {
	Epoch   int64
	ID      string // RFC 7638 thumbprint of the public key
	Public  []byte // SubjectPublicKeyInfo, DER
	Wrapped []byte // PKCS #8, encrypted under KMS with the epoch in its context
	Expires time.Time
}
