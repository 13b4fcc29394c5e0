package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

func TestOneSignatureEach(t *testing.T) {
	rootKey := pkitest.Key(t)
	params := pki.CAParams{Org: "acme", Generation: 1, Now: noon}
	root, err := pki.NewRoot(params, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	if got := rootKey.Calls(); got != 1 {
		t.Errorf("root: %d signatures, want 1", got)
	}
	issuing := pkitest.Issuing(t, pki.Authority{Chain: certs{root}, Key: rootKey}, "acme", 1, noon)
	if got := rootKey.Calls(); got != 2 {
		t.Errorf("root and issuing CA: %d signatures, want 2", got)
	}
	pkitest.Agent(t, issuing, "acme::a", noon)
	if got := issuing.Key.(*pkitest.Signer).Calls(); got != 1 {
		t.Errorf("agent: %d signatures, want 1", got)
	}
}

// identifiers draws organisations and names, the longest included.
func identifiers() *rapid.Generator[string] {
	return rapid.StringMatching(`[a-zA-Z0-9._-]{1,64}`).Filter(func(s string) bool { return s != "." && s != ".." })
}

func TestIssueAgentProperties(t *testing.T) {
	key := pkitest.Key(t)
	rapid.Check(t, func(rt *rapid.T) {
		org, name := identifiers().Draw(rt, "org"), identifiers().Draw(rt, "name")
		made := time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "made"), rapid.Int64Range(0, 999_999_999).Draw(rt, "ns"))
		authority := pkitest.Authority(t, org, rapid.Int64Min(1).Draw(rt, "generation"), made)
		params := pkitest.AgentParams(t, org+"::"+name, key.Public(),
			made.Add(time.Duration(rapid.Int64Range(0, int64(5*364*24*time.Hour)).Draw(rt, "age"))))
		params.Validity = time.Duration(rapid.Int64Range(int64(pki.MinValidity), int64(pki.MaxValidity)).Draw(rt, "validity"))

		cert, err := authority.IssueAgent(params)
		if err != nil {
			rt.Fatal(err)
		}
		checkIssued(rt, cert, authority, params)
	})
}

func checkIssued(t *rapid.T, cert *x509.Certificate, authority pki.Authority, p pki.AgentParams) {
	issuer := authority.Chain[0]
	if cert.NotBefore.Before(issuer.NotBefore) || cert.NotAfter.After(issuer.NotAfter) {
		t.Errorf("valid %v to %v, issuer %v to %v", cert.NotBefore, cert.NotAfter, issuer.NotBefore, issuer.NotAfter)
	}
	if want := p.Now.Add(p.Validity); cert.NotAfter.After(want) {
		t.Errorf("not after %v, asked for %v", cert.NotAfter, want)
	}
	if bits := cert.SerialNumber.BitLen(); cert.SerialNumber.Sign() <= 0 || bits >= 20*8 {
		t.Errorf("serial of %d bits, sign %d", bits, cert.SerialNumber.Sign())
	}
	if err := pki.VerifyChain(cert, authority.Chain, p.Now); err != nil {
		t.Error(err)
	}
	if got, ok := pki.URI(cert); !ok || got != p.SPIFFEID {
		t.Errorf("URI %q, want %q", got, p.SPIFFEID)
	}
	for _, c := range slices.Concat([]*x509.Certificate{cert}, authority.Chain) {
		if len(c.Subject.CommonName) > 64 || c.Subject.Organization[0] != p.Org {
			t.Errorf("subject %s", c.Subject)
		}
	}
	if got := authority.Key.(*pkitest.Signer).Calls(); got != 1 {
		t.Errorf("%d signatures, want 1", got)
	}
}

// An uploaded CA may outlive its root. What is issued under it must not.
func TestValidityIsCutToTheRoots(t *testing.T) {
	rootKey, caKey := pkitest.Key(t), pkitest.Key(t)
	template := pkitest.CATemplate("holding root", -1, noon)
	template.NotAfter = noon.AddDate(0, 3, 0)
	root := pkitest.Sign(t, template, pki.Authority{Key: rootKey}, rootKey.Public())
	ca := pkitest.Sign(t, pkitest.CATemplate("acme CA", -1, noon), pki.Authority{
		Chain: certs{root},
		Key:   rootKey,
	}, caKey.Public())
	issuing := pkitest.Issuing(t, pki.Authority{Chain: certs{ca, root}, Key: caKey}, "acme", 1, noon)
	if got := issuing.Chain[0].NotAfter; !got.Equal(root.NotAfter) || !ca.NotAfter.After(root.NotAfter) {
		t.Errorf("issuing CA until %v, root until %v, CA until %v", got, root.NotAfter, ca.NotAfter)
	}
	leaf, _ := pkitest.Agent(t, issuing, "acme::a", noon)
	if !leaf.NotAfter.Equal(root.NotAfter) {
		t.Errorf("leaf until %v, root until %v", leaf.NotAfter, root.NotAfter)
	}
}

