package httpapi_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

func object(t testing.TB, members map[string]any) edit {
	t.Helper()
	encoded, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return jsonBody(string(encoded))
}

func csr(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func publicJWK(t testing.TB, key *ecdsa.PrivateKey) json.RawMessage {
	t.Helper()
	public, err := jose.PublicJWK(&key.PublicKey, "")
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// What is answered works: certificate and key make a TLS client, and the chain is what verifiers look up.
func TestEnrolledCredentialsWork(t *testing.T) {
	w := open(t, memstore.Config{})
	got := w.enrol(t, "kyc", "kyc:read")
	if _, err := tls.X509KeyPair([]byte(got.CertPEM), []byte(got.KeyPEM)); err != nil {
		t.Errorf("certificate and key: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(w.send(t, event("GET", "/pki/ca.crt")).body) {
		t.Fatal("/pki/ca.crt is no certificate")
	}
	chain, err := pki.ParseCertificates([]byte(got.CertPEM))
	if err != nil || len(chain) != 2 {
		t.Fatalf("cert_pem has %d certificates: %v", len(chain), err)
	}
	issuing := x509.NewCertPool()
	issuing.AddCert(chain[1])
	options := x509.VerifyOptions{
		Roots:         roots,
		Intermediates: issuing,
		CurrentTime:   w.Now(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if _, err := chain[0].Verify(options); err != nil {
		t.Errorf("chain: %v", err)
	}
	if got.ID != "orga::kyc" || chain[0].Subject.CommonName != "orga::kyc" ||
		got.Thumbprint != pki.Thumbprint(chain[0].Raw) || got.Generation != 1 {
		t.Errorf("answer = %+v", got)
	}
}

func TestKeysThatStayWithTheirOwner(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "rotated")
	proofKey := mustKey(t)
	for _, route := range []struct {
		name, path string
		status     int
	}{{"enrol", "/v1/admin/agents", http.StatusCreated},
		{"rotate", "/registry/agents/orga::rotated/rotate-cert", http.StatusOK}} {
		tlsKey, next := mustKey(t), mustKey(t) // a key is certified once
		for i, c := range []struct {
			name             string
			members          map[string]any
			keyPEM, jwk, pub bool // what the answer must have: a private TLS key; a DPoP key; a public one
		}{
			{"both minted", map[string]any{}, true, true, false},
			{"CSR alone", map[string]any{"csr_pem": csr(t, tlsKey)}, false, false, false},
			{"CSR and DPoP key", map[string]any{"csr_pem": csr(t, next), "dpop_jwk": publicJWK(t, proofKey)}, false, true, true},
			{"DPoP key alone", map[string]any{"dpop_jwk": publicJWK(t, proofKey)}, true, true, true},
			{"explicit nulls", map[string]any{"csr_pem": nil, "dpop_jwk": nil}, true, true, false},
		} {
			t.Run(route.name+": "+c.name, func(t *testing.T) {
				if route.name == "enrol" {
					c.members["agent_name"] = fmt.Sprint("agent", i)
				}
				var got struct {
					holder
					Key map[string]any `json:"dpop_jwk"`
				}
				a := w.send(t, event("POST", route.path, admin, object(t, c.members)))
				a.into(t, route.status, &got)
				_, private := got.Key["d"]
				if (got.KeyPEM != "") != c.keyPEM || (got.Key != nil) != c.jwk || private != (c.jwk && !c.pub) {
					t.Errorf("private TLS key %t, DPoP key %v", got.KeyPEM != "", got.Key)
				}
				if bytes.Contains(a.body, []byte(`"key_pem"`)) != c.keyPEM ||
					bytes.Contains(a.body, []byte(`"dpop_jwk"`)) != c.jwk {
					t.Error("a key that is not given is still a member")
				}
				leaf, err := inmemory.Leaf([]byte(got.CertPEM))
				if err != nil {
					t.Fatal(err)
				}
				if ours := tlsKey.PublicKey.Equal(leaf.PublicKey) || next.PublicKey.Equal(leaf.PublicKey); ours == c.keyPEM {
					t.Errorf("certificate is for the CSR's key: %t", ours)
				}
			})
		}
	}
}

func mustKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestRefusedEnrolmentsAndRotations(t *testing.T) {
	w, agents := openWithCast(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := jose.PrivateJWK(mustKey(t))
	if err != nil {
		t.Fatal(err)
	}
	good := csr(t, mustKey(t))
	forged := strings.Replace(good, "\n-----END", "AAAA\n-----END", 1)
	var long []string
	for i := range 65 {
		long = append(long, fmt.Sprint("c", i))
	}
	both := []struct {
		name    string
		members map[string]any
		code    string
	}{
		{"CSR empty", map[string]any{"csr_pem": ""}, "csr_invalid"},
		{"CSR garbage", map[string]any{"csr_pem": "garbage"}, "csr_invalid"},
		{"CSR of garbage", map[string]any{"csr_pem": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE " +
			"REQUEST-----\n"}, "csr_invalid"},
		{"CSR tampered with", map[string]any{"csr_pem": forged}, "csr_invalid"},
		{"CSR is a certificate", map[string]any{"csr_pem": agents.kyc.CertPEM}, "csr_invalid"},
		{"CSR is a key", map[string]any{"csr_pem": agents.kyc.KeyPEM}, "csr_invalid"},
		{"CSR twice", map[string]any{"csr_pem": good + good}, "csr_invalid"},
		{"CSR too long", map[string]any{"csr_pem": good + strings.Repeat("\n", 17<<10)}, "csr_invalid"},
		{"CSR by RSA-1024", map[string]any{"csr_pem": csr(t, weak)}, "csr_key_unacceptable"},
		{"CSR by Ed25519", map[string]any{"csr_pem": csr(t, edwards)}, "csr_key_unacceptable"},
		{"CSR by P-521", map[string]any{"csr_pem": csr(t, p521)}, "csr_key_unacceptable"},
		{"DPoP key private", map[string]any{"dpop_jwk": private}, "dpop_jwk_invalid"},
		{"DPoP key a string", map[string]any{"dpop_jwk": "x"}, "dpop_jwk_invalid"},
		{"DPoP key empty", map[string]any{"dpop_jwk": map[string]any{}}, "dpop_jwk_invalid"},
		{"DPoP key symmetric", map[string]any{"dpop_jwk": map[string]any{"kty": "oct", "k": "AAAA"}}, "dpop_jwk_invalid"},
		{"DPoP key nested deeply", map[string]any{"dpop_jwk": json.RawMessage(strings.Repeat(`{"a":`, 500) + "1" +
			strings.Repeat("}", 500))}, "dpop_jwk_invalid"},
	}
	enrolments := []struct {
		name    string
		members map[string]any
		status  int
		code    string
	}{
		{"no name", map[string]any{}, 400, "agent_id_invalid"},
		{"name with a blank", map[string]any{"agent_name": "a b"}, 400, "agent_id_invalid"},
		{"whole id as name", map[string]any{"agent_name": "orga::kyc"}, 400, "agent_id_invalid"},
		{"name with a slash", map[string]any{"agent_name": "../admin"}, 400, "agent_id_invalid"},
		{"name too long", map[string]any{"agent_name": strings.Repeat("a", 65)}, 400, "agent_id_invalid"},
		{"capability with a blank", map[string]any{"agent_name": "a", "capabilities": []string{"a b"}}, 400,
			"agent_profile_invalid"},
		{"capability empty", map[string]any{"agent_name": "a", "capabilities": []string{""}}, 400, "agent_profile_invalid"},
		{"too many capabilities", map[string]any{"agent_name": "a", "capabilities": long}, 400, "agent_profile_invalid"},
		{"control character", map[string]any{"agent_name": "a", "display_name": "a\nb"}, 400, "agent_profile_invalid"},
		{"taken", map[string]any{"agent_name": "kyc"}, 409, "agent_already_enrolled"},
		{"taken, and a bad CSR", map[string]any{"agent_name": "kyc", "csr_pem": "x"}, 409, "agent_already_enrolled"},
	}
	rotations := []struct {
		name, path string
		members    map[string]any
		status     int
		code       string
	}{
		{"grace negative", "orga::kyc", map[string]any{"grace_seconds": -1}, 400, "grace_seconds_invalid"},
		{"grace too long", "orga::kyc", map[string]any{"grace_seconds": 172801}, 400, "grace_seconds_invalid"},
		{"grace after a compromise", "orga::kyc", map[string]any{"grace_seconds": 60, "reason": "keyCompromise"}, 400,
			"grace_seconds_invalid"},
		{"grace that overflows", "orga::kyc", map[string]any{"grace_seconds": int64(1) << 62}, 400, "grace_seconds_invalid"},
		{"validity of no day", "orga::kyc", map[string]any{"validity_days": 0}, 400, "validity_days_invalid"},
		{"validity too long", "orga::kyc", map[string]any{"validity_days": 826}, 400, "validity_days_invalid"},
		{"validity negative", "orga::kyc", map[string]any{"validity_days": -5}, 400, "validity_days_invalid"},
		{"grace after a compromise in capitals", "orga::kyc", map[string]any{"grace_seconds": 60, "reason": "KEYCOMPROMISE"},
			400, "grace_seconds_invalid"},
		{"grace after a compromise of the CA", "orga::kyc", map[string]any{"grace_seconds": 60, "reason": "cacompromise"},
			400, "grace_seconds_invalid"},
		{"grace without privileges", "orga::kyc", map[string]any{"grace_seconds": 60, "reason": "privilegeWithdrawn"}, 400,
			"grace_seconds_invalid"},
		{"reason in other words", "orga::kyc", map[string]any{"reason": "key_compromise"}, 400, "reason_invalid"},
		{"reason with a blank", "orga::kyc", map[string]any{"reason": "keyCompromise "}, 400, "reason_invalid"},
		{"free text for a reason", "orga::kyc", map[string]any{"reason": "laptop stolen", "grace_seconds": 60}, 400,
			"reason_invalid"},
		{"comment too long", "orga::kyc", map[string]any{"comment": strings.Repeat("a", 501)}, 400, "comment_invalid"},
		{"comment with a control character", "orga::kyc", map[string]any{"comment": "\x1b[2J"}, 400, "comment_invalid"},
		{"deactivated", "orga::retired", map[string]any{}, 409, "agent_deactivated"},
	}
	for _, c := range both {
		name := map[string]any{"agent_name": "fresh"}
		for k, v := range c.members {
			name[k] = v
		}
		t.Run("enrol: "+c.name, func(t *testing.T) {
			w.refuse(t, "/v1/admin/agents",
				refusal{c.name, event("POST", "/v1/admin/agents", admin, object(t, name)), 400, c.code})
		})
		t.Run("rotate: "+c.name, func(t *testing.T) {
			w.refuse(t, "", refusal{c.name, event("POST", "/registry/agents/orga::kyc/rotate-cert", admin, object(t, c.members)),
				400, c.code})
		})
	}
	for _, c := range enrolments {
		t.Run("enrol: "+c.name, func(t *testing.T) {
			w.refuse(t, "", refusal{c.name, event("POST", "/v1/admin/agents", admin, object(t, c.members)), c.status, c.code})
		})
	}
	for _, c := range rotations {
		t.Run("rotate: "+c.name, func(t *testing.T) {
			w.refuse(t, "", refusal{c.name,
				event("POST", "/registry/agents/"+c.path+"/rotate-cert", admin, object(t, c.members)), c.status, c.code})
		})
	}
}

func TestLimitsAreInclusive(t *testing.T) {
	w, _ := openWithCast(t)
	for name, members := range map[string]map[string]any{
		"longest grace": {"grace_seconds": 172800}, "one day": {"validity_days": 1}, "825 days": {"validity_days": 825},
		"longest comment":    {"comment": strings.Repeat("é", 500)},
		"reason in capitals": {"reason": "SUPERSEDED", "grace_seconds": 60}, "no reason": {"reason": "", "comment": nil},
	} {
		if a := w.send(t, event("POST", "/registry/agents/orga::kyc/rotate-cert", admin,
			object(t, members))); a.status != http.StatusOK {
			t.Errorf("%s: status %d: %.300s", name, a.status, a.body)
		}
	}
	whole := `{"comment":"routine"}`
	full := event("POST", "/registry/agents/orga::kyc/rotate-cert", admin,
		jsonBody(whole+strings.Repeat(" ", 64<<10-len(whole))))
	if a := w.send(t, full); a.status != http.StatusOK {
		t.Errorf("body of exactly 64 KiB: status %d", a.status)
	}
	empty := event("POST", "/registry/agents/orga%3A%3Akyc/rotate-cert", admin)
	if a := w.send(t, empty); a.status != http.StatusOK {
		t.Errorf("no body and no media type: status %d: %.300s", a.status, a.body)
	}
}

func TestListing(t *testing.T) {
	w := open(t, memstore.Config{})
	for i := range 5 {
		w.enrol(t, fmt.Sprint("agent", i))
	}
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))); a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	w.rotate(t, "orga::agent4", "{}")
	type page struct {
		Agents []struct {
			ID         string `json:"agent_id"`
			Generation int64  `json:"generation"`
		} `json:"agents"`
		Next string `json:"next_cursor"`
	}
	var met []string
	for cursor, rounds := "", 0; ; rounds++ {
		var p page
		edits := []edit{admin, query("limit", "2")}
		if cursor != "" {
			edits = append(edits, query("cursor", cursor))
		}
		w.send(t, event("GET", "/v1/admin/agents", edits...)).into(t, http.StatusOK, &p)
		for _, a := range p.Agents {
			met = append(met, a.ID)
		}
		if cursor = p.Next; cursor == "" || rounds > 5 {
			break
		}
	}
	if diff := cmp.Diff([]string{"orga::agent0", "orga::agent1", "orga::agent2", "orga::agent3", "orga::agent4"},
		met); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	var moved page
	w.send(t, event("GET", "/v1/admin/agents", admin, query("generation", "2"))).into(t, http.StatusOK, &moved)
	if len(moved.Agents) != 1 || moved.Agents[0].ID != "orga::agent4" {
		t.Errorf("agents of generation 2 = %+v", moved.Agents)
	}
	for _, c := range []struct{ name, value, code string }{
		{"limit", "0", "limit_invalid"}, {"limit", "1001", "limit_invalid"}, {"limit", "", "limit_invalid"},
		{"limit", "-1", "limit_invalid"}, {"limit", "1e2", "limit_invalid"},
		{"limit", "99999999999999999999", "limit_invalid"}, {"cursor", "x", "cursor_invalid"},
		{"cursor", strings.Repeat("A", 5000), "cursor_invalid"}, {"cursor", "Li4v", "cursor_invalid"},
		{"generation", "0", "query_invalid"}, {"generation", "-1", "query_invalid"}, {"generation", "x", "query_invalid"},
		{"generation", "", "query_invalid"},
	} {
		w.refuse(t, "", refusal{c.name, event("GET", "/v1/admin/agents", admin, query(c.name, c.value)), 400, c.code})
	}
}

func TestDeletedAgent(t *testing.T) {
	w := open(t, memstore.Config{})
	got := w.enrol(t, "kyc")
	request := event("DELETE", "/v1/admin/agents/orga%3A%3Akyc", admin)
	for range 2 { // a lost answer can be asked for again
		if a := w.send(t, request); a.status != http.StatusNoContent || len(a.body) > 0 ||
			a.header.Get("Content-Type") != "" {
			t.Errorf("answer = %d %q %v, want 204 and nothing else", a.status, a.body, a.header)
		}
	}
	wantOAuthError(t, w.send(t, tokenRequest(got.CertPEM)), "invalid_client")
	var read struct {
		Status   string `json:"status"`
		Accepted bool   `json:"certificate_accepted"`
		Seq      int64  `json:"audit_seq"`
	}
	w.send(t, event("GET", "/v1/admin/agents/orga::kyc", admin)).into(t, http.StatusOK, &read)
	if read.Status != "deactivated" || read.Accepted || read.Seq != 2 {
		t.Errorf("agent = %+v, want it deactivated by one event", read)
	}
}

func TestSecretsAreNotStoredOnTheWay(t *testing.T) {
	w := open(t, memstore.Config{})
	enrolled := w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(`{"agent_name":"kyc"}`)))
	var h holder
	enrolled.into(t, http.StatusCreated, &h)
	for name, a := range map[string]answer{
		"enrol": enrolled, "token": w.send(t, tokenRequest(h.CertPEM)),
		"rotate-cert": w.send(t, event("POST", "/registry/agents/orga::kyc/rotate-cert", admin)),
		"rotate-ca":   w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))),
	} {
		if a.status >= 300 || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" ||
			a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
	}
}

