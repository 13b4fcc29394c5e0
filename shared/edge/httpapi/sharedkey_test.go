package httpapi_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/warnings"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// pair is a Mastio with two agents: one with the keys that the Mastio made, and one that brought its TLS key and may
// prove possession of any DPoP key.
type pair struct {
	*world
	made, brought holder
}

func twoAgents(t testing.TB) pair {
	t.Helper()
	w := open(t, memstore.Config{})
	return pair{w, w.enrol(t, "made", "kyc:read"), w.bring(t, "brought", newKey(t), nil)}
}

// bring enrols an agent by a certification request, with a DPoP key or none.
func (w *world) bring(t testing.TB, name string, key, proofKey *ecdsa.PrivateKey) holder {
	t.Helper()
	members := map[string]any{"agent_name": name, "csr_pem": csr(t, key)}
	if proofKey != nil {
		members["dpop_jwk"] = publicJWK(t, proofKey)
	}
	request, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	var h holder
	w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(string(request)))).into(t, http.StatusCreated, &h)
	return h
}

// proves is a token request with a proof by a key, which has to be answered with a status.
func (w *world) proves(t testing.TB, h holder, key *ecdsa.PrivateKey, edits ...edit) {
	t.Helper()
	w.tokenStatus(t, h.ID, h.CertPEM, 200, append(edits, header("DPoP", prove(t, key, w.Now(), "")))...)
}

// tlsKey is the key of an agent's certificate.
func (h holder) tlsKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, ok := h.signingKey(t).(*ecdsa.PrivateKey)
	if !ok {
		t.Fatal("the agent's key is none of ECDSA")
	}
	return key
}

// refusesKey is a renewal by a key of another agent.
func (w *world) refusesKey(t testing.TB, h holder, key *ecdsa.PrivateKey) {
	t.Helper()
	var problem struct {
		Code string `json:"code"`
	}
	w.send(t, renewJSON(t, h.CertPEM, request(t, h.CertPEM, key))).into(t, 400, &problem)
	if problem.Code != "key_of_another_agent" {
		t.Errorf("a renewal by a key of another agent: %s", problem.Code)
	}
}

// suspicionsOf are the rows about the agents' credentials, by agent.
func (w *world) suspicionsOf(t testing.TB, agents ...holder) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for _, h := range agents {
		for _, r := range (theft{w, h}).suspicions(t) {
			if found[h.ID] != nil {
				t.Errorf("%s has two rows", h.ID)
			}
			found[h.ID] = r.Details
		}
	}
	return found
}

