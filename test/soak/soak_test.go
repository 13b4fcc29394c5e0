// Package soak lets many clients rotate, roll back and request tokens at once, through the gateway, and checks that
// their answers are linearisable: no answer accepts a certificate that was dead by then or refuses one that was
// alive. So are those of introspections: no token is active whose certificate was dead by then.
package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/test/local"
)

var operations = flag.Int("ops", 0, "operations in all; 0: 5,000, with -short 1,000")

const (
	perRound = 5000
	agents   = 8
	clients  = 8
)

func TestHistoriesAreLinearisable(t *testing.T) {
	total := *operations
	if total == 0 {
		total = perRound
		if testing.Short() {
			total = 1000
		}
	}
	w := &world{T: t, system: local.Mastio(t, stack.Config{Tick: 2 * time.Second}), began: time.Now()}
	w.operator = w.client(nil)
	w.server = w.enrolServer()
	for done := 0; done < total; done += perRound {
		began := time.Now()
		first := w.begin(done / perRound)
		history := w.round(min(perRound, total-done))
		checked := time.Now()
		if result := porcupine.CheckOperationsTimeout(specification(first), history, 5*time.Minute); result != porcupine.Ok {
			explain(t, first, history)
			t.Fatalf("round %d: %s", done/perRound, result)
		}
		t.Logf("%s; %d/s, checked in %s", w.counted(), len(history)*int(time.Second)/int(checked.Sub(began)),
			time.Since(checked).Round(time.Millisecond))
	}
	w.chains()
}

// world is the running system and its clients.
type world struct {
	*testing.T
	system   *stack.Stack
	operator *http.Client
	agents   []*agent
	server   *agent     // a resource server, which introspects
	serving  sync.Mutex // of a rotation of its certificate

	began time.Time    // histories are timed by the monotonic clock, from here
	calls atomic.Int64 // numbers the requests

	mu      sync.Mutex
	history []porcupine.Operation
	counts  map[string]int
	names   []string // of all agents of all rounds
}

// agent is one agent and the last certificates that it was given.
type agent struct {
	id string

	mu     sync.Mutex
	certs  []heldCert
	tokens map[string]grant // the last token of each certificate, by thumbprint
}

type heldCert struct {
	thumb  string
	client *http.Client
}

// grant is a token that was got at an instant.
type grant struct {
	token string
	at    time.Time
}

// lasting is how long a token is introspected: well within its life, so that its end makes no answer.
const lasting = 4 * time.Minute

func (a *agent) hold(w *world, key keyPair, thumb, certPEM string) {
	c := heldCert{thumb, w.client(key.certificate(w.T, certPEM))}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.certs = append(a.certs, c); len(a.certs) > 4 {
		a.certs[0].client.CloseIdleConnections()
		a.certs = a.certs[1:]
	}
}

func (a *agent) any() heldCert {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.certs); rand.IntN(2) == 0 {
		return a.certs[n-1]
	}
	return a.certs[rand.IntN(len(a.certs))]
}

func (w *world) client(cert *tls.Certificate) *http.Client {
	config := &tls.Config{RootCAs: pool(w.system.CAPEM), MinVersion: tls.VersionTLS12}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	return &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: clients},
	}
}

// begin brings the Org CA into a state that is known, no overlap and no way back, and enrols the round's agents.
func (w *world) begin(round int) map[string]state {
	w.must(w.operator, "POST", "/pki/rotate-ca?mode=finalise", nil)
	current := w.must(w.operator, "GET", "/pki/rotate-ca", nil)
	first := map[string]state{}
	w.agents, w.history, w.counts = nil, nil, map[string]int{}
	for i := range agents {
		a, key := &agent{id: fmt.Sprintf("orga::soak-%d-%d", round, i)}, newKeyPair()
		body := w.must(w.operator, "POST", "/v1/admin/agents",
			map[string]any{"agent_name": a.id[len("orga::"):], "csr_pem": key.csr})
		a.hold(w, key, body.Thumbprint, body.CertPEM)
		w.agents, w.names = append(w.agents, a), append(w.names, a.id)
		first[a.id] = state{current: current.Generation, accepted: ",", newest: pin{body.Thumbprint, body.Generation}}
	}
	return first
}

// round lets the clients loose until so many operations have begun.
func (w *world) round(count int) []porcupine.Operation {
	work := make(chan struct{}, count)
	for range count {
		work <- struct{}{}
	}
	close(work)
	var all sync.WaitGroup
	for id := range clients {
		all.Go(func() {
			for range work {
				w.once(id)
			}
		})
	}
	all.Wait()
	for _, a := range w.agents {
		for _, c := range a.certs {
			c.client.CloseIdleConnections()
		}
	}
	return parted(w.history)
}

