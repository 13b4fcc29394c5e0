package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/pki/pkitest"
)

func TestCertificatesRoundTrip(t *testing.T) {
	want := pkitest.Authority(t, "acme", 1, noon).Chain
	text := pki.EncodeCertificates(want...)
	for name, in := range map[string][]byte{
		"as written":  text,
		"CRLF":        bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
		"white space": slices.Concat([]byte("\n "), pki.EncodeCertificates(want[0]), []byte("\n\n\t"), pki.EncodeCertificates(want[1]), []byte(" ")),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pki.ParseCertificates(in)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
				t.Errorf("got %d certificates, want the %d written", len(got), len(want))
			}
		})
	}
}

func TestParseCertificatesRefuses(t *testing.T) {
	root := pkitest.Root(t, "acme", 1, noon).Chain[0]
	good := pki.EncodeCertificates(root)
	secret, err := pki.EncodePrivateKey(ecKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string][]byte{
		"nothing":              nil,
		"white space":          []byte("\n"),
		"DER":                  root.Raw,
		"text before":          slices.Concat([]byte("subject=acme\n"), good),
		"text between":         slices.Concat(good, []byte("# next\n"), good),
		"text after":           slices.Concat(good, []byte("bye")),
		"a key beside it":      slices.Concat(good, secret),
		"a trusted one":        armour("TRUSTED CERTIFICATE", root.Raw),
		"trailing DER":         armour("CERTIFICATE", append(slices.Clone(root.Raw), 0)),
		"not a certificate":    armour("CERTIFICATE", []byte("hello")),
		"broken, then a whole": slices.Concat(good[:100], []byte("\n"), good),
		"cut off":              good[:len(good)-8],
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := pki.ParseCertificates(in); !errors.Is(err, pki.ErrPEM) || got != nil {
				t.Errorf("got %d certificates, %v, want ErrPEM", len(got), err)
			}
		})
	}
}

func FuzzParseCertificates(f *testing.F) {
	chain := pkitest.Authority(f, "acme", 1, noon).Chain
	text := pki.EncodeCertificates(chain...)
	f.Add(text)
	f.Add(text[:len(text)-9])
	f.Add(slices.Concat(text[:100], []byte("\n"), text))
	f.Add(armour("CERTIFICATE", []byte{0x30, 0x00}))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := pki.ParseCertificates(in)
		if (err == nil) == (len(got) == 0) {
			t.Fatalf("got %d certificates, %v", len(got), err)
		}
		if blocks := bytes.Count(in, []byte("-----BEGIN")); err == nil && blocks != len(got) {
			t.Errorf("got %d certificates of %d blocks", len(got), blocks)
		}
		for _, c := range got {
			// Whatever parses must be fit to be looked at, and refused or not without a panic.
			pki.URI(c)
			pki.LegacyPathLenZero(c)
			if err := pki.VerifyChain(c, chain, noon); err == nil && c.Equal(chain[0]) {
				t.Error("an issuing CA passed for a leaf")
			}
		}
	})
}

func TestEncodePrivateKey(t *testing.T) {
	want, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := pki.EncodePrivateKey(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(text, []byte("-----BEGIN PRIVATE KEY-----\n")) {
		t.Error("not labelled as PKCS#8")
	}
	got, err := x509.ParsePKCS8PrivateKey(derOf(t, text))
	if err != nil {
		t.Fatal(err)
	}
	if key, ok := got.(*ecdsa.PrivateKey); !ok || !key.Equal(want) || key.Curve != elliptic.P256() {
		t.Errorf("got a %T, want the P-256 key written", got)
	}
	if _, err := pki.EncodePrivateKey(pkitest.Key(t)); !errors.Is(err, pki.ErrKey) {
		t.Errorf("a signer without a key: got %v, want ErrKey", err)
	}
}
