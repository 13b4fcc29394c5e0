package inmemory_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// request is a certification request (DER) by a key for the names of a certificate.
func request(t testing.TB, certPEM []byte, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	cert, err := inmemory.Leaf(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject: cert.RawSubject,
		URIs:       cert.URIs,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func renewing(t testing.TB, m *inmemory.Mastio, certPEM []byte, key *ecdsa.PrivateKey) (agentcert.RenewResult, error) {
	t.Helper()
	return m.Renew.Renew(context.Background(), agentcert.RenewRequest{
		CertificatePEM: string(certPEM),
		CSR:            request(t, certPEM, key),
	})
}

func asPEM(csr []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})
}

var compromise = reason.Statement{Code: reason.KeyCompromise}

// A thief renews, or uses what it renewed, right before each commit of the operator: the operator wins, and neither the
// stolen certificate nor anything renewed from it gets a token afterwards.
func TestEmergencyWins(t *testing.T) {
	for name, end := range map[string]func(m *inmemory.Mastio) error{
		"rotation": func(m *inmemory.Mastio) error {
			_, err := m.RotateCert.Rotate(context.Background(), agentcert.RotateRequest{
				Agent:  "orga::kyc",
				Reason: compromise,
				By:     audit.By{Actor: "test"},
			})
			return err
		},
		"routine rotation": func(m *inmemory.Mastio) error {
			_,
				err := m.Rotate(context.Background(), "orga::kyc")
			return err
		},
		"deactivation": func(m *inmemory.Mastio) error {
			return m.Enroll.Deactivate(context.Background(), enroll.Deactivation{
				Agent:  "orga::kyc",
				Reason: compromise,
				By:     audit.By{Actor: "test"},
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got [][]byte // what the thief has
			rounds := 0
			m, times := meddled(t, "Apply", func(m *inmemory.Mastio) {
				newest := got[len(got)-1]
				if rounds++; rounds%2 == 0 {
					_, _ = m.TokenFor(context.Background(), newest)
					return
				}
				m.Advance(2 * time.Minute)
				next, err := renewing(t, m, newest, newKey(t))
				if err != nil {
					t.Errorf("round %d: the thief's renewal: %v", rounds, err)
					return
				}
				got = append(got, next.Certificate.CertPEM)
			})
			got = [][]byte{admit(t, m, "kyc").Certificate.CertPEM}
			*times = 12
			if err := end(m); err != nil {
				t.Fatalf("refused: %v", err)
			}
			if *times != 0 || len(got) != 7 {
				t.Fatalf("%d rounds were left, the thief has %d certificates: the test did not meddle", *times, len(got))
			}
			for _, certPEM := range got {
				counts(t, m, "what the thief has", certPEM, false)
				if _, err := renewing(t, m, certPEM, newKey(t)); !errors.Is(err, agent.ErrRevoked) {
					t.Errorf("the thief renews: %v", err)
				}
			}
		})
	}
}

// Another rotation at the same moment that left a grace is gone over again; only one that ended the certificate is not.
func TestEmergencyOverAnotherRotation(t *testing.T) {
	for name, c := range map[string]struct {
		grace time.Duration
		want  error
	}{"with grace": {time.Hour, nil}, "at once": {0, agentcert.ErrConcurrent}} {
		var other []byte
		m, times := meddled(t, "Apply", func(m *inmemory.Mastio) {
			out, err := m.RotateCert.Rotate(context.Background(), agentcert.RotateRequest{
				Agent: "orga::kyc",
				Grace: c.grace,
				By:    audit.By{Actor: "test"},
			})
			if err != nil {
				t.Error(err)
			}
			other = out.Certificate.CertPEM
		})
		stolen := admit(t, m, "kyc").Certificate.CertPEM
		*times = 1
		_, err := m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
			Agent:  "orga::kyc",
			Reason: compromise,
			By:     audit.By{Actor: "test"},
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		counts(t, m, name+": the stolen certificate", stolen, false)
		counts(t, m, name+": the other rotation's", other, c.want != nil)
	}
}

// One agent, many renewals at the same moment, each in an instance of its own: they cost no more signatures than three
// answers that were lost one after the other.
func TestParallelRenewalsCostFewSignatures(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	a := admit(t, m, "a")
	m.Keys.Fault = func(op string, after bool) error { // KMS is over the network
		if op == "Sign" && !after {
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	}
	const many = 200
	requests := make([][]byte, many)
	for n := range requests {
		requests[n] = request(t, a.Certificate.CertPEM, newKey(t))
	}
	before := m.Keys.Calls()["Sign"]
	var wg sync.WaitGroup
	var mu sync.Mutex
	start, ends := make(chan struct{}), map[string]int{}
	for _, csr := range requests {
		wg.Go(func() {
			<-start
			_, err := m.Renew.Renew(t.Context(), agentcert.RenewRequest{CertificatePEM: string(a.Certificate.CertPEM), CSR: csr})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				ends["answered"]++
			case errors.Is(err, agent.ErrRenewalEarly):
				ends["later"]++
			default:
				t.Errorf("renewal: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	if signed := m.Keys.Calls()["Sign"] - before; signed < 1 || signed > 4 || ends["answered"] < 1 ||
		ends["answered"] > signed || ends["answered"]+ends["later"] != many {
		t.Errorf("%d signatures, %v", signed, ends)
	}
}

// An answer that was lost, or a signature that failed, is asked for again at once, with the same request.
func TestLostRenewalIsRepeatedAtOnce(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	a := admit(t, m, "a")
	key := newKey(t)
	m.Keys.Fault = func(op string, _ bool) error {
		if op == "Sign" {
			return errors.New("KMS is away")
		}
		return nil
	}
	if _, err := renewing(t, m, a.Certificate.CertPEM, key); err == nil {
		t.Fatal("renewed without a signature")
	}
	m.Keys.Fault = nil
	before := m.Store.Calls()
	for range 2 {
		out, err := renewing(t, m, a.Certificate.CertPEM, key)
		if err != nil {
			t.Fatalf("repeated at once: %v", err)
		}
		if out.Previous.Thumbprint != a.Certificate.Pin.Thumbprint {
			t.Errorf("previous = %s", out.Previous.Thumbprint)
		}
	}
	// Each renewal: the agent, who has its new key, its keys, the reservation, the commit, one look at the pointer.
	if got := since(before, m.Store.Calls()); !maps.Equal(got,
		map[string]int{"View": 2, "KeyHolders": 2, "Keys": 2, "Apply": 4, "Pointer": 2}) {
		t.Errorf("calls of two renewals: %v", got)
	}
	_, err := renewing(t, m, a.Certificate.CertPEM, key)
	if !errors.Is(err, agent.ErrRenewalEarly) || problem.Of(err).RetryIn > time.Minute {
		t.Errorf("the fourth within a minute: %v", err)
	}
	m.Advance(time.Minute)
	if _, err := renewing(t, m, a.Certificate.CertPEM, key); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// A key is certified once: no way in takes the present key of an agent, or an earlier one.
func TestKeysAreCertifiedOnce(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	one, two := newKey(t), newKey(t)
	enrol := func(key *ecdsa.PrivateKey) (enroll.Result, error) {
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			t.Fatal(err)
		}
		return m.Enroll.Enroll(t.Context(), enroll.Request{
			Name:     "kyc",
			Material: agentcert.KeyRequest{CSR: asPEM(csr)},
			By:       audit.By{Actor: "test"},
		})
	}
	rotate := func(key *ecdsa.PrivateKey, why reason.Statement) (agentcert.RotateResult, error) {
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			t.Fatal(err)
		}
		return m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
			Agent:    "orga::kyc",
			Material: agentcert.KeyRequest{CSR: asPEM(csr)},
			Reason:   why,
			By:       audit.By{Actor: "test"},
		})
	}
	first := must[enroll.Result](t)(enrol(one))
	signed := m.Keys.Calls()["Sign"]
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, agent.ErrKeyUsed) {
			t.Errorf("%s: %v, want ErrKeyUsed", what, err)
		}
		if now := m.Keys.Calls()["Sign"]; now != signed {
			t.Errorf("%s cost a signature", what)
		}
	}
	_, err := renewing(t, m, first.Certificate.CertPEM, one)
	refused("renewal with the present key", err)
	_, err = rotate(one, reason.Statement{})
	refused("rotation to the present key", err)
	_, err = rotate(one, compromise)
	refused("emergency to the present key", err)
	second := must[agentcert.RotateResult](t)(rotate(two, reason.Statement{}))
	signed++
	_, err = rotate(one, reason.Statement{})
	refused("rotation to an earlier key", err)
	_, err = renewing(t, m, second.Certificate.CertPEM, one)
	refused("renewal with an earlier key", err)
	if err := m.Enroll.Deactivate(t.Context(), enroll.Deactivation{
		Agent: "orga::kyc",
		By:    audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	_, err = enrol(two)
	refused("enrolment again with the present key", err)
	_, err = enrol(one)
	refused("enrolment again with an earlier key", err)
	if _, err := enrol(newKey(t)); err != nil {
		t.Errorf("enrolment again with a new key: %v", err)
	}
}

// What was declared compromised is never forgotten, however many keys come after it, nor with the agent.
func TestCompromisedKeysAreKeptForGood(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	stolen, plain := newKey(t), newKey(t)
	bring := func(key *ecdsa.PrivateKey, why reason.Statement) error {
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
			Agent:    "orga::kyc",
			Material: agentcert.KeyRequest{CSR: asPEM(csr)},
			Reason:   why,
			By:       audit.By{Actor: "test"},
		})
		return err
	}
	admit(t, m, "kyc")
	for _, step := range []struct {
		key *ecdsa.PrivateKey
		why reason.Statement
	}{{stolen, reason.Statement{}}, {plain, compromise}} {
		if err := bring(step.key, step.why); err != nil {
			t.Fatal(err)
		}
	}
	for range agent.MaxEarlier + agent.MaxRecent + 1 {
		if err := bring(newKey(t), reason.Statement{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := bring(stolen, reason.Statement{}); !errors.Is(err, agent.ErrKeyUsed) {
		t.Errorf("the stolen key, %d keys later: %v", agent.MaxEarlier+agent.MaxRecent+2, err)
	}
	if err := bring(plain, reason.Statement{}); err != nil {
		t.Errorf("a key that was forgotten: %v", err)
	}
	for range 2 { // declared with the deactivation, and after it
		if err := m.Enroll.Deactivate(t.Context(), enroll.Deactivation{
			Agent:  "orga::kyc",
			Reason: compromise,
			By:     audit.By{Actor: "test"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	known := must[agent.Keys](t)(m.Store.Keys(t.Context(), "orga::kyc"))
	if len(known.Compromised) < 3 || !slices.Equal(known.Compromised, slices.Compact(slices.Clone(known.Compromised))) {
		t.Errorf("%d keys are declared compromised", len(known.Compromised))
	}
	if rows := events(t, m, "orga::kyc"); len(rows) != agent.MaxEarlier+agent.MaxRecent+6 {
		t.Errorf("%d rows: the repetition of a deactivation writes none", len(rows))
	}
}

// With a compromise the registered DPoP key goes too: a new one comes with the request, or none is registered.
func TestCompromiseEndsTheProofKey(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	first := admit(t, m, "kyc")
	var members map[string]any
	if err := json.Unmarshal(first.Material.DPoPJWK, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "d")
	public := must[[]byte](t)(json.Marshal(members))
	jkt, _, err := agentcert.ReadDPoPJWK(public)
	if err != nil {
		t.Fatal(err)
	}
	rotate := func(material agentcert.KeyRequest, why reason.Statement) (agentcert.RotateResult, error) {
		return m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
			Agent:    "orga::kyc",
			Material: material,
			Reason:   why,
			By:       audit.By{Actor: "test"},
		})
	}
	csr := func() []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		return asPEM(der)
	}
	if first.Agent.JKT != jkt {
		t.Fatalf("registered %q, want %q", first.Agent.JKT, jkt)
	}
	if _, err := rotate(agentcert.KeyRequest{
		CSR:     csr(),
		DPoPJWK: public,
	}, compromise); !errors.Is(err, agent.ErrProofKeyUsed) {
		t.Errorf("emergency with the present DPoP key: %v", err)
	}
	routine := must[agentcert.RotateResult](t)(rotate(agentcert.KeyRequest{CSR: csr()}, reason.Statement{}))
	if routine.Agent.JKT != jkt {
		t.Errorf("after a routine rotation by request: %q is registered, want %q", routine.Agent.JKT, jkt)
	}
	emergency := must[agentcert.RotateResult](t)(rotate(agentcert.KeyRequest{CSR: csr()}, compromise))
	if emergency.Agent.JKT != "" || emergency.Agent.Pin().JKT != "" {
		t.Errorf("after an emergency: %q is registered", emergency.Agent.JKT)
	}
	if _, err := rotate(agentcert.KeyRequest{
		CSR:     csr(),
		DPoPJWK: public,
	}, reason.Statement{}); !errors.Is(err, agent.ErrProofKeyUsed) {
		t.Errorf("registered again: %v", err)
	}
	fresh := must[agentcert.RotateResult](t)(rotate(agentcert.KeyRequest{}, compromise))
	if fresh.Agent.JKT == "" || fresh.Agent.JKT == jkt {
		t.Errorf("with keys made here: %q is registered", fresh.Agent.JKT)
	}
}
