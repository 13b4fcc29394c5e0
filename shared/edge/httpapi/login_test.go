package httpapi_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-jose/go-jose/v4"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const (
	challengePath = "/v1/auth/login-challenge"
	endorsePath   = "/v1/auth/sign-challenged-assertion"
	assertPath    = "/v1/auth/sign-assertion"
	tokenPath     = "/v1/auth/token"
)

// loginShapes are requests to the routes of a login that succeed.
func (w *world) loginShapes(t testing.TB, h holder) map[string]shape {
	t.Helper()
	challenge := w.challenge(t, h)
	server := w.enrol(t, fmt.Sprint("resource-server-", lastProof.Add(1)), agent.Introspect)
	return map[string]shape{
		"POST " + introspectPath: {request: introspection(server.CertPEM, w.tokenFor(t, h, nil)), status: 200},
		"POST " + challengePath:  {request: event("POST", challengePath, certificate(h.CertPEM)), status: 200},
		"POST " + assertPath:     {request: event("POST", assertPath, certificate(h.CertPEM)), status: 200},
		"GET " + mePath:          {request: me(h.CertPEM, "Bearer", w.tokenFor(t, h, nil)), status: 200},
		"POST " + endorsePath: {
			request:   endorsement(h, h.assert(t, w.Now(), challenge), challenge),
			status:    200,
			takesJSON: true,
		},
	}
}

type loginChallenge struct {
	Nonce     string `json:"nonce"`
	ExpiresIn int64  `json:"expires_in"`
}

type clientAssertion struct {
	Assertion string           `json:"client_assertion"`
	AgentID   string           `json:"agent_id"`
	Signature *json.RawMessage `json:"mastio_signature"`
}

func (w *world) challenge(t testing.TB, h holder) string {
	t.Helper()
	var c loginChallenge
	w.send(t, event("POST", challengePath, certificate(h.CertPEM))).into(t, http.StatusOK, &c)
	return c.Nonce
}

func (w *world) ownAssertion(t testing.TB, h holder) string {
	t.Helper()
	var a clientAssertion
	w.send(t, event("POST", assertPath, certificate(h.CertPEM))).into(t, http.StatusOK, &a)
	return a.Assertion
}

// endorsement asks for the verdict on an assertion.
func endorsement(h holder, assertion, challenge string) events.APIGatewayProxyRequest {
	text, _ := json.Marshal(map[string]string{"client_assertion": assertion, "nonce": challenge})
	return event("POST", endorsePath, certificate(h.CertPEM), jsonBody(string(text)))
}

// asserted is the body of a token request.
func asserted(assertion string) edit {
	text, _ := json.Marshal(map[string]string{"client_assertion": assertion})
	return jsonBody(string(text))
}

// claim changes an assertion before it is signed; a nil value leaves the claim out.
type claim struct {
	name  string
	value any
}

// assert makes the assertion that the agents' SDK makes, with changes.
func (h holder) assert(t testing.TB, now time.Time, challenge string, changes ...claim) string {
	t.Helper()
	return signAssertion(t, h.signingKey(t), jose.ES256, "JWT", h.x5c(t), h.claims(now, challenge, changes...))
}

func (h holder) claims(now time.Time, challenge string, changes ...claim) map[string]any {
	claims := map[string]any{
		"iss": h.ID, "sub": h.ID, "aud": "agent-trust-broker", "iat": now.Unix(), "exp": now.Unix() + 300,
		"jti": fmt.Sprint("assertion-", lastProof.Add(1)), "nonce": challenge,
	}
	for _, c := range changes {
		if claims[c.name] = c.value; c.value == nil {
			delete(claims, c.name)
		}
	}
	return claims
}

// x5c is the certificate with what stands above it.
func (h holder) x5c(t testing.TB) (chain []string) {
	t.Helper()
	for rest := []byte(h.CertPEM); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return chain
		}
		chain = append(chain, base64.StdEncoding.EncodeToString(block.Bytes))
	}
}

