package inmemory_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/test/inmemory"
)

var simulatedSize = flag.Int("fleet", 10_000, "agents of the simulated re-issue")

// Quotas of AWS: writes to Secrets Manager a second, which no support case raises, and signatures of KMS.
const (
	secretWrites = 50
	signatures   = 1000
)

// quota refuses what exceeds so many operations in a second.
type quota struct {
	now    func() time.Time
	limit  float64
	mu     sync.Mutex
	full   float64
	at     time.Time
	refuse int
}

var errThrottled = errors.New("ThrottlingException")

func (q *quota) take(n float64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.full = max(0, q.full-now.Sub(q.at).Seconds()*q.limit)
	q.at = now
	if q.full+n > q.limit {
		q.refuse++
		return errThrottled
	}
	q.full += n
	return nil
}

// simulatedFleet is a fleet on a clock that a synctest bubble moves.
type simulatedFleet struct {
	*inmemory.Mastio
	p             *inmemory.Process
	now           func() time.Time
	writes, signs quota
	inSecret      []enroll.Result
	renewing      []enroll.Result
	others        []agent.ID
}

// A rotation with an overlap: eight agents of ten follow without a human, at AWS's default quotas, the owners of the
// rest are notified, each agent is on record once, and no token request fails meanwhile. Of ten agents six have a
// secret, two renew themselves, one is BYOCA's and one SPIFFE's.
func TestFleetFollowsAtDefaultQuotas(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole fleet")
	}
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t, *simulatedSize)
		const overlap = 20 * time.Minute
		if _, err := s.p.RotateCA.Do(t.Context(), rotateca.Request{
			Mode:    rotateca.Mint,
			Overlap: overlap,
			By:      audit.By{Actor: "test"},
		}); err != nil {
			t.Fatal(err)
		}
		began := s.now()
		ctx, stop := context.WithCancel(t.Context())
		asked := s.askForTokens(ctx, t)
		renewed := s.renewInSlots(ctx, t)
		var moved time.Duration
		for state := orgca.Running; state != orgca.Finished && s.now().Sub(began) < 2*overlap; {
			r, err := s.p.Hygiene.Reissue(t.Context())
			if err != nil {
				t.Error(err)
			}
			done := s.delivered(t)
			t.Logf("%5s: %d of %d delivered, %d notified, %d failed, %s", s.now().Sub(began).Round(time.Second), done,
				len(s.inSecret), r.Notified, r.Failed, r.State)
			if r.State != "" {
				state = r.State
			}
			if done == len(s.inSecret) && moved == 0 {
				moved = s.now().Sub(began)
			}
			time.Sleep(began.Add((s.now().Sub(began)/time.Minute + 1) * time.Minute).Sub(s.now()))
		}
		stop()
		t.Logf("%d agents with secrets after %s; %d renewed; %d tokens; refused by quotas: %d and %d", len(s.inSecret),
			moved.Round(time.Second), <-renewed, <-asked, s.writes.refuse, s.signs.refuse)
		if moved == 0 || moved > 15*time.Minute {
			t.Errorf("all deliveries after %s, want at most 15 minutes", moved)
		}
		if s.writes.refuse+s.signs.refuse > 0 {
			t.Errorf("quotas refused %d writes and %d signatures", s.writes.refuse, s.signs.refuse)
		}
		s.recorded(t)
	})
}

