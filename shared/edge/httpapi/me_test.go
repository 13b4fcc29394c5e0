package httpapi_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const mePath = "/v1/agent/me"

// tokenFor gets a token that is bound to the key, or to the certificate alone if there is none.
func (w *world) tokenFor(t testing.TB, h holder, key *ecdsa.PrivateKey, edits ...edit) string {
	t.Helper()
	if key != nil {
		edits = append(edits, header("DPoP", prove(t, key, w.Now(), "")), asserted(w.ownAssertion(t, h)))
	}
	var got tokenAnswer
	w.send(t, tokenRequest(h.CertPEM, edits...)).into(t, http.StatusOK, &got)
	return got.AccessToken
}

// resourceProof is one for the resource, with ath.
func resourceProof(t testing.TB, key *ecdsa.PrivateKey, now time.Time, token, nonce string, changes ...claim) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.ES256,
		Key:       key,
	}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token))
	claims := map[string]any{
		"htm": "GET", "htu": inmemory.Issuer + mePath, "iat": now.Unix(), "jti": lastProof.Add(1),
		"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	claims["jti"] = jsonText(t, claims["jti"])
	if nonce != "" {
		claims["nonce"] = nonce
	}
	for _, c := range changes {
		claims[c.name] = c.value
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func jsonText(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func me(certPEM, scheme, token string, edits ...edit) events.APIGatewayProxyRequest {
	return event("GET", mePath, append([]edit{certificate(certPEM), header("Authorization", scheme+" "+token)},
		edits...)...)
}

type meAnswer struct {
	AgentID      string   `json:"agent_id"`
	Capabilities []string `json:"capabilities"`
	Scope        string   `json:"scope"`
	Generation   int64    `json:"generation"`
	Thumbprint   string   `json:"cert_thumbprint"`
	JKT          string   `json:"dpop_jkt"`
	TokenType    string   `json:"token_type"`
	Expires      string   `json:"expires_at"`
	ExpiresIn    int64    `json:"expires_in"`
}

func TestMeAnswersWhatTheTokenProves(t *testing.T) {
	w := open(t, memstore.Config{})
	agent := w.enrol(t, "kyc", "kyc:read", "kyc:write")
	key := mustKey(t)
	bearer, bound := w.tokenFor(t, agent, nil, body(formType, "scope=kyc:read")), w.tokenFor(t, agent, key)
	w.Advance(time.Minute)
	for name, c := range map[string]struct {
		request events.APIGatewayProxyRequest
		want    meAnswer
	}{
		"Bearer": {me(agent.CertPEM, "Bearer", bearer), meAnswer{
			Capabilities: []string{"kyc:read"},
			Scope:        "kyc:read",
			TokenType:    "Bearer",
		}},
		"DPoP": {me(agent.CertPEM, "DPoP", bound, header("DPoP", resourceProof(t, key, w.Now(), bound, ""))),
			meAnswer{
				Capabilities: []string{"kyc:read", "kyc:write"},
				Scope:        "kyc:read kyc:write",
				TokenType:    "DPoP",
				JKT:          thumbprint(t, key),
			}},
	} {
		a := w.send(t, c.request)
		var got meAnswer
		a.into(t, http.StatusOK, &got)
		wantOffer(t, a)
		want := c.want
		want.AgentID, want.Generation, want.Thumbprint, want.ExpiresIn = agent.ID, 1, agent.Thumbprint, 240
		want.Expires = w.Now().Add(4 * time.Minute).Format(time.RFC3339)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMeRefuses(t *testing.T) {
	w := open(t, memstore.Config{})
	agent, other := w.enrol(t, "kyc"), w.enrol(t, "other")
	key := mustKey(t)
	bearer, bound := w.tokenFor(t, agent, nil), w.tokenFor(t, agent, key)
	elsewhere := w.tokenFor(t, agent, nil, body(formType, "resource=https%3A%2F%2Fapi.test%2F"))
	good := func(changes ...claim) edit {
		return header("DPoP", resourceProof(t, key, w.Now(), bound, "", changes...))
	}
	replayed := good()
	if a := w.send(t, me(agent.CertPEM, "DPoP", bound, replayed)); a.status != 200 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	for name, c := range map[string]struct {
		request events.APIGatewayProxyRequest
		code    string
		scheme  string // what WWW-Authenticate says
	}{
		"no token": {event("GET", mePath, certificate(agent.CertPEM)), "access_token_required", ""},
		"Basic":    {me(agent.CertPEM, "Basic", bearer), "access_token_required", ""},
		"garbage":  {me(agent.CertPEM, "Bearer", "garbage"), "access_token_invalid", "invalid_token"},
		"an assertion": {me(agent.CertPEM, "Bearer", w.ownAssertion(t, agent)), "access_token_invalid",
			"invalid_token"},
		"for another audience":     {me(agent.CertPEM, "Bearer", elsewhere), "access_token_invalid", "invalid_token"},
		"over another certificate": {me(other.CertPEM, "Bearer", bearer), "access_token_bound_elsewhere", "invalid_token"},
		"over none":                {me("", "Bearer", bearer), "client_certificate_required", "invalid_token"},
		"bound, as Bearer":         {me(agent.CertPEM, "Bearer", bound), "access_token_scheme_wrong", "invalid_token"},
		"unbound, as DPoP": {me(agent.CertPEM, "DPoP", bearer, good()), "access_token_scheme_wrong",
			"invalid_token"},
		"no proof": {me(agent.CertPEM, "DPoP", bound), "dpop_proof_invalid", "invalid_dpop_proof"},
		"another key's proof": {me(agent.CertPEM, "DPoP", bound,
			header("DPoP", resourceProof(t, mustKey(t), w.Now(), bound, ""))), "access_token_bound_elsewhere", "invalid_token"},
		"a proof without ath": {me(agent.CertPEM, "DPoP", bound, good(claim{"ath", ""})), "dpop_proof_invalid",
			"invalid_dpop_proof"},
		"a proof for the token": {me(agent.CertPEM, "DPoP", bound, header("DPoP", prove(t, key, w.Now(), ""))),
			"dpop_proof_invalid", "invalid_dpop_proof"},
		"a proof that was used": {me(agent.CertPEM, "DPoP", bound, replayed), "dpop_proof_replayed",
			"invalid_dpop_proof"},
		"a stale nonce": {me(agent.CertPEM, "DPoP", bound, good(claim{"nonce", "stale"})), "use_dpop_nonce",
			"use_dpop_nonce"},
		"a clock five minutes fast": {me(agent.CertPEM, "DPoP", bound, good(claim{"iat", w.Now().Unix() + 300})),
			"use_dpop_nonce", "use_dpop_nonce"},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuse(t, mePath, refusal{name, c.request, 401, c.code})
			got := w.send(t, c.request).header.Get("Www-Authenticate")
			if !strings.HasPrefix(got, `DPoP algs="ES256"`) || strings.Contains(got, "error=") != (c.scheme != "") ||
				!strings.Contains(got, c.scheme) {
				t.Errorf("WWW-Authenticate: %s, want error %q", got, c.scheme)
			}
		})
	}
	w.Advance(5 * time.Minute)
	w.refuse(t, mePath, refusal{"after its end", me(agent.CertPEM, "Bearer", bearer), 401, "access_token_invalid"})
}

// The agents' SDK repeats a request to a resource after status 401 with this word in the body, and takes the nonce from
// the header.
func TestMeAsksForANonce(t *testing.T) {
	w := open(t, memstore.Config{}, func(p *boot.Parts) { p.RequireNonce = true })
	agent, key := w.enrol(t, "kyc"), mustKey(t)
	asked := w.send(t, tokenRequest(agent.CertPEM, header("DPoP", prove(t, key, w.Now(), "")),
		asserted(w.ownAssertion(t, agent))))
	token := w.tokenFor(t, agent, nil, header("DPoP", prove(t, key, w.Now(), asked.header.Get("Dpop-Nonce"))),
		asserted(w.ownAssertion(t, agent)))
	refused := w.send(t, me(agent.CertPEM, "DPoP", token, header("DPoP", resourceProof(t, key, w.Now(), token, ""))))
	wantProblem(t, refused, 401, "use_dpop_nonce")
	nonce := refused.header.Get("Dpop-Nonce")
	for offset := range 2 { // with the nonce, also by a clock that is off
		proof := resourceProof(t, key, w.Now().Add(time.Duration(offset)*5*time.Minute), token, nonce)
		if a := w.send(t, me(agent.CertPEM, "DPoP", token, header("DPoP", proof))); a.status != 200 {
			t.Errorf("with the nonce: status %d: %s", a.status, a.body)
		}
	}
}

// A token outlives its certificate by its life at most, but not here: the registry is asked.
func TestMeRefusesATokenWhoseCertificateIsDead(t *testing.T) {
	for name, kill := range map[string]func(w *world, h holder) answer{
		"rotated": func(w *world, h holder) answer {
			return w.send(t, event("POST", "/registry/agents/"+h.ID+"/rotate-cert", admin))
		},
		"deactivated": func(w *world, h holder) answer { return w.send(t, event("DELETE", "/v1/admin/agents/"+h.ID, admin)) },
		"superseded": func(w *world, _ holder) answer {
			return w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint")))
		},
	} {
		w := open(t, memstore.Config{})
		agent := w.enrol(t, "kyc")
		token := w.tokenFor(t, agent, nil)
		request := me(agent.CertPEM, "Bearer", token)
		w.send(t, request).into(t, 200, &meAnswer{})
		if a := kill(w, agent); a.status >= 300 {
			t.Fatalf("%s: status %d: %s", name, a.status, a.body)
		}
		w.refuse(t, mePath, refusal{name, request, 401, "certificate_revoked"})
		w.verified(t, token, inmemory.Issuer) // and yet it is not expired
	}
}

// The token of an SVID, whose path was proved for the token, follows the Org CA's generations too.
func TestMeOfAnSVID(t *testing.T) {
	w := open(t, memstore.Config{})
	leaf := svid(t, w.orgCA(t), "spiffe://mastio.test/ns/default/sa/kyc", w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "kyc", leaf)).into(t, 201, &enrolAnswer{})
	h := holder{ID: "orga::kyc", CertPEM: leaf.certPEM()}
	request := me(h.CertPEM, "Bearer", w.tokenFor(t, h, nil))
	w.send(t, request).into(t, 200, &meAnswer{})
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))); a.status != 200 {
		t.Fatal(a.status)
	}
	w.refuse(t, mePath, refusal{"after the rotation", request, 401, "certificate_revoked"})
}
