package registry

import (
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
)

// Refusal says that an agent showed its newest certificate, and with it that it has the key, and got no token. A
// refusal of an older certificate is not recorded: otherwise a thief of an old key could stop a rotation.
type Refusal struct {
	Agent      agent.ID
	Thumbprint string // of the certificate
	Generation int64  // of its pin
	Code       string // of the problem that the agent was answered
	At         time.Time
}

// Of reports whether the refusal is about the agent's present certificate.
func (r Refusal) Of(p agent.Pin) bool {
	return r.Thumbprint != "" && r.Thumbprint == p.Thumbprint && r.Generation == p.Generation
}
