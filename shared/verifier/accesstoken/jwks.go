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
