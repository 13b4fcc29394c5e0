package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	challengePath = "/v1/auth/login-challenge"
	endorsePath   = "/v1/auth/sign-challenged-assertion"
	assertPath    = "/v1/auth/sign-assertion"
)

func challengeFor(t *testing.T, c *client) string {
	t.Helper()
	nonce, _ := c.must(t, 200, "POST", challengePath, nil, nil).decode(t)["nonce"].(string)
	return nonce
}

func ownAssertion(t *testing.T, c *client) string {
	t.Helper()
	text, _ := c.must(t, 200, "POST", assertPath, nil, nil).decode(t)["client_assertion"].(string)
	return text
}

// sdkClaims are those that the agents' SDK signs.
func sdkClaims(i credential, challenge string) map[string]any {
	now := time.Now().Unix()
	return map[string]any{
		"iss": i.AgentID, "sub": i.AgentID, "aud": "agent-trust-broker", "iat": now, "exp": now + 300, "jti": rand.Text(),
		"nonce": challenge,
	}
}

func x5cOf(certPEM string) (x5c []string) {
	for rest := []byte(certPEM); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return x5c
		}
		x5c = append(x5c, base64.StdEncoding.EncodeToString(block.Bytes))
	}
}

// localAssertion is signed by one agent's key, with the x5c and the claims that are given.
func localAssertion(t *testing.T, signer credential, x5c []string, claims map[string]any) string {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(signer.CertPEM), []byte(signer.KeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.ES256,
		Key:       pair.PrivateKey,
	}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("x5c", x5c))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func assertedBy(t *testing.T, i credential, c *client) string {
	t.Helper()
	return localAssertion(t, i, x5cOf(i.CertPEM), sdkClaims(i, challengeFor(t, c)))
}

// ownProof is by a key that is made for it, as the SDK does at each login.
func (m *target) ownProof(t *testing.T, nonce string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(jose.JSONWebKey{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	return m.proof(t, credential{DPoPJWK: raw}, claims)
}

func logIn(t *testing.T, c *client, assertion, proof string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"client_assertion": assertion})
	if err != nil {
		t.Fatal(err)
	}
	header := map[string]string{"Content-Type": "application/json"}
	if proof != "" {
		header["DPoP"] = proof
	}
	a, err := c.do(t.Context(), "POST", tokenPath, header, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func endorse(t *testing.T, c *client, assertion, challenge string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"client_assertion": assertion, "nonce": challenge})
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.do(t.Context(), "POST", endorsePath, map[string]string{"Content-Type": "application/json"}, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What an attacker tries with assertions gets him nothing, and leaves the victim's as good as new. The table it prints
// counts what was tried, refused and let through.
func TestAssertionAttacks(t *testing.T) {
	m := borrow(t)
	victim, thief := m.enrol(t, fresh("victim")), m.enrol(t, fresh("thief"))
	v, th := m.newClient(victim.certificate(t)), m.newClient(thief.certificate(t))
	challenge := challengeFor(t, v)
	good := func() map[string]any { return sdkClaims(victim, challenge) }
	changed := func(name string, value any) map[string]any { c := good(); c[name] = value; return c }
	own, x5c := localAssertion(t, victim, x5cOf(victim.CertPEM), good()), x5cOf(victim.CertPEM)
	accessToken, _ := v.must(t, 200, "POST", tokenPath, nil, nil).decode(t)["access_token"].(string)
	sameKey := selfSigned(t, victim)
	spent := ownAssertion(t, v)
	if a := logIn(t, v, spent, ""); a.status != 200 {
		t.Fatalf("the assertion to be spent: %d %s", a.status, a.body)
	}
	unsigned := func(alg string) string {
		parts := strings.Split(own, ".")
		header, _ := base64.RawURLEncoding.DecodeString(parts[0])
		return base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(header), "ES256", alg, 1))) + "." +
			parts[1] + "."
	}
	attacks := []struct {
		kind      string
		over      *client
		assertion []string
	}{
		{"another agent's certificate", th, []string{
			own, ownAssertion(t, v), localAssertion(t, thief, x5c, good()),
			localAssertion(t, thief, x5cOf(thief.CertPEM), good()),
			localAssertion(t, thief, x5cOf(thief.CertPEM), sdkClaims(thief, challenge)),
		}},
		{"no certificate", m.newClient(), []string{own, ownAssertion(t, v)}},
		{"replayed assertion", v, []string{spent, spent}},
		{"challenge of another", v, []string{localAssertion(t, victim, x5c, sdkClaims(victim, challengeFor(t, th))),
			localAssertion(t, victim, x5c, changed("nonce", "invented"))}},
		{"expired, or too long", v, []string{
			localAssertion(t, victim, x5c, changed("exp", time.Now().Unix()-61)),
			localAssertion(t, victim, x5c, changed("exp", time.Now().Unix()+3600)),
			localAssertion(t, victim, x5c, changed("iat", time.Now().Unix()+90)),
		}},
		{"unknown aud", v, []string{localAssertion(t, victim, x5c, changed("aud", "https://other.example")),
			localAssertion(t, victim, x5c, changed("aud", []string{m.URL, "https://other.example"}))}},
		{"alg none and confusion", v, []string{unsigned("none"),
			unsigned("HS256") + base64.RawURLEncoding.EncodeToString(hmacOf(own, victim)),
			unsigned("RS256") + strings.Split(own, ".")[2]}},
		{"x5c of the same key", v, []string{localAssertion(t, victim, sameKey, good()),
			localAssertion(t, victim, append(sameKey[:1:1], x5c...), good())}},
		{"access token as assertion", v, []string{accessToken}},
		{"oversized chain", v, []string{localAssertion(t, victim, repeat(x5c[0], 17), good()),
			localAssertion(t, victim, repeat(x5c[0], 30), good())}},
		{"another subject", v, []string{localAssertion(t, victim, x5c, changed("sub", thief.AgentID)),
			localAssertion(t, victim, x5c, changed("iss", thief.AgentID))}},
	}
	fmt.Printf("%-30s %7s %8s %7s\n", "attack", "tried", "refused", "let in")
	for _, a := range attacks {
		refused := 0
		for n, assertion := range a.assertion {
			if got := logIn(t, a.over, assertion, ""); got.status == 401 && got.decode(t)["error"] == "invalid_client" {
				refused++
			} else {
				t.Errorf("%s, %d: answered %d %s", a.kind, n, got.status, got.body)
			}
		}
		fmt.Printf("%-30s %7d %8d %7d\n", a.kind, len(a.assertion), refused, len(a.assertion)-refused)
	}
	last := assertedBy(t, victim, v)
	for name, got := range map[string]answer{"a token": logIn(t, th, last, ""),
		"an endorsement": endorse(t, th, last, challenge)} {
		if got.status != 401 {
			t.Errorf("the thief gets %s for the victim's assertion: %d %s", name, got.status, got.body)
		}
	}
	if got := logIn(t, v, last, m.ownProof(t, "")); got.status != 200 {
		t.Errorf("the victim's own assertion is spent: %d %s", got.status, got.body)
	}
	tokens := m.atOnce(t, v)
	fmt.Printf("%-30s %7d %8d %7d\n", "one assertion, 8 at once", 8, 8-tokens, tokens)
	if tokens != 1 {
		t.Errorf("%d tokens for one assertion", tokens)
	}
}

