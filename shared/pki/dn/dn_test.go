package dn_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// part is one attribute as a test writes it: type, string tag, content.
type part struct {
	oid     []int
	tag     int
	content string
}

var (
	cn    = []int{2, 5, 4, 3}
	org   = []int{2, 5, 4, 10}
	unit  = []int{2, 5, 4, 11}
	dc    = []int{0, 9, 2342, 19200300, 100, 1, 25}
	uid   = []int{0, 9, 2342, 19200300, 100, 1, 1}
	email = []int{1, 2, 840, 113549, 1, 9, 1}
	other = []int{1, 3, 6, 1, 4, 1, 99, 1}
)

func utf(oid []int, text string) part { return part{oid, asn1.TagUTF8String, text} }
func ia5(oid []int, text string) part { return part{oid, asn1.TagIA5String, text} }

func encode(t testing.TB, v any, params string) []byte {
	t.Helper()
	der, err := asn1.MarshalWithParams(v, params)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// name encodes RDNs, each a set in DER's order.
func name(t testing.TB, rdns ...[]part) []byte {
	t.Helper()
	var all []asn1.RawValue
	for _, rdn := range rdns {
		var parts [][]byte
		for _, p := range rdn {
			parts = append(parts, encode(t, struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}{p.oid, asn1.RawValue{Tag: p.tag, Bytes: []byte(p.content)}}, ""))
		}
		slices.SortFunc(parts, bytes.Compare)
		all = append(all, asn1.RawValue{FullBytes: encode(t, asn1.RawValue{
			Tag:        asn1.TagSet,
			IsCompound: true,
			Bytes:      slices.Concat(parts...),
		}, "")})
	}
	return encode(t, all, "")
}

func TestNamesAreWrittenAsRFC4514(t *testing.T) {
	for _, c := range []struct {
		want string
		der  []byte
	}{
		{"", name(t)},
		{"CN=CORP-CA,DC=corp,DC=local",
			name(t, []part{ia5(dc, "local")}, []part{ia5(dc, "corp")}, []part{utf(cn, "CORP-CA")})},
		{"CN=x,emailAddress=pki@example.com,O=acme",
			name(t, []part{utf(org, "acme")}, []part{ia5(email, "pki@example.com")}, []part{utf(cn, "x")})},
		{"CN=x,O=acme2,O=acme", name(t, []part{utf(org, "acme")}, []part{utf(org, "acme2")}, []part{utf(cn, "x")})},
		{"OU=ops+CN=x,O=acme", name(t, []part{utf(org, "acme")}, []part{utf(unit, "ops"), utf(cn, "x")})},
		{"UID=jo", name(t, []part{utf(uid, "jo")})},
		{`CN=\ a\,b\+c\"d\\e\<f\>g\;h=i\ `, name(t, []part{utf(cn, ` a,b+c"d\e<f>g;h=i `)})},
		{`CN=\#1`, name(t, []part{utf(cn, "#1")})},
		{`CN=\ `, name(t, []part{utf(cn, " ")})},
		{"CN=", name(t, []part{utf(cn, "")})},
		{`CN=a\00b\0A\E2\80\AE`, name(t, []part{utf(cn, "a\x00b\n\u202e")})},
		{"CN=Zürich", name(t, []part{utf(cn, "Zürich")})},
		{"CN=Zü", name(t, []part{{cn, asn1.TagBMPString, "\x00Z\x00\xfc"}})},
		{"CN=#1402fc5a", name(t, []part{{cn, asn1.TagT61String, "\xfcZ"}})},
		{"CN=#0c01ff", name(t, []part{utf(cn, "\xff")})},
		{"CN=#1e02d800", name(t, []part{{cn, asn1.TagBMPString, "\xd8\x00"}})},
		{"CN=#0500", name(t, []part{{cn, asn1.TagNull, ""}})},
		{"1.3.6.1.4.1.99.1=#0c0178", name(t, []part{utf(other, "x")})},
		{"#3000ff", []byte{0x30, 0x00, 0xff}},
		{"#", nil},
	} {
		if got := dn.String(c.der); got != c.want {
			t.Errorf("%s: %q, want %q", hex.EncodeToString(c.der), got, c.want)
		}
	}
}

