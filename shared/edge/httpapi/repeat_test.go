package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	admins "github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// With a request for a certificate of the caller's own key no private key is in the answer, so it is kept.
func TestAnswersToRequestsForOnesOwnKeyAreReplayed(t *testing.T) {
	w := open(t, memstore.Config{})
	enrolled := map[string]any{"agent_name": "kyc", "csr_pem": csr(t, newKey(t)), "dpop_jwk": publicJWK(t, newKey(t))}
	rotated := map[string]any{"csr_pem": csr(t, newKey(t)), "grace_seconds": 60}
	for _, c := range []struct {
		path string
		body map[string]any
		want int
		// afterwards the request is judged as any other
		status int
		code   string
	}{
		{"/v1/admin/agents", enrolled, 201, 409, "agent_already_enrolled"},
		{"/registry/agents/orga::kyc/rotate-cert", rotated, 200, 400, "key_not_fresh"},
	} {
		text, err := json.Marshal(c.body)
		if err != nil {
			t.Fatal(err)
		}
		request := event("POST", c.path, admin, jsonBody(string(text)), keyed("k"+c.path))
		first := w.send(t, request)
		if first.status != c.want {
			t.Fatalf("%s: %d %s", c.path, first.status, first.body)
		}
		w.keptIsPublic(t, "k"+c.path)
		before := w.state(t)
		w.Advance(23 * time.Hour)
		wantReplay(t, first, w.send(t, request))
		spaced := with(request, jsonBody(" "+strings.ReplaceAll(string(text), `":`, `" : `)))
		wantReplay(t, first, w.send(t, spaced))
		if diff := cmp.Diff(before, w.state(t)); diff != "" {
			t.Errorf("%s: a repetition changed something:\n%s", c.path, diff)
		}
		w.Advance(2 * time.Hour)
		w.refuse(t, "", refusal{"the next day", request, c.status, c.code})
	}
}

// What proves possession is a signature of its own each time: it does not make another request.
func TestAnotherProofOfPossessionIsTheSameRequest(t *testing.T) {
	w := open(t, memstore.Config{})
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	request := byocaRequest(t, "byo", leaf)
	path := "/v1/admin/agents/enroll/byoca"
	first := w.send(t, event("POST", path, admin, keyed("k"), jsonBody(request.text(t))))
	if first.status != 201 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	proof := request.with("private_key_pem", nil, "possession_proof", "another")
	wantReplay(t, first, w.send(t, event("POST", path, admin, keyed("k"), jsonBody(proof.text(t)))))
	// The same enrolment changes nothing, and uses its key up all the same.
	again := w.send(t, event("POST", path, admin, keyed("k2"), jsonBody(request.text(t))))
	if again.status != 200 || again.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("the same enrolment under another key: %d %s", again.status, again.body)
	}
	wantReplay(t, again, w.send(t, event("POST", path, admin, keyed("k2"), jsonBody(request.text(t)))))
	w.refuse(t, "", refusal{"another",
		event("POST", path, admin, keyed("k2"), jsonBody(request.with("display_name", "x").text(t))), 422,
		"idempotency_key_reused"})
}

// A refused request leaves its key free.
func TestRefusalsAreNotKept(t *testing.T) {
	w := open(t, memstore.Config{})
	rotate := event("POST", "/registry/agents/orga::kyc/rotate-cert", admin, keyed("k"))
	w.refuse(t, "", refusal{"no agent yet", rotate, 404, "agent_not_found"})
	w.enrol(t, "kyc")
	if a := w.send(t, rotate); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Stage, rollback and finalise have their answers too, and the mark of a replay; a request that only reports takes no
// key.
func TestEveryModeThatChangesSomethingTakesAKey(t *testing.T) {
	w := open(t, memstore.Config{})
	ask := func(pairs ...string) answer {
		t.Helper()
		e := event("POST", "/pki/rotate-ca", admin, keyed(strings.Join(pairs, "-")))
		for i := 0; i < len(pairs); i += 2 {
			e = with(e, query(pairs[i], pairs[i+1]))
		}
		first := w.send(t, e)
		if first.status != 200 {
			t.Fatalf("%v: %d %s", pairs, first.status, first.body)
		}
		w.keptIsPublic(t, strings.Join(pairs, "-"))
		before := w.state(t)
		again := w.send(t, e)
		wantReplay(t, first, again)
		if diff := cmp.Diff(before, w.state(t)); diff != "" {
			t.Errorf("%v: the repetition changed something:\n%s", pairs, diff)
		}
		return first
	}
	ask("mode", "stage")
	var staged struct{ Fingerprint string }
	ask("mode", "stage", "reason", "superseded").into(t, 200, &staged)
	ask("mode", "commit", "fingerprint", staged.Fingerprint, "overlap", "3600")
	ask("mode", "finalise")
	if _, err := w.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask("mode", "mint")
	ask("mode", "rollback")
	w.refuse(t, "", refusal{"rehearsal",
		event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), query("dry_run", "true"), keyed("k")), 400,
		"idempotency_key_not_supported"})
}

