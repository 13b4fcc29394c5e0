package accesstoken

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
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
