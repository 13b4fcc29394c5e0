package httpapi_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const formType = "application/x-www-form-urlencoded"

type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// verified reads a token as a resource server would.
func (w *world) verified(t testing.TB, token, audience string) accesstoken.Claims {
	t.Helper()
	claims, err := accesstoken.Verify(token, func(kid string) *ecdsa.PublicKey { return w.PublicKey(t.Context(), kid) },
		w.Now(), inmemory.Issuer, audience)
	if err != nil {
		t.Fatalf("token: %v", err)
	}
	return claims
}

func TestTokenRequestForms(t *testing.T) {
	w := open(t, memstore.Config{})
	agent := w.enrol(t, "kyc", "kyc:read", "kyc:write")
	const grant, other = "client_credentials", "https://api.example.test/v1?x=1"
	form := func(pairs ...string) edit {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		return body(formType, v.Encode())
	}
	for _, c := range []struct {
		name            string
		request         edit
		scope, audience string
	}{
		{"no body", body("", ""), "kyc:read kyc:write", inmemory.Issuer},
		{"blank body of an odd type", body("text/plain", " \n"), "kyc:read kyc:write", inmemory.Issuer},
		{"form", form("grant_type", grant, "client_id", "orga::kyc"), "kyc:read kyc:write", inmemory.Issuer},
		{"form with a charset", body(formType+"; charset=UTF-8", "grant_type="+grant), "kyc:read kyc:write", inmemory.Issuer},
		{"form, narrower", form("scope", "kyc:read"), "kyc:read", inmemory.Issuer},
		{"form, all", form("scope", " kyc:write  kyc:read "), "kyc:write kyc:read", inmemory.Issuer},
		{"form, the same scope twice", form("scope", "kyc:read kyc:read"), "kyc:read", inmemory.Issuer},
		{"form with a resource", form("resource", other), "kyc:read kyc:write", other},
		{"form with unknown parameters", form("audience", "x", "client_secret", "y"), "kyc:read kyc:write", inmemory.Issuer},
		{"JSON", jsonBody(`{"grant_type":"client_credentials","client_id":"orga::kyc","scope":"kyc:read","resource":"` +
			other + `"}`), "kyc:read", other},
		{"JSON, empty", jsonBody(`{}`), "kyc:read kyc:write", inmemory.Issuer},
		{"JSON with unknown members", jsonBody(`{"audience":["x"],"nested":{"a":1}}`), "kyc:read kyc:write", inmemory.Issuer},
		{"JSON nulls", jsonBody(`{"scope":null,"resource":null}`), "kyc:read kyc:write", inmemory.Issuer},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got tokenAnswer
			w.send(t, tokenRequest(agent.CertPEM, c.request)).into(t, http.StatusOK, &got)
			claims := w.verified(t, got.AccessToken, c.audience)
			x5t, err := accesstoken.X5TFromThumbprint(agent.Thumbprint)
			if err != nil {
				t.Fatal(err)
			}
			want := accesstoken.Claims{
				Issuer:       inmemory.Issuer,
				Subject:      "orga::kyc",
				ClientID:     "orga::kyc",
				Audience:     []string{c.audience},
				Scope:        c.scope,
				JTI:          claims.JTI,
				IssuedAt:     w.Now(),
				Expires:      w.Now().Add(300e9),
				X5T:          x5t,
				Capabilities: strings.Fields(c.scope),
				Generation:   1,
				Handle:       w.handle(t, "orga::kyc"),
			}
			if diff := cmp.Diff(want, claims); diff != "" || claims.JTI == "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			got.AccessToken = ""
			if diff := cmp.Diff(tokenAnswer{TokenType: "Bearer", ExpiresIn: 300, Scope: c.scope}, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// handle is what the agent's tokens have: 16 octets.
func (w *world) handle(t testing.TB, id agent.ID) string {
	t.Helper()
	view, err := w.Store.View(t.Context(), id)
	if err != nil || view.Agent == nil || len(view.Agent.Handle.String()) != 22 {
		t.Fatalf("the handle of %s: %+v, %v", id, view.Agent, err)
	}
	return view.Agent.Handle.String()
}

func TestRefusedTokenRequests(t *testing.T) {
	w, agents := openWithCast(t)
	for _, c := range []struct {
		name    string
		request edit
		status  int
		code    string
	}{
		{"another grant", body(formType, "grant_type=authorization_code"), 400, "unsupported_grant_type"},
		{"grant in capitals", jsonBody(`{"grant_type":"CLIENT_CREDENTIALS"}`), 400, "unsupported_grant_type"},
		{"more than is held", body(formType, "scope=kyc:read+admin"), 400, "invalid_scope"},
		{"part of a name", body(formType, "scope=kyc"), 400, "invalid_scope"},
		{"separated by a no-break space", body(formType, "scope=kyc:read%C2%A0kyc:write"), 400, "invalid_scope"},
		{"separated by a line break", body(formType, "scope=kyc:read%0Akyc:write"), 400, "invalid_scope"},
		{"separated by a tab", body(formType, "scope=kyc:read%09kyc:write"), 400, "invalid_scope"},
		{"parameter twice", body(formType, "scope=kyc:read&scope=kyc:read"), 400, "invalid_request"},
		{"unknown parameter twice", body(formType, "a=1&a=2"), 400, "invalid_request"},
		{"bad escape", body(formType, "scope=%zz"), 400, "invalid_request"},
		{"semicolon", body(formType, "scope=a;resource=b"), 400, "invalid_request"},
		{"form said to be JSON", jsonBody("grant_type=client_credentials"), 400, "invalid_request"},
		{"JSON said to be a form", body("text/json", `{}`), 415, "invalid_request"},
		{"resource relative", body(formType, "resource=%2Fapi"), 400, "invalid_target"},
		{"resource with a fragment", body(formType, "resource=https%3A%2F%2Fa.test%2F%23x"), 400, "invalid_target"},
		{"resource with an empty fragment", body(formType, "resource=https%3A%2F%2Fa.test%2F%23"), 400, "invalid_target"},
		{"resource too long", body(formType, "resource=https%3A%2F%2Fa.test%2F"+strings.Repeat("a", 2048)), 400,
			"invalid_target"},
		{"client_id malformed", body(formType, "client_id=kyc"), 400, "invalid_request"},
		{"client_id of another", body(formType, "client_id=orga%3A%3Aother"), 401, "invalid_client"},
		{"client_id of another organisation", body(formType, "client_id=orgb%3A%3Akyc"), 401, "invalid_client"},
		{"form too large", body(formType, "a="+strings.Repeat("a", 64<<10)), 413, "invalid_request"},
		{"no proof at all", header("DPoP", ""), 400, "invalid_dpop_proof"},
		{"garbage for a proof", header("DPoP", "garbage"), 400, "invalid_dpop_proof"},
		{"two proofs", header("DPoP", prove(t, agents.kyc.proofKey(t), w.Now(), ""),
			prove(t, agents.kyc.proofKey(t), w.Now(), "")), 400, "invalid_dpop_proof"},
		{"another key's proof", header("DPoP", prove(t, mustKey(t), w.Now(), "")), 400, "invalid_dpop_proof"},
		{"an old proof", header("DPoP", prove(t, agents.kyc.proofKey(t), w.Now().Add(-61e9), "")), 400, "invalid_dpop_proof"},
		{"a proof of tomorrow", header("DPoP", prove(t, agents.kyc.proofKey(t), w.Now().Add(11e9), "")), 400,
			"invalid_dpop_proof"},
		{"an invented nonce", header("DPoP", prove(t, agents.kyc.proofKey(t), w.Now(), "invented")), 400, "use_dpop_nonce"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.refuse(t, "/v1/auth/token", refusal{c.name, tokenRequest(agents.kyc.CertPEM, c.request), c.status, c.code})
		})
	}
}

func TestRevokedIsSaidInTheDocumentedWords(t *testing.T) {
	w := open(t, memstore.Config{})
	first := w.enrol(t, "kyc")
	second := w.rotate(t, first.ID, "{}")
	want := func(certPEM, code, description string) {
		t.Helper()
		a := w.send(t, tokenRequest(certPEM))
		wantOAuthError(t, a, code)
		var got struct {
			Description string `json:"error_description"`
		}
		a.into(t, http.StatusUnauthorized, &got)
		if got.Description != description {
			t.Errorf("description = %q, want %q", got.Description, description)
		}
	}
	want(first.CertPEM, "invalid_client", "Certificate has been revoked")
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))); a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	want(second.CertPEM, "invalid_client", "Certificate has been revoked")
	want("", "invalid_client", "Client certificate required")
	third := w.rotate(t, first.ID, "{}")
	if a := w.send(t, tokenRequest(third.CertPEM)); a.status != http.StatusOK {
		t.Errorf("after the re-enrolment: %d %.300s", a.status, a.body)
	}
}