// atOnce shows one assertion eight times at once, and returns how many tokens it got.
func (m *target) atOnce(t *testing.T, c *client) int {
	t.Helper()
	assertion := ownAssertion(t, c)
	var tokens atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if logIn(t, c, assertion, m.ownProof(t, "")).status == 200 {
				tokens.Add(1)
			}
		})
	}
	all.Wait()
	return int(tokens.Load())
}

// selfSigned is the x5c of another certificate with an agent's names and key.
func selfSigned(t *testing.T, i credential) []string {
	t.Helper()
	pair := i.certificate(t)
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatalf("key is a %T", pair.PrivateKey)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return []string{base64.StdEncoding.EncodeToString(der)}
}

func hmacOf(text string, i credential) []byte {
	sum := sha256.Sum256([]byte(text + i.CertPEM))
	return sum[:]
}

func repeat(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}

// The proof of a login is refused for its nonce, and repeated with the same assertion: what a nonce in a proof is
// judged by is the same, whether it is demanded or not.
func TestAssertionAfterTheRefusalOfANonce(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("nonce"))
	c := m.newClient(agent.certificate(t))
	for _, assertion := range []string{ownAssertion(t, c), assertedBy(t, agent, c)} {
		refused := logIn(t, c, assertion, m.ownProof(t, "stale"))
		if refused.status != 400 || refused.decode(t)["error"] != "use_dpop_nonce" {
			t.Fatalf("answered %d %s", refused.status, refused.body)
		}
		a := logIn(t, c, assertion, m.ownProof(t, refused.header.Get("DPoP-Nonce")))
		if a.status != 200 || a.decode(t)["token_type"] != "DPoP" || a.header.Get("DPoP-Nonce") == "" {
			t.Errorf("again: %d %s", a.status, a.body)
		}
	}
}

// The whole way of the SDK: a login, a call to the Mastio's resource with the same key, and the end of the token with
// its certificate. The call is one read, and one put for the proof.
func TestMe(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("me"))
	c := m.newClient(agent.certificate(t))
	a := logIn(t, c, ownAssertion(t, c), m.proof(t, agent, nil)).decode(t)
	token, _ := a["access_token"].(string)
	sum := sha256.Sum256([]byte(token))
	ask := func(changes map[string]any) (answer, error) {
		claims := map[string]any{"htm": "GET", "htu": m.URL + "/v1/agent/me",
			"ath": base64.RawURLEncoding.EncodeToString(sum[:])}
		for name, value := range changes {
			claims[name] = value
		}
		return c.do(t.Context(), "GET", "/v1/agent/me",
			map[string]string{"Authorization": "DPoP " + token, "DPoP": m.proof(t, agent, claims)}, nil)
	}
	got, err := ask(nil)
	if err != nil || got.status != 200 || got.decode(t)["agent_id"] != agent.AgentID ||
		got.decode(t)["cert_thumbprint"] != agent.Thumbprint {
		t.Fatalf("answered %d %s, %v", got.status, got.body, err)
	}
	if got, err = ask(map[string]any{"nonce": "stale"}); err != nil || got.status != 401 ||
		!strings.Contains(string(got.body), "use_dpop_nonce") || got.header.Get("DPoP-Nonce") == "" {
		t.Errorf("a stale nonce: %d %s, %v", got.status, got.body, err)
	}
	if got, err = ask(map[string]any{"ath": "x"}); err != nil || got.status != 401 {
		t.Errorf("without ath: %d %s, %v", got.status, got.body, err)
	}
	m.rotate(t, agent.AgentID)
	if got, err = ask(nil); err != nil || got.status != 401 || got.code() != "certificate_revoked" {
		t.Errorf("after the rotation: %d %s, %v", got.status, got.body, err)
	}
}
