package upload_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/upload"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// tool runs a program and returns what it printed. A machine without it skips the test, except in CI.
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

// now is for the programs that verify at no other time.
func aroundNow(now time.Time) change {
	return func(f *form) { f.from, f.to = now.AddDate(0, 0, -1), now.AddDate(5, 0, 0) }
}

// adoptedCA is an uploaded CA at work: what was uploaded, and what issues under it.
type adoptedCA struct {
	name   string
	upload []*party // the CA first
	legacy bool
}

// adoptions are one of each kind of key, chains, a legacy root, and CAs that differ from the Mastio's own in every way
// that is allowed.
func adoptions(t *testing.T, now time.Time) (all []adoptedCA) {
	for _, c := range []struct {
		name string
		key  crypto.Signer
	}{
		{"P-256", p256(t, "ca")}, {"P-384", ec(t, elliptic.P384(), "ca")}, {"RSA-2048", rsaOf(t, 2048)},
		{"RSA-3072", rsaOf(t, 3072)}, {"RSA-4096", rsaOf(t, 4096)},
	} {
		all = append(all,
			adoptedCA{c.name, []*party{found(t, "acme root", c.key, nil, aroundNow(now))}, false},
			adoptedCA{"legacy " + c.name, []*party{found(t, "acme root", c.key, nil, aroundNow(now), pathLen(0))}, true})
	}
	root := found(t, "holding root", rsaOf(t, 3072), nil, aroundNow(now), pathLen(4),
		func(f *form) { f.to = now.AddDate(1, 0, 0) })
	upper := found(t, "holding upper", ec(t, elliptic.P384(), "upper"), root, aroundNow(now), pathLen(3))
	middle := found(t, "holding middle", rsaOf(t, 2304), upper, aroundNow(now))
	low := found(t, "acme CA", p256(t, "low"), middle, aroundNow(now), pathLen(1),
		func(f *form) { f.set(oidSKI, nil, octets([]byte{7})) })
	return append(all,
		adoptedCA{"chain of four", []*party{low, middle, upper, root}, false},
		adoptedCA{"CA of the issuing CA's name", []*party{found(t, "", p256(t, "ca"), nil, aroundNow(now), func(f *form) {
			f.subject = seq(tlv(0x31, seq(oid(2, 5, 4, 10), tlv(0x0c, []byte("acme")))),
				tlv(0x31, seq(oid(2, 5, 4, 3), tlv(0x0c, []byte("acme Mastio CA G2")))))
			f.set(oidSKI, nil, octets([]byte("another")))
		})}, false},
		adoptedCA{"confined to clientAuth, PSS",
			[]*party{found(t, "acme root", rsaOf(t, 2048), nil, aroundNow(now), func(f *form) {
				f.signed, f.pss = pssSHA256, true
				f.set(oidEKU, nil, seq(oid(1, 3, 6, 1, 5, 5, 7, 3, 2)))
				f.set(oidCP, nil, seq(seq(oid(2, 5, 29, 32, 0))))
			})}, false},
	)
}

// issueUnder reads the upload and issues an agent's certificate under it as a generation does.
func issueUnder(t *testing.T, a adoptedCA, now time.Time) (leaf *x509.Certificate, chain []*x509.Certificate) {
	t.Helper()
	var file []byte
	for _, p := range a.upload {
		file = append(file, p.pem()...)
	}
	m, err := upload.Read(file, pkcs8(t, a.upload[0].key), upload.Policy{Now: now, Legacy: a.legacy})
	if err != nil {
		t.Fatal(err)
	}
	authority := pki.Authority{Chain: m.Chain, Key: m.Key}
	if m.Legacy != a.legacy {
		t.Fatalf("legacy = %t", m.Legacy)
	}
	if !m.Legacy {
		authority = pkitest.Issuing(t, authority, "acme", 2, now)
	}
	leaf, _ = pkitest.Agent(t, authority, "acme::billing", now)
	return leaf, authority.Chain
}

func TestChainsUnderUploadedCAsVerify(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	for _, a := range adoptions(t, now) {
		t.Run(a.name, func(t *testing.T) {
			leaf, chain := issueUnder(t, a, now)
			t.Run("encoding", func(t *testing.T) { checkEncoding(t, a, leaf, chain) })
			t.Run("go", func(t *testing.T) { verifyByGo(t, leaf, chain, now) })
			dir := t.TempDir()
			last := len(chain) - 1
			write := func(name string, cs ...*x509.Certificate) string {
				file := filepath.Join(dir, name)
				if err := os.WriteFile(file, pki.EncodeCertificates(cs...), 0o600); err != nil {
					t.Fatal(err)
				}
				return file
			}
			root := write("root.pem", chain[last])
			t.Run("openssl", func(t *testing.T) {
				args := []string{"verify", "-x509_strict", "-check_ss_sig", "-no-CApath", "-no-CAstore", "-purpose", "sslclient",
					"-CAfile", root}
				if last > 0 {
					args = append(args, "-untrusted", write("between.pem", chain[:last]...))
				}
				if out, err := tool(t, "openssl", append(args, write("leaf.pem", leaf))...); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
			t.Run("certtool", func(t *testing.T) {
				whole := write("chain.pem", slices.Concat([]*x509.Certificate{leaf}, chain[:last])...)
				out, err := tool(t, "certtool", "--verify", "--verify-purpose", "1.3.6.1.5.5.7.3.2", "--load-ca-certificate", root,
					"--infile", whole)
				if err != nil || !strings.Contains(out, "Chain verification output: Verified") {
					t.Errorf("%v: %s", err, out)
				}
			})
		})
	}
}

func verifyByGo(t *testing.T, leaf *x509.Certificate, chain []*x509.Certificate, now time.Time) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(chain[len(chain)-1])
	for _, c := range chain[:len(chain)-1] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: between,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		t.Error(err)
	}
}

