package assertion

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

const (
	issuer   = "https://agents.mastio.example"
	endpoint = issuer + "/v1/auth/token"
	agentID  = "acme::kyc"
	kid      = "key-of-the-day"
)

var now = time.Unix(1_800_000_000, 0).UTC()

// identity is a certificate with its key.
type identity struct {
	key  crypto.Signer
	leaf *x509.Certificate
}

func newIdentity(t testing.TB, key crypto.Signer) identity {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: agentID},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return identity{key, leaf}
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var rsa2048 = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func (i identity) thumbprint() string { return pki.Thumbprint(i.leaf.Raw) }

func (i identity) expect() Expect {
	return Expect{Subject: agentID, Leaf: i.leaf, Thumbprint: i.thumbprint(), Issuer: issuer, Endpoint: endpoint, Now: now}
}

func challenges(t testing.TB, fill byte) *Challenges {
	t.Helper()
	c, err := NewChallenges(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// members are a header's or the claims'. A nil value leaves one out.
type members map[string]any

func (m members) with(changes members) members {
	out := members{}
	for _, from := range []members{m, changes} {
		for name, value := range from {
			if out[name] = value; value == nil {
				delete(out, name)
			}
		}
	}
	return out
}

func (i identity) header() members {
	alg := "ES256"
	if _, ok := i.key.(*rsa.PrivateKey); ok {
		alg = "RS256"
	}
	return members{"alg": alg, "typ": "JWT", "x5c": []string{base64.StdEncoding.EncodeToString(i.leaf.Raw)}}
}

// claims are those of the agents' SDK.
func claims(challenge string) members {
	return members{
		"iss": agentID, "sub": agentID, "aud": "agent-trust-broker", "iat": now.Unix(), "exp": now.Unix() + 300,
		"jti": "id-1", "nonce": challenge,
	}
}

func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// compact signs with nothing but the standard library, whatever the header says.
func compact(t testing.TB, key crypto.Signer, header, claims any) string {
	t.Helper()
	input := encode(t, header) + "." + encode(t, claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature(t, key, input))
}

func signature(t testing.TB, key crypto.Signer, input string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		size := (key.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	default:
		sig, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
}

func verifyLocal(t testing.TB, compact string, want Expect) error {
	t.Helper()
	a, err := Parse(compact)
	if err == nil {
		_, err = a.VerifyLocal(challenges(t, 1), want)
	}
	return err
}

func TestLocalAssertion(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"ES256": ecKey(t, elliptic.P256()), "RS256": rsa2048()} {
		i := newIdentity(t, key)
		challenge := challenges(t, 1).Issue(i.thumbprint(), now)
		for what, change := range map[string]members{
			"of the SDK": {}, "for the issuer": {"aud": issuer}, "for the endpoint": {"aud": endpoint},
			"for a list of ours":             {"aud": []string{issuer, endpoint}},
			"by a clock that is 60 s ahead":  {"iat": now.Unix() + 60, "exp": now.Unix() + 360, "nbf": now.Unix() + 60},
			"by a clock that is 59 s behind": {"iat": now.Unix() - 359, "exp": now.Unix() - 59},
		} {
			a, err := Parse(compact(t, key, i.header(), claims(challenge).with(change)))
			if err != nil {
				t.Fatalf("%s, %s: %v", name, what, err)
			}
			v, err := a.VerifyLocal(challenges(t, 1), i.expect())
			if err != nil || v.Challenge != challenge {
				t.Errorf("%s, %s: challenge %q, error %v", name, what, v.Challenge, err)
			}
		}
	}
}

// Every way in which a local assertion can be wrong. The one that all of them were made from is good.
func TestLocalAssertionRefused(t *testing.T) {
	i, other, rs := newIdentity(t, ecKey(t, elliptic.P256())), newIdentity(t, ecKey(t, elliptic.P256())),
		newIdentity(t, rsa2048())
	sameKey := newIdentity(t, i.key)
	challenge := challenges(t, 1).Issue(i.thumbprint(), now)
	good := func(header, change members) string {
		return compact(t, i.key, i.header().with(header), claims(challenge).with(change))
	}
	if err := verifyLocal(t, good(nil, nil), i.expect()); err != nil {
		t.Fatal(err)
	}
	der := func(i identity) string { return base64.StdEncoding.EncodeToString(i.leaf.Raw) }
	for name, text := range map[string]string{
		"alg none": encode(t, i.header().with(members{"alg": "none"})) + "." + encode(t,
			claims(challenge)) + ".",
		"alg HS256 with the leaf": hs256(t, i.header().with(members{"alg": "HS256"}), claims(challenge), i.leaf.Raw),
		"alg HS256 with the key": hs256(t, i.header().with(members{"alg": "HS256"}), claims(challenge),
			i.leaf.RawSubjectPublicKeyInfo),
		"alg RS256 by an EC key": good(members{"alg": "RS256"}, nil),
		"alg ES384":              good(members{"alg": "ES384"}, nil),
		"alg PS256":              good(members{"alg": "PS256"}, nil),
		"alg in lower case":      good(members{"alg": "es256"}, nil),
		"crit":                   good(members{"crit": []string{"exp"}}, nil),
		"unencoded payload":      good(members{"b64": false}, nil),
		"no x5c":                 good(members{"x5c": nil}, nil),
		"x5c empty":              good(members{"x5c": []string{}}, nil),
		"x5c no list":            good(members{"x5c": der(i)}, nil),
		"x5c in base64url":       good(members{"x5c": []string{base64.RawURLEncoding.EncodeToString(i.leaf.Raw)}}, nil),
		"x5c with a line break":  good(members{"x5c": []string{der(i)[:64] + "\n" + der(i)[64:]}}, nil),
		"x5c of another":         good(members{"x5c": []string{der(other)}}, nil),
		"x5c of the same key":    good(members{"x5c": []string{der(sameKey)}}, nil),
		"x5c behind another":     good(members{"x5c": []string{der(sameKey), der(i)}}, nil),
		"x5c with a byte more": good(members{"x5c": []string{
			base64.StdEncoding.EncodeToString(append(bytes.Clone(i.leaf.Raw), 0))}}, nil),
		"x5c of 17": good(members{"x5c": repeat(der(i), 17)}, nil),
		"key in the header": compact(t, other.key, i.header().with(members{"jwk": members{"kty": "EC"}}),
			claims(challenge)),
		"typ of an access token":      good(members{"typ": "at+jwt"}, nil),
		"typ of a proof":              good(members{"typ": "dpop+jwt"}, nil),
		"typ of the Mastio's":         good(members{"typ": ownType, "kid": kid}, nil),
		"typ no string":               good(members{"typ": 1}, nil),
		"by another key":              compact(t, other.key, i.header(), claims(challenge)),
		"by another key, its x5c":     compact(t, other.key, other.header(), claims(challenge)),
		"RSA in place of EC":          compact(t, rs.key, rs.header(), claims(challenge)),
		"claims changed":              swapClaims(t, good(nil, nil), claims(challenge).with(members{"jti": "id-2"})),
		"iss of another":              good(nil, members{"iss": "acme::other"}),
		"sub of another":              good(nil, members{"sub": "acme::other"}),
		"no sub":                      good(nil, members{"sub": nil}),
		"sub in capitals":             good(nil, members{"sub": "ACME::kyc"}),
		"aud unknown":                 good(nil, members{"aud": "https://other.example"}),
		"aud of another too":          good(nil, members{"aud": []string{issuer, "https://other.example"}}),
		"aud with a slash":            good(nil, members{"aud": issuer + "/"}),
		"aud of the Mastio's own":     good(nil, members{"aud": audience(endpoint)}),
		"aud empty":                   good(nil, members{"aud": []string{}}),
		"aud null":                    good(nil, members{"aud": json.RawMessage("null")}),
		"aud number":                  good(nil, members{"aud": 1}),
		"no aud":                      good(nil, members{"aud": nil}),
		"no iat":                      good(nil, members{"iat": nil}),
		"no exp":                      good(nil, members{"exp": nil}),
		"good for 301 s":              good(nil, members{"exp": now.Unix() + 301}),
		"exp before iat":              good(nil, members{"exp": now.Unix() - 1}),
		"exp at iat":                  good(nil, members{"exp": now.Unix()}),
		"61 s ahead":                  good(nil, members{"iat": now.Unix() + 61, "exp": now.Unix() + 361}),
		"60 s behind":                 good(nil, members{"iat": now.Unix() - 360, "exp": now.Unix() - 60}),
		"nbf 61 s ahead":              good(nil, members{"nbf": now.Unix() + 61}),
		"iat as text":                 good(nil, members{"iat": "1800000000"}),
		"exp far away":                good(nil, members{"exp": 1e300}),
		"no jti":                      good(nil, members{"jti": nil}),
		"jti empty":                   good(nil, members{"jti": ""}),
		"jti too long":                good(nil, members{"jti": strings.Repeat("a", 257)}),
		"jti number":                  good(nil, members{"jti": 1}),
		"no challenge":                good(nil, members{"nonce": nil}),
		"challenge invented":          good(nil, members{"nonce": strings.Repeat("A", len(challenge))}),
		"challenge of another":        good(nil, members{"nonce": challenges(t, 1).Issue(other.thumbprint(), now)}),
		"challenge of the same key":   good(nil, members{"nonce": challenges(t, 1).Issue(sameKey.thumbprint(), now)}),
		"challenge of another Mastio": good(nil, members{"nonce": challenges(t, 2).Issue(i.thumbprint(), now)}),
		"challenge of 60 s ago": good(nil,
			members{"nonce": challenges(t, 1).Issue(i.thumbprint(), now.Add(-60*time.Second))}),
		"challenge of tomorrow": good(nil,
			members{"nonce": challenges(t, 1).Issue(i.thumbprint(), now.Add(24*time.Hour))}),
		"four parts": good(nil, nil) + ".AAAA",
		"two parts":  good(nil, nil)[:strings.LastIndexByte(good(nil, nil), '.')],
		"empty":      "",
		"padded":     good(nil, nil) + "=",
		"line break": good(nil, nil) + "\n",
		"too long":   good(nil, members{"x": strings.Repeat("a", MaxSize)}),
		"nested deeply": good(members{"x": json.RawMessage(strings.Repeat("[", 5000) + strings.Repeat("]",
			5000))}, nil),
	} {
		err := verifyLocal(t, text, i.expect())
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error = %v, want ErrInvalid", name, err)
		} else if len(err.Error()) > 200 || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: the error quotes the assertion: %.300v", name, err)
		}
	}
}

