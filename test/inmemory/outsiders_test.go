package inmemory_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// outsiders adds agents whose certificates come from elsewhere: BYOCA agents under the Org CA, and as many SPIFFE
// agents under a CA of their own. A re-issue does not move them.
func (f *fleet) outsiders(count int) {
	f.t.Helper()
	org, err := f.OrgCA(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	spire := spireRoot(f.t, f.Mastio)
	for n := range count {
		name := fmt.Sprintf("outsider-%04d", n)
		ask := enroll.Outside{Name: name, By: audit.By{Actor: "test"}}
		var admitted enroll.Admission
		if n%2 == 0 {
			ask.CertPEM, ask.KeyPEM = f.leaf(org, pkix.Name{CommonName: inmemory.OrgID + "::" + name}, nil)
			admitted, err = f.Enroll.BYOCA(f.t.Context(), ask)
		} else {
			id := &url.URL{Scheme: "spiffe", Host: inmemory.ForeignDomain, Path: "/" + name}
			ask.CertPEM, ask.KeyPEM = f.leaf(spire, pkix.Name{Organization: []string{"SPIRE"}}, []*url.URL{id})
			ask.BundlePEM = pki.EncodeCertificates(spire.Chain...)
			admitted, err = f.Enroll.SPIFFE(f.t.Context(), ask)
		}
		if err != nil {
			f.t.Fatal(err)
		}
		a := &walker{id: admitted.Agent.ID, cert: ask.CertPEM, outside: true, generation: 1}
		f.agents = append(f.agents, a)
		f.ask(a)
	}
}

// leaf is a certificate of a month, with its key.
func (f *fleet) leaf(ca pki.Authority, subject pkix.Name, ids []*url.URL) (certPEM, keyPEM []byte) {
	f.t.Helper()
	key := newKey(f.t)
	cert := pkitest.Sign(f.t, &x509.Certificate{
		Subject:               subject,
		NotBefore:             f.Now().Add(-time.Minute),
		NotAfter:              f.Now().Add(30 * 24 * time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:                  ids,
	}, ca, key.Public())
	keyPEM, err := pki.EncodePrivateKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	return pki.EncodeCertificates(cert), keyPEM
}

// A rotation with a date, in waves: announced now, begun by the job at its date, and followed by the whole fleet. No
// token request fails.
func TestScheduledRotationOfAFleet(t *testing.T) {
	f := newFleet(t, fleetSize()*4/5, true, memstore.Config{})
	f.outsiders(fleetSize() / 5)
	at := f.Now().Add(30 * time.Minute)
	planned(t, f.Mastio, rotateca.Request{
		At:      at,
		Overlap: 24 * time.Hour,
		Moves:   orgca.Moves{Waves: orgca.DefaultWaves(), Hold: orgca.DefaultHold, OnHalt: orgca.RollBackOnHalt},
	})
	began, line := time.Time{}, ""
	for range 26 * 60 {
		f.pass()
		org := f.Org(t)
		if org.Pointer.Current == 1 {
			continue
		}
		if began.IsZero() {
			if began = f.Now(); began.Before(at) || began.Sub(at) > time.Minute {
				t.Errorf("begun at %s, want the first run at or after %s", began, at)
			}
		}
		if _, line = f.look(line); org.Reissue.State == orgca.Finished {
			break
		}
	}
	f.pass() // the job notes the end
	moved := 0
	for _, a := range f.agents {
		if a.generation == 2 {
			moved++
		}
		if !a.outside && a.generation != 2 {
			t.Errorf("%s is under G%d", a.id, a.generation)
		}
	}
	r := f.Org(t).Reissue
	t.Logf("%d of %d agents moved, %d owners of others notified, %d token requests failed", moved, len(f.agents),
		r.Notified, f.failed)
	// The owners of the BYOCA agents, and the owners of agents that have renewed after their slot.
	if r.State != orgca.Finished || r.Notified < int64(fleetSize()/10) || f.failed > 0 {
		t.Errorf("the end is %+v", r)
	}
	f.Advance(24 * time.Hour)
	f.run()
	f.ends(map[audit.Event]int{audit.RotationScheduled: 1, audit.OrgCARotated: 1, audit.RotationWave: 2,
		audit.RotationHalted: 0, audit.RotationFinished: 1})
	for _, row := range timeline(t, f.Mastio) {
		t.Log(row)
	}
}
