package httpapi_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/digitorus/pkcs7"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// request is the DER of a certification request for the names of a certificate, with changes.
func request(t testing.TB, certPEM string, key crypto.Signer, changes ...func(*x509.CertificateRequest)) []byte {
	t.Helper()
	cert, err := inmemory.Leaf([]byte(certPEM))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{RawSubject: cert.RawSubject, URIs: cert.URIs}
	for _, change := range changes {
		change(template)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func csrPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func renewJSON(t testing.TB, certPEM string, der []byte) events.APIGatewayProxyRequest {
	t.Helper()
	text, err := json.Marshal(map[string]string{"csr_pem": csrPEM(der)})
	if err != nil {
		t.Fatal(err)
	}
	return event("POST", "/v1/agent/renew", certificate(certPEM), jsonBody(string(text)))
}

func renewEST(certPEM string, der []byte) events.APIGatewayProxyRequest {
	return event("POST", "/.well-known/est/simplereenroll", certificate(certPEM),
		body("application/pkcs10", base64.StdEncoding.EncodeToString(der)))
}

func renewShapes(t testing.TB, h holder) map[string]shape {
	t.Helper()
	return map[string]shape{
		"POST /v1/agent/renew": {
			request:   renewJSON(t, h.CertPEM, request(t, h.CertPEM, newKey(t))),
			status:    200,
			takesJSON: true,
		},
		"GET /v1/agent/renewal-info": {
			request: event("GET", "/v1/agent/renewal-info", certificate(h.CertPEM)),
			status:  200,
		},
		"POST /.well-known/est/simplereenroll": {request: renewEST(h.CertPEM, request(t, h.CertPEM, newKey(t))), status: 200},
		"GET /.well-known/est/cacerts": {
			request:     event("GET", "/.well-known/est/cacerts"),
			status:      200,
			ignoreQuery: true,
		},
	}
}

// renewAnswer is the answer to a renewal.
type renewAnswer struct {
	holder
	NotAfter      time.Time `json:"not_after"`
	Previous      string    `json:"previous_thumbprint"`
	PreviousUntil time.Time `json:"previous_valid_until"`
}

func TestRenewal(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc", "a")
	der := request(t, h.CertPEM, newKey(t))
	var got renewAnswer
	w.send(t, renewJSON(t, h.CertPEM, der)).into(t, 200, &got)
	if got.ID != h.ID || got.Previous != h.Thumbprint || !got.PreviousUntil.Equal(w.Now().Add(time.Hour)) ||
		got.KeyPEM != "" || got.JWK != nil || got.Generation != 1 {
		t.Errorf("answer = %+v", got)
	}
	w.tokenStatus(t, "the old one, before the new one's first use", h.CertPEM, 200)
	w.tokenStatus(t, "the new one", got.CertPEM, 200)
	w.tokenStatus(t, "the old one, after it", h.CertPEM, 401)
	w.tokenStatus(t, "the new one", got.CertPEM, 200)
	rows, err := w.Store.Rows(t.Context(), h.ID, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var events []audit.Event
	for _, r := range rows {
		events = append(events, r.EventType)
	}
	if want := []audit.Event{audit.AgentEnrolled, audit.AgentCertRenewed, audit.AgentCertActivated}; len(events) != 3 ||
		events[1] != want[1] || events[2] != want[2] {
		t.Errorf("rows = %v, want %v", events, want)
	}
}

// An answer that is lost is asked for again, with the same request or a new one, until the overlap ends.
func TestRenewalWhoseAnswersAreLost(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc", "a")
	same := request(t, h.CertPEM, newKey(t))
	var last renewAnswer
	for n := range 12 {
		der := same
		if n%2 == 1 {
			der = request(t, h.CertPEM, newKey(t))
		}
		w.send(t, renewJSON(t, h.CertPEM, der)).into(t, 200, &last)
		w.tokenStatus(t, "the certificate in use", h.CertPEM, 200)
		w.Advance(4 * time.Minute)
	}
	w.Advance(12 * time.Minute)
	w.tokenStatus(t, "after the overlap", h.CertPEM, 401)
	w.refuse(t, "/v1/agent/renew", refusal{"after the overlap", renewJSON(t, h.CertPEM, same), 401, "certificate_revoked"})
	w.tokenStatus(t, "the last answer", last.CertPEM, 200)
}

// An agent that renews in a loop is stopped, with nothing written, whichever certificate it shows; the one in use
// counts on.
func TestRenewalInALoop(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc", "a")
	var next renewAnswer
	for range 3 { // lost answers
		w.send(t, renewJSON(t, h.CertPEM, request(t, h.CertPEM, newKey(t)))).into(t, 200, &next)
	}
	for _, certPEM := range []string{h.CertPEM, next.CertPEM} {
		der := request(t, certPEM, newKey(t))
		for _, r := range []refusal{
			{"JSON", renewJSON(t, certPEM, der), 429, "renewed_recently"},
			{"EST", renewEST(certPEM, der), 429, "renewed_recently"},
		} {
			w.refuse(t, r.request.Path, r)
			if a := w.send(t, r.request); a.header.Get("Retry-After") != "60" {
				t.Errorf("%s: Retry-After %q, want 60", r.name, a.header.Get("Retry-After"))
			}
		}
	}
	w.tokenStatus(t, "the certificate in use", h.CertPEM, 200)
	w.Advance(time.Minute)
	w.send(t, renewJSON(t, h.CertPEM, request(t, h.CertPEM, newKey(t)))).into(t, 200, &next)
	w.tokenStatus(t, "the new one", next.CertPEM, 200)
	w.refuse(t, "/v1/agent/renew",
		refusal{"used for a token in between", renewJSON(t, next.CertPEM, request(t, next.CertPEM, newKey(t))), 429,
			"renewed_recently"})

	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"),
		query("overlap", "15"))); a.status != 200 {
		t.Fatal(string(a.body))
	}
	w.send(t, renewJSON(t, next.CertPEM, request(t, next.CertPEM, newKey(t)))).into(t, 200, &next)
	if next.Generation != 2 {
		t.Errorf("in an overlap, generation %d", next.Generation)
	}
}

// In an overlap a renewal is how an agent moves to the new Org CA; a rollback takes it back.
func TestRenewalMovesAcrossARotation(t *testing.T) {
	w := open(t, memstore.Config{})
	h, idle := w.enrol(t, "kyc"), w.enrol(t, "idle")
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"),
		query("overlap", "7200"))); a.status != 200 {
		t.Fatal(string(a.body))
	}
	var info struct {
		Window struct{ Start, End time.Time } `json:"suggestedWindow"`
	}
	w.send(t, event("GET", "/v1/agent/renewal-info", certificate(h.CertPEM))).into(t, 200, &info)
	if info.Window.Start.Before(w.Now()) || info.Window.End.After(w.Now().Add(80*time.Minute)) {
		t.Errorf("in an overlap of two hours the window is %+v", info)
	}
	var token struct {
		RenewAfter time.Time `json:"renew_after"`
	}
	w.send(t, tokenRequest(h.CertPEM)).into(t, 200, &token)
	if !token.RenewAfter.Equal(info.Window.Start) {
		t.Errorf("renew_after = %v, want %v", token.RenewAfter, info.Window.Start)
	}
	var got renewAnswer
	w.send(t, renewJSON(t, h.CertPEM, request(t, h.CertPEM, newKey(t)))).into(t, 200, &got)
	if got.Generation != 2 {
		t.Errorf("generation %d", got.Generation)
	}
	w.tokenStatus(t, "moved", got.CertPEM, 200)
	w.tokenStatus(t, "left", h.CertPEM, 401)
	if a := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "rollback"))); a.status != 200 {
		t.Fatal(string(a.body))
	}
	w.tokenStatus(t, "restored", h.CertPEM, 200)
	w.tokenStatus(t, "undone", got.CertPEM, 401)
	w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint")))
	w.refuse(t, "/v1/agent/renew",
		refusal{"superseded without overlap", renewJSON(t, idle.CertPEM, request(t, idle.CertPEM, newKey(t))), 401,
			"certificate_revoked"})
}

