package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// ErrJWK reports a JWK that is not an acceptable P-256 public key. It is always wrapped with the reason, which
// never quotes the key.
var ErrJWK = errors.New("invalid jwk")

// coordinateSize is the octets of x, y and d on P-256, leading zeros included (RFC 7518, 6.2.1.2).
const coordinateSize = 32

// uncompressed starts a point given by both coordinates (SEC 1, 2.3.3).
const uncompressed = 0x04

// JWK is a public EC JWK as it is written.
type JWK struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
	Kid string `json:"kid,omitempty"`
	Use string `json:"use"`
	Alg string `json:"alg"`
}

// ParseJWK reads a public key for ES256 signatures: kty EC, crv P-256, x and y of 32 octets each in canonical
// base64url, a point on the curve. alg, use and key_ops may be absent but not say otherwise; other members
// are ignored, and never reach the thumbprint. A private key is refused, so that a caller who sent one by mistake
// does not go on with a disclosed key. Every error is ErrJWK.
func ParseJWK(raw []byte) (*ecdsa.PublicKey, error) {
	o, err := ParseObject(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJWK, err)
	}
	if _, ok := o["d"]; ok {
		return nil, fmt.Errorf("%w: private key", ErrJWK)
	}
	if err := checkPurpose(o); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJWK, err)
	}
	return parsePoint(o)
}

// checkPurpose refuses another kind of key, and a key meant for something else than signatures.
func checkPurpose(o Object) error {
	for _, rule := range []struct {
		name, want string
		optional   bool
	}{
		{"kty", "EC", false},
		{"crv", "P-256", false},
		{"alg", Algorithm, true},
		{"use", "sig", true},
	} {
		if _, ok := o[rule.name]; !ok && rule.optional {
			continue
		}
		got, err := o.Text(rule.name)
		if err != nil {
			return err
		}
		if got != rule.want {
			return fmt.Errorf("%s is not %s", rule.name, rule.want)
		}
	}
	ops, err := o.Texts("key_ops")
	if err != nil {
		return err
	}
	if _, ok := o["key_ops"]; ok && !slices.Contains(ops, "verify") {
		return errors.New("key_ops does not allow verify")
	}
	return nil
}

func parsePoint(o Object) (*ecdsa.PublicKey, error) {
	point := []byte{uncompressed}
	for _, name := range []string{"x", "y"} {
		text, err := o.Text(name)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrJWK, err)
		}
		c, err := Decode(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrJWK, name, err)
		}
		if len(c) != coordinateSize {
			return nil, fmt.Errorf("%w: %s has %d octets instead of %d", ErrJWK, name, len(c), coordinateSize)
		}
		point = append(point, c...)
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("%w: point is not on the curve", ErrJWK)
	}
	return pub, nil
}

// PublicJWK returns the JWK of a verification key, with use sig, alg ES256 and kid (absent if empty). A key that is
// not a point of P-256 is ErrJWK.
func PublicJWK(pub *ecdsa.PublicKey, kid string) (JWK, error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return JWK{}, fmt.Errorf("%w: not a P-256 key", ErrJWK)
	}
	point, err := pub.Bytes()
	if err != nil {
		return JWK{}, fmt.Errorf("%w: %w", ErrJWK, err)
	}
	x, y := point[1:1+coordinateSize], point[1+coordinateSize:]
	return JWK{Kty: "EC", Crv: "P-256", X: encode(x), Y: encode(y), Kid: kid, Use: "sig", Alg: Algorithm}, nil
}

// PrivateJWK returns the JWK of a private key, for the one answer that hands it out. It is a secret: it must not
// be logged or stored. A key that is not of P-256 is ErrJWK.
func PrivateJWK(key *ecdsa.PrivateKey) (json.RawMessage, error) {
	if key == nil {
		return nil, fmt.Errorf("%w: not a P-256 key", ErrJWK)
	}
	k, err := PublicJWK(&key.PublicKey, "")
	if err != nil {
		return nil, err
	}
	d, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: not a P-256 private key", ErrJWK)
	}
	return json.Marshal(struct {
		JWK
		D string `json:"d"`
	}{k, encode(d)})
}

// Thumbprint returns the RFC 7638 SHA-256 thumbprint in base64url: 43 characters, the "jkt" of RFC 9449. It is
// computed from the point, so it is the same however the key once was spelled. The key must be one that ParseJWK
// or ecdsa.GenerateKey returned; of anything that is not a point of P-256 the thumbprint is empty.
func Thumbprint(pub *ecdsa.PublicKey) string {
	k, err := PublicJWK(pub, "")
	if err != nil {
		return ""
	}
	// The required members in lexicographic order, without white space (RFC 7638, 3.2).
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + k.X + `","y":"` + k.Y + `"}`))
	return encode(sum[:])
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
