package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// operatorCA is a CA as two PEM files.
func operatorCA(t testing.TB, pathLen int) (certificates, key string) {
	t.Helper()
	signer := pkitest.Key(t)
	cert := pkitest.Sign(t, pkitest.CATemplate("Operator Root", pathLen, inmemory.Start), pki.Authority{Key: signer},
		signer.Public())
	encoded, err := pki.EncodePrivateKey(signer.Signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(pki.EncodeCertificates(cert)), string(encoded)
}

func same(*events.APIGatewayProxyRequest) {}

type part struct{ name, content string }

func formBody(t testing.TB, parts ...part) edit {
	t.Helper()
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	for _, p := range parts {
		f, err := w.CreateFormFile(p.name, p.name+".pem")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, p.content)
	}
	w.Close()
	return body(w.FormDataContentType(), out.String())
}

func TestUploadForms(t *testing.T) {
	cert, key := operatorCA(t, 1)
	for name, content := range map[string]edit{
		"curl -F":            formBody(t, part{"ca_cert", cert}, part{"ca_key", key}),
		"key first":          formBody(t, part{"ca_key", key}, part{"ca_cert", cert}),
		"one PEM file":       body("application/x-pem-file", cert+key),
		"key first, CRLF":    body("application/x-pem-file; charset=utf-8", strings.ReplaceAll(key+cert, "\n", "\r\n")),
		"with openssl -text": body("text/plain", "Certificate:\n    Data:\n"+cert+"\nBag Attributes\n"+key),
	} {
		w := open(t, memstore.Config{})
		var got struct {
			Generation int64
			Source     string
		}
		w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "upload"), content)).into(t, 200, &got)
		if got.Generation != 3 || got.Source != "upload" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestStageAnUpload(t *testing.T) {
	w := open(t, memstore.Config{})
	cert, key := operatorCA(t, 1)
	var staged struct {
		Fingerprint, Subject, Status string
		Chain                        []string
		Checks                       []map[string]string
	}
	w.send(t, event("POST", "/pki/rotate-ca", admin, both(query("mode", "stage"), query("source", "upload")),
		formBody(t, part{"ca_cert", cert}, part{"ca_key", key}))).into(t, 200, &staged)
	if staged.Status != "staged" || staged.Subject != "CN=Operator Root" || len(staged.Chain) != 2 ||
		len(staged.Checks) != 5 {
		t.Errorf("pre-flight = %+v", staged)
	}
	var committed struct{ Fingerprint string }
	w.send(t, event("POST", "/pki/rotate-ca", admin,
		both(query("mode", "commit"), query("fingerprint", staged.Fingerprint)))).into(t, 200, &committed)
	if committed.Fingerprint != staged.Fingerprint {
		t.Errorf("committed %q, want %q", committed.Fingerprint, staged.Fingerprint)
	}
}