func TestProofBindsTheToken(t *testing.T) {
	w := open(t, memstore.Config{})
	agent := w.enrol(t, "kyc", "a")
	request := tokenRequest(agent.CertPEM, header("dpop", prove(t, agent.proofKey(t), w.Now(), "")))
	var got tokenAnswer
	w.send(t, request).into(t, http.StatusOK, &got)
	var read struct {
		JKT string `json:"dpop_jkt"`
	}
	w.send(t, event("GET", "/v1/admin/agents/orga::kyc", admin)).into(t, http.StatusOK, &read)
	if claims := w.verified(t, got.AccessToken, inmemory.Issuer); claims.JKT != read.JKT || read.JKT == "" ||
		got.TokenType != "DPoP" {
		t.Errorf("token of type %s bound to %q, the agent's key is %q", got.TokenType, claims.JKT, read.JKT)
	}
	w.refuse(t, "/v1/auth/token", refusal{"replay", request, 400, "invalid_dpop_proof"})
	var description struct {
		Text string `json:"error_description"`
	}
	w.send(t, request).into(t, 400, &description)
	if description.Text != "The DPoP proof was used before" {
		t.Errorf("a replay is called %q", description.Text)
	}
}

// The client of RFC 9449 section 8: refused with a nonce in the header, it tries again with it.
func TestNonceIsAskedForOnce(t *testing.T) {
	w := open(t, memstore.Config{}, func(p *boot.Parts) { p.RequireNonce, p.RequireDPoP = true, true })
	agent := w.enrol(t, "kyc")
	wantOAuthError(t, w.send(t, tokenRequest(agent.CertPEM)), "invalid_dpop_proof")
	first := w.send(t, tokenRequest(agent.CertPEM, header("DPoP", prove(t, agent.proofKey(t), w.Now(), ""))))
	wantOAuthError(t, first, "use_dpop_nonce")
	nonces := first.header["Dpop-Nonce"]
	if first.status != http.StatusBadRequest || len(nonces) != 1 || nonces[0] == "" {
		t.Fatalf("answer = %d %v", first.status, first.header)
	}
	ask := func() answer {
		return w.send(t, tokenRequest(agent.CertPEM, header("DPoP", prove(t, agent.proofKey(t), w.Now(), nonces[0]))))
	}
	for range 2 { // a nonce serves more than one proof
		var got tokenAnswer
		ask().into(t, http.StatusOK, &got)
		if got.TokenType != "DPoP" {
			t.Errorf("token type = %s", got.TokenType)
		}
	}
	w.Advance(11 * 60e9)
	late := ask()
	wantOAuthError(t, late, "use_dpop_nonce")
	if renewed := late.header.Get("Dpop-Nonce"); renewed == "" || renewed == nonces[0] {
		t.Errorf("nonce for the late = %q", renewed)
	}
	// A proof that is wrong in itself is no matter of nonces.
	wrong := w.send(t, tokenRequest(agent.CertPEM, header("DPoP", prove(t, mustKey(t), w.Now(), ""))))
	wantOAuthError(t, wrong, "invalid_dpop_proof")
	if wrong.header.Get("Dpop-Nonce") != "" {
		t.Error("a proof with the wrong key earns a nonce")
	}
}

