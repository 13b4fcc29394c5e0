// Package jose reads and writes EC P-256 keys as JSON Web Keys (RFC 7517; RFC 7518, 6.2) and compact JSON Web
// Signatures (RFC 7515) of the kinds a Mastio knows: ES256, and RS256 where a caller asks for it. A key and each part
// of a message have one canonical spelling; every other is refused.
//
// go-jose takes messages apart and puts them together. This package filters its input, because go-jose follows the
// RFCs where they are generous: it accepts line breaks and stray trailing bits in base64url, the unencoded payloads
// of RFC 7797, and critical headers naming them.
package jose

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/mastio-aws/mastio/shared/problem"
)

// MaxSize is the longest message, in bytes, that is read or written. API Gateway lets 10,240 bytes of headers
// through in all, so anything longer could not arrive in one.
const MaxSize = 8 << 10

// The values of "alg" that are read. Algorithm is the only one that Parse reads and that Sign writes.
const (
	Algorithm = string(gojose.ES256)
	RS256     = string(gojose.RS256) // RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3)
)

// ErrInvalid reports a message, or a part of one, that is not what this package reads. It is always wrapped
// with the reason, which never quotes the message.
var ErrInvalid = problem.Internal("invalid jws")

// Message is a JWS taken apart. Nothing in it may be believed before Verify. It is safe for concurrent use.
type Message struct {
	Header Object // the protected header; "alg" has been checked, other members have not

	compact string
	alg     string
	limit   int // of the header and of the payload, in bytes
}

// Parse takes a compact JWS apart and checks everything but its signature: three parts, canonical base64url
// in each, a header without duplicate members whose alg is ES256, a signature of 64 bytes, no extension.
// Every error is ErrInvalid.
func Parse(compact string) (*Message, error) { return ParseLimited(compact, MaxSize, Algorithm) }

// ParseLimited is Parse for messages that do not travel in a header: of at most limit bytes, and signed by one of these
// algorithms. Every error is ErrInvalid.
func ParseLimited(compact string, limit int, algorithms ...string) (*Message, error) {
	if len(compact) > limit {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrInvalid, limit)
	}
	header, signature, err := split(compact, limit)
	if err != nil {
		return nil, err
	}
	alg, err := checkHeader(header, algorithms)
	if err != nil {
		return nil, err
	}
	if alg == Algorithm && len(signature) != signatureSize {
		return nil, fmt.Errorf("%w: signature of %d bytes instead of %d", ErrInvalid, len(signature), signatureSize)
	}
	return &Message{Header: header, compact: compact, alg: alg, limit: limit}, nil
}

// split checks the three parts' spelling and returns the header and the signature.
func split(compact string, limit int) (Object, []byte, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("%w: %d parts instead of 3", ErrInvalid, len(parts))
	}
	header, err := Decode(parts[0])
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if _, err := Decode(parts[1]); err != nil {
		return nil, nil, fmt.Errorf("payload: %w", err)
	}
	sig, err := Decode(parts[2])
	if err != nil {
		return nil, nil, fmt.Errorf("signature: %w", err)
	}
	o, err := parseObject(header, limit)
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	return o, sig, nil
}

func checkHeader(header Object, algorithms []string) (alg string, err error) {
	if alg, err = header.Text("alg"); err != nil {
		return "", err
	}
	if !slices.Contains(algorithms, alg) {
		return "", fmt.Errorf("%w: alg is not %s", ErrInvalid, strings.Join(algorithms, " or "))
	}
	// No extension is understood here, so any crit must be refused (RFC 7515, 4.1.11). b64 must come with
	// crit (RFC 7797, 6) but is honoured by go-jose without, which would give one text two meanings.
	for _, name := range []string{"crit", "b64"} {
		if _, ok := header[name]; ok {
			return "", fmt.Errorf("%w: %s is not supported", ErrInvalid, name)
		}
	}
	return alg, nil
}

// Verify returns the payload if key, a P-256 key, made the signature. Every error is ErrInvalid.
func (m *Message) Verify(key *ecdsa.PublicKey) ([]byte, error) {
	parsed, err := gojose.ParseSignedCompact(m.compact, []gojose.SignatureAlgorithm{gojose.ES256})
	if err != nil {
		// The cause is dropped: go-jose quotes the message in some of its errors.
		return nil, fmt.Errorf("%w: header not understood", ErrInvalid)
	}
	payload, err := parsed.Verify(verifier{key})
	if err != nil {
		return nil, fmt.Errorf("%w: signature does not verify", ErrInvalid)
	}
	return payload, nil
}

// Claims verifies the signature and reads the payload as a JSON object. Every error is ErrInvalid.
func (m *Message) Claims(key *ecdsa.PublicKey) (Object, error) {
	payload, err := m.Verify(key)
	if err != nil {
		return nil, err
	}
	return claims(payload, m.limit)
}

func claims(payload []byte, limit int) (Object, error) {
	o, err := parseObject(payload, limit)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return o, nil
}

// Sign writes claims, any JSON object, as a compact JWS with the header members typ, alg and kid (none if it
// is empty). The signer must hold a P-256 key; it is given a SHA-256 digest and answers ASN.1 DER, as an
// *ecdsa.PrivateKey and a KMS key both do. A refusal by the signer is wrapped; a result over MaxSize is ErrInvalid.
func Sign(typ, kid string, claims any, key crypto.Signer) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	opts := new(gojose.SignerOptions).WithType(gojose.ContentType(typ))
	s, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.ES256, Key: signer{key, kid}}, opts)
	if err != nil {
		return "", fmt.Errorf("use signing key: %w", err)
	}
	signed, err := s.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("serialize: %w", err)
	}
	if len(compact) > MaxSize {
		return "", fmt.Errorf("%w: would be longer than %d bytes", ErrInvalid, MaxSize)
	}
	return compact, nil
}
