package inmemory_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// spireRoot is a SPIRE server's own root.
func spireRoot(t testing.TB, m *inmemory.Mastio) pki.Authority {
	t.Helper()
	ca := pki.Authority{Key: newKey(t)}
	template := pkitest.CATemplate("SPIRE", -1, m.Now())
	template.NotAfter = m.Now().AddDate(10, 0, 0)
	ca.Chain = []*x509.Certificate{pkitest.Sign(t, template, ca, ca.Key.Public())}
	return ca
}

// bundled enrols an agent with an SVID of the first of these roots, and all of them in its bundle.
func bundled(t testing.TB, m *inmemory.Mastio, name string, update bool, roots ...pki.Authority) {
	t.Helper()
	key := newKey(t)
	leaf := pkitest.Sign(t, &x509.Certificate{
		NotBefore:             m.Now().Add(-time.Minute),
		NotAfter:              m.Now().Add(time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: inmemory.ForeignDomain, Path: "/" + name}},
	}, roots[0], key.Public())
	keyPEM, err := pki.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var bundle []byte
	for _, ca := range roots {
		bundle = append(bundle, pki.EncodeCertificates(ca.Chain...)...)
	}
	_, err = m.Enroll.SPIFFE(context.Background(), enroll.Outside{
		Name:      name,
		CertPEM:   pki.EncodeCertificates(leaf),
		KeyPEM:    keyPEM,
		BundlePEM: bundle,
		Update:    update,
		By:        audit.By{Actor: "test"},
	})
	if err != nil {
		t.Fatalf("enrol %s: %v", name, err)
	}
}

func leave(t testing.TB, m *inmemory.Mastio, name string) {
	t.Helper()
	id := inmemory.OrgID + "::" + name
	if err := m.Enroll.Deactivate(context.Background(), enroll.Deactivation{
		Agent: agent.ID(id),
		By:    audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
}

// letIn reports whether the edge lets in what is under a root.
func letIn(t testing.TB, m *inmemory.Mastio, ca pki.Authority) bool {
	t.Helper()
	cas, err := m.Store.EdgeCAs(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	known := slices.ContainsFunc(cas, func(e registry.EdgeCA) bool { return bytes.Equal(e.DER, ca.Chain[0].Raw) })
	object, err := m.Objects.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if served := bytes.Contains(object.PEM, truststore.Encode([][]byte{ca.Chain[0].Raw})); served != known {
		t.Errorf("the registry has the CA: %v, the truststore: %v", known, served)
	}
	return known
}

func job(t testing.TB, m *inmemory.Mastio) standby.Report {
	t.Helper()
	report, err := m.Standby.Run(context.Background())
	if err != nil {
		t.Error(err)
	}
	return report
}

// The edge forgets a CA when the last active agent whose bundle names it is gone, or names it no longer, and learns it
// again.
func TestCAsThatNobodyNamesAreForgotten(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	one, two := spireRoot(t, m), spireRoot(t, m)
	bundled(t, m, "a", false, one)
	bundled(t, m, "b", false, one, two)
	sweep := func() (forgotten int) {
		t.Helper()
		for range 2 {
			m.Advance(16 * time.Minute)
			forgotten += job(t, m).Forgotten
		}
		return forgotten
	}
	is := func(what string, first, second bool) {
		t.Helper()
		sweep()
		if gotOne, gotTwo := letIn(t, m, one), letIn(t, m, two); gotOne != first || gotTwo != second {
			t.Errorf("%s: the edge lets in %v, %v, want %v, %v", what, gotOne, gotTwo, first, second)
		}
	}
	is("both are named", true, true)
	leave(t, m, "a")
	is("one of two agents is gone", true, true)
	bundled(t, m, "b", true, one)
	is("the other one names the second no longer", true, false)
	leave(t, m, "b")
	job(t, m)
	if !letIn(t, m, one) {
		t.Error("forgotten at the first sight, while an enrolment may be under way")
	}
	is("all are gone", false, false)
	bundled(t, m, "b", false, two)
	if letIn(t, m, one) || !letIn(t, m, two) {
		t.Error("an agent that is enrolled again does not have its bundle let in")
	}
	is("it stays", false, true)
	for n := range 12 { // the edge does not fill up with the bundles of agents that are gone
		name := fmt.Sprint("c-", n)
		bundled(t, m, name, false, spireRoot(t, m))
		leave(t, m, name)
	}
	sweep()
	if cas, err := m.Store.EdgeCAs(t.Context()); err != nil || len(cas) != 1 {
		t.Errorf("the edge has %d CAs, %v, want 1", len(cas), err)
	}
	// What an earlier release added says nothing about who names it.
	old := spireRoot(t, m)
	if err := m.Store.Apply(t.Context(), registry.Change{
		ID:      "old",
		EdgeCAs: []registry.EdgeCA{{DER: old.Chain[0].Raw}},
	}); err != nil {
		t.Fatal(err)
	}
	sweep()
	if !letIn(t, m, old) {
		t.Error("a CA was forgotten of which nobody knows who names it")
	}
}

// between runs what at the n-th call of the store from now on; done reports whether there were as many.
type between struct {
	n    int
	what func()
}

func (b *between) fault(string) memstore.Fault {
	if b.what != nil {
		if b.n--; b.n < 0 {
			what := b.what
			b.what = nil
			what()
		}
	}
	return memstore.None
}

// A CA is forgotten during an enrolment that names it, at every call of the job and of the enrolment: the second of
// the two sees the first, even if the clock jumps ahead in between, so that the mark is old at once.
func TestForgettingRacesWithAnEnrolment(t *testing.T) {
	for name, c := range map[string]struct {
		first, meanwhile func(*testing.T, *inmemory.Mastio, pki.Authority)
	}{
		"the job comes in between": {
			func(t *testing.T, m *inmemory.Mastio, ca pki.Authority) { bundled(t, m, "b", false, ca) },
			func(t *testing.T, m *inmemory.Mastio, _ pki.Authority) {
				for range 2 {
					job(t, m)
					m.Advance(16 * time.Minute)
				}
				job(t, m)
			},
		},
		"the enrolment comes in between": {
			func(t *testing.T, m *inmemory.Mastio, _ pki.Authority) { job(t, m) },
			func(t *testing.T, m *inmemory.Mastio, ca pki.Authority) { bundled(t, m, "b", false, ca) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, marked := range []bool{false, true} {
				n := 0
				for ; race(t, n, marked, c.first, c.meanwhile); n++ {
				}
				t.Logf("marked %v: %d places", marked, n)
				if n < 5 {
					t.Errorf("only %d calls to come in between of", n)
				}
			}
		})
	}
}

// race lets meanwhile come in before the n-th call of first; false: there are not as many.
func race(t *testing.T, n int, marked bool, first, meanwhile func(*testing.T, *inmemory.Mastio, pki.Authority)) bool {
	t.Helper()
	hook := &between{}
	m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault { return hook.fault(op) }})
	ca := spireRoot(t, m)
	bundled(t, m, "a", false, ca)
	leave(t, m, "a")
	if marked {
		job(t, m)
		m.Advance(16 * time.Minute)
	}
	came := false
	hook.n, hook.what = n, func() { came = true; meanwhile(t, m, ca) }
	first(t, m, ca)
	hook.what = nil
	if !came {
		return false
	}
	for range 3 {
		job(t, m)
		m.Advance(16 * time.Minute)
	}
	if !letIn(t, m, ca) {
		t.Errorf("marked %v: at call %d: an active agent's CA is forgotten", marked, n)
	}
	return true
}