// One key of two agents marks both, at the first use by the second one, whichever of the two it is.
func TestSharedKeysAreNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		evidence agent.Evidence
		script   func(*testing.T, pair)
	}{
		"a DPoP key under another agent": {agent.ForeignProofKey, func(t *testing.T, p pair) {
			p.proves(t, p.made, p.made.proofKey(t))
			p.proves(t, p.brought, p.made.proofKey(t))
		}},
		"the thief was first": {agent.ForeignProofKey, func(t *testing.T, p pair) {
			p.proves(t, p.brought, p.made.proofKey(t))
			p.proves(t, p.made, p.made.proofKey(t))
		}},
		"weeks later, in another instance": {agent.ForeignProofKey, func(t *testing.T, p pair) {
			p.proves(t, p.made, p.made.proofKey(t))
			p.Advance(50 * 24 * time.Hour)
			p.restart(t)
			p.proves(t, p.brought, p.made.proofKey(t))
		}},
		"the key was in use for long": {agent.ForeignProofKey, func(t *testing.T, p pair) {
			for range 5 {
				p.proves(t, p.made, p.made.proofKey(t))
				p.Advance(50 * 24 * time.Hour)
				p.restart(t)
			}
			p.proves(t, p.brought, p.made.proofKey(t))
		}},
		"by an assertion": {agent.ForeignProofKey, func(t *testing.T, p pair) {
			p.proves(t, p.made, p.made.proofKey(t))
			p.proves(t, p.brought, p.made.proofKey(t), asserted(p.ownAssertion(t, p.brought)))
		}},
		"of an agent that was rotated since": {agent.ForeignProofKey, func(t *testing.T, p pair) {
			p.proves(t, p.made, p.made.proofKey(t))
			p.rotate(t, p.made.ID, `{}`)
			p.proves(t, p.brought, p.made.proofKey(t))
		}},
		"a request by a TLS key of another agent": {agent.ForeignRequest, func(t *testing.T, p pair) {
			p.tokenStatus(t, "made", p.made.CertPEM, 200)
			p.refusesKey(t, p.brought, p.made.tlsKey(t))
		}},
		"a request by a DPoP key of another agent": {agent.ForeignRequest, func(t *testing.T, p pair) {
			p.proves(t, p.made, p.made.proofKey(t))
			p.refusesKey(t, p.brought, p.made.proofKey(t))
		}},
		"a request by a TLS key of long ago": {agent.ForeignRequest, func(t *testing.T, p pair) {
			p.tokenStatus(t, "made", p.made.CertPEM, 200)
			for range agent.MaxRecent + 2 {
				p.rotate(t, p.made.ID, `{}`)
			}
			p.refusesKey(t, p.brought, p.made.tlsKey(t))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := twoAgents(t)
			c.script(t, p)
			rows := p.suspicionsOf(t, p.made, p.brought)
			for h, other := range map[string]string{p.made.ID: p.brought.ID, p.brought.ID: p.made.ID} {
				if rows[h]["evidence"] != string(c.evidence) || rows[h]["other_agent"] != other ||
					rows[h]["source_ip"] == "" || rows[h]["contained"] != false {
					t.Errorf("row of %s: %v", h, rows[h])
				}
			}
			var state struct {
				Warnings []warnings.Warning `json:"warnings"`
			}
			p.send(t, event("GET", "/healthz", admin)).into(t, 200, &state)
			if len(state.Warnings) == 0 || state.Warnings[0] != warnings.CredentialSuspect {
				t.Errorf("health warns of %v", state.Warnings)
			}
			p.proves(t, p.brought, newKey(t)) // a second row would be reported
			p.restart(t)
			p.proves(t, p.brought, p.made.proofKey(t))
			p.suspicionsOf(t, p.made, p.brought)
		})
	}
}

// A compromised key of a deactivated agent is evidence against the agent that has it, though the other is gone.
func TestCompromisedKeyOfADeactivatedAgent(t *testing.T) {
	p := twoAgents(t)
	p.proves(t, p.made, p.made.proofKey(t))
	p.send(t, event("DELETE", "/v1/admin/agents/"+p.made.ID, admin, query("reason", "keyCompromise")))
	p.proves(t, p.brought, p.made.proofKey(t))
	rows := p.suspicionsOf(t, p.made, p.brought)
	if len(rows) != 1 || rows[p.brought.ID]["other_agent"] != p.made.ID {
		t.Errorf("rows: %v", rows)
	}
}

