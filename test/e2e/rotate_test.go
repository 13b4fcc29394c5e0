package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
)

func TestTokenDiesWithItsCertificate(t *testing.T) {
	m := borrow(t)
	first := m.enrol(t, fresh("kyc"))
	old := m.newClient(first.certificate(t))
	old.must(t, 200, "POST", tokenPath, nil, nil)

	second := m.rotate(t, first.AgentID)
	a := old.must(t, 401, "POST", tokenPath, nil, nil)
	want := map[string]any{"error": "invalid_client", "error_description": "Certificate has been revoked"}
	if diff := cmp.Diff(want, a.decode(t)); diff != "" {
		t.Errorf("answer to the old certificate (-want +got):\n%s", diff)
	}
	m.newClient(second.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)

	var events []audit.Event
	for _, r := range m.chain(t, first.AgentID) {
		events = append(events, r.EventType)
	}
	if diff := cmp.Diff([]audit.Event{audit.AgentEnrolled, audit.AgentCertRotated}, events); diff != "" {
		t.Errorf("audit chain (-want +got):\n%s", diff)
	}
}

func TestKeyOfACSRStaysWithTheAgent(t *testing.T) {
	m := borrow(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	body, _ := json.Marshal(map[string]any{"agent_name": fresh("csr"), "csr_pem": csr})
	a := m.operator().must(t, 201, "POST", "/v1/admin/agents", with(m.admin(), "Content-Type", "application/json"), body)
	if _, ok := a.decode(t)["key_pem"]; ok {
		t.Error("the answer holds a private key")
	}
	got := read(t, a)
	block, _ := pem.Decode([]byte(got.CertPEM))
	m.newClient(tls.Certificate{
		Certificate: [][]byte{block.Bytes},
		PrivateKey:  key,
	}).must(t, 200, "POST", tokenPath, nil, nil)
}

// A hundred rotations of one agent run at once. One certificate counts at the end and every 200 has its row. A 200
// returns a certificate that another 200 replaced only if the two did follow each other.
func TestConcurrentRotationsOfOneAgent(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("contended"))
	var mu sync.Mutex
	var won []credential
	other := map[int]int{}
	var wg sync.WaitGroup
	for range scaled(100, 20) {
		wg.Go(func() {
			a, err := m.operator().do(t.Context(), "POST", "/registry/agents/"+agent.AgentID+"/rotate-cert", m.admin(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case a.status == 200:
				var i credential
				if err := json.Unmarshal(a.body, &i); err != nil {
					t.Error(err)
				}
				won = append(won, i)
			case a.status == 409 && a.code() == "agent_rotated_concurrently":
				other[a.status]++
			default:
				t.Errorf("answer %d: %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	t.Logf("%d won, others by status: %v", len(won), other)
	rows := m.chain(t, agent.AgentID)
	thumbprints := map[any]bool{}
	for _, r := range rows[1:] {
		thumbprints[r.Details["cert_thumbprint"]] = true
	}
	working := 0
	for _, i := range won {
		if !thumbprints[i.Thumbprint] {
			t.Errorf("a 200 has no row: %s", i.Thumbprint)
		}
		a, err := m.newClient(i.certificate(t)).do(t.Context(), "POST", tokenPath, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.status == 200 {
			working++
			if last := rows[len(rows)-1].Details["cert_thumbprint"]; last != i.Thumbprint {
				t.Errorf("the certificate that works is not the last one rotated to")
			}
		}
	}
	if len(won) != len(rows)-1 || working != 1 {
		t.Errorf("%d rotations answered 200, %d rows, %d certificates work; want as many rows, and one", len(won),
			len(rows)-1, working)
	}
}

func (a answer) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal(a.body, &p)
	return p.Code
}

func TestTwoRotationsOfTheCAAtOnce(t *testing.T) {
	m := borrow(t)
	m.standby(t)
	for range 20 { // until both are in the function at the same time
		statuses := make(chan answer, 2)
		for range 2 {
			go func() {
				a, err := m.operator().do(t.Context(), "POST", "/pki/rotate-ca?mode=mint", m.admin(), nil)
				if err != nil {
					t.Error(err)
				}
				statuses <- a
			}()
		}
		one, two := <-statuses, <-statuses
		if one.status > two.status {
			one, two = two, one
		}
		if one.status != 200 {
			t.Fatalf("answers %d and %d: %s", one.status, two.status, one.body)
		}
		if two.status == 200 { // one after the other
			continue
		}
		if two.status != 409 || two.code() != "rotation_in_progress" {
			t.Fatalf("answers %d and %d: %s", one.status, two.status, two.body)
		}
		if after, err := strconv.Atoi(two.header.Get("Retry-After")); err != nil || after < 1 || after > 30 {
			t.Errorf("Retry-After: %q, want 1 to 30", two.header.Get("Retry-After"))
		}
		return
	}
	t.Error("two rotations at once never met")
}

// While fifty agents fetch tokens the Org CA is rotated. A token request that begins after the rotation's 200 is never
// answered with a token for a certificate of the superseded generation.
func TestNoTokenUnderASupersededGeneration(t *testing.T) {
	m := borrow(t)
	agents := scaled(50, 8)
	clients := make([]*client, agents)
	for i := range clients {
		clients[i] = m.newClient(m.enrol(t, fresh("fleet")).certificate(t))
	}
	var rotated atomic.Bool
	var before, refused atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				late := rotated.Load()
				a, err := c.do(t.Context(), "POST", tokenPath, nil, nil)
				switch {
				case err != nil:
					t.Error(err)
					return
				case a.status == 200 && late:
					t.Errorf("a token was issued after the rotation: %s", a.body)
					return
				case a.status == 200:
					before.Add(1)
				case a.status == 401:
					refused.Add(1)
				default:
					t.Errorf("answer %d: %s", a.status, a.body)
					return
				}
			}
		})
	}
	waitFor(t, "every agent to have had tokens", func() bool { return before.Load() > int64(4*agents) })
	m.rotateCA(t)
	rotated.Store(true)
	waitFor(t, "every agent to be refused", func() bool { return refused.Load() > int64(4*agents) })
	close(stop)
	wg.Wait()
	t.Logf("%d tokens before, %d refusals", before.Load(), refused.Load())
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// The budgets of remote calls hold on the wire, not only in the in-memory store.
func TestRemoteCalls(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	agent := m.enrol(t, fresh("counted"))
	c := m.newClient(agent.certificate(t))
	m.standby(t)
	m.standby(t)
	m.operator().must(t, 200, "GET", "/pki/rotate-ca", m.admin(), nil) // the instance knows the admin secret
	for range 3 {
		c.must(t, 200, "POST", tokenPath, nil, nil)
	}
	for _, tt := range []struct {
		name string
		do   func()
		want map[string]int
	}{
		{"token", func() { c.must(t, 200, "POST", tokenPath, nil, nil) }, map[string]int{"dynamodb.BatchGetItem": 1}},
		{"token with a proof", func() {
			c.must(t, 200, "POST", tokenPath, map[string]string{"DPoP": m.proof(t, agent, nil)},
				nil)
		}, map[string]int{"dynamodb.BatchGetItem": 1, "dynamodb.PutItem": 1}},
		{"login by the Mastio's assertion", func() { logIn(t, c, ownAssertion(t, c), m.ownProof(t, "")) },
			map[string]int{"dynamodb.BatchGetItem": 2, "dynamodb.PutItem": 2}},
		{"login by the local key", func() {
			challenge := challengeFor(t, c)
			assertion := localAssertion(t, agent, x5cOf(agent.CertPEM), sdkClaims(agent, challenge))
			endorse(t, c, assertion, challenge)
			logIn(t, c, assertion, m.ownProof(t, ""))
		}, map[string]int{"dynamodb.BatchGetItem": 3, "dynamodb.PutItem": 2}},
		// the pointer once more
		{"rotate-cert", func() { m.rotate(t, agent.AgentID) },
			map[string]int{"dynamodb.BatchGetItem": 1, "kms.Sign": 1, "dynamodb.TransactWriteItems": 1, "dynamodb.GetItem": 1}},
		{"rotate-ca", func() { m.rotateCA(t) },
			map[string]int{"dynamodb.UpdateItem": 1, "dynamodb.Query": 1, "dynamodb.BatchGetItem": 1,
				"dynamodb.TransactWriteItems": 1}},
	} {
		// An instance that has not served yet reads the secret, or opens the token key: the least of a few tries counts.
		var got map[string]int
		for range 3 {
			if counted := m.faults.count(tt.do); got == nil || total(counted) < total(got) {
				got = counted
			}
			m.standby(t)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: remote calls (-want +got):\n%s", tt.name, diff)
		}
	}
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func TestStatusShowsTheRotation(t *testing.T) {
	m := borrow(t)
	m.standby(t)
	result := m.rotateCA(t)
	status := m.operator().must(t, 200, "GET", "/pki/rotate-ca", m.admin(), nil).decode(t)
	for _, member := range []string{"generation", "fingerprint", "subject", "not_before", "not_after", "source"} {
		if diff := cmp.Diff(result[member], status[member]); diff != "" {
			t.Errorf("%s: rotation and status differ:\n%s", member, diff)
		}
	}
	history := status["history"].([]any)
	states := map[any]int{}
	for _, entry := range history {
		states[entry.(map[string]any)["status"]]++
	}
	if states["current"] != 1 || states["superseded"] < 1 {
		t.Errorf("history by status: %v", states)
	}
	root := m.operator().must(t, 200, "GET", "/pki/ca.crt", nil, nil)
	block, _ := pem.Decode(root.body)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("CN=orga Org CA G%v,O=orga", result["generation"]); cert.Subject.String() != want ||
		!cert.IsCA || cert.MaxPathLen != 1 {
		t.Errorf("root %s, CA %v, pathLen %d; want %s, CA, 1", cert.Subject, cert.IsCA, cert.MaxPathLen, want)
	}
	health := m.operator().must(t, 200, "GET", "/healthz", nil, nil).decode(t)
	if diff := cmp.Diff([]any{}, health["warnings"]); diff != "" || health["fingerprint"] != result["fingerprint"] {
		t.Errorf("healthz = %v", health)
	}
	metrics := m.operator().must(t, 200, "GET", "/metrics", m.admin(), nil)
	if !strings.Contains(string(metrics.body), "\ncullis_proxy_legacy_ca_pathlen_zero 0\n") {
		t.Errorf("metrics:\n%s", metrics.body)
	}
}
