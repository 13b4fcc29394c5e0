package model

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"slices"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// dead is what must never count again, whatever is done afterwards: rollbacks, overlaps, other methods, late writes.
type dead struct {
	certificates map[agent.ID][]certificate
	generations  []int64           // superseded for a compromise
	staged       map[string]string // the reason that a staged CA was staged with, by its fingerprint
}

func newDead() dead {
	return dead{certificates: map[agent.ID][]certificate{}, staged: map[string]string{}}
}

// bury marks all certificates and tokens of an agent as dead, except those of the call that buried them.
func (m *machine) bury(id agent.ID, but string) {
	m.dies(id)
	m.grave.certificates[id] = nil
	for _, c := range m.issued[id] {
		if c.pin.Thumbprint != but {
			m.grave.certificates[id] = append(m.grave.certificates[id], c)
		}
	}
}

func (m *machine) someAgent(t *rapid.T) agent.ID {
	return agent.ID("orga::" + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"))
}

// emergency rotates for a compromise. A renewal in between neither holds it up nor outlives it: with the 2xx, all that
// the agent had before is dead, and what was renewed from it meanwhile too.
func (m *machine) emergency(t *rapid.T) {
	id := m.someAgent(t)
	req := agentcert.RotateRequest{
		Agent: id,
		By:    audit.By{Actor: "test"},
		Reason: reason.Statement{Code: rapid.SampledFrom([]reason.Code{
			reason.KeyCompromise, reason.CACompromise, reason.PrivilegeWithdrawn,
		}).Draw(t, "reason")},
	}
	troubled := rapid.Bool().Draw(t, "troubled")
	view, err := m.Store.View(m.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	over := func() { m.fate = nil }
	if troubled {
		over = m.troubled(t)
	} else {
		m.thief(t, id)
	}
	result, err := m.RotateCert.Rotate(m.ctx, req)
	over()
	if err != nil {
		// An Org CA that a clock ahead of this one has made issues nothing yet: 503, whose remedy is to rotate the Org CA.
		notYet := errors.Is(err, orgca.ErrNotValid)
		if rotatable := view.Agent != nil && view.Agent.Status == agent.Active &&
			view.Agent.Method == agent.Minted; rotatable && !troubled && !notYet {
			t.Fatalf("the emergency rotation of %s was refused: %v", id, err)
		}
		return
	}
	m.given(id, result.Certificate, result.Material)
	m.bury(id, result.Certificate.Pin.Thumbprint)
}

// thief renews a certificate of the agent in the middle of the next operation, and keeps what he gets.
func (m *machine) thief(t *rapid.T, id agent.ID) {
	if len(m.issued[id]) == 0 {
		return
	}
	stolen := rapid.SampledFrom(m.issued[id]).Draw(t, "stolen")
	at := rapid.IntRange(-1, 4).Draw(t, "the thief comes before call")
	call := -1
	m.fate = func(string) memstore.Fault {
		if call++; call != at {
			return memstore.None
		}
		key, csr := request(t, stolen.pem)
		fate := m.fate
		m.fate = nil
		if result, err := m.Renew.Renew(m.ctx, agentcert.RenewRequest{
			CertificatePEM: string(stolen.pem),
			CSR:            csr,
		}); err == nil {
			m.hold(id, certificate{result.Certificate.CertPEM, result.Certificate.Pin, key})
		}
		m.fate = fate
		return memstore.None
	}
}

// deactivate ends an agent, which may be enrolled again.
func (m *machine) deactivate(t *rapid.T) {
	why := rapid.SampledFrom([]reason.Code{reason.Unspecified, reason.CessationOfOperation, reason.KeyCompromise}).Draw(t,
		"reason")
	m.end(t, m.someone(t), why)
}

func (m *machine) end(t *rapid.T, id agent.ID, why reason.Code) {
	over := m.troubledBy(t, ahead)
	err := m.Enroll.Deactivate(m.ctx, enroll.Deactivation{
		Agent:  id,
		Reason: reason.Statement{Code: why},
		By:     audit.By{Actor: "test"},
	})
	over()
	if err == nil {
		m.bury(id, "")
		m.outside.bury(id, "")
	}
}

// again brings a key that was certified for its agent before, by every way in: none takes it.
func (m *machine) again(t *rapid.T) {
	id, c, ok := m.held(t)
	if !ok || c.key == nil {
		return
	}
	keys, err := m.Store.Keys(m.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys.Earlier) >= agent.MaxEarlier { // an older key may be forgotten, unless it was declared compromised
		return
	}
	way := rapid.SampledFrom([]string{"rotation", "renewal", "enrolment", "from elsewhere"}).Draw(t, "way")
	over := m.troubled(t)
	der := requestOf(t, c.key, c.pem)
	csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	switch way {
	case "rotation":
		_, err = m.RotateCert.Rotate(m.ctx, agentcert.RotateRequest{
			Agent:    id,
			By:       audit.By{Actor: "test"},
			Material: agentcert.KeyRequest{CSR: csr},
		})
	case "renewal":
		_, with, _ := m.held(t)
		if len(with.pem) == 0 {
			with = c
		}
		_, err = m.Renew.Renew(m.ctx, agentcert.RenewRequest{CertificatePEM: string(with.pem), CSR: der})
	case "enrolment":
		_, err = m.Enroll.Enroll(m.ctx, enroll.Request{
			Name:     id.Name(),
			By:       audit.By{Actor: "test"},
			Material: agentcert.KeyRequest{CSR: csr},
		})
	case "from elsewhere":
		encoded, fault := pki.EncodePrivateKey(c.key)
		if fault != nil {
			t.Fatal(fault)
		}
		_, err = m.Enroll.BYOCA(m.ctx, enroll.Outside{
			Name:    id.Name(),
			CertPEM: c.pem,
			KeyPEM:  encoded,
			Update:  true,
			By:      audit.By{Actor: "test"},
		})
	}
	over()
	if err == nil {
		t.Fatalf("%s: a key that was certified before is taken by %s", id, way)
	}
}

// compromised notes that a swap ended a generation for good: the swap's own reason, or the one that its CA was staged
// with.
func (m *machine) compromised(before, after registry.Org, why string) {
	swapped := func(o registry.Org) int {
		n := 0
		for _, g := range o.Generations {
			if g.State == orgca.Current || g.State == orgca.Superseded || g.State == orgca.Retired {
				n++
			}
		}
		return n
	}
	// which one was superseded is not known
	if before.Pointer == nil || m.intruded || swapped(after) != swapped(before)+1 {
		return
	}
	if orgca.Compromised(why) || orgca.Compromised(m.grave.staged[after.Pointer.Fingerprint]) {
		m.grave.generations = append(m.grave.generations, before.Pointer.Current)
	}
}

// checkDead: what is dead stays so, by the record and at the token endpoint; a dead generation is neither current, nor
// in an overlap, nor published.
func (m *machine) checkDead(t *rapid.T, org registry.Org) {
	for id, all := range m.grave.certificates {
		for _, c := range all {
			if m.authenticates(t, id, c) {
				t.Fatalf("%s: a certificate of generation %d that was ended for good counts", id, c.pin.Generation)
			}
			if _, err := m.TokenFor(m.ctx, c.pem); problem.Of(err).Status != http.StatusUnauthorized {
				t.Fatalf("%s: a certificate that was ended for good is answered %v", id, err)
			}
		}
	}
	m.checkGraces(t)
	m.checkSVIDs(t)
	for _, n := range m.grave.generations {
		if org.Pointer.Current == n ||
			slices.ContainsFunc(org.Pointer.Accepted, func(a orgca.Overlap) bool { return a.Generation == n }) {
			t.Fatalf("generation %d was declared compromised, the pointer is %+v", n, org.Pointer)
		}
		g, _ := org.Generation(n)
		for _, der := range orgca.Published(org.Generations, *org.Pointer, m.Now()) {
			if string(der) == string(g.Root) {
				t.Fatalf("generation %d was declared compromised, and is published", n)
			}
		}
		for id, all := range m.issued {
			for _, c := range all {
				if c.pin.Generation == n && m.authenticates(t, id, c) {
					t.Fatalf("%s: a certificate of generation %d, which was declared compromised, counts", id, n)
				}
			}
		}
	}
}

// given holds what a call handed out, with its key.
func (m *machine) given(id agent.ID, c agentcert.Certificate, material agentcert.Material) {
	var key crypto.Signer
	if block, _ := pem.Decode(material.KeyPEM); block != nil {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err == nil {
			key, _ = parsed.(crypto.Signer)
		}
	}
	m.hold(id, certificate{c.CertPEM, c.Pin, key})
}

func request(t *rapid.T, certPEM []byte) (crypto.Signer, []byte) {
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, requestOf(t, key, certPEM)
}

// requestOf is a request (DER) by a key for the names of a certificate.
func requestOf(t *rapid.T, key crypto.Signer, certPEM []byte) []byte {
	cert, err := inmemory.Leaf(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject: cert.RawSubject,
		URIs:       cert.URIs,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