// Without the header nothing is read for it, and nothing kept.
func TestWithoutAKeyNothingIsLookedUp(t *testing.T) {
	asked := 0
	w := open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "Answer" {
			asked++
		}
		return memstore.None
	}})
	h := w.enrol(t, "kyc")
	w.rotate(t, h.ID, `{}`)
	w.postBYOCA(t, byocaRequest(t, "byo", sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))))
	w.send(t, event("POST", "/v1/admin/audit/checkpoint", admin))
	w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "stage")))
	w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint")))
	if asked != 0 {
		t.Errorf("%d look-ups", asked)
	}
}

// The key is the operator's, whatever version of the secret he shows.
func TestAKeyOutlivesTheAdminSecret(t *testing.T) {
	w := open(t, memstore.Config{})
	version := "v1"
	mux, err := httpapi.New(httpapi.Config{
		Handlers: httpapi.Enroll(w.Enroll),
		Log:      slog.New(slog.DiscardHandler),
		Now:      w.Now,
		Admin: func(_ context.Context, shown string) (admins.Admin, bool, error) {
			return admins.Holder(version), shown == inmemory.Secret, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.functions["enroll"] = inmemory.Lambda(mux)
	request := event("POST", "/v1/admin/agents", admin, keyed("k"), jsonBody(`{"agent_name":"kyc"}`))
	first := w.send(t, request)
	version = "v2"
	wantDone(t, first, w.send(t, request))
}

// A checkpoint that was committed, and is not in the archive yet, is completed before its repetition is answered.
func TestRepeatedCheckpointIsCompletedFirst(t *testing.T) {
	w := open(t, memstore.Config{})
	w.enrol(t, "kyc")
	puts, down := 0, false
	w.Archive.Fault = func(op string, after bool) error {
		if op == "Put" && !after {
			if puts++; puts == 3 { // leaves, key, and then the checkpoint itself
				down = true
			}
		}
		if down {
			return auditlog.ErrArchive
		}
		return nil
	}
	request := event("POST", "/v1/admin/audit/checkpoint", admin, keyed("k"))
	wantProblem(t, w.send(t, request), 503, "audit_archive_unavailable")
	c, err := w.Store.Checkpoint(t.Context())
	if err != nil || c == nil || c.Done {
		t.Fatalf("checkpoint = %+v, %v; want one that is not done", c, err)
	}
	wantProblem(t, w.send(t, request), 503, "audit_archive_unavailable")
	down = false
	again := w.send(t, request)
	var report struct{ Made, Number int64 }
	again.into(t, 200, &report)
	if report.Made != 1 || report.Number != 1 || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s, replayed %q", again.body, again.header.Get("Idempotency-Replayed"))
	}
	if c, err = w.Store.Checkpoint(t.Context()); err != nil || !c.Done || c.Sealed.Checkpoint.Number != 1 {
		t.Errorf("checkpoint = %+v, %v", c, err)
	}
}

// Where nothing has moved, the key is used up all the same: it never comes to mean a later checkpoint.
func TestCheckpointOfNothingIsKept(t *testing.T) {
	w := open(t, memstore.Config{})
	if a := w.send(t, event("POST", "/v1/admin/audit/checkpoint", admin)); a.status != 200 {
		t.Fatal(a.status)
	}
	request := event("POST", "/v1/admin/audit/checkpoint", admin, keyed("k"))
	first := w.send(t, request)
	var report struct{ Made int64 }
	first.into(t, 200, &report)
	if report.Made != 0 {
		t.Fatalf("%s", first.body)
	}
	w.enrol(t, "kyc")
	wantReplay(t, first, w.send(t, request))
}

// How the edge stands is known after the commit; the repetition has it all the same, unless it was never heard.
func TestReplayTellsHowTheEdgeStood(t *testing.T) {
	for _, lost := range []bool{false, true} {
		applied, lose := 0, false
		w := open(t, memstore.Config{Fault: func(op string) memstore.Fault {
			if lose && op == "Apply" {
				if applied++; applied == 2 { // the enrolment, then its answer once more
					return memstore.Refuse
				}
			}
			return memstore.None
		}})
		w.Enroll.Trust = func(context.Context) (registry.TruststoreStatus, error) { return registry.TruststoreCurrent, nil }
		request := with(w.outsideShapes(t)["POST /v1/admin/agents/enroll/spiffe"].request, keyed("k"))
		lose = lost
		first := w.send(t, request)
		lose = false
		if first.status != 201 || !bytes.Contains(first.body, []byte(`{"status":"current"}`)) {
			t.Fatalf("%d %s", first.status, first.body)
		}
		if lost {
			first.body = bytes.Replace(first.body, []byte("current"), []byte("pending"), 1)
		}
		wantReplay(t, first, w.send(t, request))
	}
}
