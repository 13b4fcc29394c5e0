package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// vectors decodes one file of Project Wycheproof.
func vectors(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("decode %s: %v", name, err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors' messages are no JWS signing inputs, so they go to the verifier that Message.Verify hands to go-jose.
func TestVerifierAgreesWithWycheproof(t *testing.T) {
	var file struct {
		TestGroups []struct {
			PublicKey struct{ Uncompressed string }
			Tests     []struct {
				TcID                 int
				Comment, Msg, Result string
				Sig                  string
			}
		}
	}
	vectors(t, "ecdsa_secp256r1_sha256_p1363_test.json", &file)
	count := map[string]int{}
	for _, g := range file.TestGroups {
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unhex(t, g.PublicKey.Uncompressed))
		if err != nil {
			t.Fatal(err)
		}
		for _, tc := range g.Tests {
			count[tc.Result]++
			got := verifyES256(key, string(unhex(t, tc.Msg)), unhex(t, tc.Sig))
			if want := tc.Result == "valid"; got != want {
				t.Errorf("case %d (%s): accepted = %t, want %t", tc.TcID, tc.Comment, got, want)
			}
		}
	}
	if count["valid"] < 100 || count["invalid"] < 50 {
		t.Errorf("ran %v, want at least 100 valid and 50 invalid cases", count)
	}
}

func TestParseAndVerifyAgreeWithWycheproof(t *testing.T) {
	var file struct {
		TestGroups []struct {
			Comment string
			Public  struct{ Kty, Crv, X, Y, Alg, Use string }
			Tests   []struct {
				TcID                 int
				Comment, JWS, Result string
			}
		}
	}
	vectors(t, "json_web_signature_test.json", &file)
	count := map[string]int{}
	for _, g := range file.TestGroups {
		if g.Public.Kty != "EC" || g.Public.Crv != "P-256" || g.Public.Alg != "ES256" {
			continue // what is not for ES256 is a matter of the key: see ParseJWK
		}
		key := pointFrom(t, g.Public.X, g.Public.Y)
		for _, tc := range g.Tests {
			count[tc.Result]++
			err := open(tc.JWS, key)
			if got, want := err == nil, tc.Result == "valid"; got != want {
				t.Errorf("case %d (%s): accepted = %t (%v), want %t", tc.TcID, tc.Comment, got, err, want)
			}
		}
	}
	if count["valid"] < 2 || count["invalid"] < 30 {
		t.Errorf("ran %v, want at least 2 valid and 30 invalid cases", count)
	}
}

func open(compact string, key *ecdsa.PublicKey) error {
	m, err := Parse(compact)
	if err != nil {
		return err
	}
	_, err = m.Verify(key)
	return err
}

func pointFrom(t *testing.T, x, y string) *ecdsa.PublicKey {
	t.Helper()
	point := []byte{4}
	for _, c := range []string{x, y} {
		b, err := Decode(c)
		if err != nil {
			t.Fatal(err)
		}
		point = append(point, b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