// Two CAs of one name: the issuing CA must still say by which of them it was issued.
func TestIssuerOfTheSameNameIsNamedByItsKey(t *testing.T) {
	key := pkitest.Key(t)
	template := pkitest.CATemplate("acme Mastio CA G3", -1, noon)
	template.Subject.Organization = []string{"acme"}
	ca := pkitest.Sign(t, template, pki.Authority{Key: key}, key.Public())
	issuing := pkitest.Issuing(t, pki.Authority{Chain: certs{ca}, Key: key}, "acme", 3, noon).Chain[0]
	if !bytes.Equal(issuing.RawSubject, ca.RawSubject) || !bytes.Equal(issuing.AuthorityKeyId, ca.SubjectKeyId) {
		t.Errorf("%s names %x, want %x", issuing.Subject, issuing.AuthorityKeyId, ca.SubjectKeyId)
	}
}

func TestValidityIsCutToTheIssuers(t *testing.T) {
	authority := pkitest.Authority(t, "acme", 1, noon)
	issuer := authority.Chain[0]
	late, _ := pkitest.Agent(t, authority, "acme::late", issuer.NotAfter.Add(-time.Hour))
	if !late.NotAfter.Equal(issuer.NotAfter) {
		t.Errorf("leaf ends %v, issuer %v", late.NotAfter, issuer.NotAfter)
	}
	early, _ := pkitest.Agent(t, authority, "acme::early", issuer.NotBefore)
	if !early.NotBefore.Equal(issuer.NotBefore) {
		t.Errorf("leaf begins %v, issuer %v", early.NotBefore, issuer.NotBefore)
	}
	root := pkitest.Root(t, "acme", 2, noon)
	issuing := pkitest.Issuing(t, root, "acme", 2, noon.AddDate(12, 0, 0))
	if got, want := issuing.Chain[0].NotAfter, root.Chain[0].NotAfter; !got.Equal(want) {
		t.Errorf("issuing CA ends %v, root %v", got, want)
	}
}

// signers are CA keys of every kind that may be uploaded.
func signers(t *testing.T) map[x509.SignatureAlgorithm]crypto.Signer {
	t.Helper()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[x509.SignatureAlgorithm]crypto.Signer{
		x509.ECDSAWithSHA256: pkitest.Key(t), x509.ECDSAWithSHA384: p384, x509.SHA256WithRSA: rsa2048,
	}
}

