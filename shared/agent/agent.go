// Package agent holds the record of an agent and decides which of its certificates still authenticate it, when the
// agent should renew, and how soon it may renew again. Each agent has its own slot, so that a fleet does not renew at
// once.
package agent

import (
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
)

// Errors of an agent, and of a request about one.
var (
	ErrNotFound = problem.New(404, "agent_not_found", "agent not found").
			Says("No agent has this id. GET /v1/admin/agents lists them all.")
	ErrAlreadyEnrolled = problem.New(409, "agent_already_enrolled", "agent already enrolled").
				Says("An agent with this name exists and was not changed. Its certificate counts under the current " +
			"Org CA. To replace what an agent brought itself (BYOCA, SPIFFE), send \"update_existing\": true. To " +
			"give an agent whose certificate the Mastio issues a new one: POST " +
			"/registry/agents/{agent_id}/rotate-cert.")
	ErrDeactivated = problem.New(409, "agent_deactivated", "agent is deactivated").
			Says("The agent is deactivated. Enrolling it again reactivates it.")
	ErrRotateAtYourCA = problem.New(409, "rotate_at_your_ca", "the agent's certificate is issued elsewhere").
				Says("This agent's certificate is not issued by the Mastio. Issue the new one at its own CA, then " +
			"enrol it with update_existing.")
	ErrRevoked = problem.New(401, "certificate_revoked", "certificate has been revoked").
			Says("Certificate has been revoked").
			AtToken("invalid_client")
	// ErrProofBound reports dpop_bound_access_tokens for an agent without a DPoP key.
	ErrProofBound = problem.New(400, "dpop_jwk_required", "dpop_bound_access_tokens needs a registered DPoP key").
			Says("\"dpop_bound_access_tokens\": true needs a registered DPoP key, and this agent would have none. " +
			"Send the agent's public key as dpop_jwk.")
	ErrProfile = problem.New(400, "agent_profile_invalid", "invalid display name, capabilities or owner")
)

// Method is how an agent got its certificate.
type Method string

// The enrolment methods.
const (
	Minted Method = "minted" // the Mastio issued it
	BYOCA  Method = "byoca"  // issued elsewhere under the Org CA
	SPIFFE Method = "spiffe" // an SVID: known by its SPIFFE ID, not by a pin
)

// Methods lists them.
func Methods() []Method { return []Method{Minted, BYOCA, SPIFFE} }

// Status says whether an agent may authenticate at all.
type Status string

// The states of an agent. Anything else counts as deactivated.
const (
	Active      Status = "active"
	Deactivated Status = "deactivated"
)

// Agent is one agent's record. Version is the record's own, as read; zero: not stored yet.
type Agent struct {
	ID ID
	Profile
	Method   Method
	Status   Status
	Pins     []Pin // newest first
	Past     Past  // what never counts again
	SPIFFEID string
	// Bundle holds CAs, DER. An SVID's chain must end at one of them; empty: at the Org CA. The chain may contain
	// intermediates; an intermediate is no trust anchor.
	Bundle        [][]byte
	Intermediates [][]byte
	JKT           string // RFC 7638 thumbprint of the registered DPoP key; empty: any key that was not lost
	// ProofBound: every access token of the agent is bound to a DPoP key (RFC 9449 section 5.2). A token request without
	// a proof gets no token. Without a registered key, which a compromise removes, no request gets a token.
	ProofBound bool
	Handle     Handle // of the agent's access tokens
	Hygiene    Hygiene
	Early      time.Time // where the due index has the agent, if earlier than it is due; zero: where Due says. See Entry
	Suspect    Suspect   // what shows that a key of the agent is in two hands; zero: nothing
	EnrolledAt time.Time
	UpdatedAt  time.Time
	Head       audit.Head // of the agent's own chain
	Version    int64
}

// Deactivate returns the agent without anything that authenticates it, nor will again: see Past.
func (a Agent) Deactivate(now time.Time) Agent {
	a = a.End(now)
	a.Status, a.Bundle, a.Intermediates, a.UpdatedAt = Deactivated, nil, nil, now
	return a
}