func TestUploadThatIsNoUpload(t *testing.T) {
	w := open(t, memstore.Config{})
	cert, key := operatorCA(t, 1)
	big := strings.Repeat("x", 64<<10)
	for _, c := range []struct {
		name    string
		mode    edit
		content edit
		status  int
		code    string
		detail  string
	}{
		{"nothing", query("mode", "upload"), same, 415, "media_type_unsupported", "ca_cert"},
		{"JSON", query("mode", "upload"), jsonBody(`{}`), 415, "media_type_unsupported", "multipart/form-data"},
		{"no boundary", query("mode", "upload"), body("multipart/form-data", "x"), 400, "upload_invalid", "boundary"},
		{"cut off", query("mode", "upload"),
			body("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=ca_cert\r\n\r\nabc"), 400,
			"upload_invalid", "cut off"},
		{"no closing delimiter", query("mode", "upload"),
			body("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=ca_cert\r\n\r\n"+cert+
				"\r\n--b\r\nContent-Disposition: form-data; name=ca_key\r\n\r\n"+key+"\r\n--b\r\n"), 400, "upload_invalid",
			"closing delimiter"},
		{"no key", query("mode", "upload"), formBody(t, part{"ca_cert", cert}), 400, "upload_invalid", "ca_key is missing"},
		{"no certificate", query("mode", "upload"), formBody(t, part{"ca_key", key}), 400, "upload_invalid",
			"ca_cert is missing"},
		{"empty key", query("mode", "upload"), formBody(t, part{"ca_cert", cert}, part{"ca_key", ""}), 400, "upload_invalid",
			"ca_key is missing or empty"},
		{"twice", query("mode", "upload"), formBody(t, part{"ca_cert", cert}, part{"ca_cert", cert}, part{"ca_key", key}),
			400, "upload_invalid", "given twice"},
		{"twice, first empty", query("mode", "upload"),
			formBody(t, part{"ca_cert", ""}, part{"ca_cert", cert}, part{"ca_key", key}), 400, "upload_invalid", "given twice"},
		{"another field", query("mode", "upload"), formBody(t, part{"ca", cert}, part{"ca_key", key}), 400, "upload_invalid",
			`unknown field \"ca\"`},
		{"too large", query("mode", "upload"), formBody(t, part{"ca_cert", big}, part{"ca_key", key}), 413, "body_too_large",
			"65536"},
		{"one PEM file without a key", query("mode", "upload"), body("application/x-pem-file", cert), 400, "upload_invalid",
			"ca_key is missing"},
		{"a body with mint", query("mode", "mint"), formBody(t, part{"ca_cert", cert}, part{"ca_key", key}), 400,
			"body_unexpected", ""},
		{"a body with stage of a minted one", query("mode", "stage"), formBody(t, part{"ca_cert", cert}, part{"ca_key", key}),
			400, "body_unexpected", ""},
		{"a source that is unknown", both(query("mode", "stage"), query("source", "vault")), same, 400, "mode_unknown",
			"source=upload"},
		{"a source with upload", both(query("mode", "upload"), query("source", "upload")),
			formBody(t, part{"ca_cert", cert}, part{"ca_key", key}), 400, "query_invalid", "source"},
		{"a fingerprint with upload", both(query("mode", "upload"), query("fingerprint", strings.Repeat("a", 64))),
			formBody(t, part{"ca_cert", cert}, part{"ca_key", key}), 400, "query_invalid", "fingerprint"},
	} {
		before := w.state(t)
		got := w.send(t, event("POST", "/pki/rotate-ca", admin, c.mode, c.content))
		if got.status != c.status || !strings.Contains(string(got.body), `"code":"`+c.code+`"`) ||
			!strings.Contains(string(got.body), c.detail) {
			t.Errorf("%s: %d %s; want %d, %s", c.name, got.status, got.body, c.status, c.code)
		}
		if strings.Contains(string(got.body), "PRIVATE KEY") || strings.Contains(w.logs.take(), "PRIVATE KEY") {
			t.Errorf("%s: the key is in the answer or in the log", c.name)
		}
		if diff := cmp.Diff(before, w.state(t)); diff != "" {
			t.Errorf("%s: state (-before +after):\n%s", c.name, diff)
		}
	}
}

// All defects at once, each with its code; the first one's is the problem's.
func TestRefusedUploadListsItsDefects(t *testing.T) {
	w := open(t, memstore.Config{})
	cert, _ := operatorCA(t, 0)
	_, key := operatorCA(t, 1)
	got := w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "upload"),
		formBody(t, part{"ca_cert", cert}, part{"ca_key", key})))
	var problem struct {
		Code   string
		Status int
		Errors []struct{ Code, Detail string }
	}
	if err := json.Unmarshal(got.body, &problem); err != nil || got.status != 422 ||
		got.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s: %v", got.status, got.body, err)
	}
	var codes []string
	for _, e := range problem.Errors {
		codes = append(codes, e.Code)
		if e.Detail == "" {
			t.Errorf("%s has no detail", e.Code)
		}
	}
	if diff := cmp.Diff([]string{"ca_key_mismatch", "ca_path_len_zero"}, codes); diff != "" ||
		problem.Code != "ca_key_mismatch" {
		t.Errorf("code %s, codes (-want +got):\n%s", problem.Code, diff)
	}
}