func TestRotationInProgress(t *testing.T) {
	w := open(t, memstore.Config{})
	mint := event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))
	holder := orgca.Lease{
		Holder:    "holder-4711",
		Operation: "rotate-ca",
		Phase:     "prepare",
		Expires:   w.Now().Add(orgca.LeaseTTL),
	}
	if _, err := w.Store.Acquire(t.Context(), holder, w.Now()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{0, "30"}, {11 * time.Second, "19"}, {18500 * time.Millisecond, "1"}} {
		w.Advance(c.after)
		a := w.send(t, mint)
		wantProblem(t, a, http.StatusConflict, "rotation_in_progress")
		if got := a.header["Retry-After"]; !slices.Equal(got, []string{c.want}) {
			t.Errorf("Retry-After = %v, want %s", got, c.want)
		}
		if bytes.Contains(a.body, []byte("holder-4711")) {
			t.Errorf("the holder is told: %s", a.body)
		}
	}
	var status struct {
		Rotation struct {
			InProgress bool   `json:"in_progress"`
			Phase      string `json:"phase"`
			Holder     string `json:"holder"`
		} `json:"rotation"`
	}
	w.send(t, event("GET", "/pki/rotate-ca", admin)).into(t, http.StatusOK, &status)
	if !status.Rotation.InProgress || status.Rotation.Phase != "prepare" || status.Rotation.Holder != "holder-4711" {
		t.Errorf("status = %+v", status)
	}
}