func (h holder) signingKey(t testing.TB) any {
	t.Helper()
	block, _ := pem.Decode([]byte(h.KeyPEM))
	if block == nil {
		t.Fatal("the holder has no key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signAssertion(
	t testing.TB, key any, alg jose.SignatureAlgorithm, typ string, x5c []string, claims map[string]any,
) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	if typ != "" {
		opts.WithType(jose.ContentType(typ))
	}
	if x5c != nil {
		opts.WithHeader("x5c", x5c)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// The two logins of the agents' SDK, each with a proof key of its own although the agent registered one.
func TestLoginByAssertion(t *testing.T) {
	w := open(t, memstore.Config{})
	agent := w.enrol(t, "kyc", "kyc:read")
	for name, login := range map[string]func() string{
		"by the Mastio": func() string {
			a := w.send(t, event("POST", assertPath, certificate(agent.CertPEM)))
			var got clientAssertion
			a.into(t, http.StatusOK, &got)
			if got.AgentID != agent.ID || got.Signature != nil || !strings.Contains(string(a.body), `"mastio_signature":null`) {
				t.Errorf("answer = %s", a.body)
			}
			wantOffer(t, a)
			return got.Assertion
		},
		"by the local key": func() string {
			a := w.send(t, event("POST", challengePath, certificate(agent.CertPEM)))
			var c loginChallenge
			a.into(t, http.StatusOK, &c)
			wantOffer(t, a)
			if c.ExpiresIn != 60 || c.Nonce == "" {
				t.Errorf("challenge = %+v", c)
			}
			assertion := agent.assert(t, w.Now(), c.Nonce)
			a = w.send(t, endorsement(agent, assertion, c.Nonce))
			var got clientAssertion
			a.into(t, http.StatusOK, &got)
			wantOffer(t, a)
			if got.Assertion != assertion || got.AgentID != agent.ID || got.Signature != nil {
				t.Errorf("answer = %s", a.body)
			}
			return got.Assertion
		},
	} {
		t.Run(name, func(t *testing.T) {
			assertion, key := login(), mustKey(t)
			request := tokenRequest(agent.CertPEM, asserted(assertion), header("DPoP", prove(t, key, w.Now(), "")))
			a := w.send(t, request)
			var got tokenAnswer
			a.into(t, http.StatusOK, &got)
			wantOffer(t, a)
			if claims := w.verified(t, got.AccessToken, inmemory.Issuer); got.TokenType != "DPoP" ||
				claims.JKT != thumbprint(t, key) || claims.Subject != agent.ID {
				t.Errorf("token of type %s with claims %+v, want it bound to the proof's own key", got.TokenType, claims)
			}
			again := with(request, header("DPoP", prove(t, key, w.Now(), "")))
			w.refuse(t, tokenPath, refusal{"the assertion again", again, 401, "invalid_client"})
			form := body(formType, url.Values{"client_assertion": {login()},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}.Encode())
			w.send(t, tokenRequest(agent.CertPEM, form)).into(t, http.StatusOK, &got)
		})
	}
}

func wantOffer(t testing.TB, a answer) {
	t.Helper()
	if nonce := a.header.Get("Dpop-Nonce"); len(nonce) != 54 || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header = %v, want a nonce, and that it is not stored", a.header)
	}
}

// A key of the client's own choice is what a login by assertion gets, and nothing else does.
func TestRegisteredKeyOnly(t *testing.T) {
	w := open(t, memstore.Config{})
	agent := w.enrol(t, "kyc")
	fresh := func() edit { return header("DPoP", prove(t, mustKey(t), w.Now(), "")) }
	ask := func(edits ...edit) answer { return w.send(t, tokenRequest(agent.CertPEM, edits...)) }
	wantOAuthError(t, ask(fresh()), "invalid_dpop_proof")
	if a := ask(fresh(), asserted(w.ownAssertion(t, agent))); a.status != 200 {
		t.Errorf("with an assertion: status %d: %s", a.status, a.body)
	}
	w.Parts.RegisteredDPoPOnly = true
	w.restart(t)
	assertion := w.ownAssertion(t, agent)
	wantOAuthError(t, ask(fresh(), asserted(assertion)), "invalid_dpop_proof")
	if a := ask(header("DPoP", prove(t, agent.proofKey(t), w.Now(), "")), asserted(assertion)); a.status != 200 {
		t.Errorf("with the registered key, and the assertion that was not used up: status %d: %s", a.status, a.body)
	}
}

// The client of RFC 9449 section 8 repeats its request with the nonce, and with the same assertion.
func TestAssertionOutlivesTheRefusalOfANonce(t *testing.T) {
	w := open(t, memstore.Config{}, func(p *boot.Parts) { p.RequireNonce = true })
	agent := w.enrol(t, "kyc")
	key, challenge := mustKey(t), w.challenge(t, agent)
	for _, assertion := range []string{w.ownAssertion(t, agent), agent.assert(t, w.Now(), challenge)} {
		refused := w.send(t, tokenRequest(agent.CertPEM, asserted(assertion), header("DPoP", prove(t, key, w.Now(), ""))))
		wantOAuthError(t, refused, "use_dpop_nonce")
		request := tokenRequest(agent.CertPEM, asserted(assertion),
			header("DPoP", prove(t, key, w.Now(), refused.header.Get("Dpop-Nonce"))))
		if a := w.send(t, request); a.status != 200 {
			t.Errorf("again, with the nonce: status %d: %s", a.status, a.body)
		}
	}
	// Ten minutes after the last answer its nonce is stale; that of the new login's first answer is not.
	w.Advance(10 * time.Minute)
	a := w.send(t, event("POST", assertPath, certificate(agent.CertPEM)))
	var own clientAssertion
	a.into(t, 200, &own)
	request := tokenRequest(agent.CertPEM, asserted(own.Assertion),
		header("DPoP", prove(t, mustKey(t), w.Now(), a.header.Get("Dpop-Nonce"))))
	if a := w.send(t, request); a.status != 200 {
		t.Errorf("with the nonce of the assertion's answer: status %d: %s", a.status, a.body)
	}
}

// Of two requests with one assertion at the same moment, one gets a token.
func TestAssertionGetsOneToken(t *testing.T) {
	w := open(t, memstore.Config{})
	agent := w.enrol(t, "kyc")
	for round := range 20 {
		assertion := w.ownAssertion(t, agent)
		if round%2 == 1 {
			assertion = agent.assert(t, w.Now(), w.challenge(t, agent))
		}
		var all sync.WaitGroup
		answers := make([]answer, 8)
		for i := range answers {
			all.Go(func() { answers[i] = w.send(t, tokenRequest(agent.CertPEM, asserted(assertion))) })
		}
		all.Wait()
		tokens := 0
		for _, a := range answers {
			if a.status == 200 {
				tokens++
				continue
			}
			wantOAuthError(t, a, "invalid_client")
		}
		if tokens != 1 {
			t.Errorf("round %d: %d tokens for one assertion", round, tokens)
		}
	}
}

// A login that began before midnight ends after it, although the day's key is another one then.
func TestLoginAcrossMidnight(t *testing.T) {
	w := open(t, memstore.Config{}, func(p *boot.Parts) { p.RequireNonce = true })
	agent := w.enrol(t, "kyc")
	midnight := func() time.Time { _, until := accesstoken.SignWindow(accesstoken.Epoch(w.Now())); return until }
	for _, fresh := range []bool{false, true} { // an instance that was there before midnight, and one that was not
		w.Advance(midnight().Add(-10 * time.Second).Sub(w.Now()))
		if _, err := w.Standby.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := w.send(t, event("POST", challengePath, certificate(agent.CertPEM)))
		var c loginChallenge
		first.into(t, 200, &c)
		own, local := w.ownAssertion(t, agent), agent.assert(t, w.Now(), c.Nonce)
		w.Advance(20 * time.Second)
		if fresh {
			w.restart(t)
		}
		ask := func(assertion string) answer {
			return w.send(t, tokenRequest(agent.CertPEM, asserted(assertion),
				header("DPoP", prove(t, mustKey(t), w.Now(), first.header.Get("Dpop-Nonce")))))
		}
		for _, assertion := range []string{own, local} {
			if a := ask(assertion); a.status != 200 {
				t.Errorf("fresh %v: status %d: %s", fresh, a.status, a.body)
			}
		}
		late := agent.assert(t, w.Now(), c.Nonce)
		w.Advance(50 * time.Second)
		if a := ask(late); a.status == 200 {
			t.Error("a challenge of yesterday still counts 70 s later")
		}
	}
}

func thumbprint(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// What stands between an SVID and its bundle may come in the assertion, and only there: login-challenge asks for
// nothing.
func TestLoginOfAnSVID(t *testing.T) {
	w := open(t, memstore.Config{})
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	first := svid(t, server.root, workload, w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "kyc", first, server.root.Chain[0])).into(t, 201, &enrolAnswer{})
	leaf := svid(t, server.intermediate, workload, w.Now())
	h := holder{ID: "orga::kyc", CertPEM: leaf.certPEM(), KeyPEM: leaf.keyPEM(t)}
	challenge := w.challenge(t, h)
	whole := holder{
		ID:      h.ID,
		CertPEM: leaf.certPEM() + string(pki.EncodeCertificates(server.intermediate.Chain[0])),
		KeyPEM:  h.KeyPEM,
	}
	assert := func(x5c []string) string {
		return signAssertion(t, h.signingKey(t), jose.ES256, "JWT", x5c, h.claims(w.Now(), challenge))
	}
	with, without := assert(whole.x5c(t)), assert(h.x5c(t))
	garbage := assert(append(h.x5c(t), base64.StdEncoding.EncodeToString([]byte("no certificate"))))
	for _, c := range []struct {
		name, assertion string
		status          int
	}{{"without", without, 401}, {"with garbage", garbage, 401}, {"with its path", with, 200}} { // which is remembered
		name := c.name
		if a := w.send(t, endorsement(h, c.assertion, challenge)); a.status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.status, c.status, a.body)
		}
		if a := w.send(t, tokenRequest(h.CertPEM, asserted(c.assertion))); a.status != c.status {
			t.Errorf("%s: token: status %d, want %d: %s", name, a.status, c.status, a.body)
		}
	}
	// A pinned certificate has its pin: what is behind it says nothing, be it what it may.
	pinned := w.enrol(t, "pinned")
	text := signAssertion(t, pinned.signingKey(t), jose.ES256, "", append(pinned.x5c(t)[:1], "AAAA"),
		pinned.claims(w.Now(), w.challenge(t, pinned)))
	if a := w.send(t, tokenRequest(pinned.CertPEM, asserted(text))); a.status != 200 {
		t.Errorf("pinned, with garbage behind: status %d: %s", a.status, a.body)
	}
}

