package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
	gojose "github.com/go-jose/go-jose/v4"
)

// The key of the examples in RFC 9449, and the thumbprint its section 6.1 gives for it.
const (
	exampleX   = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"
	exampleY   = "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"
	exampleJKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
)

// doc is the example key with other members after its own.
func doc(more string) string {
	return `{"kty":"EC","crv":"P-256","x":"` + exampleX + `","y":"` + exampleY + `"` + more + `}`
}

func TestThumbprintOfTheRFCExample(t *testing.T) {
	for _, more := range []string{``, `,"kid":"a","x5c":["AA"],"ext":true`,
		`,"use":"sig","alg":"ES256","key_ops":["verify"]`} {
		pub, err := ParseJWK([]byte(doc(more)))
		if err != nil {
			t.Errorf("with %q: %v", more, err)
			continue
		}
		if got := Thumbprint(pub); got != exampleJKT {
			t.Errorf("with %q: thumbprint = %s, want %s", more, got, exampleJKT)
		}
	}
}

func TestThumbprintAgreesWithGoJose(t *testing.T) {
	for range 50 { // one key in about 128 has a leading zero octet in a coordinate; the vectors below have many
		pub := &newKey(t, elliptic.P256()).PublicKey
		sum, err := (&gojose.JSONWebKey{Key: pub}).Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := Thumbprint(pub), base64.RawURLEncoding.EncodeToString(sum); got != want {
			t.Errorf("thumbprint = %s, want %s", got, want)
		}
	}
}