// The Org CA moves between a renewal's commit and its last look, without an overlap: the certificate that asked is dead
// by then, and gets none under the new Org CA.
func TestRenewalDoesNotSurviveARotation(t *testing.T) {
	var w *world
	armed := false
	w = open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "Pointer" && armed {
			armed = false
			if _, err := w.Mint(context.Background()); err != nil {
				t.Error(err)
			}
		}
		return memstore.None
	}})
	h := w.enrol(t, "kyc")
	der := request(t, h.CertPEM, newKey(t))
	armed = true
	if a := w.send(t, renewJSON(t, h.CertPEM, der)); a.status != 401 {
		t.Errorf("status %d, want 401: %s", a.status, a.body)
	}
	view, err := w.Store.View(t.Context(), agent.ID(h.ID))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range view.Agent.Pins {
		if p.Generation != 1 {
			t.Errorf("pin under generation %d", p.Generation)
		}
	}
}

func TestRenewalRefusals(t *testing.T) {
	w := open(t, memstore.Config{})
	h, other := w.enrol(t, "kyc"), w.enrol(t, "other")
	block, _ := pem.Decode([]byte(h.KeyPEM))
	present, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	good := request(t, h.CertPEM, key)
	subject := func(name pkix.Name) func(*x509.CertificateRequest) {
		return func(r *x509.CertificateRequest) { r.RawSubject, r.Subject = nil, name }
	}
	alternatives := func(texts ...string) func(*x509.CertificateRequest) {
		return func(r *x509.CertificateRequest) {
			r.URIs = nil
			for _, text := range texts {
				u, err := url.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				r.URIs = append(r.URIs, u)
			}
		}
	}
	tampered := bytes.Clone(good)
	tampered[len(tampered)-1] ^= 1
	own := "spiffe://mastio.test/orga/kyc"
	for _, c := range []struct {
		name, code string
		der        []byte
	}{
		{"present key", "key_not_fresh", request(t, h.CertPEM, present.(crypto.Signer))},
		{"another subject", "csr_names_differ", request(t, h.CertPEM, key, subject(pkix.Name{
			CommonName:   "orga::other",
			Organization: []string{"orga"},
		}))},
		{"empty subject", "csr_names_differ", request(t, h.CertPEM, key, subject(pkix.Name{}))},
		{"subject without organisation", "csr_names_differ",
			request(t, h.CertPEM, key, subject(pkix.Name{CommonName: "orga::kyc"}))},
		{"no SAN", "csr_names_differ", request(t, h.CertPEM, key, alternatives())},
		{"another SAN", "csr_names_differ", request(t, h.CertPEM, key, alternatives("spiffe://mastio.test/orga/other"))},
		{"SAN twice", "csr_names_differ", request(t, h.CertPEM, key, alternatives(own, own))},
		{"SAN and another", "csr_names_differ",
			request(t, h.CertPEM, key, alternatives(own),
				func(r *x509.CertificateRequest) { r.DNSNames = []string{"kyc.test"} })},
		{"another agent's", "csr_names_differ", request(t, other.CertPEM, key)},
		{"signature of nobody", "csr_invalid", tampered},
		{"cut off", "csr_invalid", good[:len(good)-1]},
		{"more behind", "csr_invalid", append(bytes.Clone(good), 0)},
	} {
		w.refuse(t, "/v1/agent/renew", refusal{c.name, renewJSON(t, h.CertPEM, c.der), 400, c.code})
		w.refuse(t, "/.well-known/est/simplereenroll", refusal{c.name, renewEST(h.CertPEM, c.der), 400, c.code})
	}
	est := func(mediaType, text string) events.APIGatewayProxyRequest {
		return with(renewEST(h.CertPEM, good), body(mediaType, text))
	}
	encoded := base64.StdEncoding.EncodeToString(good)
	for name, text := range map[string]string{
		"empty": "", "PEM": csrPEM(good), "no base64": "%%%", "DER itself": string(good), "URL alphabet": "__" + encoded[2:],
		"cut off": encoded[:len(encoded)-3], "JSON": `{"csr_pem":"x"}`,
	} {
		w.refuse(t, "/.well-known/est/simplereenroll", refusal{name, est("application/pkcs10", text), 400, "csr_invalid"})
	}
	w.refuse(t, "/.well-known/est/simplereenroll",
		refusal{"media type", est("application/pkcs7-mime", encoded), 415, "media_type_unsupported"})
	w.refuse(t, "/.well-known/est/simplereenroll",
		refusal{"size", est("application/pkcs10", strings.Repeat("A", 64<<10+1)), 413, "body_too_large"})
	w.refuse(t, "/.well-known/est/simplereenroll",
		refusal{"large request", est("application/pkcs10", strings.Repeat("AAAA", 6000)), 400, "csr_invalid"})

	rotated := w.rotate(t, h.ID, `{"grace_seconds":600}`)
	for _, path := range []string{"/v1/agent/renew", "/.well-known/est/simplereenroll"} {
		e := renewJSON(t, h.CertPEM, good)
		if path != "/v1/agent/renew" {
			e = renewEST(h.CertPEM, good)
		}
		w.refuse(t, path, refusal{"in the grace of a rotation", e, 409, "certificate_superseded"})
	}
	w.refuse(t, "/v1/agent/renew",
		refusal{"key of before the rotation",
			renewJSON(t, rotated.CertPEM, request(t, rotated.CertPEM, present.(crypto.Signer))), 400, "key_not_fresh"})
	w.tokenStatus(t, "rotated", rotated.CertPEM, 200)
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "byo", leaf)).into(t, 201, &enrolAnswer{})
	w.refuse(t, "/v1/agent/renew",
		refusal{"BYOCA", renewJSON(t, leaf.certPEM(), request(t, leaf.certPEM(), key)), 409, "rotate_at_your_ca"})
	id := svid(t, w.orgCA(t), "spiffe://mastio.test/ns/a", w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "workload", id)).into(t, 201, &enrolAnswer{})
	w.refuse(t, "/v1/agent/renew",
		refusal{"SPIFFE", renewJSON(t, id.certPEM(), request(t, id.certPEM(), key)), 409, "rotate_at_your_ca"})
	w.refuse(t, "/v1/agent/renewal-info",
		refusal{"SPIFFE", event("GET", "/v1/agent/renewal-info", certificate(id.certPEM())), 409, "rotate_at_your_ca"})
}

