package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"github.com/mastio-aws/mastio/test/pkitest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 700, time.UTC)

// The longest names there can be: `{org}::{name}` and the CAs' names exceed a CN.
var (
	longOrg  = strings.Repeat("o", 64)
	longName = strings.Repeat("n", 64)
)

// subjects is one certificate of each kind, each with the chain above it.
func subjects(t testing.TB) map[string][]*x509.Certificate {
	t.Helper()
	authority := pkitest.Authority(t, "acme", 7, noon)
	long := pkitest.Authority(t, longOrg, 7, noon)
	legacy := pkitest.Legacy(t, "acme", noon)
	agent, _ := pkitest.Agent(t, authority, "acme::billing-bot", noon)
	longAgent, _ := pkitest.Agent(t, long, longOrg+"::"+longName, noon)
	legacyAgent, _ := pkitest.Agent(t, legacy, "acme::billing-bot", noon)
	return map[string][]*x509.Certificate{
		"root":         authority.Chain[1:],
		"issuing":      authority.Chain,
		"agent":        append([]*x509.Certificate{agent}, authority.Chain...),
		"long_root":    long.Chain[1:],
		"long_issuing": long.Chain,
		"long_agent":   append([]*x509.Certificate{longAgent}, long.Chain...),
		"legacy_agent": append([]*x509.Certificate{legacyAgent}, legacy.Chain...),
	}
}

func TestProfiles(t *testing.T) {
	for name, chain := range subjects(t) {
		t.Run(name, func(t *testing.T) {
			issuer := chain[min(1, len(chain)-1)]
			got := render(t, chain[0], issuer)
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("profile changed (-want +got):\n%s", diff)
			}
		})
	}
}

// render writes out every field of a certificate; of random ones, whether they are what they should be.
func render(t *testing.T, cert, issuer *x509.Certificate) string {
	t.Helper()
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		t.Fatalf("public key is a %T", cert.PublicKey)
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s%s\n", name, fmt.Sprintf(format, args...))
	}
	line("version", "%d", cert.Version)
	line("serial", "positive %t, at most 17 octets %t", cert.SerialNumber.Sign() > 0, cert.SerialNumber.BitLen() <= 129)
	line("signature", "%v", cert.SignatureAlgorithm)
	line("issuer", "%s", cert.Issuer)
	line("not before", "%s", cert.NotBefore.Format(time.RFC3339))
	line("not after", "%s", cert.NotAfter.Format(time.RFC3339))
	line("subject", "%s", cert.Subject)
	line("key", "%v %s", cert.PublicKeyAlgorithm, key.Curve.Params().Name)
	for _, ext := range cert.Extensions {
		critical := ""
		if ext.Critical {
			critical = " critical"
		}
		line(ext.Id.String(), "%s%s", extension(t, cert, issuer, ext.Id.String(), ext.Value), critical)
	}
	return b.String()
}

// extension spells the DER of an extension in hex, except identifiers of random keys.
func extension(t *testing.T, cert, issuer *x509.Certificate, oid string, value []byte) string {
	t.Helper()
	ski, aki := []byte{0x04, 20}, []byte{0x30, 22, 0x80, 20}
	switch {
	case oid == "2.5.29.14" && bytes.Equal(value, append(ski, wantKeyID(t, cert)...)):
		return "SKI: leftmost 160 bits of the key's SHA-256"
	case oid == "2.5.29.35" && bytes.Equal(value, append(aki, issuer.SubjectKeyId...)):
		return "AKI: key identifier of the issuer"
	case oid == "2.5.29.15":
		return fmt.Sprintf("KU: %x, bits %b", value, cert.KeyUsage)
	case oid == "2.5.29.17":
		return fmt.Sprintf("SAN: %x, URIs %v", value, cert.URIs)
	case oid == "2.5.29.19":
		return fmt.Sprintf("BC: %x, CA %t, pathLen %d", value, cert.IsCA, cert.MaxPathLen)
	case oid == "2.5.29.37":
		return fmt.Sprintf("EKU: %x, clientAuth %t", value, slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth))
	}
	return fmt.Sprintf("%x", value)
}

// wantKeyID is RFC 7093 section 2 method 1 over the uncompressed point, which is what the BIT STRING holds.
func wantKeyID(t *testing.T, cert *x509.Certificate) []byte {
	t.Helper()
	point, err := cert.PublicKey.(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(point)
	return sum[:20]
}

func TestLint(t *testing.T) {
	lints, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{
		lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, chain := range subjects(t) {
		t.Run(name, func(t *testing.T) { lintOne(t, chain[0].Raw, lints) })
	}
}

func lintOne(t *testing.T, der []byte, lints lint.Registry) {
	cert, err := zx509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for id, result := range zlint.LintCertificateEx(cert, lints).Results {
		switch result.Status {
		case lint.Pass:
			passed++
		case lint.NA, lint.NE:
		default:
			t.Errorf("%s: %v %s", id, result.Status, result.Details)
		}
	}
	if passed < 20 {
		t.Errorf("only %d lints applied", passed)
	}
}
