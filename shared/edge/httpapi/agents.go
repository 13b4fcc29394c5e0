package httpapi

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// Enroll returns the handlers of the function enroll.
func Enroll(e *enroll.Enroller) Handlers {
	h := agents{e}
	return Handlers{
		"POST /v1/admin/agents":               h.enroll,
		"POST /v1/admin/agents/enroll/byoca":  h.byoca,
		"POST /v1/admin/agents/enroll/spiffe": h.spiffe,
		"GET /v1/admin/agents":                h.list,
		"POST /v1/admin/agents:rotate":        h.rotateMany,
		"GET /v1/admin/jobs/{job_id}":         h.job,
		"GET /v1/admin/agents/{agent_id}":     h.read,
		"PATCH /v1/admin/agents/{agent_id}":   h.amend,
		"DELETE /v1/admin/agents/{agent_id}":  h.deactivate,

		"PUT /v1/admin/agents/{agent_id}/hygiene": h.setHygiene,
	}
}

type agents struct{ *enroll.Enroller }

// certificateAnswer is what enrolment and rotation both answer. Private keys are in it once, and nowhere else ever.
type certificateAnswer struct {
	AgentID    agent.ID        `json:"agent_id"`
	CertPEM    string          `json:"cert_pem"`
	KeyPEM     string          `json:"key_pem,omitempty"`
	DPoPJWK    json.RawMessage `json:"dpop_jwk,omitempty"`
	Thumbprint string          `json:"cert_thumbprint"`
	Generation int64           `json:"generation"`
	NotBefore  time.Time       `json:"not_before"`
	NotAfter   time.Time       `json:"not_after"`
	CAChainPEM string          `json:"ca_chain_pem"`
}

func issuedOf(id agent.ID, m agentcert.Material, c agentcert.Certificate) certificateAnswer {
	return certificateAnswer{
		AgentID:    id,
		CertPEM:    string(c.CertPEM),
		KeyPEM:     string(m.KeyPEM),
		DPoPJWK:    m.DPoPJWK,
		Thumbprint: c.Pin.Thumbprint,
		Generation: c.Pin.Generation,
		NotBefore:  c.Pin.NotBefore,
		NotAfter:   c.Pin.NotAfter,
		CAChainPEM: string(c.ChainPEM),
	}
}

func (h agents) enroll(w http.ResponseWriter, r *http.Request) error {
	var body mintBody
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	if err := decode(r, &body, false); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	if _, err := agent.ParseDelivery(body.Hygiene.Deliver); err != nil {
		return err
	}
	once, err := named(r, body, minted)
	if err != nil {
		return err
	}
	out, err := h.Enroll(r.Context(), enroll.Request{
		By:         CallOf(r.Context()).By,
		Limit:      CallOf(r.Context()).limit(),
		Name:       body.Name,
		Profile:    body.Profile,
		Material:   material(body.CSR, body.DPoPJWK, 0),
		ProofBound: body.ProofBound,
		Deliver:    agent.Delivery(body.Hygiene.Deliver),
		Once:       once,
	})
	if err != nil {
		return err
	}
	minted(out).write(w)
	return nil
}

func minted(out enroll.Result) answer {
	return answer{enrolled(out.Again), struct {
		certificateAnswer
		agent.Profile
		boundTokens
	}{issuedOf(out.Agent.ID, out.Material, out.Certificate), profile(out.Agent), boundTokens{out.Agent.ProofBound}}}
}

func material(csr *string, dpopJWK json.RawMessage, days int) agentcert.KeyRequest {
	m := agentcert.KeyRequest{ValidityDays: days}
	if string(dpopJWK) != "null" {
		m.DPoPJWK = dpopJWK
	}
	if csr != nil {
		m.CSR = []byte(*csr)
	}
	return m
}

// profile is an agent's profile as every answer shows it.
func profile(a agent.Agent) agent.Profile {
	p := a.Profile
	p.Capabilities = list(p.Capabilities)
	return p
}

// boundTokens is in every answer about one agent.
type boundTokens struct {
	ProofBound bool `json:"dpop_bound_access_tokens"`
}

// agentAnswer is an agent as the outside sees it.
type agentAnswer struct {
	AgentID agent.ID `json:"agent_id"`
	agent.Profile
	Method     agent.Method `json:"method"`
	Status     agent.Status `json:"status"`
	Thumbprint string       `json:"cert_thumbprint,omitempty"`
	Generation int64        `json:"generation"`
	NotBefore  *time.Time   `json:"not_before"`
	NotAfter   *time.Time   `json:"not_after"`
	EnrolledAt time.Time    `json:"enrolled_at"`
	UpdatedAt  time.Time    `json:"updated_at"`
	LastSeen   *time.Time   `json:"last_seen"` // the hour in which it last got a token; null: none is known
}

