package pki_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

type certs = []*x509.Certificate

func TestVerifyChainAccepts(t *testing.T) {
	authority, legacy := pkitest.Authority(t, "acme", 1, noon), pkitest.Legacy(t, "acme", noon)
	root := pkitest.Root(t, "acme", 1, noon)
	for name, issuer := range map[string]pki.Authority{"three tiers": authority, "legacy root": legacy,
		"root of two tiers": root} {
		t.Run(name, func(t *testing.T) {
			leaf, _ := pkitest.Agent(t, issuer, "acme::a", noon)
			if err := pki.VerifyChain(leaf, issuer.Chain, noon.AddDate(0, 6, 0)); err != nil {
				t.Errorf("leaf: %v", err)
			}
			if err := pki.VerifyAuthority(issuer.Chain, noon); err != nil {
				t.Errorf("authority: %v", err)
			}
		})
	}
}

// bare makes a chain and a leaf without package pki's own checks.
type bare struct {
	t     *testing.T
	chain certs
	key   *pkitest.Signer
}

func (b bare) under(template *x509.Certificate) bare {
	key := pkitest.Key(b.t)
	issuer := pki.Authority{Chain: b.chain, Key: b.key}
	if len(b.chain) == 0 {
		issuer.Key = key
	}
	cert := pkitest.Sign(b.t, template, issuer, key.Public())
	return bare{b.t, append(certs{cert}, b.chain...), key}
}

func ca(name string, pathLen int) *x509.Certificate { return pkitest.CATemplate(name, pathLen, noon) }

func leafTemplate() *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: "leaf"},
		NotBefore:   noon.Add(-time.Minute),
		NotAfter:    noon.AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func with(template *x509.Certificate, change func(*x509.Certificate)) *x509.Certificate {
	change(template)
	return template
}

// constraintsOf replaces the basicConstraints that x509 would encode.
func constraintsOf(critical bool, der ...byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: critical, Value: der}}
	}
}

func TestVerifyChainRefuses(t *testing.T) {
	start := bare{t: t}
	root := start.under(ca("root", 1))
	issuing := root.under(ca("issuing", 0))
	good := issuing.under(leafTemplate())
	other := start.under(ca("root", 1))
	tests := []struct {
		name string
		path certs // leaf first
		now  time.Time
		want error
	}{
		{"no leaf", append(certs{nil}, issuing.chain...), noon, pki.ErrChain},
		{"no chain", good.chain[:1], noon, pki.ErrChain},
		{"hole in the chain", certs{good.chain[0], nil, root.chain[0]}, noon, pki.ErrChain},
		{"unparsed certificate", certs{good.chain[0], {}}, noon, pki.ErrChain},
		{"root missing", good.chain[:2], noon, pki.ErrChain},
		{"another root of that name", certs{good.chain[0], good.chain[1], other.chain[0]}, noon, pki.ErrChain},
		{"out of order", certs{good.chain[0], root.chain[0], issuing.chain[0]}, noon, pki.ErrChain},
		{"one certificate too many", certs{good.chain[0], good.chain[1], other.chain[0], root.chain[0]}, noon, pki.ErrChain},
		{"twice the same", certs{good.chain[0], good.chain[1], good.chain[1], root.chain[0]}, noon, pki.ErrChain},
		{"too early", good.chain, noon.Add(-time.Hour), pki.ErrChain},
		{"too late", good.chain, noon.AddDate(2, 0, 0), pki.ErrChain},
		{"leaf is a CA", issuing.chain, noon, pki.ErrChain},
		{"leaf has a path length", issuing.under(with(leafTemplate(), constraintsOf(true, 0x30, 3, 2, 1, 0))).chain, noon,
			pki.ErrChain},
		{"constraints with a tail", issuing.under(with(leafTemplate(), constraintsOf(true, 0x30, 0, 0x30, 0))).chain, noon,
			pki.ErrChain},
		{
			"leaf for servers", issuing.under(with(leafTemplate(), func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			})).chain, noon, pki.ErrChain,
		},
		{"pathLen 0 root above an issuing CA", start.under(ca("old", 0)).under(ca("issuing", 0)).under(leafTemplate()).chain,
			noon, pki.ErrPathLen},
		{"pathLen 1 root above two CAs", root.under(ca("a", -1)).under(ca("b", -1)).under(leafTemplate()).chain, noon,
			pki.ErrPathLen},
		{"pathLen 0 issuing CA above another",
			start.under(ca("free", -1)).under(ca("a", 0)).under(ca("b", -1)).under(leafTemplate()).chain, noon, pki.ErrPathLen},
		{"self-issued CA below pathLen 0", start.under(ca("old", 0)).under(ca("old", 0)).under(leafTemplate()).chain, noon,
			pki.ErrPathLen},
		{"root is no CA", start.under(leafTemplate()).under(leafTemplate()).chain, noon, pki.ErrChain},
		{
			"constraints not critical", start.under(with(ca("lax", 1), constraintsOf(false, 0x30, 3, 1, 1, 0xff))).
				under(leafTemplate()).chain, noon, pki.ErrChain,
		},
		{
			"issuer may not sign certificates",
			start.under(with(ca("crl only", 1), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })).
				under(leafTemplate()).chain, noon, pki.ErrChain,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := pki.VerifyChain(tt.path[0], tt.path[1:], tt.now)
			if !errors.Is(err, tt.want) || !errors.Is(err, pki.ErrChain) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if errors.Is(err, pki.ErrPathLen) != errors.Is(tt.want, pki.ErrPathLen) {
				t.Errorf("got %v: path length is not the reason", err)
			}
		})
	}
	if err := pki.VerifyChain(good.chain[0], good.chain[1:], noon); err != nil {
		t.Errorf("what the bad chains start from: %v", err)
	}
}

