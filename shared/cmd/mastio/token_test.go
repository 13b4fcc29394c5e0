package main

import (
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/verifier/dpop"
)

// The proof is one that a resource server accepts, and the nonce that it is asked for is in the second one.
func TestToken(t *testing.T) {
	m, dir := newMastio(t), filepath.Join(t.TempDir(), "kyc")
	m.routes[enrolRoute] = issue(t, "orga::kyc")
	if got, _, stderr := m.run("agents", "enrol", "kyc", "--out", dir); got != 0 {
		t.Fatal(stderr)
	}
	var proofs []string
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	m.anonymous = true
	m.routes["POST /v1/auth/token"] = func(w http.ResponseWriter, r *http.Request) {
		proofs = append(proofs, r.Header.Get("DPoP"))
		if len(proofs) == 1 {
			w.Header().Set("DPoP-Nonce", "n1")
			says(http.StatusUnauthorized, `{"error":"use_dpop_nonce","error_description":"again"}`)(w, r)
			return
		}
		says(200, `{"access_token":"`+part(`{"alg":"ES256"}`)+"."+part(`{"sub":"orga::kyc"}`)+"."+part("s")+
			`","token_type":"DPoP","expires_in":300,"scope":""}`)(w, r)
	}
	got, stdout, stderr := m.with(map[string]string{"MASTIO_AGENTS_URL": m.URL}, "", "token", dir)
	if got != 0 || !strings.Contains(stdout, "orga::kyc") || len(proofs) != 2 {
		t.Fatalf("exit status %d after %d proofs: %s%s", got, len(proofs), stdout, stderr)
	}
	for i, nonce := range []string{"", "n1"} {
		want := dpop.Expect{Method: "POST", URLs: []string{m.URL + "/v1/auth/token"}, Now: noon}
		if _, err := dpop.Verify(proofs[i], want); err != nil {
			t.Errorf("proof %d: %v", i+1, err)
		}
		claims, err := base64.RawURLEncoding.DecodeString(strings.Split(proofs[i], ".")[1])
		if err != nil || strings.Contains(string(claims), `"nonce":"n1"`) != (nonce != "") {
			t.Errorf("proof %d has the claims %s, want the nonce %q", i+1, claims, nonce)
		}
	}
	m.routes["POST /v1/auth/token"] = says(401,
		`{"error":"invalid_client","error_description":"Certificate has been revoked"}`)
	got, _, stderr = m.with(map[string]string{"MASTIO_AGENTS_URL": m.URL}, "", "token", dir, "--bearer")
	if got != 1 || !strings.Contains(stderr, "Certificate has been revoked") {
		t.Errorf("a dead certificate: exit status %d, want 1: %s", got, stderr)
	}
	if got, _, _ := m.run("token", t.TempDir()); got != 2 {
		t.Errorf("a folder without files: exit status %d, want 2", got)
	}
}
