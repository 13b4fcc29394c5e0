package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/test/pkitest"
)

// proof signs a DPoP proof with the agent's registered key, as go-jose makes it.
func (m *target) proof(t *testing.T, i credential, claims map[string]any) string {
	t.Helper()
	var key jose.JSONWebKey
	if err := json.Unmarshal(i.DPoPJWK, &key); err != nil {
		t.Fatal(err)
	}
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key.Key}, options)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"htm": "POST", "htu": m.URL + tokenPath, "iat": time.Now().Unix(), "jti": rand.Text()}
	for name, value := range claims {
		all[name] = value
	}
	text, err := jwt.Signed(signer).Claims(all).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestProofBindsTheToken(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("dpop"))
	c := m.newClient(agent.certificate(t))
	a := c.must(t, 200, "POST", tokenPath, map[string]string{"DPoP": m.proof(t, agent, nil)}, nil).decode(t)
	if a["token_type"] != "DPoP" || a["expires_in"] != 300.0 || a["scope"] != "kyc:read kyc:write" {
		t.Errorf("answer = %v", a)
	}
	header, claims := m.verified(t, a["access_token"].(string))
	var key jose.JSONWebKey
	if err := json.Unmarshal(agent.DPoPJWK, &key); err != nil {
		t.Fatal(err)
	}
	jkt, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(agent.CertPEM))
	x5t := sha256.Sum256(block.Bytes)
	cnf := map[string]any{"jkt": encode(jkt), "x5t#S256": encode(x5t[:])}
	if diff := cmp.Diff(cnf, claims["cnf"]); diff != "" {
		t.Errorf("cnf (-want +got):\n%s", diff)
	}
	for name, want := range map[string]any{
		"iss": m.URL, "aud": m.URL, "sub": agent.AgentID, "client_id": agent.AgentID, "scope": "kyc:read kyc:write",
		"generation": float64(agent.Generation),
	} {
		got := claims[name]
		if list, ok := got.([]any); ok && len(list) == 1 {
			got = list[0]
		}
		if got != want {
			t.Errorf("claim %s = %v, want %v", name, claims[name], want)
		}
	}
	if header != "at+jwt" {
		t.Errorf("typ = %q, want at+jwt", header)
	}
}

