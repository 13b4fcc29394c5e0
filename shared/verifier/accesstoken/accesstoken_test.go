package accesstoken

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
)

const (
	issuer   = "https://mastio.example"
	audience = "https://api.example"
)

var now = time.Unix(1_800_000_000, 0).UTC()

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// hash is a canonical base64url SHA-256 hash of a text.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func full() Claims {
	return Claims{
		Issuer:       issuer,
		Subject:      "acme::bot",
		Audience:     []string{audience, "urn:other"},
		ClientID:     "acme::bot",
		Scope:        "read write",
		JTI:          "01JABC",
		IssuedAt:     now,
		NotBefore:    now.Add(-time.Minute),
		Expires:      now.Add(5 * time.Minute),
		X5T:          hash("certificate"),
		JKT:          hash("key"),
		Capabilities: []string{"mail.read", "<&>"},
		Generation:   7,
		Handle:       "5qPmGHHZYI_EelBV9B7KOA",
	}
}

func least() Claims {
	return Claims{
		Issuer:   issuer,
		Subject:  "acme::bot",
		Audience: []string{audience},
		ClientID: "acme::bot",
		JTI:      "01JABC",
		IssuedAt: now,
		Expires:  now.Add(5 * time.Minute),
		X5T:      hash("certificate"),
	}
}

