package dashboard_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// outsideCert is a certificate that the Mastio did not issue, with a way to sign by its key.
type outsideCert struct {
	pem  string
	sign func(message string) string
}

func (w *world) issued(t testing.TB, ca pki.Authority, uris ...*url.URL) outsideCert {
	t.Helper()
	key := pkitest.Key(t)
	cert := pkitest.Sign(t, &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Our PKI"}},
		NotBefore:             w.Now().Add(-time.Minute),
		NotAfter:              w.Now().Add(30 * 24 * time.Hour),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:                  uris,
	}, ca, key.Public())
	return outsideCert{string(pki.EncodeCertificates(cert)), func(message string) string {
		digest := sha256.Sum256([]byte(message))
		signature, err := key.Sign(rand.Reader, digest[:], nil)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(signature)
	}}
}

// toSign is the message in the command that a page shows.
func toSign(t testing.TB, a answer) string {
	t.Helper()
	m := regexp.MustCompile(`(mastio-[a-z]+:v1\|[^|]+\|[0-9a-f]{64})`).FindString(a.body)
	if m == "" {
		t.Fatalf("no command that makes the proof: %s", text(a.body))
	}
	return m
}

// An operator enrols an agent with a certificate of the own PKI: the page says what to sign, and no form asks for
// a key.
func TestEnrollingWithAnOwnCertificate(t *testing.T) {
	w, b := signedIn(t)
	org, err := w.OrgCA(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cert := w.issued(t, org)
	page := b.page(t, "/proxy/enrol?method=byoca")
	says(t, page, "Your PKI has issued the certificate under the current Org CA.", "The key itself is never asked for.")
	fields := url.Values{"name": {"ledger"}, "cert": {cert.pem}, "owner": {"Team L"}, "capabilities": {"ledger:write"}}
	a := b.submit(t, page, "/proxy/enrol", fields)
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="proof-wrong"`) {
		t.Fatalf("without a proof: status %d", a.status)
	}
	fields.Set("proof", cert.sign("something else"))
	wrong := b.submit(t, a, "/proxy/enrol", fields)
	if wrong.status != http.StatusUnprocessableEntity || !strings.Contains(wrong.body, `id="proof-wrong"`) {
		t.Errorf("with a wrong proof: status %d", wrong.status)
	}
	fields.Set("proof", cert.sign(toSign(t, a)))
	done := b.submit(t, wrong, "/proxy/enrol", fields)
	if done.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", done.status, text(done.body))
	}
	says(t, b.page(t, done.header.Get("Location")), "Enrolled. The agent gets tokens with its certificate.", "BYOCA",
		"Team L", "ledger:write", "enrol it as an update")
	if _, err := w.TokenFor(t.Context(), []byte(cert.pem)); err != nil {
		t.Errorf("token: %v", err)
	}
	// Another certificate replaces it as an update only.
	next := w.issued(t, org)
	fields = url.Values{"name": {"ledger"}, "cert": {next.pem}}
	a = b.submit(t, b.page(t, "/proxy/enrol?method=byoca"), "/proxy/enrol", fields)
	fields.Set("proof", next.sign(toSign(t, a)))
	a = b.submit(t, a, "/proxy/enrol", fields)
	says(t, a, "An agent with this name exists and was not changed.", "Show the agent of this name")
	fields.Set("update", "1")
	fields.Set("reason", "superseded")
	if a = b.submit(t, a, "/proxy/enrol", fields); a.status != http.StatusSeeOther {
		t.Fatalf("update: status %d: %s", a.status, text(a.body))
	}
	if _, err := w.TokenFor(t.Context(), []byte(next.pem)); err != nil {
		t.Errorf("token with the next one: %v", err)
	}
	if strings.Contains(w.log.String(), "PRIVATE KEY") {
		t.Error("a key is in the log")
	}
}

// A SPIFFE agent is enrolled with its SVID and the bundle of its SPIRE server.
func TestEnrollingWithAnSVID(t *testing.T) {
	w, b := signedIn(t)
	root := pki.Authority{Key: pkitest.Key(t)}
	template := pkitest.CATemplate("SPIRE", -1, w.Now())
	template.NotAfter = w.Now().AddDate(10, 0, 0)
	root.Chain = []*x509.Certificate{pkitest.Sign(t, template, root, root.Key.Public())}
	id := &url.URL{Scheme: "spiffe", Host: inmemory.ForeignDomain, Path: "/payments"}
	svid := w.issued(t, root, id)
	fields := url.Values{"name": {"payments"}, "cert": {svid.pem},
		"bundle": {string(pki.EncodeCertificates(root.Chain...))}}
	page := b.page(t, "/proxy/enrol?method=spiffe")
	a := b.submit(t, page, "/proxy/enrol", fields)
	fields.Set("proof", svid.sign(toSign(t, a)))
	bad := url.Values{"name": fields["name"], "cert": fields["cert"], "proof": fields["proof"], "bundle": {svid.pem}}
	if a := b.submit(t, page, "/proxy/enrol", bad); a.status != http.StatusUnprocessableEntity ||
		!strings.Contains(a.body, `id="bundle-wrong"`) {
		t.Errorf("a bundle without a CA: status %d: %s", a.status, text(a.body))
	}
	done := b.submit(t, a, "/proxy/enrol", fields)
	if done.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", done.status, text(done.body))
	}
	says(t, b.page(t, done.header.Get("Location")), "Enrolled.", "spiffe://"+inmemory.ForeignDomain+"/payments")
	view, err := w.Store.View(t.Context(), "orga::payments")
	if err != nil || view.Agent.Method != agent.SPIFFE || len(view.Agent.Bundle) != 1 {
		t.Errorf("the record: %+v, %v", view.Agent, err)
	}
}