func TestSignatureFollowsTheSignersKey(t *testing.T) {
	for want, key := range signers(t) {
		t.Run(want.String(), func(t *testing.T) {
			chain := certs{pkitest.Sign(t, ca("uploaded", 1), pki.Authority{Key: key}, key.Public())}
			uploaded := pki.Authority{Chain: chain, Key: key}
			leaf, _ := pkitest.Agent(t, uploaded, "acme::a", noon)
			issuing := pkitest.Issuing(t, uploaded, "acme", 2, noon)
			for _, cert := range []*x509.Certificate{leaf, issuing.Chain[0]} {
				if cert.SignatureAlgorithm != want {
					t.Errorf("%q: %v, want %v", cert.Subject, cert.SignatureAlgorithm, want)
				}
			}
			if _, err := pki.NewRoot(pki.CAParams{Org: "acme", Generation: 1, Now: noon}, key); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestIssueAgentRefuses(t *testing.T) {
	good := pkitest.AgentParams(t, "acme::a", pkitest.Key(t).Public(), noon)
	edit := func(change func(*pki.AgentParams)) pki.AgentParams {
		p := good
		change(&p)
		return p
	}
	edDSA, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		params pki.AgentParams
		want   error
	}{
		"nothing":              {pki.AgentParams{}, pki.ErrProfile},
		"another organisation": {edit(func(p *pki.AgentParams) { p.Org = "globex" }), pki.ErrProfile},
		"no name":              {edit(func(p *pki.AgentParams) { p.AgentID = "acme::" }), pki.ErrProfile},
		"name with a slash": {edit(func(p *pki.AgentParams) { p.AgentID, p.SPIFFEID = "acme::a/b", p.SPIFFEID+"/b" }),
			pki.ErrProfile},
		"name too long": {edit(func(p *pki.AgentParams) { p.AgentID += longName; p.SPIFFEID += longName }),
			pki.ErrProfile},
		"another agent's SPIFFE": {edit(func(p *pki.AgentParams) { p.SPIFFEID += "b" }), pki.ErrProfile},
		"no SPIFFE ID":           {edit(func(p *pki.AgentParams) { p.SPIFFEID = "" }), pki.ErrSPIFFEID},
		"SPIFFE ID escaped": {edit(func(p *pki.AgentParams) { p.SPIFFEID = "spiffe://mastio.test/acme/%61" }),
			pki.ErrSPIFFEID},
		"too short":            {edit(func(p *pki.AgentParams) { p.Validity = time.Hour }), pki.ErrProfile},
		"negative":             {edit(func(p *pki.AgentParams) { p.Validity = -pki.MinValidity }), pki.ErrProfile},
		"too long":             {edit(func(p *pki.AgentParams) { p.Validity = pki.MaxValidity + 1 }), pki.ErrProfile},
		"no key":               {edit(func(p *pki.AgentParams) { p.PublicKey = nil }), pki.ErrKey},
		"Ed25519":              {edit(func(p *pki.AgentParams) { p.PublicKey = edDSA }), pki.ErrKey},
		"issuer expired":       {edit(func(p *pki.AgentParams) { p.Now = noon.AddDate(6, 0, 0) }), pki.ErrChain},
		"issuer not yet valid": {edit(func(p *pki.AgentParams) { p.Now = noon.AddDate(-1, 0, 0) }), pki.ErrChain},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			authority := pkitest.Authority(t, "acme", 1, noon)
			cert, err := authority.IssueAgent(tt.params)
			if !errors.Is(err, tt.want) || cert != nil {
				t.Errorf("got %v, %v, want %v", cert, err, tt.want)
			}
			if got := authority.Key.(*pkitest.Signer).Calls(); got != 0 {
				t.Errorf("%d signatures on a refusal, want none", got)
			}
		})
	}
}

func TestAuthorityRefuses(t *testing.T) {
	authority, legacy := pkitest.Authority(t, "acme", 1, noon), pkitest.Legacy(t, "acme", noon)
	leaf, leafKey := pkitest.Agent(t, authority, "acme::a", noon)
	below := bare{t, legacy.Chain, legacy.Key.(*pkitest.Signer)}.under(ca("issuing", 0))
	start := bare{t: t}
	p521 := ecKey(t, elliptic.P521())
	odd := certs{pkitest.Sign(t, ca("odd", 1), pki.Authority{Key: p521}, p521.Public())}
	nameless := start.under(with(leafTemplate(), func(c *x509.Certificate) {
		constraintsOf(true, 0x30, 3, 1, 1, 0xff)(c)
		c.KeyUsage, c.BasicConstraintsValid = x509.KeyUsageCertSign, false
	}))
	outlived := start.under(with(ca("short", 1),
		func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) })).under(ca("issuing", 0))
	impostor := start.under(with(ca("acme Org CA G1", 1), func(c *x509.Certificate) {
		c.RawSubject, c.SubjectKeyId = authority.Chain[1].RawSubject, authority.Chain[1].SubjectKeyId
	}))
	tests := map[string]struct {
		authority pki.Authority
		want      error
	}{
		"nothing":           {pki.Authority{}, pki.ErrChain},
		"no chain":          {pki.Authority{Key: authority.Key}, pki.ErrChain},
		"nil certificate":   {pki.Authority{Key: authority.Key, Chain: certs{nil}}, pki.ErrChain},
		"no root":           {pki.Authority{Key: authority.Key, Chain: authority.Chain[:1]}, pki.ErrChain},
		"another's key":     {pki.Authority{Key: pkitest.Key(t), Chain: authority.Chain}, pki.ErrChain},
		"a leaf":            {pki.Authority{Key: leafKey, Chain: append(certs{leaf}, authority.Chain...)}, pki.ErrChain},
		"P-521":             {pki.Authority{Key: p521, Chain: odd}, pki.ErrChain},
		"no key identifier": {pki.Authority{Key: nameless.key, Chain: nameless.chain}, pki.ErrChain},
		"root expired":      {pki.Authority{Key: outlived.key, Chain: outlived.chain}, pki.ErrChain},
		"root is an impostor": {pki.Authority{
			Key:   authority.Key,
			Chain: append(authority.Chain[:1:1], impostor.chain...),
		}, pki.ErrChain},
		"issuing under pathLen": {pki.Authority{Key: below.key, Chain: below.chain}, pki.ErrPathLen},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cert, err := tt.authority.IssueAgent(pkitest.AgentParams(t, "acme::b", pkitest.Key(t).Public(), noon))
			if !errors.Is(err, tt.want) || errors.Is(err, pki.ErrKey) || cert != nil {
				t.Errorf("got %v, %v, want %v, and not the agent's key to blame", cert, err, tt.want)
			}
		})
	}
}