func describe(a agent.Agent, seen map[agent.ID]time.Time) agentAnswer {
	d := agentAnswer{
		AgentID:    a.ID,
		Profile:    profile(a),
		Method:     a.Method,
		Status:     a.Status,
		EnrolledAt: stored(a.EnrolledAt),
		UpdatedAt:  stored(a.UpdatedAt),
		LastSeen:   instant(seen[a.ID]),
	}
	if p := a.Pin(); p.Thumbprint != "" {
		d.Thumbprint, d.Generation, d.NotBefore, d.NotAfter = p.Thumbprint, p.Generation, &p.NotBefore, &p.NotAfter
	}
	return d
}

func (h agents) read(w http.ResponseWriter, r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	id, err := agent.ParseID(r.PathValue("agent_id"))
	if err != nil {
		return err
	}
	a, counts, err := h.Agent(r.Context(), id)
	if err != nil {
		return err
	}
	seen, err := h.LastSeen(r.Context(), a)
	if err != nil {
		return err
	}
	writeInFull(w, a, counts, seen)
	return nil
}

// writeInFull answers all about one agent; counts: its pin counts at present.
func writeInFull(w http.ResponseWriter, a agent.Agent, counts bool, seen map[agent.ID]time.Time) {
	write(w, http.StatusOK, "application/json", struct {
		agentAnswer
		JKT string `json:"dpop_jkt,omitempty"`
		boundTokens
		SPIFFEID  string `json:"spiffe_id,omitempty"`
		Counts    bool   `json:"certificate_accepted"`
		Hygiene   upkeep `json:"hygiene"`
		AuditSeq  int64  `json:"audit_seq"`
		AuditHash string `json:"audit_hash"`
	}{describe(a, seen), a.JKT, boundTokens{a.ProofBound}, a.SPIFFEID, counts, upkeepOf(a), a.Head.Seq, a.Head.Hash})
}

func (h agents) deactivate(w http.ResponseWriter, r *http.Request) error {
	query, err := onlyQuery(r, "reason", "comment")
	if err != nil {
		return err
	}
	id, err := agent.ParseID(r.PathValue("agent_id"))
	if err != nil {
		return err
	}
	call := CallOf(r.Context())
	err = h.Deactivate(r.Context(), enroll.Deactivation{
		Agent:  id,
		Reason: reason.Statement{Code: reason.Code(query.Get("reason")), Comment: query.Get("comment")},
		By:     call.By,
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// RotateCert returns the handler of the function rotatecert.
func RotateCert(rotator *agentcert.Rotator) Handlers {
	return Handlers{"POST /registry/agents/{agent_id}/rotate-cert": func(w http.ResponseWriter, r *http.Request) error {
		return rotateCert(rotator, w, r)
	}}
}

func rotateCert(rotator *agentcert.Rotator, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		CSR     *string         `json:"csr_pem"`
		DPoPJWK json.RawMessage `json:"dpop_jwk"`
		Grace   int64           `json:"grace_seconds"`
		Reason  string          `json:"reason"`
		Comment string          `json:"comment"`
		Days    *int            `json:"validity_days"`
	}
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	id, err := agent.ParseID(r.PathValue("agent_id"))
	if err != nil {
		return err
	}
	if err := decode(r, &body, true); err != nil {
		return err
	}
	days := agentcert.DefaultDays
	if body.Days != nil {
		if days = *body.Days; days == 0 {
			return agentcert.ErrValidity
		}
	}
	if body.Grace < 0 || body.Grace > int64(agentcert.MaxGrace/time.Second) {
		return agentcert.ErrGrace
	}
	once, err := named(r, body, rotated)
	if err != nil {
		return err
	}
	out, err := rotator.Rotate(r.Context(), agentcert.RotateRequest{
		Agent:    id,
		Material: material(body.CSR, body.DPoPJWK, days),
		Grace:    time.Duration(body.Grace) * time.Second,
		Reason:   reason.Statement{Code: reason.Code(body.Reason), Comment: body.Comment},
		By:       CallOf(r.Context()).By,
		Once:     once,
	})
	if err != nil {
		return err
	}
	rotated(out).write(w)
	return nil
}

func rotated(out agentcert.RotateResult) answer {
	return answer{http.StatusOK, struct {
		certificateAnswer
		Previous      string    `json:"previous_thumbprint"`
		PreviousUntil time.Time `json:"previous_valid_until"`
	}{issuedOf(out.Agent.ID, out.Material, out.Certificate), out.Previous.Thumbprint, out.PreviousUntil}}
}

// secret marks an answer that must not be kept anywhere on its way (RFC 9111 section 5.2.2.5).
func secret(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// list makes an absent list an empty one, which is what JSON's readers expect.
func list(values []string) []string {
	if values == nil {
		return []string{}
	}
	return values
}
