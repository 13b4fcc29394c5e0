package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/test/local"
)

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// until waits for a line of the log.
func (l *lines) until(t *testing.T, what string, parts ...string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		for line := range strings.Lines(l.String()) {
			found := true
			for _, p := range parts {
				found = found && strings.Contains(line, p)
			}
			if found {
				return
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-limit:
			t.Fatalf("%s: no line with %q in\n%s", what, parts, l)
		}
	}
}

// operate sends an operator's request.
func operate(t *testing.T, s *stack.Stack, method, path string) map[string]any {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CAPEM)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer c.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Admin-Secret", s.AdminSecret)
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v: %s", method, path, res.Status, err, text)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Agents live through a rotation of the Org CA with an overlap, and beyond its end, without a single failed request;
// one that is started again goes on with what it had.
func TestLivesThroughRotationsOfTheOrgCA(t *testing.T) {
	s := local.Mastio(t, stack.Config{Tick: 2 * time.Second})
	logs := &lines{}
	folder := t.TempDir()
	fresh := func(name string) *agent {
		return &agent{
			base:      s.URL,
			operators: s.URL,
			name:      name,
			secret:    s.AdminSecret,
			path:      filepath.Join(folder, name+".pem"),
			caPEM:     s.CAPEM,
			every:     100 * time.Millisecond,
			log:       slog.New(slog.NewTextHandler(logs, nil)).With("agent", name),
		}
	}
	names := []string{"one", "two", "three"}
	counts, errs := make([]count, len(names)), make([]error, len(names))
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var agents sync.WaitGroup
	for n, name := range names {
		agents.Go(func() { counts[n], errs[n] = fresh(name).run(ctx) })
	}
	for _, name := range names {
		logs.until(t, "before", "agent="+name, "msg=token", "CA G1")
	}
	const generation, to = 2, "CA G2"
	{
		rotated := operate(t, s, http.MethodPost, "/pki/rotate-ca?mode=mint&overlap=15")
		t.Logf("rotated to generation %v with an overlap until %v", rotated["generation"], rotated["overlap_until"])
		for _, name := range names {
			logs.until(t, "renewal", "agent="+name, "msg=renewed", to)
			logs.until(t, "after it", "agent="+name, "msg=token", to)
		}
		if got := int(rotated["generation"].(float64)); got != generation {
			t.Errorf("generation %d, want %d", got, generation)
		}
	}
	overlapEnds(t, s)
	end()
	agents.Wait()
	for n, name := range names {
		if errs[n] != nil || counts[n].failed != 0 || counts[n].renewals != 1 || counts[n].tokens < 20 {
			t.Errorf("agent %s: %+v, %v; want no failed request, one renewal, many tokens", name, counts[n], errs[n])
		}
		t.Logf("agent %s: %+v", name, counts[n])
	}

	again := fresh("one") // from its file, without the admin secret
	again.secret = ""
	restarted := &lines{}
	again.log = slog.New(slog.NewTextHandler(restarted, nil))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var c count
	var err error
	agents.Go(func() { c, err = again.run(ctx) })
	restarted.until(t, "started again", "msg=token")
	stop()
	agents.Wait()
	if err != nil || c.failed != 0 || c.tokens == 0 {
		t.Errorf("started again: %+v, %v\n%s", c, err, restarted)
	}
	for line := range strings.Lines(logs.String()) {
		if strings.Contains(line, "agent=one") && !strings.Contains(line, "msg=token") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// overlapEnds waits until the event of the end is out: the standby job writes its row.
func overlapEnds(t *testing.T, s *stack.Stack) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		for _, e := range s.Bus.Events() {
			if e.DetailType == "org_ca.overlap_ended" {
				t.Logf("event: %s %s", e.DetailType, e.Detail)
				return
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-limit:
			t.Fatal("nobody tells of the end of the overlap")
		}
	}
}

func TestWithoutIdentityAndSecret(t *testing.T) {
	a := &agent{path: filepath.Join(t.TempDir(), "identity.pem")}
	if _, err := a.run(t.Context()); err == nil || !strings.Contains(err.Error(), "MCP_PROXY_ADMIN_SECRET") {
		t.Errorf("run: %v", err)
	}
}
