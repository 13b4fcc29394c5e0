package token

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// instance is one instance of the function token: it remembers what it has looked for.
func instance(s *memstore.Store, id func() string) *Suspicions {
	log := slog.New(slog.DiscardHandler)
	return &Suspicions{Store: s, Suspects: &authn.Suspects{Store: s, NewID: id, Log: log}, Log: log}
}

func key(of string) (jkt string) {
	sum := sha256.Sum256([]byte(of))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// host runs one agent: the agent may have another name tomorrow.
type host struct {
	agent agent.ID
	files int // the rotation that its certificate and its keys are of
	own   bool
}

// A simulated month of 10,000 honest agents with DPoP keys, in two instances that restart every night: each agent has
// two replicas with one key, every third agent brought its key and keeps it, the others get a new one with their
// certificate every five days. A host in fifty gets a new name with its old key, and its address changes all the time.
// Every ninth write is lost, or its answer is. Nothing is suspect. Package agent has a month of certificates.
func TestAMonthOfHonestKeysRaisesNothing(t *testing.T) {
	const agents = 10_000
	writes, ids := 0, 0
	store := memstore.New(memstore.Config{Fault: func(op string) memstore.Fault {
		if op != "HoldKey" {
			return memstore.None
		}
		if writes++; writes%9 == 0 {
			return []memstore.Fault{memstore.Lose, memstore.HalfAck}[writes/9%2]
		}
		return memstore.None
	}})
	newID := func() string { ids++; return fmt.Sprint(ids) }
	enrol := func(id agent.ID, status agent.Status) {
		t.Helper()
		view, err := store.View(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var was agent.Agent
		if view.Agent != nil {
			was = *view.Agent
		}
		next := agent.Agent{ID: id, Method: agent.Minted, Status: status, Version: was.Version}
		c := registry.Change{ID: newID(), Agent: &next}.Ends(was, time.Time{})
		if err := store.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	hosts := make([]host, agents)
	for n := range hosts {
		hosts[n] = host{agent: agent.ID(fmt.Sprintf("orga::a-%d", n)), own: n%3 == 0}
		enrol(hosts[n].agent, agent.Active)
	}
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for day := range 30 {
		instances := []*Suspicions{instance(store, newID), instance(store, newID)}
		for n := range hosts {
			h := &hosts[n]
			if day%5 == n%5 {
				h.files++
			}
			if day == 15 && n%50 == 0 {
				enrol(h.agent, agent.Deactivated)
				h.agent += "-renamed"
				enrol(h.agent, agent.Active)
			}
			name := fmt.Sprintf("%d %d", n, h.files)
			used := possession{
				agent:      agent.Agent{ID: h.agent, Method: agent.Minted},
				thumbprint: name,
				leaf:       &x509.Certificate{RawSubjectPublicKeyInfo: []byte(name)},
				jkt:        key("proof " + name),
			}
			if h.own {
				used.jkt = key(fmt.Sprint("proof ", n))
			}
			for use := range 4 { // of two replicas, in either instance
				used.by = audit.By{SourceIP: fmt.Sprintf("192.0.2.%d", (n+day+use)%250)}
				used.at = begin.Add(time.Duration(day)*24*time.Hour + time.Duration(use)*time.Hour)
				if look := instances[use%2].look(used); look != nil {
					look(t.Context())
				}
			}
		}
	}
	if found, err := store.Suspects(t.Context(), 1); err != nil || len(found) > 0 {
		t.Errorf("suspect: %v, %v", found, err)
	}
	stolen := possession{
		agent: agent.Agent{ID: hosts[1].agent, Method: agent.SPIFFE},
		jkt:   key("proof 3"),
		at:    begin.AddDate(0, 1, 0),
	}
	instance(store, newID).look(stolen)(t.Context())
	if found, err := store.Suspects(t.Context(), 10); err != nil || len(found) != 2 {
		t.Errorf("a stolen key after that month: %v, %v; want both agents", found, err)
	}
	t.Logf("%d agents, %d calls of KeyHolders, %d of HoldKey", agents, store.Calls()["KeyHolders"], writes)
}