func repeat(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}

// hs256 signs with what everybody knows.
func hs256(t testing.TB, header, claims, key any) string {
	t.Helper()
	input := encode(t, header) + "." + encode(t, claims)
	mac := hmac.New(sha256.New, key.([]byte))
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func swapClaims(t testing.TB, compact string, claims members) string {
	t.Helper()
	parts := strings.Split(compact, ".")
	return parts[0] + "." + encode(t, claims) + "." + parts[2]
}

// A key that no certificate of ours may have signs nothing here either, whatever the assertion says.
func TestLocalAssertionByAWeakKey(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // GODEBUG rsa1024min
	}
	for name, key := range map[string]crypto.Signer{"RSA 1024": weak, "P-224": ecKey(t, elliptic.P224()),
		"P-384": ecKey(t, elliptic.P384())} {
		i := newIdentity(t, key)
		text := compact(t, key, i.header(), claims(challenges(t, 1).Issue(i.thumbprint(), now)))
		if err := verifyLocal(t, text, i.expect()); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error = %v", name, err)
		}
	}
}

func TestBehind(t *testing.T) {
	i := newIdentity(t, ecKey(t, elliptic.P256()))
	chain := append([]string{base64.StdEncoding.EncodeToString(i.leaf.Raw)},
		repeat(base64.StdEncoding.EncodeToString([]byte("ca")), MaxBehind)...)
	text := compact(t, i.key, i.header().with(members{"x5c": chain}), claims(challenges(t, 1).Issue(i.thumbprint(), now)))
	a, err := Parse(text)
	if err != nil || len(a.Behind) != MaxBehind || string(a.Behind[14]) != "ca" {
		t.Fatalf("%d certificates behind the first, %v", len(a.Behind), err)
	}
	if _, err := a.VerifyLocal(challenges(t, 1), i.expect()); err != nil {
		t.Error(err)
	}
}

