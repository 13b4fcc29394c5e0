package verifier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

const (
	issuer   = "https://agents.mastio.example"
	resource = "https://api.example/v1"
	target   = resource + "/orders"
)

var now = time.Unix(1_800_000_000, 0).UTC()

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificate(t testing.TB, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// scene is a Mastio, an agent with a certificate and a proof key, and a resource.
type scene struct {
	day, proof *ecdsa.PrivateKey
	cert       *x509.Certificate
}

func (s scene) rules() Rules {
	return Rules{
		Issuer:   issuer,
		Audience: resource,
		Keys: func(kid string) *ecdsa.PublicKey {
			if kid != "day" {
				return nil
			}
			return &s.day.PublicKey
		},
	}
}

func (s scene) token(t testing.TB, jkt string, change func(*accesstoken.Claims)) string {
	t.Helper()
	c := accesstoken.Claims{
		Issuer:     issuer,
		Subject:    "acme::kyc",
		Audience:   []string{resource},
		ClientID:   "acme::kyc",
		JTI:        "1",
		IssuedAt:   now,
		Expires:    now.Add(5 * time.Minute),
		X5T:        thumbprint(s.cert),
		JKT:        jkt,
		Generation: 1,
	}
	if change != nil {
		change(&c)
	}
	text, err := accesstoken.Sign(c, accesstoken.Key{ID: "day", Signer: s.day})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func prove(t testing.TB, key *ecdsa.PrivateKey, token string, change map[string]any) string {
	t.Helper()
	signer, err := gojose.NewSigner(gojose.SigningKey{
		Algorithm: gojose.ES256,
		Key:       key,
	}, (&gojose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token))
	claims := map[string]any{"jti": "proof-1", "htm": "GET", "htu": target, "iat": now.Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(sum[:])}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s scene) request(authorization string, proofs ...string) Request {
	return Request{
		Authorization: []string{authorization},
		Proofs:        proofs,
		Certificate:   s.cert,
		Method:        "GET",
		URL:           target,
		Now:           now,
	}
}

func newScene(t testing.TB) (scene, string) {
	t.Helper()
	s := scene{day: newKey(t), proof: newKey(t), cert: certificate(t, newKey(t))}
	return s, jose.Thumbprint(&s.proof.PublicKey)
}

func TestCheck(t *testing.T) {
	s, jkt := newScene(t)
	bearer, bound := s.token(t, "", nil), s.token(t, jkt, nil)
	for name, q := range map[string]Request{
		"Bearer": s.request("Bearer " + bearer), "bearer in lower case": s.request("bearer " + bearer),
		"Bearer with a proof": s.request("Bearer "+bearer, "anything"),
		"DPoP":                s.request("DPoP "+bound, prove(t, s.proof, bound, nil)),
	} {
		v, err := s.rules().Check(q)
		if err != nil || v.Claims.Subject != "acme::kyc" {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		if withProof := name == "DPoP"; withProof != (v.JTI == "proof-1") || withProof != (v.JKT == jkt) ||
			withProof != v.ReplayUntil.After(now) {
			t.Errorf("%s: proof %q of %q until %s", name, v.JTI, v.JKT, v.ReplayUntil)
		}
	}
}

func TestRefused(t *testing.T) {
	s, jkt := newScene(t)
	other := newKey(t)
	bearer, bound := s.token(t, "", nil), s.token(t, jkt, nil)
	good := prove(t, s.proof, bound, nil)
	claims := func(change func(*accesstoken.Claims)) Request { return s.request("Bearer " + s.token(t, "", change)) }
	proof := func(change map[string]any) Request { return s.request("DPoP "+bound, prove(t, s.proof, bound, change)) }
	with := func(q Request, change func(*Request)) Request { change(&q); return q }
	foreign := scene{day: other, proof: s.proof, cert: s.cert}
	for name, c := range map[string]struct {
		request Request
		want    error
	}{
		"nothing":              {with(s.request(""), func(q *Request) { q.Authorization = nil }), ErrNoToken},
		"empty":                {s.request(""), ErrNoToken},
		"a scheme alone":       {s.request("Bearer"), ErrNoToken},
		"a scheme and a blank": {s.request("Bearer "), ErrNoToken},
		"Basic":                {s.request("Basic " + bearer), ErrNoToken},
		"two headers": {with(s.request(""),
			func(q *Request) { q.Authorization = []string{"Bearer " + bearer, "Bearer " + bearer} }), ErrNoToken},
		"two blanks":       {s.request("Bearer  " + bearer), ErrToken},
		"two tokens":       {s.request("Bearer " + bearer + ", Bearer " + bearer), ErrToken},
		"garbage":          {s.request("Bearer garbage"), ErrToken},
		"unsigned":         {s.request("Bearer " + bearer[:strings.LastIndexByte(bearer, '.')+1]), ErrToken},
		"by another key":   {s.request("Bearer " + foreign.token(t, "", nil)), ErrToken},
		"a proof as token": {s.request("DPoP "+good, good), ErrToken},
		"expired": {claims(func(c *accesstoken.Claims) {
			c.IssuedAt, c.Expires = now.Add(-time.Hour),
				now
		}), ErrToken},
		"of another audience": {claims(func(c *accesstoken.Claims) { c.Audience = []string{issuer} }), ErrToken},
		"of another issuer": {claims(func(c *accesstoken.Claims) { c.Issuer = "https://other.example" }),
			ErrToken},
		"over no certificate": {with(s.request("Bearer "+bearer), func(q *Request) { q.Certificate = nil }),
			ErrBinding},
		"over another certificate": {with(s.request("Bearer "+bearer),
			func(q *Request) { q.Certificate = certificate(t, other) }), ErrBinding},
		"bound, over another": {with(s.request("DPoP "+bound, good),
			func(q *Request) { q.Certificate = certificate(t, other) }), ErrBinding},
		"bound, as Bearer":             {s.request("Bearer " + bound), ErrScheme},
		"bound, as Bearer, with proof": {s.request("Bearer "+bound, good), ErrScheme},
		"unbound, as DPoP":             {s.request("DPoP "+bearer, prove(t, s.proof, bearer, nil)), ErrScheme},
		"no proof":                     {s.request("DPoP " + bound), ErrProof},
		"two proofs":                   {s.request("DPoP "+bound, good, good), ErrProof},
		"proof by another key":         {s.request("DPoP "+bound, prove(t, other, bound, nil)), ErrBinding},
		"proof without ath":            {proof(map[string]any{"ath": nil}), ErrProof},
		"proof for another token":      {s.request("DPoP "+bound, prove(t, s.proof, bearer, nil)), ErrProof},
		"proof for another method":     {proof(map[string]any{"htm": "POST"}), ErrProof},
		"proof for another URL":        {proof(map[string]any{"htu": resource}), ErrProof},
		"proof of a minute ago":        {proof(map[string]any{"iat": now.Unix() - 61}), ErrProof},
	} {
		v, err := s.rules().Check(c.request)
		if !errors.Is(err, c.want) || v.Scheme != "" {
			t.Errorf("%s: %+v, error %v, want %v", name, v, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: the error quotes the token: %v", name, err)
		}
	}
}

// The server's nonce is judged after everything else, is the client's to repeat with, and excuses a clock that is off.
func TestNonce(t *testing.T) {
	s, jkt := newScene(t)
	bound, rules := s.token(t, jkt, nil), s.rules()
	rules.Nonce = func(nonce string) error {
		if nonce != "fresh" {
			return errors.New("not this one")
		}
		return nil
	}
	for name, c := range map[string]struct {
		change map[string]any
		want   error
	}{
		"none": {nil, ErrNonce}, "stale": {map[string]any{"nonce": "stale"}, ErrNonce},
		"fresh":                         {map[string]any{"nonce": "fresh"}, nil},
		"fresh, by a clock that is off": {map[string]any{"nonce": "fresh", "iat": now.Unix() + 300}, nil},
		"stale, by a clock that is off": {map[string]any{"nonce": "stale", "iat": now.Unix() + 300}, ErrNonce},
		"none, by a clock that is off":  {map[string]any{"iat": now.Unix() + 300}, ErrNonce},
		"fresh, for another URL":        {map[string]any{"nonce": "fresh", "htu": resource}, ErrProof},
		"stale, for another URL":        {map[string]any{"nonce": "stale", "htu": resource}, ErrProof},
	} {
		if _, err := rules.Check(s.request("DPoP "+bound, prove(t, s.proof, bound, c.change))); !errors.Is(err, c.want) {
			t.Errorf("%s: error = %v, want %v", name, err, c.want)
		}
	}
}
