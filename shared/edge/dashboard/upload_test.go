package dashboard_test

import (
	"bytes"
	"encoding/base64"
	"html"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// multi sends a form as multipart, as API Gateway passes it on.
func (b *browser) multi(t testing.TB, page answer, fields map[string]string) answer {
	t.Helper()
	_, values := form(t, page.body, "/proxy/pki/rotate-ca")
	for name, v := range fields {
		values.Set(name, v)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name := range values {
		part, err := w.CreateFormField(name)
		if err == nil {
			_, err = part.Write([]byte(values.Get(name)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.send(t, "POST", "/proxy/pki/rotate-ca", url.Values{}, header("Content-Type", w.FormDataContentType()),
		func(e *events.APIGatewayProxyRequest) {
			e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body.Bytes()), true
		})
}

// ca is an operator's own.
func (w *world) ca(t testing.TB) (cert, key string) {
	t.Helper()
	private, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := pkitest.CATemplate("Our Own CA", 1, w.Now())
	made := pkitest.Sign(t, template, pki.Authority{Key: private}, private.Public())
	encoded, err := pki.EncodePrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pki.EncodeCertificates(made)), string(encoded)
}

func TestBringingAnOwnCA(t *testing.T) {
	w, b := signedIn(t)
	cert, key := w.ca(t)
	for name, c := range map[string]struct{ cert, certFile, key, keyFile, want, field string }{
		"nothing":         {"", "", "", "", "Paste the certificate, or choose its file.", "ca_cert"},
		"no key":          {cert, "", "", "", "Paste the private key, or choose its file.", "ca_key"},
		"twice":           {cert, cert, key, "", "Give it once.", "ca_cert"},
		"no certificate":  {"hello", "", key, "", "ca_unparseable: ", "ca_cert"},
		"no key at all":   {cert, "", "hello", "", "ca_key_unparseable: ", "ca_key"},
		"the wrong way":   {key, "", cert, "", "ca_unparseable: ", "ca_cert"},
		"files, reversed": {"", key, "", cert, "ca_unparseable: ", "ca_cert"},
	} {
		a := b.multi(t, b.page(t, "/proxy/pki/rotate-ca"),
			map[string]string{"ca_cert": c.cert, "ca_cert_file": c.certFile, "ca_key": c.key, "ca_key_file": c.keyFile})
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="`+c.field+`-wrong"`) {
			t.Errorf("%s: status %d, or no error beside %s", name, a.status, c.field)
		}
		says(t, a, c.want)
		body := html.UnescapeString(a.body)
		if strings.Contains(body, strings.Split(key, "\n")[1]) {
			t.Errorf("%s: the private key comes back", name)
		}
		if c.cert == cert && !strings.Contains(body, strings.Split(cert, "\n")[1]) {
			t.Errorf("%s: the certificate does not come back", name)
		}
	}
	if got := w.status(t); got.Generation != 1 || len(w.events(t, audit.OrgCAUploadRefused)) != 4 {
		t.Errorf("generation %d, %d refusals on the record", got.Generation, len(w.events(t, audit.OrgCAUploadRefused)))
	}

	a := b.multi(t, b.page(t, "/proxy/pki/rotate-ca"),
		map[string]string{"ca_cert": cert, "ca_key_file": key, "ca_cert_file": "", "ca_key": ""})
	if a.status != http.StatusSeeOther {
		t.Fatalf("upload: status %d: %s", a.status, text(a.body))
	}
	page := b.page(t, a.header.Get("Location"))
	says(t, page, "Pre-flight check", "Our Own CA", "uploaded by an operator", "The key is strong, and new")
	a = b.submit(t, page, "/proxy/pki/rotate-ca/preflight", url.Values{"confirm": {typed(t, page)}, "overlap": {"0"}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("commit: status %d: %s", a.status, text(a.body))
	}
	if got := w.status(t); got.Source != "upload" || !strings.Contains(got.Subject, "Our Own CA") {
		t.Errorf("current: %+v", got.Result)
	}
	w.admit(t, "kyc")
	if _, err := w.Rotate(t.Context(), "orga::kyc"); err != nil {
		t.Errorf("rotate under the uploaded CA: %v", err)
	}
	if strings.Contains(w.log.String(), strings.Split(key, "\n")[1]) {
		t.Error("the private key is in the log")
	}
	// The same key once more is refused, next to the key.
	a = b.multi(t, b.page(t, "/proxy/pki/rotate-ca"), map[string]string{"ca_cert": cert, "ca_key": key})
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="ca_key-wrong"`) {
		t.Errorf("a key that was used before: status %d", a.status)
	}
	says(t, a, "ca_key_reused: ")
}

// An upload from elsewhere is no upload.
func TestForgedUploads(t *testing.T) {
	w, b := signedIn(t)
	cert, key := w.ca(t)
	page := b.page(t, "/proxy/pki/rotate-ca")
	for name, fields := range map[string]map[string]string{
		"no token":        {"form_token": "", "ca_cert": cert, "ca_key": key},
		"a made up token": {"form_token": "x", "ca_cert": cert, "ca_key": key},
	} {
		if a := b.multi(t, page, fields); a.status != http.StatusForbidden {
			t.Errorf("%s: status %d", name, a.status)
		}
	}
	a := b.multi(t, page, map[string]string{"ca_cert": strings.Repeat("x", 300<<10), "ca_key": key})
	if a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: status %d", a.status)
	}
	says(t, a, "Certificate and key together take at most 64 KB.")
	if n := len(w.status(t).History); n != 2 {
		t.Errorf("%d generations, want the first and its standby", n)
	}
}