// A renewal does not lengthen what the certificate was issued for.
func TestRenewalKeepsTheValidity(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.rotate(t, w.enrol(t, "kyc").ID, `{"validity_days":3}`)
	w.Advance(48 * time.Hour)
	var got renewAnswer
	w.send(t, renewJSON(t, h.CertPEM, request(t, h.CertPEM, newKey(t)))).into(t, 200, &got)
	if want := w.Now().Add(72 * time.Hour); !got.NotAfter.Equal(want) {
		t.Errorf("ends %v, want %v", got.NotAfter, want)
	}
}

func TestRenewalInfo(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc")
	a := w.send(t, event("GET", "/v1/agent/renewal-info", certificate(h.CertPEM)))
	var info struct {
		Window struct{ Start, End time.Time } `json:"suggestedWindow"`
	}
	a.into(t, 200, &info)
	if got := a.header.Get("Retry-After"); got != strconv.Itoa(6*3600) {
		t.Errorf("Retry-After = %q", got)
	}
	if info.Window.Start.Before(w.Now().AddDate(0, 0, 242)) || info.Window.End.After(w.Now().AddDate(0, 0, 275)) {
		t.Errorf("window = %+v", info)
	}
	if a := w.send(t, tokenRequest(h.CertPEM)); bytes.Contains(a.body, []byte("renew_after")) {
		t.Errorf("reminded long before: %s", a.body)
	}
	w.Advance(info.Window.Start.Sub(w.Now()))
	if a := w.send(t, tokenRequest(h.CertPEM)); !bytes.Contains(a.body,
		[]byte(`"renew_after":"`+info.Window.Start.Format(time.RFC3339)+`"`)) {
		t.Errorf("in the slot: %s", a.body)
	}
}