func TestOwnAssertion(t *testing.T) {
	day, i := ecKey(t, elliptic.P256()), newIdentity(t, ecKey(t, elliptic.P256()))
	keys := func(id string) *ecdsa.PublicKey {
		if id != kid {
			return nil
		}
		return &day.PublicKey
	}
	text, err := Sign(i.expect(), "id-1", kid, day)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Parse(text)
	if err != nil || a.Kind != Own {
		t.Fatalf("kind %q, %v", a.Kind, err)
	}
	at := func(change func(e *Expect)) Expect { e := i.expect(); change(&e); return e }
	if _, err := a.VerifyOwn(keys, at(func(e *Expect) { e.Now = now.Add(OwnTTL - 1) })); err != nil {
		t.Errorf("at the end of its life: %v", err)
	}
	other := newIdentity(t, i.key)
	for name, want := range map[string]Expect{
		"after its life":          at(func(e *Expect) { e.Now = now.Add(OwnTTL) }),
		"before its life":         at(func(e *Expect) { e.Now = now.Add(-6 * time.Second) }),
		"of another agent":        at(func(e *Expect) { e.Subject = "acme::other" }),
		"over another connection": at(func(e *Expect) { e.Leaf, e.Thumbprint = other.leaf, other.thumbprint() }),
		"of another issuer":       at(func(e *Expect) { e.Issuer = "https://other.example" }),
		"at another endpoint":     at(func(e *Expect) { e.Endpoint = "https://other.example/v1/auth/token" }),
	} {
		if _, err := a.VerifyOwn(keys, want); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error = %v", name, err)
		}
	}
	if _, err := a.VerifyOwn(func(string) *ecdsa.PublicKey { return nil }, i.expect()); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown kid: error = %v", err)
	}
	if _, err := a.VerifyLocal(challenges(t, 1), i.expect()); !errors.Is(err, ErrInvalid) {
		t.Errorf("as a local one: error = %v", err)
	}
	forged, err := Sign(i.expect(), "id-1", kid, i.key)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = Parse(forged); err != nil {
		t.Fatal(err)
	}
	if _, err := a.VerifyOwn(keys, i.expect()); !errors.Is(err, ErrInvalid) {
		t.Errorf("signed by the agent: error = %v", err)
	}
}