func sign(t testing.TB, c Claims, key crypto.Signer) string {
	t.Helper()
	token, err := Sign(c, Key{ID: "k1", Signer: key})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// only knows one key, as k1.
func only(pub *ecdsa.PublicKey) func(string) *ecdsa.PublicKey {
	return func(kid string) *ecdsa.PublicKey {
		if kid != "k1" {
			return nil
		}
		return pub
	}
}

// digestSigner is what a KMS key looks like: it signs SHA-256 digests, answers ASN.1, and knows nothing of messages.
type digestSigner struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func (s digestSigner) Public() crypto.PublicKey { return s.key.Public() }

func (s digestSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if len(digest) != sha256.Size || opts.HashFunc() != crypto.SHA256 {
		s.t.Errorf("asked to sign %d bytes of %v, want a SHA-256 digest", len(digest), opts.HashFunc())
	}
	return ecdsa.SignASN1(rand.Reader, s.key, digest)
}

func TestSignThenVerify(t *testing.T) {
	key := newKey(t, elliptic.P256())
	leastRead := least()
	leastRead.Capabilities = []string{}
	fraction := full()
	fraction.IssuedAt = now.Add(700 * time.Millisecond)
	for _, tc := range []struct {
		name       string
		signer     crypto.Signer
		give, want Claims
	}{
		{"all claims", key, full(), full()},
		{"the least claims", key, least(), leastRead},
		{"a signer of digests", digestSigner{t, key}, full(), full()},
		{"a fraction of a second", key, fraction, full()},
	} {
		got, err := Verify(sign(t, tc.give, tc.signer), only(&key.PublicKey), now, issuer, audience)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestWireFormat(t *testing.T) {
	key := newKey(t, elliptic.P256())
	parts := strings.Split(sign(t, full(), key), ".")
	for i, want := range []string{
		`{"alg":"ES256","kid":"k1","typ":"at+jwt"}`,
		`{"iss":"https://mastio.example","sub":"acme::bot","aud":["https://api.example","urn:other"],"client_id":"acme::bot",
		"scope":"read write","jti":"01JABC","iat":1800000000,"nbf":1799999940,"exp":1800000300,
		"cnf":{"x5t#S256":"` + hash("certificate") + `","jkt":"` + hash("key") + `"},"capabilities":["mail.read","<&>"],"generation":7,
		"handle":"5qPmGHHZYI_EelBV9B7KOA"}`,
	} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal([]byte(want), &wanted)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("part %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestGoJoseReadsTheToken(t *testing.T) {
	key := newKey(t, elliptic.P256())
	raw, err := JWKS([]PublicKey{{ID: "k0", Key: &newKey(t, elliptic.P256()).PublicKey}, {ID: "k1", Key: &key.PublicKey}})
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(sign(t, full(), key), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var got jwt.Claims
	if err := token.Claims(&set, &got); err != nil {
		t.Fatal(err)
	}
	if err := got.ValidateWithLeeway(jwt.Expected{
		Issuer:      issuer,
		Subject:     "acme::bot",
		AnyAudience: jwt.Audience{audience},
		ID:          "01JABC",
		Time:        now,
	}, 0); err != nil {
		t.Error(err)
	}
}

func TestPlainECDSAVerifiesTheToken(t *testing.T) {
	key := newKey(t, elliptic.P256())
	token := sign(t, full(), digestSigner{t, key})
	cut := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[cut+1:])
	if err != nil || len(sig) != 64 {
		t.Fatalf("signature of %d bytes, %v, want 64", len(sig), err)
	}
	digest := sha256.Sum256([]byte(token[:cut]))
	if !ecdsa.Verify(&key.PublicKey, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		t.Error("signature does not verify")
	}
}

func TestVerifyReadsWhatGoJoseSigned(t *testing.T) {
	key := newKey(t, elliptic.P256())
	got, err := Verify(foreign(t, key, "at+jwt", "k1", wire()), only(&key.PublicKey), now, issuer, audience)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// wire is full as it is sent, with some claims replaced; a nil one is left out.
func wire(changes ...any) map[string]any {
	c := map[string]any{
		"iss": issuer, "sub": "acme::bot", "aud": []string{audience, "urn:other"}, "client_id": "acme::bot",
		"scope": "read write",
		"jti":   "01JABC", "iat": now.Unix(), "nbf": now.Unix() - 60, "exp": now.Unix() + 300,
		"capabilities": []string{"mail.read", "<&>"},
		"handle":       "5qPmGHHZYI_EelBV9B7KOA",
		"generation":   7, "cnf": map[string]any{"x5t#S256": hash("certificate"), "jkt": hash("key")},
	}
	for i := 0; i < len(changes); i += 2 {
		name := changes[i].(string)
		if changes[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = changes[i+1]
		}
	}
	return c
}

// foreign signs any claims with go-jose.
func foreign(t testing.TB, key *ecdsa.PrivateKey, typ, kid string, claims map[string]any) string {
	t.Helper()
	alg := map[elliptic.Curve]jose.SignatureAlgorithm{elliptic.P256(): jose.ES256, elliptic.P384(): jose.ES384}[key.Curve]
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}},
		new(jose.SignerOptions).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestSignRefusesIncompleteClaims(t *testing.T) {
	key := Key{ID: "k1", Signer: newKey(t, elliptic.P256())}
	for name, change := range map[string]func(*Claims){
		"no issuer":           func(c *Claims) { c.Issuer = "" },
		"no subject":          func(c *Claims) { c.Subject = "" },
		"no client":           func(c *Claims) { c.ClientID = "" },
		"no jti":              func(c *Claims) { c.JTI = "" },
		"no audience":         func(c *Claims) { c.Audience = nil },
		"an empty audience":   func(c *Claims) { c.Audience = []string{audience, ""} },
		"no iat":              func(c *Claims) { c.IssuedAt = time.Time{} },
		"no exp":              func(c *Claims) { c.Expires = time.Time{} },
		"exp at iat":          func(c *Claims) { c.Expires = c.IssuedAt },
		"exp before iat":      func(c *Claims) { c.Expires = c.IssuedAt.Add(-time.Second) },
		"no x5t":              func(c *Claims) { c.X5T = "" },
		"x5t in hex":          func(c *Claims) { c.X5T = strings.Repeat("a", 64) },
		"x5t not canonical":   func(c *Claims) { c.X5T = hash("certificate")[:42] + "B" },
		"jkt too short":       func(c *Claims) { c.JKT = "AAAA" },
		"negative generation": func(c *Claims) { c.Generation = -1 },
	} {
		c := full()
		change(&c)
		if got, err := Sign(c, key); !errors.Is(err, ErrClaims) || got != "" {
			t.Errorf("%s: got %q, %v, want ErrClaims", name, got, err)
		}
	}
}

func TestSignRefusesBadKeys(t *testing.T) {
	for name, key := range map[string]Key{
		"no id":     {Signer: newKey(t, elliptic.P256())},
		"no signer": {ID: "k1"},
		"P-384":     {ID: "k1", Signer: newKey(t, elliptic.P384())},
	} {
		if got, err := Sign(full(), key); err == nil {
			t.Errorf("%s: signed %q, want an error", name, got)
		}
	}
	long := full()
	long.Capabilities = []string{strings.Repeat("x", 8<<10)}
	if got, err := Sign(long, Key{ID: "k1", Signer: newKey(t, elliptic.P256())}); err == nil {
		t.Errorf("a token of %d bytes was signed, want an error", len(got))
	}
}

func TestX5TFromThumbprint(t *testing.T) {
	const pin = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // SHA-256 of "abc" (FIPS 180-2, B.1)
	if got, err := X5TFromThumbprint(pin); err != nil || got != hash("abc") {
		t.Errorf("got %q, %v, want %q", got, err, hash("abc"))
	}
	for _, bad := range []string{"", pin[:62], pin + "00", strings.ToUpper(pin), "zz" + pin[2:], pin[:63], " " + pin[1:]} {
		if got, err := X5TFromThumbprint(bad); !errors.Is(err, ErrClaims) || got != "" {
			t.Errorf("X5TFromThumbprint(%q) = %q, %v, want ErrClaims", bad, got, err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	key, c := Key{ID: "k1", Signer: newKey(b, elliptic.P256())}, full()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Sign(c, key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	key := newKey(b, elliptic.P256())
	token, keys := sign(b, full(), key), only(&key.PublicKey)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(token, keys, now, issuer, audience); err != nil {
			b.Fatal(err)
		}
	}
}
