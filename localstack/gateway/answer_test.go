package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnswers(t *testing.T) {
	tests := []struct {
		name, payload string
		status        int
		header        http.Header // these, of the answer
		body          string
	}{
		{"plain", `{"statusCode":200,"body":"hi"}`, 200,
			http.Header{"Content-Type": {"application/json"}, "Content-Length": {"2"}}, "hi"},
		{"no body", `{"statusCode":404}`, 404, http.Header{"Content-Length": {"0"}}, ""},
		{"no content", `{"statusCode":204,"body":"dropped"}`, 204, http.Header{"Content-Length": nil}, ""},
		{"null members", `{"statusCode":200,"headers":null,"multiValueHeaders":null,"body":null}`, 200, nil, ""},
		{"base64 for who does not ask for binary",
			`{"statusCode":200,"body":"AP8=","isBase64Encoded":true,"headers":{"content-type":"application/gzip"}}`, 200,
			http.Header{"Content-Type": {"application/gzip"}}, "AP8="},
		{"headers of both kinds",
			`{"statusCode":429,"headers":{"Retry-After":"7","x-a":"1"},"multiValueHeaders":{"X-A":["1","2"],"Allow":["GET"]}}`,
			429,
			http.Header{"Retry-After": {"7"}, "X-A": {"1", "2"}, "Allow": {"GET"}}, ""},
		{"headers of the edge",
			`{"statusCode":401,"headers":{"WWW-Authenticate":"DPoP","Connection":"close","Content-Length":"99","Transfer-Encoding":"chunked",
			"X-Amzn-RequestId":"forged","DPoP-Nonce":"n"}}`, 401,
			http.Header{"Www-Authenticate": nil, "X-Amzn-Remapped-Www-Authenticate": {"DPoP"},
				"X-Amzn-Remapped-Connection": {"close"},
				"Connection":                 nil, "Content-Length": {"0"}, "Dpop-Nonce": {"n"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Config{Invoke: answering(tt.payload, "", nil)})
			res := w.do(w.client(false), "GET", healthPath, "", nil)
			if res.StatusCode != tt.status || res.body != tt.body {
				t.Errorf("%d %q, want %d %q", res.StatusCode, res.body, tt.status, tt.body)
			}
			for name, want := range tt.header {
				if diff := cmp.Diff(want, res.Header[name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			if got := res.Header["X-Amzn-Requestid"]; len(got) != 1 || got[0] != w.last().RequestContext.RequestID {
				t.Errorf("x-amzn-RequestId %q", got)
			}
		})
	}
}

// A REST API decodes base64 by the first media type of Accept, and by nothing else.
func TestBinaryAnswers(t *testing.T) {
	for accept, want := range map[string]string{
		"application/gzip": "\x00\xff", "Application/GZIP; q=0.5, */*": "\x00\xff", "multipart/form-data": "\x00\xff",
		"": "AP8=", "*/*": "AP8=", "application/*": "AP8=", "text/html, application/gzip": "AP8=", "application/zip": "AP8=",
	} {
		w := newWorld(t,
			Config{Invoke: answering(`{"statusCode":200,"body":"AP8=","isBase64Encoded":true,"headers":{"content-type":"application/gzip"}}`, "", nil)})
		if res := w.do(w.client(false), "GET", healthPath, "", http.Header{"Accept": {accept}}); res.body != want {
			t.Errorf("Accept %q: %q, want %q", accept, res.body, want)
		}
	}
}

// malformed are function answers that are no proxy responses.
var malformed = []string{
	``, `null`, `[]`, `"text"`, `{}`, `{"statusCode":200`, `{"statusCode":"200"}`, `{"statusCode":200.5}`,
	`{"statusCode":0}`,
	`{"statusCode":99}`, `{"statusCode":101}`, `{"statusCode":600}`, `{"statusCode":-200}`, `{"statusCode":200,"body":{}}`,
	`{"statusCode":200,"headers":{"a":1}}`, `{"statusCode":200,"headers":["a"]}`,
	`{"statusCode":200,"multiValueHeaders":{"a":"b"}}`,
	`{"statusCode":200,"headers":{"a b":"c"}}`, `{"statusCode":200,"headers":{"":"c"}}`,
	`{"statusCode":200,"headers":{"a":"b\r\nc: d"}}`,
	`{"statusCode":200,"multiValueHeaders":{"a":["b\u0000"]}}`, `{"statusCode":200,"body":"%","isBase64Encoded":true}`,
	`{"statusCode":200,"isBase64Encoded":"yes"}`, `{"statusCode":200}{"statusCode":200}`,
}

func TestMalformedAnswers(t *testing.T) {
	for _, payload := range malformed {
		if _, err := decode([]byte(payload)); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v, want %v", payload, err, errMalformed)
		}
	}
}

type codedError string

func (e codedError) Error() string     { return "code " + string(e) }
func (e codedError) ErrorCode() string { return string(e) }

func TestEdgeAnswers(t *testing.T) {
	untilTimeout := func(ctx context.Context, _ string, _ []byte) ([]byte, string, error) {
		<-ctx.Done()
		return nil, "", fmt.Errorf("invoke: %w", ctx.Err())
	}
	tests := []struct {
		name   string
		invoke func(context.Context, string, []byte) ([]byte, string, error)
		status int
		body   string
	}{
		{"function error", answering(`{"errorType":"Runtime.ExitError","errorMessage":"secret"}`, "Unhandled", nil), 502,
			`{"message": "Internal server error"}`},
		{"odd function error", answering(`oops`, "Handled", nil), 502, `{"message": "Internal server error"}`},
		{"malformed answer", answering(`{}`, "", nil), 502, `{"message": "Internal server error"}`},
		{"timeout", untilTimeout, 504, `{"message": "Endpoint request timed out"}`},
		{"throttled", answering("", "", fmt.Errorf("invoke: %w", codedError("TooManyRequestsException"))), 429,
			`{"message": "Too Many Requests"}`},
		{"event too large", answering("", "", codedError("RequestTooLargeException")), 413,
			`{"message": "Request Too Long"}`},
		{"no such function", answering("", "", codedError("ResourceNotFoundException")), 500,
			`{"message": "Internal server error"}`},
		{"no service", answering("", "", io.ErrUnexpectedEOF), 500, `{"message": "Internal server error"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Config{Invoke: tt.invoke, Timeout: 50 * time.Millisecond})
			res := w.do(w.client(true), "GET", healthPath, "", nil)
			if res.StatusCode != tt.status || res.body != tt.body {
				t.Errorf("%d %s, want %d %s", res.StatusCode, res.body, tt.status, tt.body)
			}
			if got := res.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q", got)
			}
			if res.Header.Get("X-Amzn-Requestid") == "" || res.Header.Get("X-Amz-Apigw-Id") == "" {
				t.Errorf("headers %v", res.Header)
			}
		})
	}
}

func TestUnknownPaths(t *testing.T) {
	w := newWorld(t, Config{})
	c := w.client(false)
	for _, path := range []string{"/nowhere", "/healthz/", "//healthz", "/registry/agents//rotate-cert",
		"/v1/admin/agents/a/b"} {
		res := w.do(c, "GET", path, "", nil)
		want := fmt.Sprintf(`{"type":"about:blank","title":"Not Found","status":404,"detail":"no route has this path","code":"route_not_found","request_id":%q}`,
			res.Header.Get("X-Amzn-Requestid"))
		if res.StatusCode != 404 || res.body != want || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", path, res.StatusCode, res.body)
		}
	}
	if w.last() != nil {
		t.Error("a function ran")
	}
}

func TestClientGoesAway(t *testing.T) {
	reached, ended := make(chan struct{}), make(chan error, 1)
	w := newWorld(t, Config{Invoke: func(ctx context.Context, _ string, _ []byte) ([]byte, string, error) {
		close(reached)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, "", ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	req, err := http.NewRequestWithContext(ctx, "GET", w.server.URL+healthPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.client(false).Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("client: %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("invocation: %v, want %v", err, context.Canceled)
	}
}

// FuzzDecode holds that an answer is either refused or can be sent as it is and read back.
func FuzzDecode(f *testing.F) {
	for _, payload := range malformed {
		f.Add([]byte(payload))
	}
	f.Add([]byte(`{"statusCode":200,"headers":{"WWW-Authenticate":"DPoP","a":"b"},"multiValueHeaders":{"A":["b","c"]},"body":"AA==","isBase64Encoded":true}`))
	f.Add([]byte(`{"statusCode":304,"headers":{"date":"x","TE":"y"},"body":"x"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, err := decode(payload)
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		rec := httptest.NewRecorder()
		a.write(rec)
		var wire bytes.Buffer
		if err := rec.Result().Write(&wire); err != nil {
			t.Fatalf("write: %v", err)
		}
		res, err := http.ReadResponse(bufio.NewReader(&wire), nil)
		if err != nil {
			t.Fatalf("read back: %v\n%q", err, wire.String())
		}
		defer res.Body.Close()
		for name, values := range a.header {
			for i, value := range values {
				if got := res.Header[name][i]; got != strings.Trim(value, " \t") {
					t.Errorf("%s: %q became %q", name, value, got)
				}
			}
		}
		if a.status != 204 && a.status != 304 {
			if got, err := io.ReadAll(res.Body); err != nil || string(got) != a.body {
				t.Errorf("body %q became %q: %v", a.body, got, err)
			}
		}
	})
}