// An assertion of the Mastio and an access token are signed by the same key, and neither passes for the other, whatever
// audience an agent may have a token made for.
func TestNeitherPassesForTheOther(t *testing.T) {
	day, i := ecKey(t, elliptic.P256()), newIdentity(t, ecKey(t, elliptic.P256()))
	keys := func(string) *ecdsa.PublicKey { return &day.PublicKey }
	text, err := Sign(i.expect(), "id-1", kid, day)
	if err != nil {
		t.Fatal(err)
	}
	for _, audience := range []string{issuer, endpoint, audience(endpoint)} {
		if _, err := accesstoken.Verify(text, keys, now, issuer, audience); err == nil {
			t.Errorf("an assertion is an access token for %s", audience)
		}
		x5t, err := accesstoken.X5TFromThumbprint(i.thumbprint())
		if err != nil {
			t.Fatal(err)
		}
		token, err := accesstoken.Sign(accesstoken.Claims{
			Issuer:   issuer,
			Subject:  agentID,
			Audience: []string{audience},
			ClientID: agentID,
			JTI:      "id-1",
			IssuedAt: now,
			Expires:  now.Add(time.Minute),
			X5T:      x5t,
		}, accesstoken.Key{ID: kid, Signer: day})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(token); !errors.Is(err, ErrInvalid) {
			t.Errorf("an access token for %s is an assertion: %v", audience, err)
		}
		// The same claims under the other's typ: aud separates them too.
		parts := strings.Split(token, ".")
		input := encode(t, members{"alg": "ES256", "typ": ownType, "kid": kid}) + "." + parts[1]
		relabelled := input + "." + base64.RawURLEncoding.EncodeToString(signature(t, day, input))
		a, err := Parse(relabelled)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.VerifyOwn(keys, i.expect()); !errors.Is(err, ErrInvalid) {
			t.Errorf("an access token's claims for %s pass under the assertion's typ: %v", audience, err)
		}
	}
}

