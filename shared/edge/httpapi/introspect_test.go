package httpapi_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const introspectPath = "/v1/auth/introspect"

func introspection(certPEM, token string, pairs ...string) events.APIGatewayProxyRequest {
	form := url.Values{"token": {token}}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return event("POST", introspectPath, certificate(certPEM), body(formType, form.Encode()))
}

// resourceServer enrols an agent that may introspect.
func (w *world) resourceServer(t testing.TB) holder {
	t.Helper()
	return w.enrol(t, "resource-server", agent.Introspect)
}

// active asks whether a token counts, and checks the answer's form.
func (w *world) active(t testing.TB, server holder, token string) bool {
	t.Helper()
	a := w.send(t, introspection(server.CertPEM, token))
	var got struct{ Active bool }
	a.into(t, http.StatusOK, &got)
	if !got.Active && string(bytes.TrimSpace(a.body)) != `{"active":false}` {
		t.Errorf("an inactive token is answered %s", a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control = %q", a.header.Get("Cache-Control"))
	}
	return got.Active
}

func TestIntrospectionOfActiveTokens(t *testing.T) {
	w := open(t, memstore.Config{})
	server, agent, key := w.resourceServer(t), w.enrol(t, "kyc", "kyc:read", "kyc:write"), mustKey(t)
	octets, err := hex.DecodeString(agent.Thumbprint)
	if err != nil {
		t.Fatal(err)
	}
	x5t := base64.RawURLEncoding.EncodeToString(octets)
	const elsewhere = "https://api.test/"
	for name, c := range map[string]struct {
		token    string
		audience string
		want     map[string]any
	}{
		"Bearer": {w.tokenFor(t, agent, nil, body(formType, "scope=kyc:read")), inmemory.Issuer, map[string]any{
			"scope": "kyc:read", "token_type": "Bearer", "cnf": map[string]any{"x5t#S256": x5t},
		}},
		"DPoP": {w.tokenFor(t, agent, key), inmemory.Issuer, map[string]any{
			"scope": "kyc:read kyc:write", "token_type": "DPoP",
			"cnf": map[string]any{"x5t#S256": x5t, "jkt": thumbprint(t, key)},
		}},
		"for a resource": {w.tokenFor(t, agent, nil, body(formType, "resource="+url.QueryEscape(elsewhere))), elsewhere,
			map[string]any{
				"scope": "kyc:read kyc:write", "token_type": "Bearer", "cnf": map[string]any{"x5t#S256": x5t},
			}},
	} {
		var got map[string]any
		a := w.send(t, introspection(server.CertPEM, c.token, "token_type_hint", "refresh_token", "unknown", "x"))
		a.into(t, http.StatusOK, &got)
		c.want["active"], c.want["sub"], c.want["client_id"] = true, agent.ID, agent.ID
		c.want["iss"], c.want["aud"] = inmemory.Issuer, []any{c.audience}
		c.want["iat"], c.want["exp"] = float64(w.Now().Unix()), float64(w.Now().Add(5*time.Minute).Unix())
		c.want["jti"] = w.verified(t, c.token, c.audience).JTI
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if w.active(t, server, w.tokenFor(t, w.enrol(t, "bare"), nil)) != true {
		t.Error("a token without scope is not active")
	}
	if w.active(t, server, w.tokenFor(t, server, nil)) != true {
		t.Error("the resource server's own token is not active")
	}
}

// What counted a moment ago is inactive with the answer of what ended it.
func TestIntrospectionAfterAnEnd(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *world, holder){
		"rotation":    func(t *testing.T, w *world, h holder) { w.rotate(t, h.ID, `{}`) },
		"compromise":  func(t *testing.T, w *world, h holder) { w.rotate(t, h.ID, `{"reason":"keyCompromise"}`) },
		"end of life": func(_ *testing.T, w *world, _ holder) { w.Advance(5 * time.Minute) },
		"deactivation": func(t *testing.T, w *world, h holder) {
			w.send(t, event("DELETE", "/v1/admin/agents/"+h.ID, admin))
		},
		"new Org CA": func(t *testing.T, w *world, _ holder) { w.Do(t, rotateca.Request{Mode: rotateca.Mint}) },
		"a capability taken away": func(t *testing.T, w *world, h holder) {
			a := w.send(t, event("PATCH", "/v1/admin/agents/"+h.ID, admin, jsonBody(`{"capabilities":["kyc:write"]}`)))
			if a.status != http.StatusOK {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
		},
		"a capability taken away and given back": func(t *testing.T, w *world, h holder) {
			for _, capabilities := range []string{`[]`, `["kyc:read"]`} {
				a := w.send(t, event("PATCH", "/v1/admin/agents/"+h.ID, admin, jsonBody(`{"capabilities":`+capabilities+`}`)))
				if a.status != http.StatusOK {
					t.Fatalf("status %d: %s", a.status, a.body)
				}
			}
		},
		"grace over": func(t *testing.T, w *world, h holder) {
			w.rotate(t, h.ID, `{"grace_seconds":60}`)
			w.Advance(time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, memstore.Config{})
			server, agent := w.resourceServer(t), w.enrol(t, "kyc", "kyc:read")
			token := w.tokenFor(t, agent, nil)
			if !w.active(t, server, token) {
				t.Fatal("the token is not active at first")
			}
			end(t, w, agent)
			if name == "new Org CA" { // the resource server's own certificate has ended as well
				server = w.rotate(t, server.ID, `{}`)
			}
			if w.active(t, server, token) {
				t.Error("the token is active")
			}
		})
	}
}

// A grace and an overlap are kept, and an agent that gets one more capability loses nothing.
func TestIntrospectionWhileACertificateStillCounts(t *testing.T) {
	w := open(t, memstore.Config{})
	server, agent := w.resourceServer(t), w.enrol(t, "kyc", "kyc:read", "kyc:write")
	token := w.tokenFor(t, agent, nil, body(formType, "scope=kyc:read"))
	w.rotate(t, agent.ID, `{"grace_seconds":60}`)
	w.send(t, event("PATCH", "/v1/admin/agents/"+agent.ID, admin, jsonBody(`{"capabilities":["a","kyc:read","kyc:write"]}`)))
	if !w.active(t, server, token) {
		t.Error("within the grace: not active")
	}
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	if !w.active(t, server, token) {
		t.Error("in an overlap: not active")
	}
}

func TestIntrospectionOfWhatIsNotOurs(t *testing.T) {
	w := open(t, memstore.Config{})
	server, agent := w.resourceServer(t), w.enrol(t, "kyc", "kyc:read")
	good := w.tokenFor(t, agent, nil)
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"garbage":         "garbage",
		"two dots":        "..",
		"three words":     "a.b.c",
		"no object":       "e30." + base64.RawURLEncoding.EncodeToString([]byte(`[]`)) + "." + parts[2],
		"sub a number":    parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":1}`)) + "." + parts[2],
		"foreign agent":   parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"orgb::x"}`)) + "." + parts[2],
		"cut":             good[:len(good)-2],
		"signature":       parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"large":           strings.Repeat("A", 20_000),
		"an assertion":    w.ownAssertion(t, agent),
		"another's key":   w.forged(t, agent, mustKey(t), ""),
		"another issuer":  w.forged(t, agent, nil, "https://elsewhere.test"),
		"unknown subject": w.forged(t, holder{ID: "orga::none", Thumbprint: agent.Thumbprint}, nil, inmemory.Issuer),
		"another agent's certificate": w.forged(t, holder{ID: server.ID, Thumbprint: agent.Thumbprint}, nil,
			inmemory.Issuer),
	} {
		if w.active(t, server, token) {
			t.Errorf("%s: active", name)
		}
	}
	if !w.active(t, server, w.forged(t, agent, nil, inmemory.Issuer)) {
		t.Error("the tests' own token is not active: they prove nothing")
	}
}

// forged is a token by the Mastio's present key, or by another one that claims to be it.
func (w *world) forged(t testing.TB, h holder, key *ecdsa.PrivateKey, issuer string) string {
	t.Helper()
	now := w.Now()
	own, err := w.Ring.Signing(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	signer := own.Key
	if key != nil {
		signer.Signer, issuer = key, inmemory.Issuer
	}
	x5t, err := accesstoken.X5TFromThumbprint(h.Thumbprint)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := accesstoken.Sign(accesstoken.Claims{
		Issuer:     issuer,
		Subject:    h.ID,
		Audience:   []string{inmemory.Issuer},
		ClientID:   h.ID,
		JTI:        "made-up",
		IssuedAt:   now,
		Expires:    now.Add(time.Minute),
		X5T:        x5t,
		Generation: 1,
	}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// A caller without the right learns nothing: the answer is the same for every token.
func TestIntrospectionNeedsTheRight(t *testing.T) {
	w := open(t, memstore.Config{})
	agent, other := w.enrol(t, "kyc", "kyc:read"), w.enrol(t, "other", "kyc:read")
	good := w.tokenFor(t, other, nil)
	var answers []string
	own := w.tokenFor(t, agent, nil)
	for _, token := range []string{good, good[:len(good)-2], "garbage", own, w.ownAssertion(t, agent)} {
		a := w.send(t, introspection(agent.CertPEM, token))
		answers = append(answers, fmt.Sprint(a.status, a.header, string(a.body)))
		w.refuse(t, introspectPath, refusal{"without the right", introspection(agent.CertPEM, token), 403,
			"insufficient_scope"})
	}
	for _, a := range answers[1:] {
		if a != answers[0] {
			t.Errorf("answers differ:\n%s\n%s", answers[0], a)
		}
	}
	w.send(t, event("PATCH", "/v1/admin/agents/"+agent.ID, admin, jsonBody(`{"capabilities":["mastio:introspect"]}`)))
	if !w.active(t, agent, good) {
		t.Error("with the right: not active")
	}
	w.send(t, event("PATCH", "/v1/admin/agents/"+agent.ID, admin, jsonBody(`{"capabilities":[]}`)))
	w.refuse(t, introspectPath, refusal{"the right taken away", introspection(agent.CertPEM, good), 403,
		"insufficient_scope"})
}

func TestRefusedIntrospections(t *testing.T) {
	w, agents := openWithCast(t)
	server := w.resourceServer(t)
	token := w.tokenFor(t, agents.kyc, nil)
	form := func(text string) events.APIGatewayProxyRequest {
		return event("POST", introspectPath, certificate(server.CertPEM), body(formType, text))
	}
	for _, c := range []refusal{
		{"no token", form("token_type_hint=access_token"), 400, "invalid_request"},
		{"empty token", form("token="), 400, "invalid_request"},
		{"token twice", form("token=a&token=b"), 400, "invalid_request"},
		{"unknown parameter twice", form("token=a&x=1&x=2"), 400, "invalid_request"},
		{"bad escape", form("token=%zz"), 400, "invalid_request"},
		{"no body", event("POST", introspectPath, certificate(server.CertPEM)), 415, "invalid_request"},
		{"JSON", event("POST", introspectPath, certificate(server.CertPEM), jsonBody(`{"token":"a"}`)), 415,
			"invalid_request"},
		{"token in the query", with(form("token="+token), query("token", token)), 400, "invalid_request"},
		{"client_id of another", introspection(server.CertPEM, token, "client_id", agents.kyc.ID), 401, "invalid_client"},
		{"malformed client_id", introspection(server.CertPEM, token, "client_id", "x"), 400, "invalid_request"},
		{"no certificate", introspection("", token), 401, "invalid_client"},
		{"expired certificate", introspection(agents.expired.CertPEM, token), 401, "invalid_client"},
		{"retired agent", introspection(agents.retired.CertPEM, token), 401, "invalid_client"},
	} {
		t.Run(c.name, func(t *testing.T) { w.refuse(t, introspectPath, c) })
	}
	if !w.active(t, server, token) {
		t.Error("the token is not active: the refusals prove nothing")
	}
	w.send(t, introspection(server.CertPEM, token, "client_id", server.ID)).into(t, http.StatusOK, &struct{}{})
}

// One call reads the caller, the token's agent and the pointer, whatever the token is.
func TestIntrospectionCostsOneRead(t *testing.T) {
	w := open(t, memstore.Config{})
	server, agent := w.resourceServer(t), w.enrol(t, "kyc", "kyc:read")
	token := w.tokenFor(t, agent, nil)
	w.active(t, server, token) // reads the public keys of the day
	for _, token := range []string{token, "garbage", token[:len(token)-2]} {
		before := w.calls()
		w.active(t, server, token)
		if got := w.calls() - before; got != 1 {
			t.Errorf("%.10s…: %d calls of the store, want 1", token, got)
		}
	}
}

// The first use of a resource server's successor at this endpoint ends the certificate before it, as at the token
// endpoint.
func TestIntrospectionIsAFirstUse(t *testing.T) {
	w := open(t, memstore.Config{})
	server, agent := w.resourceServer(t), w.enrol(t, "kyc", "kyc:read")
	token := w.tokenFor(t, agent, nil)
	var next renewAnswer
	w.send(t, renewJSON(t, server.CertPEM, request(t, server.CertPEM, newKey(t)))).into(t, 200, &next)
	if !w.active(t, server, token) {
		t.Fatal("the certificate in use gets no answer")
	}
	if !w.active(t, holder{CertPEM: next.CertPEM}, token) {
		t.Fatal("the successor gets no answer")
	}
	w.refuse(t, introspectPath, refusal{"the certificate before", introspection(server.CertPEM, token), 401,
		"invalid_client"})
}