// once carries out one operation and writes it into the history.
func (w *world) once(id int) {
	a := w.agents[rand.IntN(len(w.agents))]
	q := request{agent: a.id, call: w.calls.Add(1)}
	client := w.operator
	var key keyPair // a new one for each rotation: a key is certified once
	var body any
	method, path := "POST", "/registry/agents/"+a.id+"/rotate-cert"
	switch n := rand.IntN(1000); {
	case n < 820:
		c := a.any()
		q.thumb, client, path = c.thumb, c.client, "/v1/auth/token"
		if g, ok := a.grant(c.thumb); ok && n < 400 {
			q.action = introspect
			w.introspected(id, q, g.token)
			return
		}
	case n < 930:
		key = newKeyPair()
		q.action, body = rotate, map[string]any{"csr_pem": key.csr}
	case n < 970:
		q.action, q.agent, q.overlap, path = rotateCA, "", rand.IntN(2) == 0, "/pki/rotate-ca?mode=mint"
		if q.overlap {
			path += "&overlap=86400"
		}
	default:
		q.action, q.agent, path = rollback, "", "/pki/rotate-ca?mode=rollback"
	}
	call := time.Since(w.began)
	status, got := w.send(client, method, path, body)
	returned := time.Since(w.began)
	r := w.replied(q, status, got)
	if q.action == rotate && r.ok {
		a.hold(w, key, got.Thumbprint, got.CertPEM)
	}
	if q.action == token && r.ok {
		a.granted(q.thumb, got.AccessToken)
	}
	w.note(id, q, r, status, call, returned)
}

// note writes an operation into the history.
func (w *world) note(id int, q request, r reply, status int, call, returned time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, porcupine.Operation{
		ClientId: id,
		Input:    q,
		Output:   r,
		Call:     call.Nanoseconds(),
		Return:   returned.Nanoseconds(),
	})
	names := [...]string{"token", "rotate-cert", "rotate-ca", "rollback", "introspect"}
	w.counts[fmt.Sprintf("%s %d", names[q.action], status)]++
}

// replied reads an answer; one that the specification has no place for fails the test: nothing is broken here on
// purpose.
func (w *world) replied(q request, status int, got answer) reply {
	code := got.Code
	if q.action == token {
		code = got.Error
	}
	expected := map[action]map[string]bool{
		token:  {"invalid_client": true},
		rotate: {"agent_rotated_concurrently": true, "changed_concurrently": true},
		rotateCA: {"rotation_in_progress": true, "overlaps_exhausted": true, "changed_concurrently": true,
			"rotation_lock_lost": true},
		rollback: {"rotation_in_progress": true, "rollback_not_possible": true, "changed_concurrently": true,
			"rotation_lock_lost": true},
	}
	if status != 200 && !expected[q.action][code] {
		w.Errorf("%+v answered %d %+v", q, status, got)
	}
	return reply{
		ok:         status == 200,
		code:       code,
		thumb:      got.Thumbprint,
		generation: got.Generation,
		previous:   got.Previous.Generation,
	}
}

func (w *world) counted() string { return fmt.Sprint(w.counts) }

// answer is whatever of an answer is looked at.
type answer struct {
	Code        string `json:"code"`
	Error       string `json:"error"`
	Detail      string `json:"error_description"`
	CertPEM     string `json:"cert_pem"`
	Thumbprint  string `json:"cert_thumbprint"`
	AccessToken string `json:"access_token"`
	Active      bool   `json:"active"`
	Generation  int64  `json:"generation"`
	Previous    struct {
		Generation int64 `json:"generation"`
	} `json:"previous"`
}

func (w *world) must(client *http.Client, method, path string, body any) answer {
	w.Helper()
	status, got := w.send(client, method, path, body)
	if status/100 != 2 {
		w.Fatalf("%s %s answered %d %+v", method, path, status, got)
	}
	return got
}

func (w *world) send(client *http.Client, method, path string, body any) (int, answer) {
	var encoded []byte
	if body != nil {
		encoded, _ = json.Marshal(body)
	}
	r, err := http.NewRequestWithContext(w.Context(), method, w.system.URL+path, bytes.NewReader(encoded))
	if err != nil {
		w.Error(err)
		return 0, answer{}
	}
	if client == w.operator {
		r.Header.Set("X-Admin-Secret", w.system.AdminSecret)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return w.exchange(client, r)
}

// exchange sends a request and reads its answer; a status of 0: there is none.
func (w *world) exchange(client *http.Client, r *http.Request) (int, answer) {
	resp, err := client.Do(r)
	if err != nil {
		w.Error(err)
		return 0, answer{}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	var got answer
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if err != nil {
		w.Errorf("%s %s: %v: %.200s", r.Method, r.URL.Path, err, data)
	}
	return resp.StatusCode, got
}

// chains checks that what happened is on the record, without a gap.
func (w *world) chains() {
	store := dynamo.New(dynamo.Config{Client: w.system.Clients.DynamoDB, Prefix: w.system.TablePrefix()})
	for _, subject := range append([]string{"orga"}, w.names...) {
		rows, err := store.Rows(context.Background(), subject, 0, 1_000_000)
		if err != nil {
			w.Fatal(err)
		}
		if _, err := audit.Verify(rows); err != nil || len(rows) == 0 {
			w.Errorf("chain of %s, %d rows: %v", subject, len(rows), err)
		}
	}
}
