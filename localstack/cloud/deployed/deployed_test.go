package deployed

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
)

func TestThereAndBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "deployment.json")
	want := Mastio{Endpoint: "http://127.0.0.1:4566", OrgID: "orga", URL: "https://localhost:9543", Bucket: "b"}
	for range 2 { // the second time in place of the first
		if err := want.Write(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := Read(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no file: %v", err)
	}
}

// fake is a LocalStack's Lambda and Secrets Manager.
type fake struct {
	asked         []string
	answer        string
	functionError string
	status        int
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.asked = append(f.asked, r.Method+" "+r.URL.RequestURI()+" "+string(body))
	if f.functionError != "" {
		w.Header().Set("X-Amz-Function-Error", f.functionError)
	}
	if f.status != 0 {
		w.Header().Set("X-Amzn-ErrorType", "ResourceNotFoundException")
		w.WriteHeader(f.status)
	}
	_, _ = io.WriteString(w, f.answer)
}

func connect(t *testing.T, f *fake) Clients {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // a developer's own settings lead nowhere else
	t.Setenv("AWS_PROFILE", "no-such-profile")
	return Connect(s.URL)
}

func TestRun(t *testing.T) {
	f := &fake{answer: `{"generation":1}`}
	c := connect(t, f)
	got, err := c.Run(t.Context(), "acme", "standby", []byte(`{"a":1}`))
	if string(got) != f.answer || err != nil {
		t.Errorf("got %s, %v; want %s", got, err, f.answer)
	}
	want := []string{`POST /2015-03-31/functions/mastio-acme-standby/invocations?Qualifier=live {"a":1}`}
	if diff := cmp.Diff(want, f.asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}

	f.answer, f.functionError = `{"errorMessage":"no Org CA"}`, "Unhandled"
	if _, err := c.Run(t.Context(), "acme", "startup", nil); !errors.Is(err, ErrFunction) ||
		!strings.Contains(err.Error(), "no Org CA") {
		t.Errorf("a function that fails: got %v, want %v with its words", err, ErrFunction)
	}
	if err := c.Tick(t.Context(), "acme"); strings.Count(err.Error(), "no Org CA") != len(routes.Scheduled()) {
		t.Errorf("a failed tick: %v, want a failure of each of %v", err, routes.Scheduled())
	}

	f.status = http.StatusNotFound
	_, _, err = c.Invoke(t.Context(), "acme", "nowhere", nil)
	var coded interface{ ErrorCode() string }
	if !errors.As(err, &coded) || coded.ErrorCode() != "ResourceNotFoundException" {
		t.Errorf("no such function: got %v, want ResourceNotFoundException", err)
	}
}

func TestAdminSecret(t *testing.T) {
	f := &fake{answer: `{"SecretString":"s3cret"}`}
	got, err := connect(t, f).AdminSecret(t.Context(), "mastio-acme-admin-secret")
	if got != "s3cret" || err != nil || !strings.Contains(f.asked[0], "mastio-acme-admin-secret") {
		t.Errorf("got %q, %v after %v", got, err, f.asked)
	}
}