// Whatever an attacker shows on the routes of a login, he gets neither a token nor anybody's assertion used up.
func TestAssertionAttacks(t *testing.T) {
	w, agents := openWithCast(t)
	kyc, other := agents.kyc, agents.other
	challenge := w.challenge(t, kyc)
	es := func(h holder, x5c []string, claims map[string]any) string {
		return signAssertion(t, h.signingKey(t), jose.ES256, "JWT", x5c, claims)
	}
	victims := kyc.assert(t, w.Now(), challenge)
	var token tokenAnswer
	w.send(t, tokenRequest(kyc.CertPEM)).into(t, 200, &token)
	spent := w.ownAssertion(t, kyc)
	w.send(t, tokenRequest(kyc.CertPEM, asserted(spent))).into(t, 200, &tokenAnswer{})
	form := func(pairs ...string) edit {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		return body(formType, v.Encode())
	}
	for name, c := range map[string]struct {
		certificate string
		request     edit
		status      int
		code        string
	}{
		"another's local assertion":   {other.CertPEM, asserted(victims), 401, "invalid_client"},
		"another's assertion by us":   {other.CertPEM, asserted(w.ownAssertion(t, kyc)), 401, "invalid_client"},
		"without a certificate":       {"", asserted(victims), 401, "invalid_client"},
		"without a certificate, ours": {"", asserted(w.ownAssertion(t, kyc)), 401, "invalid_client"},
		"own key, the victim's name": {other.CertPEM, asserted(es(other, other.x5c(t), kyc.claims(w.Now(), challenge))),
			401, "invalid_client"},
		"own key, the victim's x5c": {other.CertPEM, asserted(es(other, kyc.x5c(t), kyc.claims(w.Now(), challenge))),
			401, "invalid_client"},
		"own key, the victim's challenge": {other.CertPEM,
			asserted(es(other, other.x5c(t), other.claims(w.Now(), challenge))), 401, "invalid_client"},
		"a challenge for another": {kyc.CertPEM, asserted(kyc.assert(t, w.Now(), w.challenge(t, other))), 401,
			"invalid_client"},
		"an access token": {kyc.CertPEM, asserted(token.AccessToken), 401, "invalid_client"},
		"a proof": {kyc.CertPEM, asserted(prove(t, kyc.proofKey(t), w.Now(), "")), 401,
			"invalid_client"},
		"one that is spent": {kyc.CertPEM, asserted(spent), 401, "invalid_client"},
		"nothing":           {kyc.CertPEM, asserted(""), 401, "invalid_client"},
		"nothing in a form": {kyc.CertPEM, form("client_assertion", "", "client_assertion_type", jwtBearer),
			401, "invalid_client"},
		"garbage": {kyc.CertPEM, asserted("garbage"), 401, "invalid_client"},
		"17 certificates": {kyc.CertPEM,
			asserted(es(kyc, repeated(kyc.x5c(t)[0], 17), kyc.claims(w.Now(), challenge))), 401, "invalid_client"},
		"for another agent": {kyc.CertPEM,
			asserted(kyc.assert(t, w.Now(), challenge, claim{"sub", other.ID}, claim{"iss", other.ID})), 401, "invalid_client"},
		"aud of another": {kyc.CertPEM,
			asserted(kyc.assert(t, w.Now(), challenge, claim{"aud", "https://other.test"})), 401, "invalid_client"},
		"expired": {kyc.CertPEM,
			asserted(kyc.assert(t, w.Now(), challenge, claim{"iat", w.Now().Unix() - 400}, claim{"exp", w.Now().Unix() - 100})),
			401, "invalid_client"},
		"for an hour": {kyc.CertPEM,
			asserted(kyc.assert(t, w.Now(), challenge, claim{"exp", w.Now().Unix() + 3600})), 401, "invalid_client"},
		"a form without its type": {kyc.CertPEM, form("client_assertion", victims), 400, "invalid_request"},
		"a form of another type": {kyc.CertPEM,
			form("client_assertion", victims, "client_assertion_type",
				"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), 400, "invalid_request"},
		"a type alone": {kyc.CertPEM, form("client_assertion_type", jwtBearer), 400, "invalid_request"},
		"twice in a form": {kyc.CertPEM,
			form("client_assertion", victims, "client_assertion", victims, "client_assertion_type", jwtBearer), 400,
			"invalid_request"},
		"an expired certificate": {agents.expired.CertPEM, asserted(victims), 401, "invalid_client"},
		"a good one, and too wide a scope": {kyc.CertPEM, jsonBody(`{"scope":"admin","client_assertion":"` + victims + `"}`),
			400, "invalid_scope"},
		"a good one, and a bad proof": {kyc.CertPEM, both(asserted(victims), header("DPoP", "garbage")), 400,
			"invalid_dpop_proof"},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuse(t, tokenPath, refusal{name, tokenRequest(c.certificate, c.request), c.status, c.code})
		})
	}
	for name, e := range map[string]events.APIGatewayProxyRequest{
		"another's":              endorsement(other, victims, challenge),
		"another challenge":      endorsement(kyc, victims, w.challenge(t, kyc)),
		"an empty challenge":     endorsement(kyc, victims, ""),
		"one of the Mastio's":    endorsement(kyc, w.ownAssertion(t, kyc), ""),
		"an access token":        endorsement(kyc, token.AccessToken, challenge),
		"without a challenge":    endorsement(kyc, kyc.assert(t, w.Now(), ""), ""),
		"with invented nonce":    endorsement(kyc, kyc.assert(t, w.Now(), "invented"), "invented"),
		"a superseded key's own": endorsement(agents.retired, agents.retired.assert(t, w.Now(), challenge), challenge),
	} {
		t.Run("endorse "+name, func(t *testing.T) { w.refuse(t, endorsePath, refusal{name, e, 401, "invalid_client"}) })
	}
	// After all that the victim's assertion is as good as new.
	w.send(t, tokenRequest(kyc.CertPEM, asserted(victims))).into(t, 200, &tokenAnswer{})
	w.Advance(time.Minute)
	w.refuse(t, endorsePath, refusal{"a minute later", endorsement(kyc, kyc.assert(t, w.Now(), challenge), challenge), 401,
		"invalid_client"})
}

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func repeated(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}