func TestMetadataNamesWhatWorks(t *testing.T) {
	w := open(t, memstore.Config{})
	agent := w.enrol(t, "kyc")
	var metadata struct {
		Issuer   string `json:"issuer"`
		Endpoint string `json:"token_endpoint"`
		JWKS     string `json:"jwks_uri"`
	}
	w.send(t, event("GET", "/.well-known/oauth-authorization-server")).into(t, http.StatusOK, &metadata)
	path := func(address string) string {
		rest, ok := strings.CutPrefix(address, metadata.Issuer)
		if !ok {
			t.Errorf("%s is not below the issuer %s", address, metadata.Issuer)
		}
		return rest
	}
	var got tokenAnswer
	w.send(t, event("POST", path(metadata.Endpoint), certificate(agent.CertPEM))).into(t, http.StatusOK, &got)
	keys := w.send(t, event("GET", path(metadata.JWKS)))
	if keys.header.Get("Content-Type") != "application/jwk-set+json" ||
		keys.header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("header = %v", keys.header)
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(keys.body, &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("JWKS = %s, %v; want this epoch's key and the next one's", keys.body, err)
	}
	for _, k := range set.Keys {
		if _, private := k["d"]; private {
			t.Error("a private key is published")
		}
	}
}

// With a certificate goes its DPoP key: in the grace of a rotation the old one goes on with its own, whether that came
// with it or was the agent's before, and no key serves the other certificate.
func TestProofKeyInAGrace(t *testing.T) {
	w := open(t, memstore.Config{})
	enrolled := w.enrol(t, "kyc")
	csr, err := inmemory.CSR()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{"csr_pem": csr})
	if err != nil {
		t.Fatal(err)
	}
	kept := w.rotate(t, enrolled.ID, string(text)) // without a DPoP key of its own
	kept.JWK = enrolled.JWK
	for _, old := range []func() holder{func() holder { return kept },
		func() holder { return w.rotate(t, enrolled.ID, "{}") }} {
		old := old()
		next := w.rotate(t, old.ID, `{"grace_seconds":600}`)
		ask := func(cert, key holder) answer {
			return w.send(t, tokenRequest(cert.CertPEM, header("DPoP", prove(t, key.proofKey(t), w.Now(), ""))))
		}
		for name, c := range map[string]struct {
			cert, key holder
			ok        bool
		}{"new with new": {next, next, true}, "old with old": {old, old, true}, "old with new": {old, next, false},
			"new with old": {next, old, false}} {
			if a := ask(c.cert, c.key); (a.status == 200) != c.ok {
				t.Errorf("%s: status %d, want a token %v: %s", name, a.status, c.ok, a.body)
			} else if !c.ok {
				wantOAuthError(t, a, "invalid_dpop_proof")
			}
		}
		w.Advance(10 * time.Minute)
		if a := ask(old, old); a.status != 401 {
			t.Errorf("after the grace: status %d, want 401: %s", a.status, a.body)
		}
	}
}