// What honest agents do with their keys raises nothing.
func TestHonestKeysAreNotSuspect(t *testing.T) {
	for name, script := range map[string]func(*testing.T, pair){
		"replicas with one key": func(t *testing.T, p pair) {
			for range 3 {
				p.proves(t, p.made, p.made.proofKey(t))
				p.restart(t)
			}
		},
		"another network": func(t *testing.T, p pair) {
			p.proves(t, p.made, p.made.proofKey(t))
			p.proves(t, p.made, p.made.proofKey(t),
				func(e *events.APIGatewayProxyRequest) { e.RequestContext.Identity.SourceIP = "198.51.100.9" })
		},
		"a key for each process": func(t *testing.T, p pair) {
			for range 4 {
				p.proves(t, p.brought, newKey(t))
			}
		},
		"a key for each login": func(t *testing.T, p pair) {
			for range 3 {
				p.proves(t, p.made, newKey(t), asserted(p.ownAssertion(t, p.made)))
			}
		},
		"a host with a new name": func(t *testing.T, p pair) {
			p.proves(t, p.made, p.made.proofKey(t))
			p.tokenStatus(t, "made", p.made.CertPEM, 200)
			p.send(t, event("DELETE", "/v1/admin/agents/"+p.made.ID, admin))
			next := p.bring(t, "renamed", p.made.tlsKey(t), p.made.proofKey(t))
			p.proves(t, next, p.made.proofKey(t))
			p.restart(t)
			p.proves(t, next, p.made.proofKey(t))
			if rows := p.suspicionsOf(t, next); len(rows) != 0 {
				t.Errorf("the new name is suspect: %v", rows)
			}
		},
		"a registered key that was never proved": func(t *testing.T, p pair) {
			p.proves(t, p.made, p.made.proofKey(t))
			copied := p.bring(t, "copied", newKey(t), p.made.proofKey(t)) // the public key is public
			p.tokenStatus(t, "without a proof", copied.CertPEM, 200)
		},
		"its own DPoP key in a request": func(t *testing.T, p pair) {
			p.proves(t, p.made, p.made.proofKey(t))
			theft{p.world, p.made}.renews(t, side{p.made.CertPEM})
			p.send(t, renewJSON(t, p.made.CertPEM, request(t, p.made.CertPEM, p.made.proofKey(t))))
		},
		"a renewal whose answer was lost": func(t *testing.T, p pair) {
			key := newKey(t)
			for range 2 {
				var next renewAnswer
				p.send(t, renewJSON(t, p.made.CertPEM, request(t, p.made.CertPEM, key))).into(t, 200, &next)
				p.tokenStatus(t, "before its use", p.made.CertPEM, 200)
			}
		},
		"an operator's request by another agent's key": func(t *testing.T, p pair) {
			p.tokenStatus(t, "made", p.made.CertPEM, 200)
			body := jsonBody(`{"csr_pem":` + jsonText(t, csr(t, p.made.tlsKey(t))) + `}`)
			p.refuse(t, "/registry/agents/{agent_id}/rotate-cert", refusal{"a rotation",
				event("POST", "/registry/agents/"+p.brought.ID+"/rotate-cert", admin, body), 400, "key_of_another_agent"})
		},
		"BYOCA agents with one TLS key": func(t *testing.T, p pair) {
			key := newKey(t)
			for _, name := range []string{"one", "two"} {
				leaf := sign(t, p.orgCA(t), leafTemplate(p.Now()), key)
				var got enrolAnswer
				p.postBYOCA(t, byocaRequest(t, name, leaf)).into(t, 201, &got)
				p.tokenStatus(t, name, leaf.certPEM(), 200)
				if rows := p.suspicionsOf(t, holder{ID: got.ID}); len(rows) != 0 {
					t.Errorf("%s is suspect: %v", name, rows)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := twoAgents(t)
			script(t, p)
			if rows := p.suspicionsOf(t, p.made, p.brought); len(rows) != 0 {
				t.Errorf("suspicions: %v", rows)
			}
		})
	}
}

// The steady state of a token costs no read more: what an instance has noted it does not look for again.
func TestKeysAreNotedOnce(t *testing.T) {
	p := twoAgents(t)
	calls := func() (n int) {
		all := p.Store.Calls()
		return all["KeyHolders"] + all["HoldKey"]
	}
	before := calls()
	p.proves(t, p.made, p.made.proofKey(t))
	if n := calls() - before; n != 3 {
		t.Errorf("%d calls for a new certificate and a new DPoP key, want a look and two notes", n)
	}
	before = calls()
	for range 10 {
		p.proves(t, p.made, p.made.proofKey(t))
		p.Advance(time.Hour)
	}
	if n := calls() - before; n != 0 {
		t.Errorf("%d calls for tokens with keys that are noted, want none", n)
	}
	p.restart(t)
	if p.proves(t, p.made, p.made.proofKey(t)); calls()-before != 1 {
		t.Errorf("%d calls in another instance, want one look", calls()-before)
	}
	before = calls()
	p.rotate(t, p.made.ID, `{}`)
	if n := calls() - before; n != 0 {
		t.Errorf("%d calls for a rotation with a key that the Mastio makes, want none", n)
	}
}

// A look that fails is repeated with the next token, and no token waits for it or fails.
func TestLooksThatFailAreRepeated(t *testing.T) {
	broken := false
	w := open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if broken && (op == "KeyHolders" || op == "HoldKey") {
			return memstore.Refuse
		}
		return memstore.None
	}})
	p := pair{w, w.enrol(t, "made", "kyc:read"), w.bring(t, "brought", newKey(t), nil)}
	p.proves(t, p.made, p.made.proofKey(t))
	broken = true
	p.proves(t, p.brought, p.made.proofKey(t))
	if rows := p.suspicionsOf(t, p.made, p.brought); len(rows) != 0 {
		t.Errorf("a look that failed found %v", rows)
	}
	broken = false
	p.proves(t, p.brought, p.made.proofKey(t))
	if rows := p.suspicionsOf(t, p.made, p.brought); len(rows) != 2 {
		t.Errorf("the next look found %v", rows)
	}
}

