package pki_test

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// An Org CA below a root that has other CAs too vouches alone for its agents: a path past it is none, and what stands
// above it limits the path like everything else.
func TestVerifyUnderThrough(t *testing.T) {
	at := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	ca := func(name string, pathLen int, under pki.Authority) pki.Authority {
		key := pkitest.Key(t)
		if under.Key == nil {
			under = pki.Authority{Key: key}
		}
		cert := pkitest.Sign(t, pkitest.CATemplate(name, pathLen, at), under, key.Public())
		return pki.Authority{Chain: append([]*x509.Certificate{cert}, under.Chain...), Key: key}
	}
	leaf := func(under pki.Authority) *x509.Certificate {
		return pkitest.Sign(t, &x509.Certificate{
			NotBefore:             at,
			NotAfter:              at.Add(time.Hour),
			BasicConstraintsValid: true,
			KeyUsage:              x509.KeyUsageDigitalSignature,
			ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, under, pkitest.Key(t).Public())
	}
	root := ca("corporate root", 1, pki.Authority{})
	org, other := ca("Org CA", -1, root), ca("another department's", -1, root)
	below, otherBelow := ca("pipeline", 0, org), ca("pipeline", 0, other)
	trust := pki.Trust{Roots: root.Chain, Through: org.Chain[0], Known: org.Chain[:1]}
	for _, c := range []struct {
		name string
		leaf *x509.Certificate
		sent []*x509.Certificate
		want error
	}{
		{"by the Org CA", leaf(org), nil, nil},
		{"by the Org CA, sent along", leaf(org), org.Chain, nil},
		{"by the root", leaf(root), nil, pki.ErrChain},
		{"by another CA of the root", leaf(other), other.Chain, pki.ErrChain},
		{"below another CA, Org CA sent along", leaf(otherBelow), append(otherBelow.Chain, org.Chain...), pki.ErrChain},
		{"below the Org CA, too deep for the root", leaf(below), below.Chain, pki.ErrChain},
		{"below the Org CA, nothing sent", leaf(below), nil, pki.ErrChain},
		{"by nobody", leaf(ca("nobody", -1, pki.Authority{})), nil, pki.ErrChain},
		{"a CA", org.Chain[0], nil, pki.ErrChain},
	} {
		if err := pki.VerifyUnder(c.leaf, c.sent, trust, at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	deep := ca("root without a limit", -1, pki.Authority{})
	under := ca("Org CA", -1, deep)
	pipeline := ca("pipeline", 0, under)
	if err := pki.VerifyUnder(leaf(pipeline), pipeline.Chain, pki.Trust{
		Roots:   deep.Chain,
		Through: under.Chain[0],
	}, at); err != nil {
		t.Errorf("below the Org CA: %v", err)
	}
	if err := pki.VerifyUnder(leaf(org), nil, pki.Trust{
		Roots:   root.Chain,
		Through: nil,
		Known:   org.Chain[:1],
	}, at.Add(2*time.Hour)); !errors.Is(err, pki.ErrChain) {
		t.Errorf("after its end: %v", err)
	}
}
