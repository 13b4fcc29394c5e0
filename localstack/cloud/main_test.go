package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func nothing(string) string { return "" }

func TestUsage(t *testing.T) {
	tests := []struct {
		name           string
		args           []string
		env            map[string]string
		status         int
		stdout, stderr string
	}{
		{"help", []string{"--help"}, nil, 0, "Usage:", ""},
		{"help of a command", []string{"up", "--help"}, nil, 0, "Usage:", ""},
		{"no command", nil, nil, 2, "", "no command"},
		{"unknown command", []string{"start"}, nil, 2, "", `there is no command "start"`},
		{"unknown flag", []string{"up", "--nope"}, nil, 2, "", "Usage:"},
		{"argument", []string{"up", "now"}, nil, 2, "", `unexpected argument "now"`},
		{"mode", []string{"up", "--mode", "vm"}, nil, 2, "", "neither docker nor host"},
		{"port", []string{"up", "--port", "65536"}, nil, 2, "", "--port 65536"},
		{"port of the environment", []string{"up"}, map[string]string{"LOCALSTACK_PORT": "x"}, 2, "", "LOCALSTACK_PORT=x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			getenv := func(name string) string { return tt.env[name] }
			if got := run(t.Context(), tt.args, getenv, &stdout, &stderr); got != tt.status {
				t.Errorf("status: got %d, want %d", got, tt.status)
			}
			for what, c := range map[string][2]string{"stdout": {stdout.String(), tt.stdout},
				"stderr": {stderr.String(), tt.stderr}} {
				if !strings.Contains(c[0], c[1]) || (c[1] == "") != (c[0] == "") {
					t.Errorf("%s: got %q, want %q in it", what, c[0], c[1])
				}
			}
		})
	}
}

// newTestCloud works in a folder of its own.
func newTestCloud(t *testing.T, o options) (*cloud, *bytes.Buffer) {
	t.Helper()
	out := &bytes.Buffer{}
	return &cloud{options: o, out: out, say: func(s string) { out.WriteString(s + "\n") }, dir: t.TempDir()}, out
}

func localStack(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_,
			_ = w.Write([]byte(`{"version":"4.14.0"}`))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// One that is given is used and never stopped.
func TestGivenEndpoint(t *testing.T) {
	url := localStack(t)
	c, out := newTestCloud(t, options{endpoint: url + "/"})
	if err := c.up(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.endpoint = "" // a later command, without the setting
	r, err := c.found(t.Context())
	if diff := cmp.Diff(instance{modeGiven, url}, r); diff != "" || err != nil {
		t.Errorf("found: %v\n%s", err, diff)
	}
	if err := c.down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "left alone: LocalStack at " + url; !strings.Contains(out.String(), want) {
		t.Errorf("down said %q, want %q", out, want)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "running.json")); err == nil {
		t.Error("down left its note")
	}
	if err := c.down(t.Context()); err != nil {
		t.Errorf("down again: %v", err)
	}
}

func TestGivenEndpointThatIsNotThere(t *testing.T) {
	c, _ := newTestCloud(t, options{endpoint: "http://127.0.0.1:1"})
	if err := c.up(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %v, want an error that says so", err)
	}
	if _, err := os.Stat(c.note()); err == nil {
		t.Error("it was noted all the same")
	}
}

func TestOptionsOfTheEnvironment(t *testing.T) {
	env := map[string]string{"LOCALSTACK_ENDPOINT": "http://there", "LOCALSTACK_MODE": "host", "LOCALSTACK_PORT": "4600"}
	got, err := parse([]string{"up", "--port", "4700"}, func(name string) string { return env[name] })
	want := options{command: "up", endpoint: "http://there", mode: "host", org: "orga", port: 4700, edge: defaultEdge}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{})); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err := parse([]string{"up"}, nothing); err != nil || got.port != 4566 {
		t.Errorf("by default: got port %d, %v; want 4566", got.port, err)
	}
}
