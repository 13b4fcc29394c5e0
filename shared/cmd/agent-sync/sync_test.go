package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
)

func encoded(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestFirstDelivery(t *testing.T) {
	h := newHost(t)
	h.vault.at = -1
	h.want(t, undelivered)
	h.put(t, map[string]any{}, 0) // what the secret is made with
	h.want(t, undelivered)
	if _, err := os.Stat(filepath.Join(h.dir, certFile)); !os.IsNotExist(err) {
		t.Error(err)
	}
	value := h.deliver(t, time.Minute)
	h.want(t, done)
	h.holds(t, value)
	if text := h.said.String(); strings.Count(text, "nothing has been delivered") != 1 ||
		!strings.Contains(text, "PUT /v1/admin/agents") || !strings.Contains(text, "in step") {
		t.Errorf("said once, with what to do: %s", text)
	}
}

// What is refused leaves the good files, and no word of a key in the log.
func TestRefused(t *testing.T) {
	set := func(name string, value any) func(*testing.T, *host, map[string]any) any {
		return func(_ *testing.T, _ *host, v map[string]any) any { v[name] = value; return v }
	}
	for name, spoil := range map[string]func(t *testing.T, h *host, v map[string]any) any{
		"no object":          func(_ *testing.T, _ *host, v map[string]any) any { return v["key_pem"] },
		"no certificate":     set("cert_pem", ""),
		"no PEM":             set("cert_pem", "cert"),
		"no key":             set("key_pem", ""),
		"no proof key":       set("dpop_jwk", nil),
		"a public proof key": func(t *testing.T, _ *host, v map[string]any) any { return proofWithout(t, v, "d") },
		"half a proof key":   func(t *testing.T, _ *host, v map[string]any) any { return proofWithout(t, v, "x") },
		"another agent's id": set("agent_id", "orga::bob"),
		"another thumbprint": set("cert_thumbprint", strings.Repeat("0", 64)),
		"another certificate": func(t *testing.T, h *host, v map[string]any) any {
			v["key_pem"] = h.ca.issue(t, alice, 0)["key_pem"]
			return v
		},
		"a proof key of two": func(t *testing.T, h *host,
			v map[string]any) any {
			return mixed(t, v, h.ca.issue(t, alice, 0))
		},
		"another agent's files": func(t *testing.T, h *host,
			_ map[string]any) any {
			return h.ca.issue(t, "orga::bob", time.Hour)
		},
		"a chain of another CA": func(t *testing.T, h *host, v map[string]any) any { return rechained(t, v) },
		"a key in the chain": func(_ *testing.T, _ *host, v map[string]any) any {
			v["cert_pem"] = v["cert_pem"].(string) + v["key_pem"].(string)
			return v
		},
		"a certificate that ended": func(_ *testing.T, h *host, v map[string]any) any {
			h.now = func() time.Time { return noon.AddDate(1, 0, 1) }
			return v
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			good := h.deliver(t, 0)
			h.want(t, done)
			next := h.ca.issue(t, alice, time.Hour)
			key := next["key_pem"].(string)
			h.put(t, spoil(t, h, maps.Clone(next)), time.Hour)
			h.want(t, refused)
			h.holds(t, good)
			if h.sets(t) != 1 {
				t.Errorf("something was written: %v", h.tree(t))
			}
			said := h.said.String()
			for line := range strings.Lines(key) {
				if strings.Contains(said, strings.TrimSpace(line)) {
					t.Errorf("the log has a part of the key: %s", said)
				}
			}
			if !strings.Contains(said, "next=") {
				t.Errorf("what now? %s", said)
			}
			value := h.deliver(t, 2*time.Hour)
			h.now = func() time.Time { return noon.Add(2 * time.Hour) }
			h.want(t, done)
			h.holds(t, value)
		})
	}
}

func proofWithout(t *testing.T, v map[string]any, member string) any {
	t.Helper()
	var jwk map[string]any
	if err := json.Unmarshal(v["dpop_jwk"].(json.RawMessage), &jwk); err != nil {
		t.Fatal(err)
	}
	delete(jwk, member)
	v["dpop_jwk"] = jwk
	return v
}

