package model

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"time"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// outside is a SPIRE server and the SVIDs with which agents were enrolled.
type outside struct {
	root   *x509.Certificate
	key    crypto.Signer
	living map[agent.ID][]x509SVID
	buried map[agent.ID][]x509SVID // deactivated, or declared compromised: they never count again
}

// x509SVID is an SVID that an enrolment took.
type x509SVID struct {
	pem        []byte
	thumbprint string
}

func newOutside() outside {
	return outside{living: map[agent.ID][]x509SVID{}, buried: map[agent.ID][]x509SVID{}}
}

// bury marks the SVIDs of an agent as dead, except the one that the same call has enrolled.
func (o *outside) bury(id agent.ID, but string) {
	var left []x509SVID
	for _, s := range o.living[id] {
		if s.thumbprint == but {
			left = append(left, s)
		} else {
			o.buried[id] = append(o.buried[id], s)
		}
	}
	o.living[id] = left
}

// someone is an agent that SPIFFE may know; orga::c is rarely anything else.
func (m *machine) someone(t *rapid.T) agent.ID {
	return agent.ID("orga::" + rapid.SampledFrom([]string{"a", "b", "c", "c"}).Draw(t, "name"))
}

// spire makes the server's root at its first use. The root is as old as the model, so no clock is too far behind for
// it.
func (m *machine) spire(t *rapid.T) {
	if m.root != nil {
		return
	}
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := pkitest.CATemplate("", -1, inmemory.Start.Add(-24*time.Hour))
	template.Subject = pkix.Name{Country: []string{"US"}, Organization: []string{"SPIFFE"}}
	template.URIs = []*url.URL{{Scheme: "spiffe", Host: inmemory.ForeignDomain}}
	m.root, m.key = m.signed(t, template, template, key.Public(), key), key
}

func (m *machine) signed(
	t *rapid.T, template, parent *x509.Certificate, pub crypto.PublicKey, by crypto.Signer,
) *x509.Certificate {
	template.SerialNumber = big.NewInt(1 + rapid.Int64Range(0, 1<<50).Draw(t, "serial"))
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// spiffe is a few enrolments with SVIDs in a row, each followed by a login.
func (m *machine) spiffe(t *rapid.T) {
	for range rapid.IntRange(1, 4).Draw(t, "enrolments") {
		m.svid(t)
		m.login(t)
	}
}

// svid enrols an agent with a new SVID: for the first time, again, or after it had a certificate of the Mastio. A
// compromise ends the SVIDs before it.
func (m *machine) svid(t *rapid.T) {
	m.spire(t)
	id := m.someone(t)
	if rapid.Bool().Draw(t, "leaves its method before") {
		m.end(t, id, reason.CessationOfOperation)
	}
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := pki.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := m.signed(t, &x509.Certificate{
		Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}},
		NotBefore:             m.Now().Add(-time.Minute),
		NotAfter:              m.Now().Add(time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: inmemory.ForeignDomain, Path: "/" + id.Name()}},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, m.root, key.Public(), m.key)
	s := x509SVID{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}), pki.Thumbprint(leaf.Raw)}
	why := rapid.SampledFrom([]reason.Code{"", reason.Superseded, reason.KeyCompromise}).Draw(t, "reason")
	over := m.troubledBy(t, ahead)
	_, err = m.Enroll.SPIFFE(m.ctx, enroll.Outside{
		Name:      id.Name(),
		CertPEM:   s.pem,
		KeyPEM:    encoded,
		BundlePEM: pki.EncodeCertificates(m.root),
		Update:    rapid.Bool().Draw(t, "update"),
		Reason:    reason.Statement{Code: why},
		By:        audit.By{Actor: "test"},
	})
	over()
	if err != nil {
		return
	}
	if m.issued[id] == nil {
		m.issued[id] = []certificate{} // its chain is checked
	}
	view, err := m.Store.View(m.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if !view.Agent.Knows(authn.PinOf(leaf)) { // a repetition that changed nothing: the record has not seen this SVID
		return
	}
	m.living[id] = append(m.living[id], s)
	if why.Compromise() {
		m.outside.bury(id, s.thumbprint)
	}
}

// login asks for a token with the SVID that was enrolled last, which counts while it is valid.
func (m *machine) login(t *rapid.T) {
	id := m.someone(t)
	all := m.living[id]
	if len(all) == 0 {
		return
	}
	view, err := m.Store.View(m.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	last := all[len(all)-1]
	leaf, err := inmemory.Leaf(last.pem)
	if err != nil {
		t.Fatal(err)
	}
	counts := view.Agent.Status == agent.Active && view.Agent.Method == agent.SPIFFE && m.Now().Before(leaf.NotAfter)
	if _, err := m.TokenFor(m.ctx, last.pem); err != nil && counts {
		t.Fatalf("%s: the SVID that was enrolled last is refused: %v", id, err)
	}
}

// checkSVIDs: what was deactivated or declared compromised gets no token, whatever the agent is now.
func (m *machine) checkSVIDs(t *rapid.T) {
	for id, all := range m.buried {
		for _, s := range all {
			if _, err := m.TokenFor(m.ctx, s.pem); err == nil {
				view, _ := m.Store.View(m.ctx, id)
				leaf, _ := inmemory.Leaf(s.pem)
				t.Fatalf("%s: an SVID of %s that was ended for good gets a token: %.32s among %+v", id, leaf.NotBefore,
					s.thumbprint, view.Agent.Past)
			}
		}
	}
}

// graced notes until when the certificates before a rotation may count, by the clock of the process that rotated.
func (m *machine) graced(id agent.ID, grace time.Duration) {
	all := m.issued[id]
	for _, c := range all {
		end := m.Now().Add(m.skew + grace)
		if known, ok := m.until[c.pin.Thumbprint]; !ok || end.Before(known) {
			m.until[c.pin.Thumbprint] = end
		}
	}
}

// checkGraces: a certificate that was replaced counts after its grace only if a rollback has restored it.
func (m *machine) checkGraces(t *rapid.T) {
	for id, all := range m.issued {
		view, err := m.Store.View(m.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			end, replaced := m.until[c.pin.Thumbprint]
			if pinOf(*view.Agent, c).Dormant { // a rollback may restore it for good
				delete(m.until, c.pin.Thumbprint)
				continue
			}
			if replaced && m.Now().After(end) && m.authenticates(t, id, c) {
				t.Fatalf("%s: a certificate counts %s after the end of its grace", id, m.Now().Sub(end))
			}
		}
	}
}

// early reports whether a certificate is not valid yet: the clock that issued it was ahead.
func (m *machine) early(t *rapid.T, certPEM []byte) bool {
	leaf, err := inmemory.Leaf(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	return m.Now().Before(leaf.NotBefore)
}