func TestIdempotencyKeyHeader(t *testing.T) {
	w := open(t, memstore.Config{})
	mint := event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))
	for name, change := range map[string]edit{
		"empty": header("Idempotency-Key", ""), "twice": header("Idempotency-Key", "a", "a"),
		"blank in it": header("Idempotency-Key", "a b"), "too long": header("Idempotency-Key", strings.Repeat("a", 256)),
		"control character": header("Idempotency-Key", "a\n"), "not ASCII": header("Idempotency-Key", "ä"),
		"DEL": header("Idempotency-Key", "\x7f"),
	} {
		t.Run(name, func(t *testing.T) {
			w.refuse(t, "", refusal{name, with(mint, change), 400, "idempotency_key_invalid"})
		})
	}
	keyed := with(mint, header("idempotency-key", strings.Repeat("k", 255)))
	first, again := w.send(t, keyed), w.send(t, keyed)
	if first.status != http.StatusOK {
		t.Errorf("status %d", first.status)
	}
	wantReplay(t, first, again)
	w.refuse(t, "", refusal{"reused", with(keyed, query("reason", "keyCompromise")), 422, "idempotency_key_reused"})
}

func TestRefusedCARotations(t *testing.T) {
	w := open(t, memstore.Config{})
	mint := event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))
	for _, c := range []struct {
		name, code string
		change     edit
	}{
		{"no mode", "mode_unknown", query("mode")},
		{"empty mode", "mode_unknown", query("mode", "")},
		{"unknown mode", "mode_unknown", query("mode", "destroy")},
		{"mode in capitals", "mode_unknown", query("mode", "MINT")},
		{"unknown reason", "reason_invalid", query("reason", "because")},
		{"overlap of no number", "overlap_invalid", both(query("mode", "mint"), query("overlap", "1h"))},
		{"negative overlap", "overlap_invalid", both(query("mode", "mint"), query("overlap", "-1"))},
		{"endless overlap", "overlap_invalid", both(query("mode", "mint"), query("overlap", "7776001"))},
		{"overlap after a compromise", "overlap_invalid", both(query("overlap", "1"), query("reason", "keyCompromise"))},
		{"overlap of a rollback", "query_invalid", both(query("mode", "rollback"), query("overlap", "1"))},
		{"dry run, maybe", "query_invalid", both(query("mode", "mint"), query("dry_run", "1"))},
		{"dry run of a rollback", "query_invalid", both(query("mode", "rollback"), query("dry_run", "true"))},
		{"commit of nothing", "fingerprint_invalid", query("mode", "commit")},
		{"commit of a number", "fingerprint_invalid", both(query("mode", "commit"), query("fingerprint", "2"))},
		{"fingerprint to mint", "query_invalid", both(query("mode", "mint"), query("fingerprint", strings.Repeat("a", 64)))},
		{"stage from elsewhere", "mode_unknown", both(query("mode", "stage"), query("source", "vault"))},
		{"body", "body_unexpected", jsonBody("{}")},
		{"key as a body", "body_unexpected", body("application/x-pem-file", string(pkitest.CSR(t, mustKey(t))))},
		{"a blank as a body", "body_unexpected", body("text/plain", " ")},
	} {
		t.Run(c.name, func(t *testing.T) { w.refuse(t, "", refusal{c.name, with(mint, c.change), 400, c.code}) })
	}
}

