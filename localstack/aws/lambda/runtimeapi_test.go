package lambda

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// inHand returns an instance that the test plays the process of, with its Runtime API, and a pool that
// starts no other. No process is behind it, so nothing ends it but the test.
func inHand(t *testing.T) (*pool, *instance, *httptest.Server) {
	t.Helper()
	s := service(t, Function{MaxInstances: 1, Timeout: time.Hour}, Config{})
	p := s.pools["f"]
	in := newInstance(p)
	close(in.started)
	p.mu.Lock()
	p.instances = append(p.instances, in)
	p.mu.Unlock()
	server := httptest.NewServer(in.runtimeAPI())
	t.Cleanup(server.Close)
	return p, in, server
}

func call(t *testing.T, method, url, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

// What another user of the machine can send: none of it is answered, and the invocation stays for the process.
func TestRuntimeAPIOfAnotherProcess(t *testing.T) {
	p, in, server := inHand(t)
	if _, err := p.service.submit("f", []byte(`{"secret":1}`)); err != nil {
		t.Fatal(err)
	}
	other := newInstance(p)
	for _, prefix := range []string{"", "/" + other.secret, "/" + strings.ToLower(in.secret), "/" + in.secret[1:],
		"//" + in.secret} {
		status, body, _ := call(t, "GET", server.URL+prefix+runtimePath+"invocation/next", "")
		if status != http.StatusForbidden || strings.Contains(body, "secret") {
			t.Errorf("next below %q: status %d %s", prefix, status, body)
		}
	}
	if status, body, _ := call(t, "GET", server.URL+"/"+in.secret+runtimePath+"invocation/next", ""); status != 200 ||
		body != `{"secret":1}` {
		t.Errorf("next of the process itself: %d %s", status, body)
	}
}

func TestRuntimeAPI(t *testing.T) {
	p, in, server := inHand(t)
	api := server.URL + "/" + in.secret + runtimePath
	j, err := p.service.submit("f", []byte(`{"n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ := call(t, "POST", api+"invocation/"+j.id+"/response", `1`); status != http.StatusBadRequest {
		t.Errorf("an answer before the question: %d", status)
	}
	status, body, header := call(t, "GET", api+"invocation/next", "")
	if status != 200 || body != `{"n":1}` || header.Get("Lambda-Runtime-Aws-Request-Id") != j.id ||
		header.Get("Content-Length") != "7" {
		t.Errorf("next: %d %s %v", status, body, header)
	}
	if status, body, _ := call(t, "GET", api+"invocation/next", ""); status != http.StatusForbidden ||
		!strings.Contains(body, "InvalidStateTransition") {
		t.Errorf("next without an answer: %d %s", status, body)
	}
	if status, body, _ := call(t, "POST", api+"invocation/other/response", `1`); status != http.StatusBadRequest ||
		!strings.Contains(body, "InvalidRequestID") {
		t.Errorf("answer to another invocation: %d %s", status, body)
	}
	if status, _, _ := call(t, "POST", api+"invocation/"+j.id+"/error", `{"errorType":"E"}`, headerErrorType,
		"Handled"); status != http.StatusAccepted {
		t.Errorf("error: %d", status)
	}
	if o := <-j.outcome; o.FunctionError != "Handled" || string(o.Payload) != `{"errorType":"E"}` || o.RequestID != j.id {
		t.Errorf("outcome %+v", o)
	}
	if status, _, _ := call(t, "POST", api+"invocation/"+j.id+"/response", `1`); status != http.StatusBadRequest {
		t.Errorf("a second answer: %d", status)
	}
	if status, _, _ := call(t, "GET", api+"extension/event/next", ""); status != http.StatusNotFound {
		t.Errorf("unknown path: %d", status)
	}
	p.exited(in, fault{})
}

// TestStreamingError is a runtime that has begun its answer when it fails.
func TestStreamingError(t *testing.T) {
	tests := map[string]struct{ trailer, want string }{
		"with a document": {"eyJlcnJvclR5cGUiOiJFIn0=", `{"errorType":"E"}`},
		"with none":       {"%", `{"errorType":"Boom","errorMessage":"the answer was cut off"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, in, server := inHand(t)
			j, err := p.service.submit("f", []byte(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			call(t, "GET", server.URL+"/"+in.secret+runtimePath+"invocation/next", "")
			req, err := http.NewRequest("POST", server.URL+"/"+in.secret+runtimePath+"invocation/"+j.id+"/response",
				io.NopCloser(strings.NewReader(`{"half":`)))
			if err != nil {
				t.Fatal(err)
			}
			req.Trailer = http.Header{headerErrorType: {"Boom"}, trailerError: {tt.trailer}}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer http.DefaultClient.CloseIdleConnections()
			res.Body.Close()
			if o := <-j.outcome; o.FunctionError != "Unhandled" || string(o.Payload) != tt.want {
				t.Errorf("outcome %s %s, want %s", o.FunctionError, o.Payload, tt.want)
			}
			p.exited(in, fault{})
		})
	}
}

func BenchmarkInvoke(b *testing.B) {
	s := service(b, Function{}, Config{})
	b.ReportAllocs()
	for b.Loop() {
		if r, err := s.Invoke(b.Context(), "f", []byte(`{"do":"print"}`)); err != nil || r.FunctionError != "" {
			b.Fatal(err, r)
		}
	}
}
