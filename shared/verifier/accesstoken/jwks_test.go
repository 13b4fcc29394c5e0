package accesstoken

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/mastio-aws/mastio/shared/jose"
)

func TestJWKS(t *testing.T) {
	keys := []PublicKey{{
		ID:  "20833",
		Key: &newKey(t, elliptic.P256()).PublicKey,
	}, {ID: "20834", Key: &newKey(t, elliptic.P256()).PublicKey}}
	raw, err := JWKS(keys)
	if err != nil {
		t.Fatal(err)
	}
	var strict struct{ Keys []json.RawMessage }
	var set gojose.JSONWebKeySet
	if err := json.Unmarshal(raw, &strict); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != len(keys) || len(strict.Keys) != len(keys) {
		t.Fatalf("%d keys, want %d", len(set.Keys), len(keys))
	}
	for i, want := range keys {
		got := set.Keys[i]
		if pub, ok := got.Key.(*ecdsa.PublicKey); !ok || !pub.Equal(want.Key) {
			t.Errorf("key %d is another key", i)
		}
		if got.KeyID != want.ID || got.Use != "sig" || got.Algorithm != "ES256" || !got.IsPublic() {
			t.Errorf("key %d: kid %q, use %q, alg %q, public %t", i, got.KeyID, got.Use, got.Algorithm, got.IsPublic())
		}
		if _, err := jose.ParseJWK(strict.Keys[i]); err != nil {
			t.Errorf("key %d: %v", i, err)
		}
	}
}

func TestJWKSOfNoKeysIsAnEmptyArray(t *testing.T) {
	raw, err := JWKS(nil)
	if got, want := string(raw), `{"keys":[]}`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestJWKSRefuses(t *testing.T) {
	pub := &newKey(t, elliptic.P256()).PublicKey
	for name, keys := range map[string][]PublicKey{
		"no id":       {{Key: pub}},
		"repeated id": {{ID: "a", Key: pub}, {ID: "a", Key: &newKey(t, elliptic.P256()).PublicKey}},
		"no key":      {{ID: "a"}},
		"P-384":       {{ID: "a", Key: &newKey(t, elliptic.P384()).PublicKey}},
	} {
		if raw, err := JWKS(keys); err == nil {
			t.Errorf("%s: got %s, want an error", name, raw)
		}
	}
}

func TestReadJWKS(t *testing.T) {
	want := []PublicKey{{
		ID:  "a",
		Key: &newKey(t, elliptic.P256()).PublicKey,
	}, {ID: "b", Key: &newKey(t, elliptic.P256()).PublicKey}}
	raw, err := JWKS(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadJWKS(raw)
	if err != nil || len(got) != 2 || got[0].ID != "a" || got[1].ID != "b" || !got[0].Key.Equal(want[0].Key) ||
		!got[1].Key.Equal(want[1].Key) {
		t.Errorf("got %v, %v", got, err)
	}
	for name, text := range map[string]string{
		"another kind":   `{"keys":[{"kid":"x","kty":"RSA","n":"AQAB","e":"AQAB"}]}`,
		"no kid":         `{"keys":[{"kty":"EC","crv":"P-256"}]}`,
		"for encryption": `{"keys":[{"kid":"x","kty":"EC","crv":"P-256","use":"enc"}]}`,
		"none":           `{"keys":[]}`,
	} {
		if got, err := ReadJWKS([]byte(text)); err != nil || len(got) != 0 {
			t.Errorf("%s: %v, %v, want no key", name, got, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":            ``,
		"an array":           `[]`,
		"no keys":            `{}`,
		"keys null":          `{"keys":null}`,
		"a key that is text": `{"keys":["x"]}`,
		"a private key":      `{"keys":[{"kid":"x","kty":"EC","d":"x"}]}`,
		"a kid twice":        `{"keys":[{"kid":"x","kty":"RSA"},{"kid":"x","kty":"RSA"}]}`,
		"a member twice":     `{"keys":[{"kid":"x","kid":"y"}]}`,
	} {
		if got, err := ReadJWKS([]byte(text)); !errors.Is(err, ErrJWKS) || got != nil {
			t.Errorf("%s: %v, %v, want ErrJWKS", name, got, err)
		}
	}
}

func FuzzReadJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kid":"x","kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := ReadJWKS(raw)
		if err != nil {
			return
		}
		again, err := JWKS(keys)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if back, err := ReadJWKS(again); err != nil || len(back) != len(keys) {
			t.Errorf("%d keys, %v, want %d", len(back), err, len(keys))
		}
	})
}