// A client whose clock is minutes off gets an answer that says so, and the nonce that mends it.
func TestNonceMendsAClockThatIsOff(t *testing.T) {
	w := open(t, memstore.Config{})
	agent := w.enrol(t, "kyc")
	for name, c := range map[string]struct {
		offset time.Duration
		words  string
	}{"ahead": {5 * time.Minute, "300 s ahead of this server's clock"},
		"behind": {-5 * time.Minute, "300 s behind this server's clock"}} {
		ask := func(nonce string) answer {
			return w.send(t, tokenRequest(agent.CertPEM,
				header("DPoP", prove(t, agent.proofKey(t), w.Now().Add(c.offset), nonce))))
		}
		refused := ask("")
		wantOAuthError(t, refused, "invalid_dpop_proof")
		nonce := refused.header.Get("Dpop-Nonce")
		if !strings.Contains(string(refused.body), c.words) || nonce == "" {
			t.Errorf("%s: %s, nonce %q; want the offset, and a nonce", name, refused.body, nonce)
		}
		request := tokenRequest(agent.CertPEM, header("DPoP", prove(t, agent.proofKey(t), w.Now().Add(c.offset), nonce)))
		if a := w.send(t, request); a.status != 200 {
			t.Errorf("%s, with the nonce: status %d: %s", name, a.status, a.body)
		}
		w.Advance(4 * time.Minute) // its nonce is still good
		w.refuse(t, "/v1/auth/token", refusal{"replay", request, 400, "invalid_dpop_proof"})
		w.Advance(11 * time.Minute)
		stale := ask(nonce)
		wantOAuthError(t, stale, "use_dpop_nonce")
		if stale.header.Get("Dpop-Nonce") == "" {
			t.Error("a stale nonce is not replaced")
		}
	}
}

// error_description holds what RFC 6749 section 5.2 allows, whatever the request held.
func TestErrorDescriptionKeepsToItsCharacters(t *testing.T) {
	w := open(t, memstore.Config{})
	agent := w.enrol(t, "kyc")
	for name, request := range map[string]edit{
		"quotes": body(formType, "grant_type=a&grant_type=b"), "backslash": body(formType, "a%5Cb=1&a%5Cb=2"),
		"letters": body(formType, "%C3%A9=1&%C3%A9=2"),
		"control": body(formType, "%00=1&%00=2"), "type": jsonBody(`{"grant_type":1}`),
		"line break": body(formType, "a%0Ab=1&a%0Ab=2"),
	} {
		var got struct {
			Description string `json:"error_description"`
		}
		w.send(t, tokenRequest(agent.CertPEM, request)).into(t, 400, &got)
		if i := strings.IndexFunc(got.Description,
			func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == 0x5c }); i >= 0 || got.Description == "" {
			t.Errorf("%s: %q", name, got.Description)
		}
	}
}