// checkEncoding looks at what no verifier reports: the encoded path lengths, who names whom, and how long it all
// lives.
func checkEncoding(t *testing.T, a adoptedCA, leaf *x509.Certificate, chain []*x509.Certificate) {
	if n, ok := encodedPathLen(t, leaf); ok {
		t.Errorf("leaf has pathLen %d", n)
	}
	want := len(a.upload)
	if !a.legacy {
		want++
	}
	if len(chain) != want {
		t.Fatalf("chain of %d, want %d", len(chain), want)
	}
	if n, ok := encodedPathLen(t, chain[0]); !ok || n != 0 {
		t.Errorf("pathLen of the CA that issues leaves = %d, %t; want 0", n, ok)
	}
	for i, c := range chain[1:] {
		if n, ok := encodedPathLen(t, c); ok && n < i+1 {
			t.Errorf("pathLen %d above %d CAs", n, i+1)
		}
	}
	serials := map[string]bool{}
	for i, c := range slices.Concat([]*x509.Certificate{leaf}, chain) {
		serials[c.SerialNumber.String()] = true
		if i == len(chain) {
			break
		}
		up := chain[i]
		if string(c.AuthorityKeyId) != string(up.SubjectKeyId) || c.Issuer.String() != up.Subject.String() {
			t.Errorf("%s does not name %s", c.Subject, up.Subject)
		}
		made := i == 0 || i == 1 && !a.legacy
		for _, above := range chain[i:] {
			if made && (c.NotAfter.After(above.NotAfter) || c.NotBefore.Before(above.NotBefore)) {
				t.Errorf("%s lives longer than %s", c.Subject, above.Subject)
			}
		}
	}
	if len(serials) < 2 {
		t.Error("serial numbers repeat")
	}
}

// encodedPathLen decodes basicConstraints without package pki or x509.
func encodedPathLen(t *testing.T, c *x509.Certificate) (n int, ok bool) {
	t.Helper()
	for _, e := range c.Extensions {
		if e.Id.String() != "2.5.29.19" {
			continue
		}
		var bc struct {
			CA      bool `asn1:"optional"`
			PathLen int  `asn1:"optional,default:-1"`
		}
		if _, err := asn1.Unmarshal(e.Value, &bc); err != nil || !e.Critical {
			t.Errorf("basicConstraints of %s: %v, critical %t", c.Subject, err, e.Critical)
		}
		return bc.PathLen, bc.PathLen >= 0
	}
	return 0, false
}

// What this refuses for its path length, the programs refuse as soon as a CA and a leaf are below it.
func TestProgramsAgreeOnPathLen(t *testing.T) {
	now := time.Now().UTC()
	key := p256(t, "ca")
	root := found(t, "acme root", key, nil, aroundNow(now), pathLen(0))
	issuing := found(t, "acme issuing", p256(t, "issuing"), root, aroundNow(now), pathLen(0))
	leaf := found(t, "agent", p256(t, "leaf"), issuing, aroundNow(now), drop(oidBC),
		set(oidKU, yes, []byte{3, 2, 7, 0x80}), set(oidEKU, nil, seq(oid(1, 3, 6, 1, 5, 5, 7, 3, 2))))
	if _, err := upload.Read(root.pem(), pkcs8(t, key), upload.Policy{Now: now}); !strings.Contains(err.Error(),
		string(upload.PathLenZero)) {
		t.Errorf("err = %v", err)
	}
	dir := t.TempDir()
	file := func(name string, ps ...*party) string {
		var out []byte
		for _, p := range ps {
			out = append(out, p.pem()...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), out, 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	t.Run("openssl", func(t *testing.T) {
		out, err := tool(t, "openssl", "verify", "-CAfile", file("root.pem", root), "-untrusted",
			file("issuing.pem", issuing), file("leaf.pem", leaf))
		if err == nil || !strings.Contains(out, "path length constraint exceeded") {
			t.Errorf("openssl: %v, %s", err, out)
		}
	})
	t.Run("certtool", func(t *testing.T) {
		out, err := tool(t, "certtool", "--verify", "--load-ca-certificate", file("root.pem", root), "--infile",
			file("chain.pem", leaf, issuing))
		if err == nil && strings.Contains(out, "Chain verification output: Verified") {
			t.Errorf("certtool: %v, %s", err, out)
		}
	})
}
