package httpapi

import (
	"encoding/json"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// The bodies of the three enrolments are made of the same parts. The order of the members is part of what an
// Idempotency-Key stands for, so it is never changed: see named.

// enrolment is what every enrolment says of the agent.
type enrolment struct {
	Name string `json:"agent_name"`
	agent.Profile
}

// proofKey is what every enrolment may say of the key that the agent's DPoP proofs are made with.
type proofKey struct {
	DPoPJWK    json.RawMessage `json:"dpop_jwk"`
	ProofBound *bool           `json:"dpop_bound_access_tokens"`
}

// federation is a member that enrolment tools send: whether other organisations are to know the agent. This Mastio
// serves one organisation alone.
type federation struct {
	Federated bool `json:"federated"`
}

func (f federation) check() error {
	if f.Federated {
		return enroll.ErrFederated
	}
	return nil
}

// mintBody asks for the enrolment of an agent whose certificate the Mastio issues.
type mintBody struct {
	enrolment
	CSR *string `json:"csr_pem"`
	proofKey
	Hygiene struct {
		Deliver string `json:"deliver"`
	} `json:"hygiene"`
	federation
}

// outsider is an enrolment whose certificate was issued elsewhere. The two kinds name the certificate differently,
// and neither accepts a member of the other.
type outsider struct {
	enrolment
	Proof string `json:"possession_proof"`
	proofKey
	Update  bool   `json:"update_existing"`
	Reason  string `json:"reason"`
	Comment string `json:"comment"`
	federation
}

// byocaBody is an enrolment with a certificate under the Org CA.
type byocaBody struct {
	outsider
	CertPEM string `json:"cert_pem"`
	KeyPEM  string `json:"private_key_pem"`
}

// spiffeBody is an enrolment with an SVID.
type spiffeBody struct {
	outsider
	SVID   string  `json:"svid_pem"`
	KeyPEM string  `json:"svid_key_pem"`
	Bundle *string `json:"trust_bundle_pem"`
}
