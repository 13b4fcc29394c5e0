package httpapi_test

import (
	"crypto/ecdsa"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// follower is a resource server that follows the status, with a clock of its own in step with the Mastio's.
type follower struct {
	*world
	status verifier.Status
}

// learn fetches the status as a resource server does.
func (f *follower) learn(t testing.TB) {
	t.Helper()
	f.Advance(time.Second) // an instance hands out one document a second
	a := f.send(t, event("GET", verifier.StatusPath))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != verifier.StatusMediaType {
		t.Fatalf("status: %d %s", a.status, a.header)
	}
	keys := func(kid string) *ecdsa.PublicKey { return f.PublicKey(t.Context(), kid) }
	if err := f.status.Learn(string(a.body), keys, inmemory.Issuer, f.Now(), f.Now()); err != nil {
		t.Fatal(err)
	}
}

// alive reports whether a token, which is valid, is alive by the status of now.
func (f *follower) alive(t testing.TB, token string) bool {
	t.Helper()
	f.learn(t)
	return f.status.Live(f.verified(t, token, inmemory.Issuer), 5*time.Second, f.Now()) == nil
}

// enders are all operations after which earlier tokens of an agent are dead.
var enders = map[string]func(*testing.T, *world, holder){
	"rotation":              func(t *testing.T, w *world, h holder) { w.rotate(t, h.ID, `{}`) },
	"compromise":            func(t *testing.T, w *world, h holder) { w.rotate(t, h.ID, `{"reason":"keyCompromise"}`) },
	"deactivation":          func(t *testing.T, w *world, h holder) { w.remove(t, h.ID) },
	"capability taken away": func(t *testing.T, w *world, h holder) { w.can(t, h.ID, `["kyc:write"]`) },
	"all capabilities":      func(t *testing.T, w *world, h holder) { w.can(t, h.ID, `[]`) },
	"capability taken away and given back": func(t *testing.T, w *world, h holder) {
		w.can(t, h.ID, `[]`)
		w.can(t, h.ID, `["kyc:read","kyc:write"]`)
	},
	"rotation within a grace": func(t *testing.T, w *world, h holder) {
		w.rotate(t, h.ID, `{"grace_seconds":3600}`)
		w.rotate(t, h.ID, `{}`)
	},
	"new Org CA":     func(t *testing.T, w *world, _ holder) { w.Do(t, rotateca.Request{Mode: rotateca.Mint}) },
	"end of overlap": func(t *testing.T, w *world, _ holder) { w.overlap(t); w.Advance(2 * time.Minute) },
	"finalise": func(t *testing.T, w *world, _ holder) {
		w.overlap(t)
		w.Do(t, rotateca.Request{Mode: rotateca.Finalise})
	},
	"rotation in an overlap": func(t *testing.T, w *world, h holder) {
		w.overlap(t)
		w.rotate(t, h.ID, `{}`)
	},
	"enrolment under a new Org CA": func(t *testing.T, w *world, _ holder) {
		w.overlap(t)
		w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(`{"agent_name":"kyc"}`))).into(t, 200, &holder{})
	},
}

func (w *world) overlap(t *testing.T) {
	t.Helper()
	w.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Minute})
}

func (w *world) can(t *testing.T, id, capabilities string) {
	t.Helper()
	a := w.send(t, event("PATCH", "/v1/admin/agents/"+id, admin, jsonBody(`{"capabilities":`+capabilities+`}`)))
	if a.status != http.StatusOK {
		t.Fatalf("capabilities %s: %d %s", capabilities, a.status, a.body)
	}
}

func TestStatusShowsWhatEnds(t *testing.T) {
	for name, end := range enders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &follower{world: open(t, memstore.Config{})}
			h, other := f.enrol(t, "kyc", "kyc:read", "kyc:write"), f.enrol(t, "other", "kyc:read")
			token, others := f.tokenFor(t, h, nil), f.tokenFor(t, other, nil)
			if !f.alive(t, token) || !f.alive(t, others) {
				t.Fatal("the tokens are dead at first")
			}
			end(t, f.world, h)
			if f.alive(t, token) {
				t.Error("the token is alive")
			}
			org := strings.Contains(name, "Org CA") || strings.Contains(name, "overlap") || name == "finalise"
			if !org && !f.alive(t, others) {
				t.Error("the token of another agent is dead")
			}
		})
	}
}

// What a resource server learns to be dead stays dead, and a new token of the same agent is alive from its first
// instant on.
func TestStatusLetsNewTokensLive(t *testing.T) {
	for name, end := range enders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &follower{world: open(t, memstore.Config{})}
			h := f.enrol(t, "kyc", "kyc:read", "kyc:write")
			old := f.tokenFor(t, h, nil)
			end(t, f.world, h)
			if h = f.revived(t, h); h.CertPEM == "" {
				return
			}
			token := f.tokenFor(t, h, nil)
			if !f.alive(t, token) {
				t.Error("a new token is dead")
			}
			if name != "new Org CA" && f.alive(t, old) {
				t.Error("the old token is alive")
			}
		})
	}
}