// simulate enrols the fleet.
func simulate(t *testing.T, size int) *simulatedFleet {
	t.Helper()
	s := &simulatedFleet{Mastio: inmemory.New(memstore.Config{})}
	start := time.Now()
	s.now = func() time.Time { return inmemory.Start.Add(time.Since(start)) }
	s.writes, s.signs = quota{now: s.now, limit: secretWrites}, quota{now: s.now, limit: signatures}
	s.p = s.Spawn(s.now, func(p *boot.Parts) { p.ReissuePace = 15 })
	if _, err := s.p.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := range size {
		name := fmt.Sprintf("agent-%05d", n)
		switch kind := n % 10; kind {
		case 8, 9:
			s.others = append(s.others, s.outside(t, name, map[int]agent.Method{8: agent.BYOCA, 9: agent.SPIFFE}[kind]))
		default:
			deliver := agent.SecretsManager
			if kind >= 6 {
				deliver = agent.Notify
			}
			ask := enroll.Request{Name: name, Deliver: deliver, By: audit.By{Actor: "test"}}
			a, err := s.p.Enroll.Enroll(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			if kind < 6 {
				s.inSecret = append(s.inSecret, a)
				continue
			}
			s.renewing = append(s.renewing, s.hasRenewed(t, a))
		}
	}
	s.Secrets.Fault = func(op string, after bool) error {
		if cost := map[string]float64{"Stage": 2, "Promote": 1}[op]; !after && cost > 0 {
			return s.writes.take(cost) // the first version of a secret is refused, and sent again
		}
		return nil
	}
	s.Keys.Fault = func(op string, after bool) error {
		if op == "Sign" && !after {
			return s.signs.take(1)
		}
		return nil
	}
	return s
}

// hasRenewed marks an agent's certificate as one that came by a renewal.
func (s *simulatedFleet) hasRenewed(t *testing.T, a enroll.Result) enroll.Result {
	t.Helper()
	v, err := s.Store.View(t.Context(), a.Agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	v.Agent.Pins[0].Renewed = s.now().Add(-time.Hour)
	if err := s.Store.Apply(t.Context(), registry.Change{ID: s.NewID(), Agent: v.Agent}); err != nil {
		t.Fatal(err)
	}
	return a
}

// outside stores an agent whose certificate was issued elsewhere, as its enrolment leaves it.
func (s *simulatedFleet) outside(t *testing.T, name string, m agent.Method) agent.ID {
	t.Helper()
	id := agent.ID(inmemory.OrgID + "::" + name)
	a := agent.Agent{ID: id, Method: m, Status: agent.Active, EnrolledAt: s.now()}
	if m == agent.BYOCA {
		a.Pins = []agent.Pin{{
			Thumbprint: fmt.Sprintf("%064x", len(s.others)+1),
			Generation: 1,
			NotBefore:  s.now(),
			NotAfter:   s.now().AddDate(1, 0, 0),
		}}
	} else {
		a.SPIFFEID = "spiffe://" + inmemory.TrustDomain + "/" + name
	}
	s.Seed(t, a)
	return id
}

// certificate is what the agent of a secret has now.
func (s *simulatedFleet) certificate(a enroll.Result) string {
	var v struct {
		CertPEM string `json:"cert_pem"`
	}
	if raw := s.Secrets.Current(hygiene.SecretName(a.Agent.ID)); raw != nil && json.Unmarshal(raw, &v) == nil {
		return v.CertPEM
	}
	return string(a.Certificate.CertPEM)
}

// askForTokens has one agent after the other ask for a token, twenty a second.
func (s *simulatedFleet) askForTokens(ctx context.Context, t *testing.T) <-chan int {
	asked := make(chan int, 1)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			a := s.inSecret[n%len(s.inSecret)]
			ask := token.Request{CertificatePEM: s.certificate(a)}
			if _, err := s.p.Token.Issue(context.WithoutCancel(ctx), ask); err != nil {
				t.Errorf("token request %d of %s: %v", n, a.Agent.ID, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		asked <- n
	}()
	return asked
}

// renewInSlots has each agent that renews itself do so at the start of its slot.
func (s *simulatedFleet) renewInSlots(ctx context.Context, t *testing.T) <-chan int {
	renewed := make(chan int, 1)
	go func() {
		done := map[agent.ID]bool{}
		for ctx.Err() == nil {
			p, err := s.Store.Pointer(t.Context(), "")
			if err != nil {
				t.Error(err)
			}
			for _, a := range s.renewing {
				w := agent.RenewalWindowOf(a.Agent.ID, a.Certificate.Pin, *p, s.now())
				if done[a.Agent.ID] || s.now().Before(w.Start) {
					continue
				}
				done[a.Agent.ID] = true
				s.renew(t, a)
			}
			time.Sleep(time.Second)
		}
		renewed <- len(done)
	}()
	return renewed
}

func (s *simulatedFleet) renew(t *testing.T, a enroll.Result) {
	leaf, err := inmemory.Leaf(a.Certificate.CertPEM)
	if err != nil {
		t.Error(err)
		return
	}
	key := newKey(t)
	names := &x509.CertificateRequest{RawSubject: leaf.RawSubject, URIs: leaf.URIs}
	csr, err := x509.CreateCertificateRequest(rand.Reader, names, key)
	if err != nil {
		t.Error(err)
		return
	}
	ask := agentcert.RenewRequest{CertificatePEM: string(a.Certificate.CertPEM), CSR: csr}
	out, err := s.p.Renew.Renew(t.Context(), ask)
	if err != nil {
		t.Errorf("renewal of %s: %v", a.Agent.ID, err)
		return
	}
	if _, err := s.p.Token.Issue(t.Context(), token.Request{
		CertificatePEM: string(out.Certificate.CertPEM),
	}); err != nil {
		t.Errorf("token of %s with its renewed certificate: %v", a.Agent.ID, err)
	}
}

func (s *simulatedFleet) delivered(t *testing.T) (n int) {
	t.Helper()
	for _, a := range s.inSecret {
		if s.Secrets.Current(hygiene.SecretName(a.Agent.ID)) != nil {
			n++
		}
	}
	return n
}

// recorded fails unless every agent is where it belongs, and on record once.
func (s *simulatedFleet) recorded(t *testing.T) {
	t.Helper()
	check := func(id agent.ID, generation int64, event audit.Event) {
		rows, err := s.Store.Rows(t.Context(), string(id), 1, 10)
		if err != nil {
			t.Fatal(err)
		}
		moves := 0
		for _, r := range rows {
			switch r.EventType {
			case event:
				moves++
			case audit.AgentCertActivated:
			default:
				t.Errorf("%s has the row %s", id, r.EventType)
			}
		}
		v, err := s.Store.View(t.Context(), id)
		if err != nil || moves != 1 || v.Agent.Pin().Generation != generation {
			t.Errorf("%s: %d rows %s, newest pin of generation %d (%v); want one, and generation %d", id, moves, event,
				v.Agent.Pin().Generation, err, generation)
		}
	}
	for _, a := range s.inSecret {
		check(a.Agent.ID, 2, audit.AgentCertRotated)
	}
	for _, a := range s.renewing {
		check(a.Agent.ID, 2, audit.AgentCertRenewed)
	}
	for n, id := range s.others {
		check(id, int64(1-n%2), audit.AgentCertDue)
	}
	org, err := s.Store.Org(t.Context())
	if err != nil || org.Reissue.State != orgca.Finished || org.Reissue.Notified != int64(len(s.others)) {
		t.Errorf("the re-issue ends as %+v, %v", org.Reissue, err)
	}
}
