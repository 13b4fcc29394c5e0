package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

func (o outsider) request(r *http.Request, certPEM, keyPEM string) enroll.Outside {
	call := CallOf(r.Context())
	req := enroll.Outside{
		By:         call.By,
		Limit:      call.limit(),
		Name:       o.Name,
		Profile:    o.Profile,
		CertPEM:    []byte(certPEM),
		KeyPEM:     []byte(keyPEM),
		Proof:      o.Proof,
		ProofBound: o.ProofBound,
		Update:     o.Update,
		Reason:     reason.Statement{Code: reason.Code(o.Reason), Comment: o.Comment},
	}
	if string(o.DPoPJWK) != "null" {
		req.DPoPJWK = o.DPoPJWK
	}
	return req
}

func (h agents) byoca(w http.ResponseWriter, r *http.Request) error {
	var body byocaBody
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	if err := decode(r, &body, false); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	req := body.request(r, body.CertPEM, body.KeyPEM)
	body.KeyPEM, body.Proof = "", ""
	return admit(w, r, h.BYOCA, req, body)
}

func (h agents) spiffe(w http.ResponseWriter, r *http.Request) error {
	var body spiffeBody
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	if err := decode(r, &body, false); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	req := body.request(r, body.SVID, body.KeyPEM)
	if body.Bundle != nil {
		req.BundlePEM = []byte(*body.Bundle)
	}
	body.KeyPEM, body.Proof = "", ""
	return admit(w, r, h.SPIFFE, req, body)
}

func admit(
	w http.ResponseWriter, r *http.Request, do func(context.Context, enroll.Outside) (enroll.Admission, error),
	req enroll.Outside, asked any,
) error {
	body := func(out enroll.Admission) answer { return admitted(out, req.Update) }
	var err error
	if req.Once, err = named(r, asked, body); err != nil {
		return err
	}
	out, err := do(r.Context(), req)
	if err != nil {
		return err
	}
	body(out).write(w)
	return nil
}

func admitted(out enroll.Admission, update bool) answer {
	type truststore struct {
		Status registry.TruststoreStatus `json:"status"`
	}
	var edge *truststore
	if out.Truststore != "" {
		edge = &truststore{out.Truststore}
	}
	return answer{enrolled(out.Updated && !update), struct {
		AgentID agent.ID `json:"agent_id"`
		agent.Profile
		Thumbprint string  `json:"cert_thumbprint"`
		SPIFFEID   *string `json:"spiffe_id"`
		JKT        *string `json:"dpop_jkt"`
		boundTokens
		Generation *int64      `json:"generation"` // null: the agent's own bundle vouches for it
		EnrolledAt time.Time   `json:"enrolled_at"`
		Truststore *truststore `json:"truststore,omitempty"` // the edge answers 403 until it is current
	}{
		out.Agent.ID, profile(out.Agent), out.Thumbprint, some(out.Agent.SPIFFEID), some(out.Agent.JKT),
		boundTokens{out.Agent.ProofBound}, some(out.Generation), stored(out.Agent.EnrolledAt), edge,
	}}
}

// enrolled is the status of an enrolment: 200 if the agent existed before, else 201. An update keeps the 201 of
// earlier releases.
func enrolled(again bool) int {
	if again {
		return http.StatusOK
	}
	return http.StatusCreated
}

// some makes the zero value JSON's null.
func some[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}
