package verifier

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// testKey is a key that follows from a word, and whose signatures follow from the message (RFC 6979).
type testKey struct{ *ecdsa.PrivateKey }

// Sign ignores the source of randomness.
func (f testKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return f.PrivateKey.Sign(nil, digest, opts)
}

func fixedKey(t testing.TB, word string) testKey {
	t.Helper()
	sum := sha256.Sum256([]byte(word))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return testKey{key}
}

// fixedTLS has a key whose signatures follow from the message.
func fixedTLS(t testing.TB, word string) *tls.Certificate {
	t.Helper()
	seed := sha256.Sum256([]byte(word))
	key := ed25519.NewKeyFromSeed(seed[:])
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func fixedCertificate(t testing.TB, word string) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(fixedTLS(t, word).Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// members is a JSON object with a changed copy.
type members map[string]any

// but returns the members with others in place of some; nil: left out.
func (m members) but(changes ...any) members {
	c := maps.Clone(m)
	for i := 0; i < len(changes); i += 2 {
		if c[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(c, changes[i].(string))
		}
	}
	return c
}

func (m members) text() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// maker makes vectors.
type maker struct {
	t               testing.TB
	day, proof      testKey
	other           testKey // of no agent
	cert, elsewhere *x509.Certificate
}

func newMaker(t testing.TB) maker {
	t.Helper()
	return maker{
		t:         t,
		day:       fixedKey(t, "day"),
		proof:     fixedKey(t, "proof"),
		other:     fixedKey(t, "other"),
		cert:      fixedCertificate(t, "agent"),
		elsewhere: fixedCertificate(t, "elsewhere"),
	}
}

// jws signs any header and any payload, as they are written.
func (m maker) jws(head, body string, key testKey) string {
	m.t.Helper()
	input := b64([]byte(head)) + "." + b64([]byte(body))
	digest := sha256.Sum256([]byte(input))
	der, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		m.t.Fatal(err)
	}
	var parts struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		m.t.Fatal(err)
	}
	return input + "." + b64(append(parts.R.FillBytes(make([]byte, 32)), parts.S.FillBytes(make([]byte, 32))...))
}

const tokenHead = `{"alg":"ES256","kid":"day","typ":"at+jwt"}`

func (m maker) claims() members {
	return members{
		"iss": issuer, "sub": "acme::kyc", "aud": []string{resource}, "client_id": "acme::kyc", "jti": "t-1",
		"iat": now.Unix(), "exp": now.Unix() + 300, "capabilities": []string{"orders.read"}, "scope": "orders.read",
		"generation": 4, "handle": "5qPmGHHZYI_EelBV9B7KOA", "cnf": members{"x5t#S256": thumbprint(m.cert)},
	}
}

// bound is bound to the proof's key too.
func (m maker) bound() members {
	return m.claims().but("cnf", members{"x5t#S256": thumbprint(m.cert), "jkt": jose.Thumbprint(&m.proof.PublicKey)})
}

func (m maker) token(c members) string { return m.jws(tokenHead, c.text(), m.day) }

func (m maker) jwk(key testKey) members {
	j, err := jose.PublicJWK(&key.PublicKey, "")
	if err != nil {
		m.t.Fatal(err)
	}
	return members{"kty": j.Kty, "crv": j.Crv, "x": j.X, "y": j.Y}
}

func (m maker) proofHead() members {
	return members{"typ": "dpop+jwt", "alg": "ES256", "jwk": m.jwk(m.proof)}
}

func (m maker) proofClaims(token string) members {
	sum := sha256.Sum256([]byte(token))
	return members{"jti": "p-1", "htm": "GET", "htu": target, "iat": now.Unix(), "ath": b64(sum[:])}
}

func (m maker) prove(token string, changes ...any) string {
	return m.jws(m.proofHead().text(), m.proofClaims(token).but(changes...).text(), m.proof)
}

// request is one over the agent's own connection.
func (m maker) request(headers ...[]string) *vectorRequest {
	return &vectorRequest{"GET", "/v1/orders", headers, base64.StdEncoding.EncodeToString(m.cert.Raw), "192.0.2.7:40000"}
}

func (m maker) bearer(token string) *vectorRequest {
	return m.request([]string{"Authorization", "Bearer " + token})
}

func (m maker) dpop(token string, proofs ...string) *vectorRequest {
	r := m.request([]string{"Authorization", "DPoP " + token})
	for _, p := range proofs {
		r.Headers = append(r.Headers, []string{"DPoP", p})
	}
	return r
}

func (m maker) status() members {
	return members{"iss": issuer, "iat": now.Unix(), "seq": 100, "max_age": 300, "generations": []int{4, 5},
		"dead": []any{}}
}

const statusHead = `{"alg":"ES256","kid":"day","typ":"mastio-status+jwt"}`

func (m maker) learn(at int64, want string, s members) vectorStep {
	text := m.jws(statusHead, s.text(), m.day)
	return vectorStep{At: at, Status: &text, Want: want}
}

// alive is the step that most cases begin with: a status that calls nothing dead.
func (m maker) alive() vectorStep { return m.learn(0, "ok", m.status()) }

func ask(at int64, want string, r *vectorRequest) vectorStep {
	return vectorStep{At: at, Request: r, Want: want}
}

// within is a case with a max_stale of its own.
func within(maxStale int, name string, steps ...vectorStep) vectorCase {
	return vectorCase{Name: name, MaxStale: maxStale, Steps: steps}
}

// wants are the requests of many cases by the code that each is answered with, in the order of their names.
func (m maker) wants(code string, requests map[string]*vectorRequest) []vectorCase {
	var cases []vectorCase
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		cases = append(cases, vectorCase{Name: name, Steps: []vectorStep{m.alive(), ask(0, code, requests[name])}})
	}
	return cases
}

func vectors(t *testing.T) map[string]vectorFile {
	t.Helper()
	m := newMaker(t)
	jwks, err := accesstoken.JWKS([]accesstoken.PublicKey{{ID: "day", Key: &m.day.PublicKey}})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]vectorFile{
		"tokens": {About: "Access tokens: good ones, and each way to be bad.", Cases: m.tokenCases()},
		"proofs": {About: "DPoP proofs: good ones, each way to be bad, and replay.", Cases: m.proofCases()},
		"status": {About: "Status documents, sequences of them, and what they call dead.", Cases: m.statusCases()},
		"proxy":  {About: "The certificate in a header of a trusted proxy.", Cases: m.proxyCases()},
	}
	for name, f := range files {
		f.Issuer, f.Audience, f.URL, f.Now, f.MaxStale, f.JWKS = issuer, resource, "https://api.example", now.Unix(), 30,
			jwks
		files[name] = f
	}
	return files
}
