package accesstoken

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mastio-aws/mastio/shared/jose"
)

// PublicKey is a verification key as the JWKS publishes it.
type PublicKey struct {
	ID  string // kid
	Key *ecdsa.PublicKey
}

// Lookup returns the keys by their ids, as Verify asks for them.
func Lookup(keys []PublicKey) func(kid string) *ecdsa.PublicKey {
	return func(kid string) *ecdsa.PublicKey {
		for _, k := range keys {
			if k.ID == kid {
				return k.Key
			}
		}
		return nil
	}
}

// JWKS returns the JSON Web Key Set (RFC 7517, 5) of the keys, in their order, each with kid, use sig and alg ES256.
// An empty or repeated id, or a key that is not of P-256, is an error: a reader could not know whose key it is.
func JWKS(keys []PublicKey) (json.RawMessage, error) {
	set := struct {
		Keys []jose.JWK `json:"keys"`
	}{Keys: make([]jose.JWK, 0, len(keys))}
	seen := map[string]bool{}
	for _, k := range keys {
		if k.ID == "" || seen[k.ID] {
			return nil, errors.New("jwks: key id empty or repeated")
		}
		seen[k.ID] = true
		j, err := jose.PublicJWK(k.Key, k.ID)
		if err != nil {
			return nil, fmt.Errorf("jwks: %w", err)
		}
		set.Keys = append(set.Keys, j)
	}
	return json.Marshal(set)
}

// ErrJWKS reports bytes that are no JSON Web Key Set.
var ErrJWKS = errors.New("invalid jwks")

// ReadJWKS returns the keys of a set that verify ES256, each with its kid. Others are passed over, as RFC 7517, 5
// asks. A set of more than jose.MaxSize bytes, one with a private key, and one with the same kid twice are ErrJWKS.
func ReadJWKS(raw []byte) ([]PublicKey, error) {
	o, err := jose.ParseObject(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJWKS, err)
	}
	var set []jose.Object // whose members are unique, as those of o
	if json.Unmarshal(o["keys"], &set) != nil || set == nil {
		return nil, fmt.Errorf("%w: keys is not an array of objects", ErrJWKS)
	}
	keys, seen := make([]PublicKey, 0, len(set)), map[string]bool{}
	for _, k := range set {
		if _, private := k["d"]; private {
			return nil, fmt.Errorf("%w: private key", ErrJWKS)
		}
		kid, err := k.Text("kid")
		if err != nil || kid == "" {
			continue
		}
		if seen[kid] {
			return nil, fmt.Errorf("%w: kid occurs twice", ErrJWKS)
		}
		seen[kid] = true
		text, err := json.Marshal(k)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrJWKS, err)
		}
		if pub, err := jose.ParseJWK(text); err == nil {
			keys = append(keys, PublicKey{ID: kid, Key: pub})
		}
	}
	return keys, nil
}
