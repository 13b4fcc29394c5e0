package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// keyed sends a request under an idempotency key; body nil: none.
func (m *target) keyed(t *testing.T, key, path string, body any) answer {
	t.Helper()
	header := with(m.admin(), "Idempotency-Key", key)
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		header["Content-Type"] = "application/json"
	}
	a, err := m.operator().do(t.Context(), "POST", path, header, text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// replayed repeats a request: the answer is the first one's, with the mark.
func (m *target) replayed(t *testing.T, first answer, key, path string, body any) {
	t.Helper()
	again := m.keyed(t, key, path, body)
	if again.status != first.status || !bytes.Equal(again.body, first.body) ||
		again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s again: %d %s, replayed %q; the first answer was %d %s",
			path, again.status, again.body, again.header.Get("Idempotency-Replayed"), first.status, first.body)
	}
}

func wantDone(t *testing.T, a answer, thumbprint, id string) {
	t.Helper()
	a.want(t, 409, "already_done")
	done, _ := a.decode(t)["done"].(map[string]any)
	if done["cert_thumbprint"] != thumbprint || done["next"] != "POST /registry/agents/"+id+"/rotate-cert" ||
		done["at"] == nil {
		t.Errorf("done = %v, want the certificate %s of %s", done, thumbprint, id)
	}
	if bytes.Contains(a.body, []byte("PRIVATE")) {
		t.Errorf("a private key in %s", a.body)
	}
}

// A client that lost the answer to any call of the operators' API repeats it: it is done once, and no private key
// twice.
func TestRepeatedUnderAnIdempotencyKey(t *testing.T) {
	m := borrow(t)
	m.forget(t)
	name, key := fresh("once"), fresh("key")
	enrolment := map[string]any{"agent_name": name}
	first := m.keyed(t, key, "/v1/admin/agents", enrolment)
	first.want(t, 201, "")
	got := read(t, first)
	wantDone(t, m.keyed(t, key, "/v1/admin/agents", enrolment), got.Thumbprint, got.AgentID)
	m.keyed(t, key, "/v1/admin/agents", map[string]any{"agent_name": name, "display_name": "another"}).want(t, 422,
		"idempotency_key_reused")
	m.newClient(got.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)

	path := "/registry/agents/" + got.AgentID + "/rotate-cert"
	key = fresh("key")
	first = m.keyed(t, key, path, nil)
	first.want(t, 200, "")
	second := read(t, first)
	wantDone(t, m.keyed(t, key, path, nil), second.Thumbprint, got.AgentID)
	m.keyed(t, key, path, map[string]any{"grace_seconds": 60}).want(t, 422, "idempotency_key_reused")
	m.newClient(second.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)

	csr := map[string]any{"csr_pem": csrPEM(t), "reason": "superseded"}
	key = fresh("key")
	first = m.keyed(t, key, path, csr)
	first.want(t, 200, "")
	m.replayed(t, first, key, path, csr)
	if rows := m.chain(t, got.AgentID); len(rows) != 3 {
		t.Errorf("%d rows, want an enrolment and two rotations", len(rows))
	}
	if !onLocalStack() { // whose schedule stages and seals meanwhile
		for _, path := range []string{"/pki/rotate-ca?mode=stage", "/v1/admin/audit/checkpoint", "/pki/rotate-ca?mode=mint"} {
			key = fresh("key")
			first = m.keyed(t, key, path, nil)
			first.want(t, 200, "")
			m.replayed(t, first, key, path, nil)
		}
	}
	m.operator().must(t, 400, "DELETE", "/v1/admin/agents/"+got.AgentID, with(m.admin(), "Idempotency-Key", key), nil)
}