// verified checks a token against the published JWKS with go-jose and returns its type and claims.
func (m *target) verified(t *testing.T, token string) (typ string, claims map[string]any) {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(m.operator().must(t, 200, "GET", "/.well-known/jwks.json", nil, nil).body, &set); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	keys := set.Key(parsed.Headers[0].KeyID)
	if len(keys) != 1 {
		t.Fatalf("the JWKS has %d keys of id %q", len(keys), parsed.Headers[0].KeyID)
	}
	if err := parsed.Claims(keys[0].Key, &claims); err != nil {
		t.Fatal(err)
	}
	typ, _ = parsed.Headers[0].ExtraHeaders["typ"].(string)
	return typ, claims
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func TestOneProofFiftyTimes(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("replay"))
	c := m.newClient(agent.certificate(t))
	p := m.proof(t, agent, nil)
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	times := scaled(50, 15)
	for range times {
		wg.Go(func() {
			a, err := c.do(t.Context(), "POST", tokenPath, map[string]string{"DPoP": p}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
			if a.status == 400 && a.decode(t)["error"] != "invalid_dpop_proof" {
				t.Errorf("replay answered %s", a.body)
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(map[int]int{200: 1, 400: times - 1}, statuses); diff != "" {
		t.Errorf("answers by status (-want +got):\n%s", diff)
	}
}

func TestProofMustFit(t *testing.T) {
	m := borrow(t)
	agent, other := m.enrol(t, fresh("fit")), m.enrol(t, fresh("fit"))
	c := m.newClient(agent.certificate(t))
	for name, p := range map[string]string{
		"another agent's key": m.proof(t, other, nil),
		"another URL":         m.proof(t, agent, map[string]any{"htu": m.URL + "/v1/agent/renew"}),
		"another method":      m.proof(t, agent, map[string]any{"htm": "GET"}),
		"an hour old":         m.proof(t, agent, map[string]any{"iat": time.Now().Add(-time.Hour).Unix()}),
		"an hour ahead":       m.proof(t, agent, map[string]any{"iat": time.Now().Add(time.Hour).Unix()}),
		"no proof":            "x.y.z",
	} {
		a := c.must(t, 400, "POST", tokenPath, map[string]string{"DPoP": p}, nil)
		if got := a.decode(t)["error"]; got != "invalid_dpop_proof" {
			t.Errorf("%s: %s", name, a.body)
		}
		if got := a.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: Content-Type %q", name, got)
		}
	}
	madeUp := m.proof(t, agent, map[string]any{"nonce": "made-up"})
	a := c.must(t, 400, "POST", tokenPath, map[string]string{"DPoP": madeUp}, nil)
	if a.decode(t)["error"] != "use_dpop_nonce" || a.header.Get("DPoP-Nonce") == "" {
		t.Fatalf("a made-up nonce: %s", a.body)
	}
	again := m.proof(t, agent, map[string]any{"nonce": a.header.Get("DPoP-Nonce")})
	c.must(t, 200, "POST", tokenPath, map[string]string{"DPoP": again}, nil)
}

func TestCertificatesThatDoNotAuthenticate(t *testing.T) {
	m := borrow(t)
	agent, other := m.enrol(t, fresh("cert")), m.enrol(t, fresh("cert"))
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	body := []byte("grant_type=client_credentials&client_id=" + agent.AgentID)

	a := m.operator().must(t, 401, "POST", tokenPath, nil, nil)
	if got := a.decode(t)["error_description"]; got != "Client certificate required" {
		t.Errorf("without a certificate: %v", got)
	}
	m.newClient(agent.certificate(t)).must(t, 200, "POST", tokenPath, form, body)
	a = m.newClient(other.certificate(t)).must(t, 401, "POST", tokenPath, form, body)
	if a.decode(t)["error"] != "invalid_client" {
		t.Errorf("another agent's certificate: %s", a.body)
	}
	// A certificate of another CA with the agent's names ends at the edge, as API Gateway has it.
	foreign := forged(t, agent)
	a = m.newClient(foreign).must(t, 403, "POST", tokenPath, form, body)
	if diff := cmp.Diff(map[string]any{"message": "Forbidden"}, a.decode(t)); diff != "" {
		t.Errorf("a foreign CA's certificate:\n%s", diff)
	}
	// A header that claims a certificate is only a header.
	header := map[string]string{"X-Amzn-Mtls-Clientcert": agent.CertPEM[:27],
		"X-Forwarded-Client-Cert": "By=;Hash=" + agent.Thumbprint}
	m.operator().must(t, 401, "POST", tokenPath, header, nil)
}

// forged is a certificate with an agent's names under a CA that only looks like the Org CA.
func forged(t *testing.T, i credential) tls.Certificate {
	t.Helper()
	authority := pkitest.Authority(t, "orga", i.Generation, time.Now())
	key, err := ecdsa.GenerateKey(authority.Chain[0].PublicKey.(*ecdsa.PublicKey).Curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(4711),
		Subject:      pkix.Name{CommonName: i.AgentID},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Chain[0], key.Public(), authority.Key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, authority.Chain[0].Raw}, PrivateKey: key}
}

func TestDeactivatedAgentGetsNoToken(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("leaver"))
	c := m.newClient(agent.certificate(t))
	c.must(t, 200, "POST", tokenPath, nil, nil)
	m.operator().must(t, 204, "DELETE", "/v1/admin/agents/"+agent.AgentID, m.admin(), nil)
	c.must(t, 401, "POST", tokenPath, nil, nil)
	a := m.operator().must(t, 200, "GET", "/v1/admin/agents/"+agent.AgentID, m.admin(), nil).decode(t)
	if a["status"] != "deactivated" {
		t.Errorf("agent = %v", a)
	}
}

// Load balancers and monitors ask with HEAD.
func TestHead(t *testing.T) {
	m := borrow(t)
	for _, path := range []string{"/healthz", "/pki/ca.crt"} {
		if a := m.operator().must(t, 200, "HEAD", path, nil, nil); len(a.body) != 0 {
			t.Errorf("HEAD %s answered a body of %d octets", path, len(a.body))
		}
	}
	m.operator().must(t, 405, "HEAD", "/registry/agents/orga::a/rotate-cert", m.admin(), nil)
}

// What an operator pages through is every agent, each once while nothing moves.
func TestListing(t *testing.T) {
	m := borrow(t)
	want := map[string]bool{}
	for range 7 {
		want[m.enrol(t, fresh("listed")).AgentID] = true
	}
	seen := map[string]int{}
	for cursor := ""; ; {
		path := "/v1/admin/agents?limit=3"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		a := m.operator().must(t, 200, "GET", path, m.admin(), nil)
		var page struct {
			Agents []struct {
				ID string `json:"agent_id"`
			}
			Next string `json:"next_cursor"`
		}
		if err := json.Unmarshal(a.body, &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Agents) > 3 {
			t.Fatalf("a page of 3 has %d agents", len(page.Agents))
		}
		for _, agent := range page.Agents {
			seen[agent.ID]++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for id := range want {
		if seen[id] != 1 {
			t.Errorf("%s was listed %d times", id, seen[id])
		}
	}
}
