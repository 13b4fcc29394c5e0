package pki_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

func TestSPIFFEID(t *testing.T) {
	got, err := pki.SPIFFEID("mastio.example", "Acme_1", "billing.bot-2")
	if want := "spiffe://mastio.example/Acme_1/billing.bot-2"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for name, parts := range map[string][3]string{
		"slash in the name":   {"td", "acme", "a/b"},
		"slash in the org":    {"td", "acme/a", "b"},
		"slash in the domain": {"td/acme", "a", "b"},
		"no domain":           {"", "acme", "a"},
		"capital domain":      {"TD", "acme", "a"},
		"domain with a port":  {"td:443", "acme", "a"},
		"no org":              {"td", "", "a"},
		"name of a dot":       {"td", "acme", "."},
		"name of two dots":    {"td", "acme", ".."},
	} {
		t.Run(name, func(t *testing.T) {
			if id, err := pki.SPIFFEID(parts[0], parts[1], parts[2]); !errors.Is(err, pki.ErrSPIFFEID) {
				t.Errorf("got %q, %v, want ErrSPIFFEID", id, err)
			}
		})
	}
}

func TestCheckSPIFFEID(t *testing.T) {
	long := "spiffe://td/" + strings.Repeat("a/", 1017) + "bb"
	tests := map[string]bool{
		"spiffe://td/a":                               true,
		"spiffe://example.org/ns/default/sa/web":      true,
		"spiffe://a_b-c.d/...":                        true,
		"spiffe://" + strings.Repeat("d", 255) + "/a": true,
		long:       true,
		long + "b": false,
		"spiffe://" + strings.Repeat("d", 256) + "/a": false,
		"":                   false,
		"spiffe://":          false,
		"spiffe://td":        false,
		"spiffe://td/":       false,
		"spiffe://td/a/":     false,
		"spiffe://td//a":     false,
		"spiffe:///a":        false,
		"spiffe://td/./a":    false,
		"spiffe://td/a/..":   false,
		"spiffe://td/%61":    false,
		"spiffe://td/a?b":    false,
		"spiffe://td/a#":     false,
		"spiffe://td/a b":    false,
		"spiffe://td/a\n":    false,
		"spiffe://td\n/a":    false,
		"spiffe://td/ä":      false,
		"spiffe://user@td/a": false,
		"SPIFFE://td/a":      false,
		"https://td/a":       false,
	}
	for id, good := range tests {
		t.Run(id[:min(len(id), 40)], func(t *testing.T) {
			if err := pki.CheckSPIFFEID(id); (err == nil) != good || (err != nil && !errors.Is(err, pki.ErrSPIFFEID)) {
				t.Errorf("%q of %d bytes: got %v, want acceptable %t", id, len(id), err, good)
			}
		})
	}
}

func FuzzCheckSPIFFEID(f *testing.F) {
	for _, id := range []string{"spiffe://td/a", "spiffe://td/a/../b", "spiffe://td/%2e", "spiffe://td:1/a",
		"spiffe://td/a?b#c", "SPIFFE://td/a"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if pki.CheckSPIFFEID(id) != nil {
			return
		}
		u, err := url.Parse(id)
		if err != nil || u.String() != id || u.Scheme != "spiffe" || u.Port() != "" || u.User != nil || u.RawQuery != "" ||
			u.Fragment != "" {
			t.Errorf("accepted %q, which a URL parser reads as %#v, %v", id, u, err)
		}
		if clean := u.JoinPath(); clean.Path != u.Path {
			t.Errorf("accepted %q, whose path can be shortened to %q", id, clean.Path)
		}
	})
}

// general encodes one GeneralName by its tag (RFC 5280 section 4.2.1.6).
func general(tag int, text string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(text)}
}

func TestURI(t *testing.T) {
	const uri, dns = 6, 2
	tests := map[string]struct {
		names []asn1.RawValue
		want  string
	}{
		"one":              {[]asn1.RawValue{general(uri, "spiffe://td/a")}, "spiffe://td/a"},
		"beside a DNS one": {[]asn1.RawValue{general(dns, "a.example"), general(uri, "spiffe://td/a")}, "spiffe://td/a"},
		"as encoded":       {[]asn1.RawValue{general(uri, "SPIFFE://td/a#")}, "SPIFFE://td/a#"},
		"two":              {[]asn1.RawValue{general(uri, "spiffe://td/a"), general(uri, "spiffe://td/b")}, ""},
		"twice the same":   {[]asn1.RawValue{general(uri, "spiffe://td/a"), general(uri, "spiffe://td/a")}, ""},
		"a DNS name":       {[]asn1.RawValue{general(dns, "a.example")}, ""},
		"no extension":     {nil, ""},
	}
	root := pkitest.Root(t, "acme", 1, noon)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			template := leafTemplate()
			if tt.names != nil {
				der, err := asn1.Marshal(tt.names)
				if err != nil {
					t.Fatal(err)
				}
				template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: der}}
			}
			cert := pkitest.Sign(t, template, root, pkitest.Key(t).Public())
			if got, ok := pki.URI(cert); got != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q, %t, want %q", got, ok, tt.want)
			}
		})
	}
}

func TestURIOfHandMadeCertificates(t *testing.T) {
	broken := &x509.Certificate{Extensions: []pkix.Extension{{
		Id:    asn1.ObjectIdentifier{2, 5, 29, 17},
		Value: []byte{0x30},
	}}}
	for name, cert := range map[string]*x509.Certificate{"nil": nil, "broken": broken} {
		if got, ok := pki.URI(cert); ok {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