// mixed gives the public half of one proof key the private half of another.
func mixed(t *testing.T, v, other map[string]any) any {
	t.Helper()
	var one, two map[string]any
	if err := errors.Join(json.Unmarshal(v["dpop_jwk"].(json.RawMessage), &one),
		json.Unmarshal(other["dpop_jwk"].(json.RawMessage), &two)); err != nil {
		t.Fatal(err)
	}
	one["d"] = two["d"]
	v["dpop_jwk"] = one
	return v
}

// rechained puts a CA behind the certificate that did not sign it.
func rechained(t *testing.T, v map[string]any) any {
	t.Helper()
	other := newAuthority(t).issue(t, alice, 0)["cert_pem"].(string)
	end := "-----END CERTIFICATE-----\n"
	leaf, _, _ := strings.Cut(v["cert_pem"].(string), end)
	_, ca, _ := strings.Cut(other, end)
	v["cert_pem"] = leaf + end + ca
	return v
}

// An older certificate counts only in a newer version of the secret.
func TestOlder(t *testing.T) {
	for _, c := range []struct {
		name      string
		placed    bool          // the files that are there were put there by hand
		notBefore time.Duration // of the next certificate; that of what is there is an hour
		created   time.Duration // of its version; that of what is there is an hour
		want      int
	}{
		{"newer in a newer version", false, 2 * time.Hour, 2 * time.Hour, done},
		{"newer in an older version", false, 2 * time.Hour, 0, done},
		{"older in a newer version", false, 0, 2 * time.Hour, done},
		{"older in an older version", false, 0, 0, refused},
		{"of the same second in a newer version", false, time.Hour, 2 * time.Hour, done},
		{"older than files of a user", true, 0, 2 * time.Hour, refused},
		{"newer than files of a user", true, 2 * time.Hour, 2 * time.Hour, done},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			there := h.ca.issue(t, alice, time.Hour)
			if c.placed {
				h.place(t, there)
			} else {
				h.put(t, there, time.Hour)
				h.want(t, done)
			}
			next := h.ca.issue(t, alice, c.notBefore)
			h.put(t, next, c.created)
			tree := h.tree(t)
			h.want(t, c.want)
			if c.want == done {
				h.holds(t, next)
				return
			}
			h.holds(t, there)
			if len(tree) != len(h.tree(t)) {
				t.Errorf("something was written: %v", h.tree(t))
			}
		})
	}
}

// While Secrets Manager cannot be reached the last good files stay, and the command is tried all the same.
func TestUnreachable(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{errors.New("dial tcp: connection refused"), "check network"},
		{&smithy.GenericAPIError{Code: "AccessDeniedException"}, "kms:Decrypt"},
		{&smithy.GenericAPIError{Code: "ExpiredTokenException"}, "renew the AWS credentials"},
		{context.DeadlineExceeded, "check network"},
	} {
		h := newHost(t)
		value := h.deliver(t, 0)
		h.want(t, done)
		h.down = c.err
		mark := filepath.Join(t.TempDir(), "ran")
		h.notify.command = []string{"touch", mark}
		h.want(t, failed)
		h.want(t, failed)
		h.holds(t, value)
		if said := h.said.String(); strings.Count(said, "cannot be read") != 1 || !strings.Contains(said, c.says) {
			t.Errorf("%v: %s", c.err, said)
		}
		if _, err := os.Stat(mark); err != nil {
			t.Errorf("the command waits for Secrets Manager: %v", err)
		}
		h.down = nil
		h.want(t, done)
	}
}

// It looks once an interval, goes on after failures, and ends cleanly.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.down = errors.New("down")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan int)
		go func() { ended <- h.follow(ctx, time.Minute) }()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if h.looks < 9 || h.looks > 12 {
			t.Errorf("%d looks in ten minutes", h.looks)
		}
		h.down = nil
		value := h.deliver(t, 0)
		time.Sleep(67 * time.Second)
		synctest.Wait()
		h.holds(t, value)
		stop()
		if got := <-ended; got != done {
			t.Errorf("status %d", got)
		}
		h.holds(t, value)
	})
}

func TestJitter(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		d := jittered(time.Minute)
		least, most = min(least, d), max(most, d)
	}
	if least < 54*time.Second || most > 66*time.Second || most-least < 10*time.Second {
		t.Errorf("from %s to %s", least, most)
	}
}
