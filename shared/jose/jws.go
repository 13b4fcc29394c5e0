// Package jose reads and writes EC P-256 keys as JSON Web Keys (RFC 7517; RFC 7518, 6.2) and compact JSON Web
// Signatures (RFC 7515) of the kinds a Mastio knows: ES256, and RS256 where a caller asks for it. A key and each part
// of a message have one canonical spelling; every other is refused.
//
// No JOSE library is linked. A library follows the RFCs where they are generous: it accepts line breaks and stray
// trailing bits in base64url, the unencoded payloads of RFC 7797, and critical headers that name them. Code that
// refuses all of these has parsed the message already, and the standard library checks the signatures. The tests hold
// this package to go-jose and to the vectors of Wycheproof.
package jose

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxSize is the longest message, in bytes, that is read or written. API Gateway lets 10,240 bytes of headers
// through in all, so anything longer could not arrive in one.
const MaxSize = 8 << 10

// The values of "alg" that are read. Algorithm is the only one that Parse reads and that Sign writes.
const (
	Algorithm = "ES256" // ECDSA on P-256 with SHA-256 (RFC 7518, 3.4)
	RS256     = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3)
)

// ErrInvalid reports a message, or a part of one, that is not what this package reads. It is always wrapped
// with the reason, which never quotes the message.
var ErrInvalid = errors.New("invalid jws")

// Message is a JWS taken apart. Nothing in it may be believed before Verify. It is safe for concurrent use.
type Message struct {
	Header Object // the protected header; "alg" has been checked, other members have not

	alg       string
	input     string // what is signed: the first two parts
	payload   []byte
	signature []byte
	limit     int // of the header and of the payload, in bytes
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
	m, err := split(compact, limit)
	if err != nil {
		return nil, err
	}
	if m.alg, err = checkHeader(m.Header, algorithms); err != nil {
		return nil, err
	}
	if m.alg == Algorithm && len(m.signature) != signatureSize {
		return nil, fmt.Errorf("%w: signature of %d bytes instead of %d", ErrInvalid, len(m.signature), signatureSize)
	}
	return m, nil
}

// split takes the three parts apart and checks their spelling.
func split(compact string, limit int) (*Message, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%w: %d parts instead of 3", ErrInvalid, len(parts))
	}
	header, err := Decode(parts[0])
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	m := &Message{input: compact[:len(parts[0])+1+len(parts[1])], limit: limit}
	if m.payload, err = Decode(parts[1]); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if m.signature, err = Decode(parts[2]); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if m.Header, err = parseObject(header, limit); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return m, nil
}

func checkHeader(header Object, algorithms []string) (alg string, err error) {
	if alg, err = header.Text("alg"); err != nil {
		return "", err
	}
	if !slices.Contains(algorithms, alg) {
		return "", fmt.Errorf("%w: alg is not %s", ErrInvalid, strings.Join(algorithms, " or "))
	}
	// No extension is understood here, so any crit must be refused (RFC 7515, 4.1.11). b64 must come with crit (RFC
	// 7797, 6), but some readers honour b64 without crit, which would give one text two meanings.
	for _, name := range []string{"crit", "b64"} {
		if _, ok := header[name]; ok {
			return "", fmt.Errorf("%w: %s is not supported", ErrInvalid, name)
		}
	}
	for _, name := range []string{"kid", "typ", "cty"} { // strings by RFC 7515, 4.1.4, 4.1.9 and 4.1.10
		if _, err := header.Text(name); err != nil {
			return "", err
		}
	}
	return alg, nil
}

// Verify returns the payload if key, a P-256 key, made the signature. Every error is ErrInvalid.
func (m *Message) Verify(key *ecdsa.PublicKey) ([]byte, error) {
	if m.alg != Algorithm {
		return nil, errAlgorithm
	}
	if !verifyES256(key, m.input, m.signature) {
		return nil, errSignature
	}
	return slices.Clone(m.payload), nil
}

var (
	errAlgorithm = fmt.Errorf("%w: alg does not fit the key", ErrInvalid)
	errSignature = fmt.Errorf("%w: signature does not verify", ErrInvalid)
)

// Claims verifies the signature and reads the payload as a JSON object. Every error is ErrInvalid.
func (m *Message) Claims(key *ecdsa.PublicKey) (Object, error) {
	if _, err := m.Verify(key); err != nil {
		return nil, err
	}
	return m.claims()
}

// claims reads the payload. The caller has verified the signature.
func (m *Message) claims() (Object, error) {
	o, err := parseObject(m.payload, m.limit)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return o, nil
}

// Sign writes claims, any JSON object, as a compact JWS with the header members typ, alg and kid (none if it
// is empty). The signer must hold a P-256 key; it is given a SHA-256 digest and answers ASN.1 DER, as an
// *ecdsa.PrivateKey and a KMS key both do. A refusal by the signer is wrapped; a result over MaxSize is ErrInvalid.
func Sign(typ, kid string, claims any, key crypto.Signer) (string, error) {
	return SignLimited(typ, kid, claims, key, MaxSize)
}

// SignLimited is Sign for messages that do not travel in a header: of at most limit bytes.
func SignLimited(typ, kid string, claims any, key crypto.Signer, limit int) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		Key       string `json:"kid,omitempty"`
		Type      string `json:"typ"`
	}{Algorithm, kid, typ})
	if err != nil {
		return "", fmt.Errorf("encode header: %w", err)
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := signES256(key, input)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	compact := input + "." + base64.RawURLEncoding.EncodeToString(signature)
	if len(compact) > limit {
		return "", fmt.Errorf("%w: would be longer than %d bytes", ErrInvalid, limit)
	}
	return compact, nil
}