// A store or a key store that fails is a 503 with Retry-After and fixed words, and leaves everything as it was.
func TestFailuresBelow(t *testing.T) {
	var broken memstore.Fault
	var op string
	w := open(t, memstore.Config{Fault: func(name string) memstore.Fault {
		if name == op {
			return broken
		}
		return memstore.None
	}})
	got := w.enrol(t, "kyc")
	rotate := event("POST", "/registry/agents/orga::kyc/rotate-cert", admin)
	enrol := event("POST", "/v1/admin/agents", admin, jsonBody(`{"agent_name":"fresh"}`))
	mint := event("POST", "/pki/rotate-ca", admin, query("mode", "mint"))
	for _, c := range []struct {
		op    string
		fault memstore.Fault
		bad   refusal
	}{
		{"View", memstore.Refuse, refusal{"rotate-cert", rotate, 503, "store_unavailable"}},
		{"Apply", memstore.Refuse, refusal{"rotate-cert", rotate, 503, "store_unavailable"}},
		{"Apply", memstore.Lose, refusal{"rotate-cert", rotate, 503, "outcome_unknown"}},
		{"Apply", memstore.Lose, refusal{"enrol", enrol, 503, "outcome_unknown"}},
		{"ViewSeen", memstore.Refuse, refusal{"token", tokenRequest(got.CertPEM), 503, "temporarily_unavailable"}},
		{"TokenKey", memstore.Refuse, refusal{"token", tokenRequest(got.CertPEM), 503, "temporarily_unavailable"}},
		{"UseProof", memstore.Lose, refusal{"token",
			tokenRequest(got.CertPEM, header("DPoP", prove(t, got.proofKey(t), w.Now(), ""))), 503, "temporarily_unavailable"}},
		{"Org", memstore.Refuse, refusal{"rotate-ca", mint, 503, "store_unavailable"}},
		{"Org", memstore.Refuse, refusal{"healthz", event("GET", "/healthz"), 503, "store_unavailable"}},
		{"Org", memstore.Refuse, refusal{"bundle", event("GET", "/pki/bundle.pem"), 503, "store_unavailable"}},
		{"TokenKeys", memstore.Refuse, refusal{"jwks", event("GET", "/.well-known/jwks.json"), 503, "store_unavailable"}},
		{"List", memstore.Refuse, refusal{"list", event("GET", "/v1/admin/agents", admin), 503, "store_unavailable"}},
	} {
		t.Run(c.bad.name+" without "+c.op, func(t *testing.T) {
			before := w.state(t)
			op, broken = c.op, c.fault
			a := w.send(t, c.bad.request)
			op = ""
			if a.status != 503 || a.header.Get("Retry-After") == "" {
				t.Fatalf("answer = %d %v %.300s", a.status, a.header, a.body)
			}
			if c.bad.name == "token" {
				wantOAuthError(t, a, c.bad.code)
			} else {
				wantProblem(t, a, 503, c.bad.code)
			}
			ignoreFence(&before)
			after := w.state(t)
			ignoreFence(&after)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
		})
	}
	w.Keys.Fault = func(string, bool) error {
		return fmt.Errorf("%w: %w", rotateca.ErrKeys,
			errors.New("arn:aws:kms:eu-central-1:000000000000:key/key-0001 is gone"))
	}
	a := w.send(t, rotate)
	wantProblem(t, a, 503, "key_store_unavailable")
	if log := w.logs.take(); !strings.Contains(log, "is gone") {
		t.Error("the cause is not in the log")
	}
}

