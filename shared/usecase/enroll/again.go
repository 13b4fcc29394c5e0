package enroll

import (
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// ErrCapabilities reports an enrolment of an existing agent that names other capabilities than the agent has.
var ErrCapabilities = problem.New(409, "capabilities_differ", "the agent has other capabilities").
	Says("An agent with this name exists, has other capabilities than these, and was not changed. Enrolling " +
		"it again leaves its capabilities as they are: send the same ones, or none. To change them (BYOCA, " +
		"SPIFFE), send \"update_existing\": true.")

// ErrBinding reports an enrolment of an existing agent that wants its tokens bound otherwise than they are.
var ErrBinding = problem.New(409, "dpop_bound_differs", "the agent's tokens are bound otherwise").
	Says("An agent with this name exists, has another dpop_bound_access_tokens than this, and was not changed. " +
		"Enrolling it again leaves the member as it is: send the same value, or none. To change it (BYOCA, SPIFFE), send " +
		"\"update_existing\": true; for an agent whose certificate the Mastio issues, DELETE " +
		"/v1/admin/agents/{agent_id} and enrol it again.")

// ErrFederated reports a request to publish an agent to other organisations.
var ErrFederated = problem.New(400, "federated_unsupported", "federated agents are not supported").
	Says("\"federated\": true asks for an agent that other organisations know. This Mastio serves one " +
		"organisation. Send false, or leave the member out.")

// again decides whether plain enrolment may give an existing agent a new certificate. It leaves identity, capabilities,
// display name and chain as they are. An empty list of capabilities means that the caller names none: enrolment tools
// that do not manage capabilities send it. bound, if it is there, must be what the agent has.
func again(old agent.Agent, capabilities []string, bound *bool) error {
	if bound != nil && *bound != old.ProofBound {
		return ErrBinding
	}
	if len(capabilities) > 0 && !old.SameCapabilities(capabilities) {
		return ErrCapabilities
	}
	return nil
}

// active returns the agent if it exists and is active. A deactivated one is enrolled as if it were new.
func active(a *agent.Agent) *agent.Agent {
	if a == nil || a.Status != agent.Active {
		return nil
	}
	return a
}

// readmissible decides whether plain enrolment may replace what authenticates an active agent, given the same method.
// A pin that counts under the current generation is protected, except against its own certificate: an enrolment whose
// answer was lost is repeated as it was. An agent that is known by its SPIFFE ID has no pin: a caller with a valid
// SVID of this ID may replace the bundle.
func (r submission) readmissible(e *Enroller, m agent.Method, old agent.Agent, p orgca.Pointer, req Outside) error {
	now := e.Now()
	switch {
	case old.Method != m:
		return agent.ErrAlreadyEnrolled
	case m == agent.SPIFFE && old.SPIFFEID != r.spiffeID():
		return agent.ErrAlreadyEnrolled
	case m == agent.BYOCA && old.Protected(p, now) && !old.Holds(r.thumbprint, p, now):
		return agent.ErrAlreadyEnrolled
	}
	return again(old, req.Capabilities, req.ProofBound)
}

func (r submission) spiffeID() string {
	id, _ := pki.URI(r.leaf)
	return id
}

// repeats reports whether committing a would change nothing of old: neither what authenticates the agent nor its owner.
func repeats(a, old agent.Agent, c registry.Change) bool {
	return len(c.EdgeCAs) == 0 && a.SPIFFEID == old.SPIFFEID && a.JKT == old.JKT && a.ProofBound == old.ProofBound &&
		a.Owner == old.Owner &&
		slices.Equal(a.Pins, old.Pins) && a.Past.Floor.Equal(old.Past.Floor) &&
		slices.EqualFunc(a.Bundle, old.Bundle, slices.Equal) &&
		slices.EqualFunc(a.Intermediates, old.Intermediates, slices.Equal)
}

// replaced names, for the audit row, what authenticated the agent before.
func replaced(old agent.Agent) map[string]any {
	return map[string]any{
		"previous_thumbprint": old.Pin().Thumbprint, "previous_generation": old.Pin().Generation,
		"previous_spiffe_id":    old.SPIFFEID,
		"previous_trust_bundle": thumbprintsOf(old.Bundle), "previous_dpop_jkt": old.JKT,
	}
}

func thumbprintsOf(ders [][]byte) []any {
	list := make([]any, len(ders))
	for i, der := range ders {
		list[i] = pki.Thumbprint(der)
	}
	return list
}

func texts(values []string) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}