func csrPEM(t *testing.T) string {
	t.Helper()
	text, err := inmemory.CSR()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Enrolments of certificates from elsewhere are answered again as they were.
func TestEnrolmentsFromElsewhereAreReplayed(t *testing.T) {
	m := borrow(t)
	ca := m.uploadCA(t, "")
	leaf := pipelineLeaf(t, ca)
	byoca := map[string]any{"agent_name": fresh("byoca"), "cert_pem": leaf.certPEM(), "private_key_pem": leaf.keyPEM(t)}
	server := spireServer(t, nil)
	id := svid(t, server, "spiffe://orga.local/ns/default/sa/"+fresh("sa"))
	spiffe := map[string]any{
		"agent_name": fresh("spiffe"), "svid_pem": id.certPEM(), "svid_key_pem": id.keyPEM(t),
		"trust_bundle_pem": string(pki.EncodeCertificates(server.Chain...)),
	}
	for path, body := range map[string]map[string]any{byocaPath: byoca, spiffePath: spiffe} {
		key := fresh("key")
		first := m.keyed(t, key, path, body)
		first.want(t, 201, "")
		m.replayed(t, first, key, path, body)
		body["display_name"] = "another"
		m.keyed(t, key, path, body).want(t, 422, "idempotency_key_reused")
		if rows := m.chain(t, first.decode(t)["agent_id"].(string)); len(rows) != 1 {
			t.Errorf("%s: %d rows", path, len(rows))
		}
	}
	m.rotateCA(t)
}

// Eight requests at once make one change. The others get a report of it.
func TestEightRepetitionsAtOnce(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("eight"))
	rotation := "/registry/agents/" + agent.AgentID + "/rotate-cert"
	for _, c := range []struct {
		path string
		body map[string]any
		id   string
		rows int
	}{
		{rotation, map[string]any{"reason": "keyCompromise"}, agent.AgentID, 2},
		// one that leaves a grace excludes no other rotation
		{rotation, map[string]any{"grace_seconds": 600}, agent.AgentID, 3},
		{"/v1/admin/agents", map[string]any{"agent_name": fresh("eight")}, "", 1},
	} {
		key, answers := fresh("key"), make([]answer, 8)
		var wg sync.WaitGroup
		for n := range answers {
			wg.Go(func() { answers[n] = m.keyed(t, key, c.path, c.body) })
		}
		wg.Wait()
		var won []credential
		for _, a := range answers {
			if a.status < 300 {
				won = append(won, read(t, a))
			}
		}
		if len(won) != 1 {
			t.Fatalf("%s: %d of 8 were carried out", c.path, len(won))
		}
		for _, a := range answers {
			if a.status >= 300 {
				wantDone(t, a, won[0].Thumbprint, won[0].AgentID)
			}
		}
		if rows := m.chain(t, won[0].AgentID); len(rows) != c.rows {
			t.Errorf("%s: %d rows, want %d", c.path, len(rows), c.rows)
		}
		m.newClient(won[0].certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	}
}

// The function dies around its commit, and the client repeats: whatever was committed is not done again.
func TestRepeatedAfterADeath(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	for _, step := range []string{"dynamodb.GetItem/1", "kms.Sign/1", "dynamodb.TransactWriteItems/1",
		"dynamodb.GetItem/2"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, carried out %v", step, after), func(t *testing.T) {
				agent := m.enrol(t, fresh("death"))
				path, key := "/registry/agents/"+agent.AgentID+"/rotate-cert", fresh("key")
				call, nth, _ := strings.Cut(step, "/")
				r := &rule{call: call, after: after, strike: func() { m.Lambda.Kill("rotatecert") }}
				if _, err := fmt.Sscan(nth, &r.nth); err != nil {
					t.Fatal(err)
				}
				m.faults.set(r)
				a := m.keyed(t, key, path, nil)
				struck := m.faults.struck()
				m.faults.set(nil)
				if !struck || a.status != http.StatusBadGateway {
					t.Fatalf("struck %v, answer %d %s", struck, a.status, a.body)
				}
				rows := m.chain(t, agent.AgentID)
				again := m.keyed(t, key, path, nil)
				if len(rows) == 2 { // it was committed, and the key is lost with the process
					wantDone(t, again, rows[1].Details["cert_thumbprint"].(string), agent.AgentID)
					again = m.keyed(t, fresh("key"), path, nil)
				} else if len(m.chain(t, agent.AgentID)) != 2 {
					t.Errorf("%d rows after the repetition", len(m.chain(t, agent.AgentID)))
				}
				again.want(t, 200, "")
				m.newClient(read(t, again).certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
			})
		}
	}
}