// certsOnly reads an EST answer as a client does.
func certsOnly(t testing.TB, a answer) []*x509.Certificate {
	t.Helper()
	if a.status != 200 || a.header.Get("Content-Type") != "application/pkcs7-mime; smime-type=certs-only" ||
		a.header.Get("Content-Transfer-Encoding") != "base64" {
		t.Fatalf("answer %d %v: %.200s", a.status, a.header, a.body)
	}
	der, err := base64.StdEncoding.DecodeString(string(a.body))
	if err != nil {
		t.Fatal(err)
	}
	message, err := pkcs7.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return message.Certificates
}

func TestEST(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc")
	key := newKey(t)
	e := renewEST(h.CertPEM, request(t, h.CertPEM, key))
	e.Body = strings.Join([]string{e.Body[:64], e.Body[64:128], e.Body[128:]}, "\r\n") + "\n"
	header("Content-Transfer-Encoding", "base64")(&e)
	certs := certsOnly(t, w.send(t, e))
	cas := certsOnly(t, w.send(t, event("GET", "/.well-known/est/cacerts")))
	if len(certs) != 1 || !key.PublicKey.Equal(certs[0].PublicKey) || len(cas) != 2 {
		t.Fatalf("%d certificates, %d CAs", len(certs), len(cas))
	}
	if err := pki.VerifyChain(certs[0], cas, w.Now()); err != nil {
		t.Error(err)
	}
	w.tokenStatus(t, "renewed by EST", string(pki.EncodeCertificates(certs[0])), 200)
}