// ignoreFence drops what an attempt leaves behind: the fence goes up with every lease.
func ignoreFence(s *state) { s.Org.Lease = orgca.Lease{} }

func TestBeforeTheFirstCA(t *testing.T) {
	w := unopened(t, memstore.Config{})
	for _, request := range []struct{ method, path, body string }{
		{"POST", "/v1/admin/agents", `{"agent_name":"kyc"}`}, {"GET", "/pki/ca.crt", ""}, {"GET", "/pki/bundle.pem", ""},
	} {
		a := w.send(t, event(request.method, request.path, admin, jsonBody(request.body)))
		wantProblem(t, a, 503, "org_ca_missing")
		if a.header.Get("Retry-After") != "5" {
			t.Errorf("%s: Retry-After = %q", request.path, a.header.Get("Retry-After"))
		}
	}
	w.Parts.Adopt = true
	w.restart(t)
	a := w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(`{"agent_name":"kyc"}`)))
	wantProblem(t, a, 503, "org_ca_awaited")
	if a.header.Get("Retry-After") != "" {
		t.Error("an operator's upload is to be waited for by trying again")
	}
	var health struct {
		Status   string   `json:"status"`
		Warnings []string `json:"warnings"`
	}
	w.send(t, event("GET", "/healthz")).into(t, http.StatusOK, &health)
	if health.Status != "ok" || !slices.Equal(health.Warnings, []string{"org_ca_missing"}) {
		t.Errorf("health = %+v", health)
	}
}

// A cache on the way keys an answer by its address: it does not know that the secret in X-Admin-Secret is what opened
// it.
func TestNoAnswerBehindASecretIsKept(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc")
	for _, e := range []events.APIGatewayProxyRequest{
		event("GET", "/v1/admin/agents", admin), event("GET", "/v1/admin/agents/orga::kyc", admin),
		event("GET", "/v1/admin/audit/head", admin),
		event("PUT", "/v1/admin/agents/orga::kyc/hygiene", admin, jsonBody(`{"deliver":"notify"}`)),
		event("DELETE", "/v1/admin/agents/orga::kyc", admin),
		event("GET", "/v1/admin/agents"), event("GET", "/v1/admin/agents/orga::nobody", admin),
	} {
		a := w.send(t, e)
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s %s: status %d, Cache-Control %q, want no-store", e.HTTPMethod, e.Path, a.status, got)
		}
	}
}