// revived is the agent with a certificate that counts.
func (f *follower) revived(t *testing.T, h holder) holder {
	t.Helper()
	if a := f.send(t, tokenRequest(h.CertPEM)); a.status == http.StatusOK {
		return h
	}
	a := f.send(t, event("POST", "/registry/agents/"+h.ID+"/rotate-cert", admin, jsonBody(`{}`)))
	if a.status == http.StatusOK {
		a.into(t, http.StatusOK, &h)
		return h
	}
	return f.enrol(t, "kyc", "kyc:read")
}

// No death: a grace, a successor's first use, a change of something else.
func TestStatusLeavesAlone(t *testing.T) {
	f := &follower{world: open(t, memstore.Config{})}
	h := f.enrol(t, "kyc", "kyc:read")
	token := f.tokenFor(t, h, nil)
	f.send(t, event("PATCH", "/v1/admin/agents/"+h.ID, admin, jsonBody(`{"owner":"x","capabilities":["a","kyc:read"]}`)))
	next := f.rotate(t, h.ID, `{"grace_seconds":3600}`)
	f.tokenFor(t, next, nil)
	f.overlap(t)
	if !f.alive(t, token) {
		t.Error("the token is dead")
	}
	st, err := f.Store.Status(t.Context(), time.Time{})
	if err != nil || len(st.Deaths) > 0 {
		t.Errorf("deaths %+v, %v; want none", st.Deaths, err)
	}
}

// A rollback ends what was issued under the generation that it leaves, and revives what it returns to.
func TestStatusAfterARollback(t *testing.T) {
	f := &follower{world: open(t, memstore.Config{})}
	h := f.enrol(t, "kyc", "kyc:read")
	before := f.tokenFor(t, h, nil)
	f.Do(t, rotateca.Request{Mode: rotateca.Mint})
	next := f.rotate(t, h.ID, `{}`)
	under := f.tokenFor(t, next, nil)
	if f.alive(t, before) || !f.alive(t, under) {
		t.Fatal("after the rotation: the wrong token is alive")
	}
	f.Do(t, rotateca.Request{Mode: rotateca.Rollback})
	if f.alive(t, under) {
		t.Error("after the rollback: the token of the generation that was left is alive")
	}
	if !f.alive(t, f.tokenFor(t, h, nil)) {
		t.Error("after the rollback: a new token is dead")
	}
}

func TestStatusOfAnSVID(t *testing.T) {
	f := &follower{world: open(t, memstore.Config{})}
	server := newSPIRE(t, inmemory.ForeignDomain, f.Now())
	id := svid(t, server.root, workload, f.Now())
	request := spiffeRequest(t, "kyc", id, server.root.Chain[0])
	f.postSPIFFE(t, request).into(t, 201, &enrolAnswer{})
	h := holder{ID: "orga::kyc", CertPEM: id.certPEM()}
	token := f.tokenFor(t, h, nil)
	f.Do(t, rotateca.Request{Mode: rotateca.Mint})
	if !f.alive(t, token) {
		t.Error("an SVID under its own bundle is dead after a rotation of the Org CA")
	}
	f.can(t, h.ID, `["kyc:write"]`)
	if f.alive(t, token) {
		t.Error("without the capability: alive")
	}
	token = f.tokenFor(t, h, nil)
	if !f.alive(t, token) {
		t.Error("a new token is dead")
	}
	f.send(t, event("DELETE", "/v1/admin/agents/"+h.ID, admin))
	if f.alive(t, token) {
		t.Error("after the deactivation: alive")
	}
}

// The document is shared: one signature a second, and a cache asks whether it has this second's.
func TestStatusIsShared(t *testing.T) {
	w := open(t, memstore.Config{})
	first := w.send(t, event("GET", verifier.StatusPath))
	again := w.send(t, event("GET", verifier.StatusPath))
	tag := first.header.Get("ETag")
	if string(first.body) != string(again.body) || tag == "" || tag != again.header.Get("ETag") {
		t.Error("two documents within a second")
	}
	if got := first.header.Get("Cache-Control"); got != "public, max-age=1" {
		t.Errorf("Cache-Control %q", got)
	}
	for _, value := range []string{tag, `"x", ` + tag, strings.TrimPrefix(tag, "W/"), "*"} {
		a := w.send(t, event("GET", verifier.StatusPath, header("If-None-Match", value)))
		if a.status != http.StatusNotModified || len(a.body) > 0 || a.header.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d with %d octets, want 304 with none", value, a.status, len(a.body))
		}
	}
	w.Advance(time.Second)
	if a := w.send(t, event("GET", verifier.StatusPath, header("If-None-Match", tag))); a.status != http.StatusOK {
		t.Errorf("a second later: %d, want 200", a.status)
	}
	calls := w.Store.Calls()
	if calls["Status"] != 2 || calls["PutStatusNote"] != 1 {
		t.Errorf("%d reads and %d notes for two documents of one content", calls["Status"], calls["PutStatusNote"])
	}
}