// A verifier's own reason stays within reach: callers use it to distinguish an expired certificate from a foreign one.
func TestVerifyChainKeepsTheReason(t *testing.T) {
	authority := pkitest.Authority(t, "acme", 1, noon)
	leaf, _ := pkitest.Agent(t, authority, "acme::a", noon)
	var invalid x509.CertificateInvalidError
	if err := pki.VerifyChain(leaf, authority.Chain, noon.AddDate(1, 1, 0)); !errors.As(err, &invalid) ||
		invalid.Reason != x509.Expired {
		t.Errorf("got %v, want x509.Expired within", err)
	}
}

func TestVerifyChainComparesKeyIdentifiers(t *testing.T) {
	// Two roots of one name and one key, but with different identifiers: signature and names fit, the AKI does not.
	key := pkitest.Key(t)
	twin := func(id byte) certs {
		template := with(ca("twin", 1), func(c *x509.Certificate) { c.SubjectKeyId = []byte{id, id, id, id} })
		return certs{pkitest.Sign(t, template, pki.Authority{Key: key}, key.Public())}
	}
	first, second := twin(1), twin(2)
	leaf := pkitest.Sign(t, leafTemplate(), pki.Authority{Chain: first, Key: key}, pkitest.Key(t).Public())
	if err := pki.VerifyChain(leaf, first, noon); err != nil {
		t.Errorf("under the issuer it names: %v", err)
	}
	if err := pki.VerifyChain(leaf, second, noon); !errors.Is(err, pki.ErrChain) {
		t.Errorf("under the other: got %v, want ErrChain", err)
	}
}

// The path found must be the path given: here the identifiers and the signatures fit, but one root is superfluous.
func TestVerifyChainWantsNoMoreThanItNeeds(t *testing.T) {
	first := bare{t: t}.under(ca("root", 5))
	again := pkitest.Sign(t, ca("root", 5), pki.Authority{Key: first.key}, first.key.Public())
	leaf := first.under(leafTemplate()).chain[0]
	if err := pki.VerifyChain(leaf, first.chain, noon); err != nil {
		t.Fatal(err)
	}
	if err := pki.VerifyChain(leaf, certs{again, first.chain[0]}, noon); !errors.Is(err, pki.ErrChain) {
		t.Errorf("got %v, want ErrChain", err)
	}
}

func TestVerifyAuthorityRefuses(t *testing.T) {
	start := bare{t: t}
	root := start.under(ca("root", 1))
	forged := start.under(ca("root", 1)).under(ca("root", 1)) // names itself its issuer, signed by another key
	tests := map[string]struct {
		chain certs
		want  error
	}{
		"nothing":                {nil, pki.ErrChain},
		"a leaf":                 {root.under(leafTemplate()).chain, pki.ErrChain},
		"issuing under pathLen0": {start.under(ca("old", 0)).under(ca("issuing", 0)).chain, pki.ErrPathLen},
		"forged root":            {forged.chain[:1], pki.ErrChain},
		"expired": {start.under(with(ca("old", 1),
			func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Minute) })).chain, pki.ErrChain},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := pki.VerifyAuthority(tt.chain, noon); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestLegacyPathLenZero(t *testing.T) {
	start := bare{t: t}
	tests := map[string]struct {
		root *x509.Certificate
		want bool
	}{
		"legacy":       {pkitest.Legacy(t, "acme", noon).Chain[0], true},
		"minted":       {pkitest.Root(t, "acme", 1, noon).Chain[0], false},
		"unlimited":    {start.under(ca("free", -1)).chain[0], false},
		"not a CA":     {start.under(leafTemplate()).chain[0], false},
		"none":         {nil, false},
		"CA:FALSE":     {start.under(with(leafTemplate(), constraintsOf(true, 0x30, 3, 2, 1, 0))).chain[0], false},
		"not critical": {start.under(with(ca("lax", 0), constraintsOf(false, 0x30, 6, 1, 1, 0xff, 2, 1, 0))).chain[0], true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := pki.LegacyPathLenZero(tt.root); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// A verifier must not reorder or extend the caller's slice.
func TestVerifyChainLeavesItsArguments(t *testing.T) {
	authority := pkitest.Authority(t, "acme", 1, noon)
	leaf, _ := pkitest.Agent(t, authority, "acme::a", noon)
	before := slices.Clone(authority.Chain)
	if err := pki.VerifyChain(leaf, authority.Chain[:2:2], noon); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, authority.Chain) {
		t.Error("chain changed")
	}
}