// OpenSSL's own printing in the form of RFC 2253 is the second opinion.
func TestNamesAreWrittenAsOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	for _, subject := range []string{
		"/DC=local/DC=corp/CN=CORP-CA", "/O=acme/emailAddress=pki@example.com/CN=x", "/O=acme/OU=ops+CN=x",
		"/O=acme/O=acme2/CN=x",
		"/C=CH/ST=ZH/L=Zug/street=Weg 1/UID=jo/CN=a,b;c", `/CN=\ x`, "/CN=#x",
	} {
		out, err := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
			"ec_paramgen_curve:P-256", "-nodes", "-utf8",
			"-multivalue-rdn", "-keyout", dir+"/key.pem", "-out", dir+"/cert.pem", "-subj", subject).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want, err := exec.CommandContext(t.Context(), "openssl", "x509", "-in", dir+"/cert.pem", "-noout", "-subject",
			"-nameopt", "RFC2253,-esc_msb,utf8").Output()
		if err != nil {
			t.Fatal(err)
		}
		der, err := exec.CommandContext(t.Context(), "openssl", "x509", "-in", dir+"/cert.pem", "-outform", "DER").Output()
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Replace(dn.String(subjectOf(t, der)), "STREET=", "street=", 1)
		if got != strings.TrimPrefix(strings.TrimSpace(string(want)), "subject=") {
			t.Errorf("%s: %q, openssl %q", subject, got, want)
		}
	}
}

func subjectOf(t *testing.T, der []byte) []byte {
	t.Helper()
	var c struct {
		TBS struct {
			Version   int `asn1:"explicit,tag:0"`
			Serial    asn1.RawValue
			Algorithm asn1.RawValue
			Issuer    asn1.RawValue
			Validity  asn1.RawValue
			Subject   asn1.RawValue
			Rest      []asn1.RawValue `asn1:"-"`
		}
		Algorithm asn1.RawValue
		Signature asn1.RawValue
	}
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		t.Fatal(err)
	}
	return c.TBS.Subject.FullBytes
}

func TestLongNamesDifferInBrief(t *testing.T) {
	long := strings.Repeat("x", 200)
	a, b := name(t, []part{utf(cn, long+"a")}), name(t, []part{utf(cn, long+"b")})
	if dn.Brief(a) == dn.Brief(b) || len(dn.Brief(a)) > 160 {
		t.Errorf("%q and %q", dn.Brief(a), dn.Brief(b))
	}
	if short := name(t, []part{utf(cn, "x")}); dn.Brief(short) != "CN=x" {
		t.Errorf("%q", dn.Brief(short))
	}
}

// same reports whether two names have equal values, which is when they may be written alike.
func same(a, b []byte) bool {
	x, okX := dn.Parse(a)
	y, okY := dn.Parse(b)
	if !okX || !okY {
		return bytes.Equal(a, b)
	}
	return slices.EqualFunc(x, y, func(p, q []dn.Attribute) bool {
		return slices.EqualFunc(p, q, func(a, b dn.Attribute) bool {
			return a.Type == b.Type && a.IsText == b.IsText && a.Text == b.Text && (a.IsText || bytes.Equal(a.Value, b.Value))
		})
	})
}

func FuzzNamesThatDifferAreNotWrittenAlike(f *testing.F) {
	f.Add("acme", "acme,O=x", false, false, uint8(12), uint8(12))
	f.Add("a", "a+OU=b", true, false, uint8(12), uint8(22))
	f.Add("#0c0161", "\x0c\x01a", false, true, uint8(12), uint8(5))
	f.Fuzz(func(t *testing.T, x, y string, joined, foreign bool, tagX, tagY uint8) {
		if len(x)+len(y) > 4096 {
			return
		}
		kind := unit
		if foreign {
			kind = other
		}
		parts := []part{{org, int(tagX % 31), x}, {kind, int(tagY % 31), y}}
		var names [][]byte
		for _, rdns := range [][][]part{
			{parts}, {parts[:1], parts[1:]}, {parts[1:], parts[:1]}, {parts[:1]}, {parts[1:]},
			{{utf(org, x)}, {utf(kind, y)}}, {{utf(org, x+y)}}, {{utf(org, dn.String(name(t, parts)))}},
		} {
			names = append(names, name(t, rdns...))
		}
		names = append(names, []byte(x), []byte(y))
		for i, a := range names {
			text := dn.String(a)
			if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q holds what is not seen", text)
			}
			for _, b := range names[:i] {
				if text == dn.String(b) && !same(a, b) {
					t.Fatalf("%x and %x are both %q", a, b, text)
				}
			}
		}
	})
}

// The library's own names, which are those of most certificates, read back as they were.
func TestNamesOfTheLibrary(t *testing.T) {
	der := encode(t, pkix.Name{CommonName: "acme Org CA", Organization: []string{"acme"}}.ToRDNSequence(), "")
	if got := dn.String(der); got != "CN=acme Org CA,O=acme" {
		t.Errorf("%q", got)
	}
}
