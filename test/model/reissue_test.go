package model

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"time"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// policy has hygiene deliver an agent's certificates, or leave them to the owner.
func (m *machine) policy(t *rapid.T) {
	id := m.someAgent(t)
	deliver := rapid.SampledFrom([]agent.Delivery{agent.SecretsManager, agent.SecretsManager, agent.Notify}).Draw(t,
		"deliver")
	over := m.troubled(t)
	_, _ = m.Enroll.SetHygiene(m.ctx, enroll.Policy{Agent: id, Deliver: deliver, By: audit.By{Actor: "test"}})
	over()
}

// reissue is one run of the re-issue that the last swap began. Whatever becomes of the run, a certificate that counted
// counts on: its agent may not have read the new one yet.
func (m *machine) reissue(t *rapid.T) {
	m.keeping(t, func() { _, _ = m.Hygiene.Reissue(m.ctx) })
}

// keeping runs a job in trouble. What its run delivered is held by the agents then.
func (m *machine) keeping(t *rapid.T, run func()) {
	counted := map[agent.ID][]certificate{}
	for id, held := range m.issued {
		for _, c := range held {
			if m.authenticates(t, id, c) {
				counted[id] = append(counted[id], c)
			}
		}
	}
	over := m.troubled(t)
	run()
	over()
	m.collect(t)
	if m.intruded || m.skew != 0 {
		return
	}
	for id, held := range counted {
		for _, c := range held {
			if !m.authenticates(t, id, c) {
				t.Fatalf("%s is cut off by hygiene: %+v counted before", id, c.pin)
			}
		}
	}
}

// secret is a version of an agent's secret.
type secret struct {
	CertPEM string `json:"cert_pem"`
	KeyPEM  string `json:"key_pem"`
}

// certificate is the one in a version, with its pin in the agent's record; ok: it has one.
func (m *machine) certificate(t *rapid.T, a agent.Agent, value []byte) (c certificate, ok bool) {
	var s secret
	if err := json.Unmarshal(value, &s); err != nil {
		t.Fatalf("secret of %s: %v", a.ID, err)
	}
	leaf, err := inmemory.Leaf([]byte(s.CertPEM))
	if err != nil {
		t.Fatal(err)
	}
	c.pem, c.pin = []byte(s.CertPEM), agent.Pin{Thumbprint: pki.Thumbprint(leaf.Raw)}
	c.pin = pinOf(a, c)
	block, _ := pem.Decode([]byte(s.KeyPEM))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatalf("secret of %s: %v", a.ID, err)
	}
	c.key, _ = key.(crypto.Signer)
	return c, c.pin.Thumbprint != ""
}

// collect has every agent read its secret.
func (m *machine) collect(t *rapid.T) {
	for id, a := range m.agents(t) {
		value := m.Secrets.Current(hygiene.SecretName(id))
		if value == nil {
			continue
		}
		c, ok := m.certificate(t, a, value)
		if ok && !m.holds(id, c.pin.Thumbprint) {
			m.hold(id, c)
		}
	}
}

func (m *machine) holds(id agent.ID, thumbprint string) bool {
	for _, c := range m.issued[id] {
		if c.pin.Thumbprint == thumbprint {
			return true
		}
	}
	return false
}

// checkDeliveries: the key of what hygiene pinned is in the agent's secret; hygiene replaces no certificate twice under
// one generation, and names no owner more often than the generation has become current.
func (m *machine) checkDeliveries(t *rapid.T) {
	org := m.org(t)
	became := map[int64]int{}
	for _, r := range m.verified(t, inmemory.OrgID, org.Head) {
		switch r.EventType { //nolint:exhaustive // the others make no generation current
		case audit.OrgCACreated, audit.OrgCARotated, audit.OrgCARolledBack:
			became[number(r.Details["generation"])]++
		}
	}
	for id, a := range m.agents(t) {
		type replacement struct{ generation, previous any }
		replacements, notices := map[replacement]int{}, map[int64]int{}
		for _, r := range m.verified(t, string(id), a.Head) {
			switch {
			case r.Actor != hygiene.Actor:
			case r.EventType == audit.AgentCertRotated:
				if what := (replacement{r.Details["generation"], r.Details["previous_thumbprint"]}); replacements[what] > 0 {
					t.Fatalf("%s: hygiene has replaced %v twice", id, what)
				} else {
					replacements[what]++
				}
			case r.EventType == audit.AgentCertDue && r.Details["org_ca_generation"] != nil:
				n := number(r.Details["org_ca_generation"])
				if notices[n]++; notices[n] > became[n] {
					t.Fatalf("%s: its owner was named %d times for generation %d, which became current %d times", id,
						notices[n], n, became[n])
				}
			}
		}
		m.checkSecret(t, a)
	}
}

// checkSecret: an agent can come to the certificate that hygiene has pinned for it.
func (m *machine) checkSecret(t *rapid.T, a agent.Agent) {
	h := a.Concerning()
	if h.Undelivered == "" {
		return
	}
	for _, value := range m.Secrets.All(hygiene.SecretName(a.ID)) {
		if c, ok := m.certificate(t, a, value); ok && c.pin.Thumbprint == a.Pin().Thumbprint {
			return
		}
	}
	t.Fatalf("%s: no version of the secret has the pin %+v", a.ID, a.Pin())
}

// number is a whole number out of a row, which has been through JSON or has not.
func number(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}

// fleetMoves: with the trouble over, the re-issue ends, and what can move without a human has moved and gets tokens.
func (m *machine) fleetMoves(t *rapid.T) {
	for n := 0; m.org(t).Reissue.State != orgca.Finished; n++ {
		if n == 200 { // a swap by a clock that is a day ahead counts as young for a day
			t.Fatalf("the re-issue does not end: %+v", m.org(t).Reissue)
		}
		m.Advance(10 * time.Minute)
		if _, err := m.Hygiene.Reissue(m.ctx); err != nil {
			t.Fatalf("re-issue after the trouble: %v", err)
		}
	}
	if _, err := m.Hygiene.Run(m.ctx); err != nil { // what a job has put off is due again
		t.Fatalf("hygiene after the trouble: %v", err)
	}
	m.collect(t)
	org := m.org(t)
	for id, a := range m.agents(t) {
		switch {
		case a.Pin().Generation == org.Pointer.Current:
		case a.Delivers():
			t.Fatalf("%s has not moved to generation %d: %+v", id, org.Pointer.Current, a.Pins)
		case a.Hygiene.Named != org.Reissue.Fence && len(a.Bundle) == 0:
			t.Fatalf("the owner of %s was not named: %+v", id, a.Hygiene)
		}
		h := a.Concerning()
		if h.Undelivered == "" || !a.Delivers() || h.Later.After(m.Now()) {
			continue
		}
		c, ok := m.certificate(t, a, m.Secrets.Current(hygiene.SecretName(id)))
		if !ok || c.pin.Thumbprint != a.Pin().Thumbprint {
			t.Fatalf("%s: the secret has %+v, the newest pin is %+v", id, c.pin, a.Pin())
		}
		if _, err := m.TokenFor(m.ctx, c.pem); err != nil && !m.early(t, c.pem) {
			t.Fatalf("%s gets no token with its new certificate: %v", id, err)
		}
	}
	m.check(t)
}