// OpenSSL writes the subject in UTF8Strings, where the certificate has PrintableStrings.
func TestRenewalWithOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc")
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), openssl, "req", "-new", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:P-256", "-nodes", "-utf8",
		"-keyout", filepath.Join(dir, "key.pem"), "-out", filepath.Join(dir, "csr.pem"), "-subj", "/O=orga/CN=orga::kyc",
		"-addext", "subjectAltName=URI:spiffe://mastio.test/orga/kyc").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "csr.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := inmemory.Leaf([]byte(h.CertPEM))
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || bytes.Equal(csr.RawSubject, cert.RawSubject) {
		t.Fatalf("OpenSSL encoded the subject as the certificate does (%v): the test proves nothing", err)
	}
	w.send(t, renewJSON(t, h.CertPEM, block.Bytes)).into(t, http.StatusOK, &renewAnswer{})
}

// A subject in another order, or with an attribute that is no text, is another subject.
func TestCheckSameNames(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc")
	number, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: 7}}})
	if err != nil {
		t.Fatal(err)
	}
	reversed, err := asn1.Marshal(pkix.RDNSequence{{{
		Type:  asn1.ObjectIdentifier{2, 5, 4, 3},
		Value: "orga::kyc",
	}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "orga"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{number, reversed} {
		der := request(t, h.CertPEM, newKey(t), func(r *x509.CertificateRequest) { r.RawSubject = raw })
		w.refuse(t, "/v1/agent/renew", refusal{"subject", renewJSON(t, h.CertPEM, der), 400, "csr_names_differ"})
	}
	der := request(t, h.CertPEM, newKey(t), func(r *x509.CertificateRequest) { r.RawSubject = reversed })
	if a := w.send(t, renewJSON(t, h.CertPEM, der)); !strings.Contains(string(a.body),
		"its subject is O=orga,CN=orga::kyc, the certificate's is CN=orga::kyc,O=orga: the same parts in another order") {
		t.Errorf("names in another order: %s", a.body)
	}
}

// Each form of a body that EST does not take is named, and what it takes instead.
func TestESTSaysWhatItWants(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc")
	der := request(t, h.CertPEM, newKey(t))
	for name, c := range map[string]struct{ body, says string }{
		"PEM":     {csrPEM(der), "the body is PEM; EST wants the base64"},
		"raw DER": {string(der), "the body is raw DER; EST wants the base64"},
		"nothing": {"", "the body is empty"},
		"words":   {"hello!", "the body is not base64"},
	} {
		a := w.send(t, event("POST", "/.well-known/est/simplereenroll", certificate(h.CertPEM),
			body("application/pkcs10", c.body)))
		if a.status != 400 || !strings.Contains(string(a.body), c.says) || strings.Contains(string(a.body), "csr_pem") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// EST's base64 is read by decoders that know no CR: coreutils and OpenSSL.
func TestESTAnswersAreDecodedByTools(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc")
	der := request(t, h.CertPEM, newKey(t))
	a := w.send(t, event("POST", "/.well-known/est/simplereenroll", certificate(h.CertPEM),
		body("application/pkcs10", base64.StdEncoding.EncodeToString(der))))
	if a.status != 200 || strings.Contains(string(a.body), "\r") {
		t.Fatalf("%d %q", a.status, a.body)
	}
	for _, command := range [][]string{{"base64", "-d"}, {"openssl", "base64", "-d"},
		{"python3", "-c", "import base64,sys; sys.stdout.buffer.write(base64.b64decode(sys.stdin.read(), validate=False))"}} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Logf("%s is not installed", command[0])
			continue
		}
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Stdin = bytes.NewReader(a.body)
		out, err := cmd.Output()
		want, decodeErr := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(a.body), "\n", ""))
		if err != nil || decodeErr != nil || !bytes.Equal(out, want) {
			t.Errorf("%v: %v, %v: %d octets, want %d", command, err, decodeErr, len(out), len(want))
		}
	}
}

// Whatever an EST client sends, the answer is one of those that are documented, and only a good request changes
// anything.
func FuzzEST(f *testing.F) {
	w := open(f, memstore.Config{})
	h := w.enrol(f, "kyc")
	good := request(f, h.CertPEM, newKey(f))
	f.Add(base64.StdEncoding.EncodeToString(good))
	f.Add(csrPEM(good))
	f.Add("MIIB\r\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		a := w.send(t, event("POST", "/.well-known/est/simplereenroll", certificate(h.CertPEM),
			body("application/pkcs10", text)))
		switch a.status {
		case 200:
			if certs := certsOnly(t, a); len(certs) != 1 || certs[0].Subject.CommonName != h.ID {
				t.Fatalf("%q was answered with %v", text, certs)
			}
		case 400, 413:
		default:
			t.Fatalf("%q was answered %d %s", text, a.status, a.body)
		}
	})
}