func TestNewIssuingRefuses(t *testing.T) {
	authority, root := pkitest.Authority(t, "acme", 1, noon), pkitest.Root(t, "acme", 1, noon)
	good := pkitest.Key(t).Public()
	forged := bare{t: t}.under(ca("root", 1)).under(ca("root", 1)) // names itself its issuer, signed by another key
	tests := map[string]struct {
		root pki.Authority
		pub  crypto.PublicKey
		now  time.Time
		want error
	}{
		"nothing":          {pki.Authority{}, good, noon, pki.ErrChain},
		"another's key":    {pki.Authority{Chain: root.Chain, Key: pkitest.Key(t)}, good, noon, pki.ErrChain},
		"no public key":    {root, nil, noon, pki.ErrKey},
		"under an issuing": {authority, good, noon, pki.ErrPathLen},
		"forged root":      {pki.Authority{Chain: forged.chain[:1], Key: forged.key}, good, noon, pki.ErrChain},
		"root expired":     {root, good, noon.AddDate(16, 0, 0), pki.ErrChain},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cert, err := pki.NewIssuing(pki.CAParams{Org: "acme", Generation: 2, Now: tt.now}, tt.root, tt.pub)
			if !errors.Is(err, tt.want) || cert != nil {
				t.Errorf("got %v, %v, want %v", cert, err, tt.want)
			}
		})
	}
}

func TestNewIssuingUnderALegacyRootSignsNothing(t *testing.T) {
	legacy := pkitest.Legacy(t, "acme", noon)
	before := legacy.Key.(*pkitest.Signer).Calls()
	_, err := pki.NewIssuing(pki.CAParams{Org: "acme", Generation: 1, Now: noon}, legacy, pkitest.Key(t).Public())
	if !errors.Is(err, pki.ErrPathLen) {
		t.Errorf("got %v, want ErrPathLen", err)
	}
	if got := legacy.Key.(*pkitest.Signer).Calls(); got != before {
		t.Errorf("%d signatures on a refusal, want none", got-before)
	}
}

func TestCAParamsRefused(t *testing.T) {
	root := pkitest.Root(t, "acme", 1, noon)
	for name, p := range map[string]pki.CAParams{
		"no organisation":       {Generation: 1, Now: noon},
		"organisation too long": {Org: longOrg + "o", Generation: 1, Now: noon},
		"organisation of dots":  {Org: "..", Generation: 1, Now: noon},
		"organisation in words": {Org: "Acme Corp", Generation: 1, Now: noon},
		"generation 0":          {Org: "acme", Now: noon},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := pki.NewRoot(p, pkitest.Key(t)); !errors.Is(err, pki.ErrProfile) {
				t.Errorf("root: got %v, want ErrProfile", err)
			}
			if _, err := pki.NewIssuing(p, root, pkitest.Key(t).Public()); !errors.Is(err, pki.ErrProfile) {
				t.Errorf("issuing CA: got %v, want ErrProfile", err)
			}
		})
	}
	if _, err := pki.NewRoot(pki.CAParams{Org: "acme", Generation: 1, Now: noon}, nil); !errors.Is(err, pki.ErrKey) {
		t.Errorf("no signer: got %v, want ErrKey", err)
	}
}

// faulty is a signer that fails, or signs something else.
type faulty struct {
	crypto.Signer
	err error
}

func (f faulty) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Signer.Sign(random, bytes.Repeat([]byte{1}, len(digest)), opts)
}

func TestSignersFaults(t *testing.T) {
	authority := pkitest.Authority(t, "acme", 1, noon)
	params := pkitest.AgentParams(t, "acme::a", pkitest.Key(t).Public(), noon)
	outage := errors.New("throttled")
	if _, err := (pki.Authority{
		Chain: authority.Chain,
		Key:   faulty{authority.Key, outage},
	}).IssueAgent(params); !errors.Is(err, outage) {
		t.Errorf("got %v, want the signer's error", err)
	}
	if cert, err := (pki.Authority{
		Chain: authority.Chain,
		Key:   faulty{authority.Key, nil},
	}).IssueAgent(params); err == nil {
		t.Errorf("got %v from a signer that signs something else", cert.Subject)
	}
}

func BenchmarkIssueAgent(b *testing.B) {
	authority := pkitest.Authority(b, "acme", 1, noon)
	params := pkitest.AgentParams(b, "acme::a", pkitest.Key(b).Public(), noon)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := authority.IssueAgent(params); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyChain(b *testing.B) {
	authority := pkitest.Authority(b, "acme", 1, noon)
	leaf, _ := pkitest.Agent(b, authority, "acme::a", noon)
	b.ReportAllocs()
	for b.Loop() {
		if err := pki.VerifyChain(leaf, authority.Chain, noon); err != nil {
			b.Fatal(err)
		}
	}
}
