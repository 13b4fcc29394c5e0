package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"sync"
	"testing"

	"github.com/mastio-aws/mastio/test/pkitest"
)

// certify is a rotation's body with a request by a key.
func certify(t *testing.T, key *pkitest.Signer, reason string) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]string{"csr_pem": string(pem.EncodeToMemory(&pem.Block{
		Type:  "CERTIFICATE REQUEST",
		Bytes: der,
	}))}
	if reason != "" {
		members["reason"] = reason
	}
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func refusedAs(t *testing.T, what string, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.code() != code {
		t.Errorf("%s: %d %s, want %d %s", what, a.status, a.body, status, code)
	}
}

// A key is certified once, and never after a compromise: neither by a rotation, a renewal (JSON and EST), nor an
// enrolment.
func TestAKeyIsCertifiedOnce(t *testing.T) {
	m := borrow(t)
	first := m.enrol(t, fresh("keys"))
	rotation := "/registry/agents/" + first.AgentID + "/rotate-cert"
	held, ok := first.certificate(t).PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatal("the private key signs nothing")
	}
	present := &pkitest.Signer{Signer: held}
	again := func(what string, body []byte) {
		t.Helper()
		a, err := m.operator().do(t.Context(), "POST", rotation, with(m.admin(), "Content-Type", "application/json"), body)
		if err != nil {
			t.Fatal(err)
		}
		refusedAs(t, what, a, 400, "key_not_fresh")
	}
	again("rotation to the present key", certify(t, present, ""))
	again("rotation for compromise to the present key", certify(t, present, "keyCompromise"))
	cert, err := x509.ParseCertificate(first.certificate(t).Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject: cert.RawSubject,
		URIs:       cert.URIs,
	}, present)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	refusedAs(t, "renewal with the present key", m.renewWith(t, first, csr), 400, "key_not_fresh")
	est, err := m.newClient(first.certificate(t)).do(t.Context(), "POST", "/.well-known/est/simplereenroll",
		map[string]string{"Content-Type": "application/pkcs10"}, []byte(base64.StdEncoding.EncodeToString(der)))
	if err != nil {
		t.Fatal(err)
	}
	refusedAs(t, "renewal over EST with the present key", est, 400, "key_not_fresh")
	second := read(t, m.operator().must(t, 200, "POST", rotation, with(m.admin(), "Content-Type", "application/json"),
		[]byte(`{"reason":"keyCompromise"}`)))
	again("rotation back to the compromised key", certify(t, present, ""))
	m.operator().must(t, 204, "DELETE", "/v1/admin/agents/"+first.AgentID, m.admin(), nil)
	name := first.AgentID[len("orga::"):]
	var enrolment map[string]any
	if err := json.Unmarshal(certify(t, present, ""), &enrolment); err != nil {
		t.Fatal(err)
	}
	enrolment["agent_name"] = name
	refusedAs(t, "enrolment again with the compromised key", m.postJSON(t, 400, "/v1/admin/agents", enrolment), 400,
		"key_not_fresh")
	m.token(t, first, 401)
	m.token(t, second, 401)
}

// A thief renews the stolen certificate all the time. The operator's rotation for compromise succeeds, and afterwards
// neither the stolen certificate nor anything that was renewed from it gets a token.
func TestAnEmergencyWinsOverAThief(t *testing.T) {
	m := borrow(t)
	stolen := m.enrol(t, fresh("stolen"))
	var mu sync.Mutex
	loot := []credential{stolen}
	stop, started := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for round := 0; ; round++ {
				if n == 0 && round == 1 {
					close(started)
				}
				select {
				case <-stop:
					return
				default:
				}
				csr, key := renewalOf(t, stolen)
				if a := m.renewWith(t, stolen, csr); a.status == 200 {
					next := read(t, a)
					next.KeyPEM = outsider{key: key.Signer}.keyPEM(t)
					mu.Lock()
					loot = append(loot, next)
					mu.Unlock()
				}
			}
		})
	}
	<-started
	path := "/registry/agents/" + stolen.AgentID + "/rotate-cert"
	a := m.operator().must(t, 200, "POST", path, with(m.admin(), "Content-Type", "application/json"),
		[]byte(`{"reason":"keyCompromise"}`))
	close(stop)
	wg.Wait()
	if len(loot) < 2 {
		t.Error("the thief renewed nothing: the test did not meddle")
	}
	for _, i := range loot {
		m.token(t, i, 401)
	}
	m.token(t, read(t, a), 200)
}

// Words decide nothing by their spelling: what is no reason is refused and changes nothing, on every route that takes
// one.
func TestUnknownReasonsAreRefused(t *testing.T) {
	m := borrow(t)
	agent := m.enrol(t, fresh("reason"))
	for _, reason := range []string{"key_compromise", "keyCompromise%20", "stolen"} {
		for _, c := range [][2]string{{"DELETE", "/v1/admin/agents/" + agent.AgentID + "?reason=" + reason},
			{"POST", "/pki/rotate-ca?mode=mint&reason=" + reason}} {
			a, err := m.operator().do(t.Context(), c[0], c[1], m.admin(), nil)
			if err != nil {
				t.Fatal(err)
			}
			refusedAs(t, c[0]+" "+c[1], a, 400, "reason_invalid")
		}
	}
	for _, reason := range []string{"key_compromise", "keyCompromise ", "stolen"} {
		body, err := json.Marshal(map[string]string{"reason": reason})
		if err != nil {
			t.Fatal(err)
		}
		a := m.operator().must(t, 400, "POST", "/registry/agents/"+agent.AgentID+"/rotate-cert",
			with(m.admin(), "Content-Type", "application/json"), body)
		refusedAs(t, "rotate-cert: "+reason, a, 400, "reason_invalid")
	}
	m.token(t, agent, 200)
}

// Two hundred renewals of one agent at the same moment cost at most four signatures of the key that all agents share.
func TestParallelRenewalsOfOneAgentCostFourSignatures(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	agent := m.enrol(t, fresh("greedy"))
	c := m.newClient(agent.certificate(t))
	const many = 200
	var bodies [][]byte
	for range many {
		csr, _ := renewalOf(t, agent)
		body, err := json.Marshal(map[string]string{"csr_pem": string(pem.EncodeToMemory(&pem.Block{
			Type:  "CERTIFICATE REQUEST",
			Bytes: csr.Raw,
		}))})
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	ends := map[int]int{}
	calls := m.faults.count(func() {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, body := range bodies {
			wg.Go(func() {
				a, err := c.do(t.Context(), "POST", "/v1/agent/renew", map[string]string{"Content-Type": "application/json"}, body)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ends[a.status]++
			})
		}
		wg.Wait()
	})
	if signed := calls["kms.Sign"]; signed < 1 || signed > 4 || ends[http.StatusOK] < 1 || ends[http.StatusOK] > signed {
		t.Errorf("%d signatures, answers %v, calls %v", signed, ends, calls)
	}
	m.token(t, agent, 200)
}
