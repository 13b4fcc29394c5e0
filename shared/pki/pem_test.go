package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

func TestCertificatesRoundTrip(t *testing.T) {
	want := pkitest.Authority(t, "acme", 1, noon).Chain
	text := pki.EncodeCertificates(want...)
	first, second := pki.EncodeCertificates(want[0]), pki.EncodeCertificates(want[1])
	for name, in := range map[string][]byte{
		"as written":  text,
		"CRLF":        bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
		"white space": slices.Concat([]byte("\n "), []byte("\n"), first, []byte("\n\n\t\n"), second, []byte(" ")),
		"openssl x509 -text": slices.Concat([]byte("Certificate:\n    Data:\n        Version: 3 (0x2)\n"), first,
			[]byte("Certificate:\n"), second),
		"bag attributes": slices.Concat([]byte("Bag Attributes\n    friendlyName: acme\nsubject=CN = a\n"), first,
			[]byte("Bag Attributes: <No Attributes>\n"), second),
		"comments":              slices.Concat([]byte("# ours\n"), first, []byte("# theirs\n"), second),
		"byte order marks":      slices.Concat([]byte("\ufeff"), first, []byte("\ufeff"), second),
		"Latin-1 outside":       slices.Concat([]byte("# K\xf6ln\n"), first, []byte("# Z\xfcrich\n"), second),
		"controls outside":      slices.Concat([]byte("\x00\n"), first, []byte("\f\n"), second, []byte("\x1a")),
		"dashes outside":        slices.Concat([]byte("-----\n---- BEGIN\n"), first, second, []byte("-----BEGINNING\n")),
		"no line break at last": text[:len(text)-1],
		"spaces after lines":    bytes.ReplaceAll(text, []byte("\n"), []byte(" \t\n")),
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
	replace := func(old, new string) []byte { return bytes.ReplaceAll(good, []byte(old), []byte(new)) }
	trimmed := bytes.TrimSpace(good)
	for name, c := range map[string]struct {
		in   []byte
		says string
	}{
		"nothing":              {nil, "is empty"},
		"white space":          {[]byte("\n"), "is empty"},
		"DER":                  {root.Raw, "no PEM block"},
		"words":                {[]byte("hello"), "no PEM block"},
		"UTF-16":               {[]byte("\xff\xfe-\x00-\x00"), "UTF-16"},
		"a key beside it":      {slices.Concat(good, secret), "block 2 is a private key"},
		"a trusted one":        {armour("TRUSTED CERTIFICATE", root.Raw), "OpenSSL's own format"},
		"trailing DER":         {armour("CERTIFICATE", append(slices.Clone(root.Raw), 0)), "certificate 1"},
		"not a certificate":    {armour("CERTIFICATE", []byte("hello")), "certificate 1"},
		"broken, then a whole": {slices.Concat(good[:100], []byte("\n"), good), "another one begins before it ends"},
		"cut off":              {good[:len(good)/2], "no END line"},
		"END cut off":          {good[:len(good)-8], "END line"},
		"no BEGIN line":        {good[bytes.IndexByte(good, '\n')+1:], "ends that did not begin"},
		"an END more":          {slices.Concat(good, []byte("-----END CERTIFICATE-----\n")), "ends that did not begin"},
		"glued":                {slices.Concat(trimmed, good), "put a line break between"},
		"literal \\n":          {replace("\n", `\n`), `two characters \n`},
		"literal \\r\\n":       {replace("\n", `\r\n`), `two characters \n`},
		"CR alone":             {replace("\n", "\r"), "CR alone"},
		"line breaks lost":     {replace("\n", ""), "line breaks are lost"},
		"spaces for breaks":    {replace("\n", " "), "line breaks are lost"},
		"indented":             {slices.Concat([]byte("  "), replace("\n", "\n  ")), "start of a line"},
		"quoted in a mail":     {slices.Concat([]byte("> "), replace("\n", "\n> ")), "start of a line"},
		"other label":          {replace("-----END CERTIFICATE", "-----END X509 CRL"), "name different things"},
		"a foreign character":  {slices.Concat(good[:60], []byte("?"), good[61:]), "line 2"},
		"a lost character":     {slices.Concat(good[:60], good[61:]), "not whole"},
		"headers":              {replace("CERTIFICATE-----\nM", "CERTIFICATE-----\nA: b\n\nM"), "headers"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := pki.ParseCertificates(c.in); !errors.Is(err, pki.ErrPEM) || got != nil ||
				!strings.Contains(err.Error(), c.says) {
				t.Errorf("got %d certificates, %v, want ErrPEM that says %q", len(got), err, c.says)
			}
		})
	}
}

// What is outside of the blocks changes nothing, whatever it is; what is inside is never skipped.
func FuzzBlocks(f *testing.F) {
	chain := pkitest.Authority(f, "acme", 1, noon).Chain
	first, second := pki.EncodeCertificates(chain[0]), pki.EncodeCertificates(chain[1])
	f.Add([]byte("# K\xf6ln\n"), []byte("\ufeff"), []byte("\x1a\x00"), uint16(40), byte('!'))
	f.Add([]byte("Bag Attributes\n"), []byte("\r\n"), []byte("-----"), uint16(9), byte('\n'))
	f.Fuzz(func(t *testing.T, before, between, after []byte, at uint16, octet byte) {
		for _, text := range [][]byte{before, between, after} {
			if bytes.Contains(text, []byte("-----BEGIN ")) || bytes.Contains(text, []byte("-----END ")) ||
				bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
				return
			}
		}
		in := slices.Concat(before, []byte("\n"), first, between, []byte("\n"), second, after)
		got, err := pki.ParseCertificates(in)
		if err != nil || !slices.EqualFunc(got, chain[:2], (*x509.Certificate).Equal) {
			t.Fatalf("%q, %q, %q: %v", before, between, after, err)
		}
		damaged := slices.Clone(first)
		damaged[int(at)%len(damaged)] = octet
		got, err = pki.ParseCertificates(slices.Concat(before, []byte("\n"), damaged, between, []byte("\n"), second, after))
		if err == nil && !slices.EqualFunc(got, chain[:2], (*x509.Certificate).Equal) && len(got) != 2 {
			t.Fatalf("a damaged block was passed over: octet %d is %q", int(at)%len(damaged), octet)
		}
	})
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
		if blocks := bytes.Count(in, []byte("-----BEGIN ")); err == nil && blocks != len(got) {
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