// A suspect SPIFFE agent, which has no certificate to rotate, is trusted again with the enrolment that updates it.
// Until then a contained one gets no token, and an enrolment that is only repeated ends nothing.
func TestSharedKeyOfASPIFFEAgent(t *testing.T) {
	w := open(t, memstore.Config{})
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	id := svid(t, server.root, workload, w.Now())
	asked := spiffeRequest(t, "kyc", id, server.root.Chain[0]).with("suspicion", "contain")
	var got enrolAnswer
	w.postSPIFFE(t, asked).into(t, 201, &got)
	h, made := holder{ID: got.ID, CertPEM: id.certPEM()}, w.enrol(t, "made", "kyc:read")
	w.proves(t, made, made.proofKey(t))
	w.proves(t, h, made.proofKey(t))
	rows := w.suspicionsOf(t, h, made)
	if rows[h.ID]["contained"] != true || rows[made.ID]["contained"] != false {
		t.Fatalf("rows: %v", rows)
	}
	w.tokenStatus(t, "contained", h.CertPEM, 401)
	w.tokenStatus(t, "notify", made.CertPEM, 200)
	w.postSPIFFE(t, asked).into(t, 200, &got)
	w.tokenStatus(t, "after the same enrolment", h.CertPEM, 401)
	w.postSPIFFE(t, asked.with("update_existing", true)).into(t, 201, &got)
	w.tokenStatus(t, "after an update", h.CertPEM, 200)
	if found, err := w.Store.Suspects(t.Context(), 10); err != nil || len(found) != 1 || string(found[0]) != made.ID {
		t.Errorf("suspect: %v, %v; want the other agent", found, err)
	}
}

// A clock that was ten years ahead noted a key: the key is known for longer, and its agent may go all the same.
func TestNoteOfAClockThatWasAhead(t *testing.T) {
	p := twoAgents(t)
	key := newKey(t)
	jwk := thumbprint(t, key)
	for _, name := range agent.ProvedKeys("", jwk) {
		h := registry.HolderOf(name, agent.ID(p.made.ID), p.Now().AddDate(10, 0, 0))
		if err := p.Store.HoldKey(t.Context(), h, ""); err != nil {
			t.Fatal(err)
		}
	}
	p.send(t, event("DELETE", "/v1/admin/agents/"+p.made.ID, admin))
	p.proves(t, p.brought, key)
	if rows := p.suspicionsOf(t, p.made, p.brought); len(rows) != 0 {
		t.Errorf("suspicions: %v", rows)
	}
	held, err := p.Store.KeyHolders(t.Context(), agent.ProvedKeys("", jwk)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range held {
		if h.Agent != agent.ID(p.brought.ID) || h.Until.After(p.Now().Add(registry.KeyHeld)) {
			t.Errorf("the key is held by %s until %s", h.Agent, h.Until)
		}
	}
}