// What is remembered outlasts every instant at which the assertion is accepted, and no two holders share a name.
func TestUsed(t *testing.T) {
	day, i := ecKey(t, elliptic.P256()), newIdentity(t, ecKey(t, elliptic.P256()))
	challenge := challenges(t, 1).Issue(i.thumbprint(), now)
	local, err := Parse(compact(t, i.key, i.header(), claims(challenge)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := local.VerifyLocal(challenges(t, 1), i.expect())
	if err != nil {
		t.Fatal(err)
	}
	holder, id, until := v.Used(i.thumbprint())
	if want := now.Add(361 * time.Second); !until.Equal(want) {
		t.Errorf("remembered until %s, want %s", until, want)
	}
	text, err := Sign(i.expect(), "id-1", kid, day)
	if err != nil {
		t.Fatal(err)
	}
	own, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if v, err = own.VerifyOwn(func(string) *ecdsa.PublicKey { return &day.PublicKey }, i.expect()); err != nil {
		t.Fatal(err)
	}
	ownHolder, ownID, ownUntil := v.Used(i.thumbprint())
	if ownHolder != holder || ownID == id || ownUntil.Before(now.Add(OwnTTL)) {
		t.Errorf("local: %s %s, own: %s %s until %s; want one holder, two names, and the whole life", holder, id, ownHolder,
			ownID, ownUntil)
	}
	if other, _, _ := v.Used(newIdentity(t, i.key).thumbprint()); other == holder {
		t.Error("two certificates share their names")
	}
}

func TestChallenges(t *testing.T) {
	c := challenges(t, 1)
	first, second := c.Issue("a", now), c.Issue("a", now)
	if first == second || len(first) != 75 {
		t.Errorf("challenges %q and %q", first, second)
	}
	for name, at := range map[string]time.Duration{"at once": 0, "at its end": ChallengeTTL - time.Millisecond,
		"by a slower clock": -ahead} {
		if err := c.check(first, "a", now.Add(at)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range first {
		flipped := []byte(first)
		if flipped[i] = 'A'; first[i] == 'A' {
			flipped[i] = 'B'
		}
		if c.check(string(flipped), "a", now) == nil {
			t.Errorf("character %d changed: accepted", i)
		}
	}
	for _, size := range []int{0, 16, 31, 33} {
		if _, err := NewChallenges(make([]byte, size)); err == nil {
			t.Errorf("a key of %d octets is taken", size)
		}
	}
}

// FuzzParse looks for assertions that stop the parser, or that pass without the certificate's key.
func FuzzParse(f *testing.F) {
	day, i := ecKey(f, elliptic.P256()), newIdentity(f, ecKey(f, elliptic.P256()))
	good := compact(f, i.key, i.header(), claims(challenges(f, 1).Issue(i.thumbprint(), now)))
	own, err := Sign(i.expect(), "id-1", kid, day)
	if err != nil {
		f.Fatal(err)
	}
	known := map[string]bool{good: true, own: true}
	for text := range known {
		f.Add(text)
	}
	f.Add(hs256(f, i.header(), claims(""), i.leaf.Raw))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("error = %v", err)
			}
			return
		}
		_, local := a.VerifyLocal(challenges(t, 1), i.expect())
		_, byMastio := a.VerifyOwn(func(string) *ecdsa.PublicKey { return &day.PublicKey }, i.expect())
		if local == nil && byMastio == nil {
			t.Fatal("of both kinds")
		}
		if (local == nil || byMastio == nil) && !sameButSignature(text, known) {
			t.Fatalf("passes without having been signed: %q", text)
		}
	})
}

// sameButSignature allows the other spelling that every ECDSA signature has.
func sameButSignature(text string, known map[string]bool) bool {
	for k := range known {
		if text[:strings.LastIndexByte(text, '.')] == k[:strings.LastIndexByte(k, '.')] {
			return true
		}
	}
	return false
}