func TestParseJWKRefuses(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(doc(""), old, new, 1) }
	zero := strings.Repeat("A", 43)
	for _, tc := range []struct{ name, doc string }{
		{"nothing", ""},
		{"null", "null"},
		{"array", "[" + doc("") + "]"},
		{"more after", doc("") + "{}"},
		{"too long", doc(`,"a":"` + strings.Repeat("x", 9000) + `"`)},
		{"not UTF-8", doc(",\"a\":\"\xff\"")},
		{"private", doc(`,"d":"` + exampleX + `"`)},
		{"private, empty", doc(`,"d":""`)},
		{"private, null", doc(`,"d":null`)},
		{"duplicate x", doc(`,"x":"` + exampleX + `"`)},
		{"duplicate x, escaped", doc(`,"\u0078":"` + exampleX + `"`)},
		{"duplicate unknown member", doc(`,"a":1,"a":1`)},
		{"kty missing", replace(`"kty":"EC",`, ``)},
		{"kty RSA", replace(`"EC"`, `"RSA"`)},
		{"kty lower case", replace(`"EC"`, `"ec"`)},
		{"kty no string", replace(`"EC"`, `1`)},
		{"name in capitals", replace(`"kty"`, `"KTY"`)},
		{"crv missing", replace(`"crv":"P-256",`, ``)},
		{"crv P-384", replace(`P-256`, `P-384`)},
		{"crv secp256r1", replace(`P-256`, `secp256r1`)},
		{"alg ES384", doc(`,"alg":"ES384"`)},
		{"alg ECDH-ES", doc(`,"alg":"ECDH-ES"`)},
		{"alg null", doc(`,"alg":null`)},
		{"alg empty", doc(`,"alg":""`)},
		{"use enc", doc(`,"use":"enc"`)},
		{"use array", doc(`,"use":["sig"]`)},
		{"key_ops encrypt", doc(`,"key_ops":["encrypt"]`)},
		{"key_ops empty", doc(`,"key_ops":[]`)},
		{"key_ops string", doc(`,"key_ops":"verify"`)},
		{"x missing", replace(`"x":"`+exampleX+`",`, ``)},
		{"x number", replace(`"`+exampleX+`"`, `1`)},
		{"x empty", replace(exampleX, ``)},
		{"x padded", replace(exampleX, exampleX+"=")},
		{"x in the standard alphabet", replace(exampleX, strings.ReplaceAll(exampleX, "-", "+"))},
		{"x with a line break", replace(exampleX, exampleX[:8]+`\n`+exampleX[8:])},
		{"x with a carriage return at its end", replace(exampleX, exampleX+`\r`)},
		{"x with trailing bits", replace(exampleX, exampleX[:42]+"t")}, // …s is 101100, …t is 101101
		{"x of 31 octets", replace(exampleX, zero[:42])},
		{"x of 33 octets, leading zero", replace(exampleX, withZero(t, exampleX))},
		{"y of 33 octets, leading zero", replace(exampleY, withZero(t, exampleY))},
		{"coordinates swapped", `{"kty":"EC","crv":"P-256","x":"` + exampleY + `","y":"` + exampleX + `"}`},
		{"point at infinity", `{"kty":"EC","crv":"P-256","x":"` + zero + `","y":"` + zero + `"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if pub, err := ParseJWK([]byte(tc.doc)); !errors.Is(err, ErrJWK) || pub != nil {
				t.Errorf("got %v, %v, want ErrKey", pub, err)
			}
		})
	}
}

// withZero writes a coordinate with a zero octet before it: the same number, another spelling.
func withZero(t *testing.T, coordinate string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(coordinate)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(append([]byte{0}, b...))
}

func TestPublicThenParse(t *testing.T) {
	pub := &newKey(t, elliptic.P256()).PublicKey
	k, err := PublicJWK(pub, "kid 1")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseJWK(raw); err != nil || !got.Equal(pub) {
		t.Errorf("Parse(%s) = %v, %v, want the key", raw, got, err)
	}
	if k.Kid != "kid 1" || k.Use != "sig" || k.Alg != "ES256" {
		t.Errorf("key = %+v, want kid, use sig and alg ES256", k)
	}
}

func TestPrivateIsReadByGoJoseAndNotByParse(t *testing.T) {
	key := newKey(t, elliptic.P256())
	raw, err := PrivateJWK(key)
	if err != nil {
		t.Fatal(err)
	}
	var k gojose.JSONWebKey
	if err := k.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	if got, ok := k.Key.(*ecdsa.PrivateKey); !ok || !got.Equal(key) {
		t.Error("go-jose read another key")
	}
	if _, err := ParseJWK(raw); !errors.Is(err, ErrJWK) {
		t.Errorf("Parse of a private key: error = %v, want ErrKey", err)
	}
}

func TestOtherKeysAreNotWritten(t *testing.T) {
	p384 := newKey(t, elliptic.P384())
	for name, pub := range map[string]*ecdsa.PublicKey{"nil": nil, "empty": {}, "P-384": &p384.PublicKey} {
		if _, err := PublicJWK(pub, ""); !errors.Is(err, ErrJWK) {
			t.Errorf("Public of %s: error = %v, want ErrKey", name, err)
		}
		if got := Thumbprint(pub); got != "" {
			t.Errorf("Thumbprint of %s = %q, want none", name, got)
		}
	}
	for name, key := range map[string]*ecdsa.PrivateKey{"nil": nil, "empty": {}, "P-384": p384} {
		if raw, err := PrivateJWK(key); !errors.Is(err, ErrJWK) || raw != nil {
			t.Errorf("Private of %s: error = %v, want ErrKey", name, err)
		}
	}
}

func TestParseJWKAgreesWithWycheproof(t *testing.T) {
	var ecdh struct {
		TestGroups []struct {
			Tests []struct {
				TcID            int
				Comment, Result string
				Public          json.RawMessage
			}
		}
	}
	rfcVectors(t, "ecdh_secp256r1_webcrypto_test.json", &ecdh)
	count := map[string]int{}
	for _, g := range ecdh.TestGroups {
		for _, tc := range g.Tests {
			count[tc.Result]++
			pub, err := ParseJWK(tc.Public)
			if got, want := err == nil, tc.Result == "valid"; got != want {
				t.Errorf("case %d (%s): accepted = %t (%v), want %t", tc.TcID, tc.Comment, got, err, want)
				continue
			}
			if err == nil {
				fixedPoint(t, pub)
			}
		}
	}
	if count["valid"] < 300 || count["invalid"] < 20 {
		t.Errorf("ran %v, want at least 300 valid and 20 invalid cases", count)
	}
}

// Each of these groups is refused for its key alone: use, key_ops, alg, crv, kty, or a point off the curve.
func TestParseJWKRefusesWycheproofKeys(t *testing.T) {
	bad := map[string]bool{"ec_key_for_encryption": true, "wrong_algorithm": true, "invalid_algorithm": true,
		"invalid_use": true, "invalid_point": true, "wrong_curve": true, "wrong_kty": true}
	type group struct {
		Comment string
		Public  json.RawMessage
	}
	var signatures, keys struct{ TestGroups []group }
	rfcVectors(t, "json_web_signature_test.json", &signatures)
	rfcVectors(t, "json_web_key_test.json", &keys)
	ran := 0
	for _, g := range append(signatures.TestGroups, keys.TestGroups...) {
		if !bad[g.Comment] {
			continue
		}
		ran++
		var set struct{ Keys []json.RawMessage }
		if err := json.Unmarshal(g.Public, &set); err != nil {
			t.Fatal(err)
		}
		for _, raw := range append(set.Keys, g.Public) {
			if _, err := ParseJWK(raw); !errors.Is(err, ErrJWK) {
				t.Errorf("%s: error = %v, want ErrKey", g.Comment, err)
			}
		}
	}
	if ran < len(bad) {
		t.Errorf("found %d groups, want %d", ran, len(bad))
	}
}

func rfcVectors(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("decode %s: %v", name, err)
	}
}

// fixedPoint checks that a key, once written, is read as itself and written the same.
func fixedPoint(t *testing.T, pub *ecdsa.PublicKey) {
	t.Helper()
	first, err := PublicJWK(pub, "")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseJWK(raw)
	if err != nil {
		t.Fatalf("Parse(%s): %v", raw, err)
	}
	second, err := PublicJWK(again, "")
	if err != nil || first != second {
		t.Fatalf("written again: %+v, %v, want %+v", second, err, first)
	}
	if a, b := Thumbprint(pub), Thumbprint(again); a != b || len(a) != 43 {
		t.Fatalf("thumbprints %q and %q, want 43 equal characters", a, b)
	}
}

func FuzzParseJWK(f *testing.F) {
	for _, more := range []string{``, `,"use":"sig"`, `,"alg":"ES256","key_ops":["verify"]`, `,"d":"AA"`, `,"x":""`,
		`,"a":{"b":[1,2]}`} {
		f.Add([]byte(doc(more)))
	}
	f.Add([]byte(`{"kty":"RSA","n":"AQAB","e":"AQAB"}`))
	f.Add([]byte(strings.Replace(doc(""), exampleX, exampleX[:10]+`\n`+exampleX[10:], 1)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		pub, err := ParseJWK(raw)
		if err != nil {
			if !errors.Is(err, ErrJWK) {
				t.Fatalf("error = %v, want ErrKey", err)
			}
			return
		}
		fixedPoint(t, pub)
		k, err := PublicJWK(pub, "")
		if err != nil {
			t.Fatal(err)
		}
		// The canonical spelling is the only one: unless it was escaped, it stands in the input.
		if !bytes.Contains(raw, []byte(k.X)) && !bytes.ContainsRune(raw, '\\') {
			t.Fatalf("%q was read as x = %s", raw, k.X)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	raw := []byte(doc(""))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseJWK(raw); err != nil {
			b.Fatal(err)
		}
	}
}
