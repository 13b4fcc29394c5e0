package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// side is one of two holders of an agent's credential, or a replica of the agent.
type side struct{ certPEM string }

// theft is a Mastio with one agent.
type theft struct {
	*world
	agent holder
}

func (x theft) asks(t testing.TB, s side, status int) {
	t.Helper()
	x.tokenStatus(t, "a token", s.certPEM, status)
}

// renews gives a side the successor of its certificate.
func (x theft) renews(t testing.TB, s side) side {
	t.Helper()
	var next renewAnswer
	x.send(t, renewJSON(t, s.certPEM, request(t, s.certPEM, newKey(t)))).into(t, 200, &next)
	return side{next.CertPEM}
}

// suspicions are the rows of the agent about a suspect credential.
func (x theft) suspicions(t testing.TB) (rows []audit.Row) {
	t.Helper()
	all, err := x.Store.Rows(t.Context(), x.agent.ID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.EventType == audit.AgentCredentialSuspect {
			rows = append(rows, r)
		}
	}
	return rows
}

const (
	life  = 5 * time.Minute
	later = life + time.Minute // than what a replica that was in use may be late
)

// Each script ends with the first use by the side that lost, which is noticed.
func TestTheftsAreNoticedAtTheLosersFirstUse(t *testing.T) {
	for name, script := range map[string]func(*testing.T, theft, side){
		"the thief renews, the agent loses": func(t *testing.T, x theft, s side) {
			thief := x.renews(t, s)
			x.asks(t, thief, 200)
			x.Advance(later)
			x.asks(t, s, 401)
		},
		"the agent renews, the thief loses": func(t *testing.T, x theft, s side) {
			next := x.renews(t, s)
			x.asks(t, next, 200)
			x.Advance(24 * time.Hour)
			x.asks(t, s, 401)
		},
		"the thief comes after weeks": func(t *testing.T, x theft, s side) {
			x.asks(t, x.renews(t, s), 200)
			x.Advance(30 * 24 * time.Hour)
			x.asks(t, s, 401)
		},
		"both renew, one successor is used": func(t *testing.T, x theft, s side) {
			one, two := x.renews(t, s), x.renews(t, s)
			x.asks(t, two, 200)
			x.Advance(later)
			x.asks(t, one, 401)
		},
		"both renew, the certificate before is used": func(t *testing.T, x theft, s side) {
			x.renews(t, s)
			x.asks(t, x.renews(t, s), 200)
			x.Advance(later)
			x.asks(t, s, 401)
		},
		"the thief renews twice": func(t *testing.T, x theft, s side) {
			thief := x.renews(t, s)
			x.asks(t, thief, 200)
			x.Advance(time.Hour)
			x.asks(t, x.renews(t, thief), 200)
			x.Advance(later)
			x.asks(t, s, 401)
		},
		"an older certificate of the agent": func(t *testing.T, x theft, s side) {
			old := s
			for range 3 {
				s = x.renews(t, s)
				x.asks(t, s, 200)
				x.Advance(24 * time.Hour)
			}
			x.asks(t, old, 401)
		},
		"a key that the agent's record no longer names": func(t *testing.T, x theft, s side) {
			old := s
			for range agent.MaxRecent + 3 {
				s = x.renews(t, s)
				x.asks(t, s, 200)
				x.Advance(24 * time.Hour)
			}
			x.asks(t, old, 401)
		},
		"in an overlap of the Org CA": func(t *testing.T, x theft, s side) {
			x.change(t, query("mode", "mint"), query("overlap", "604800"))
			x.asks(t, x.renews(t, s), 200)
			x.Advance(later)
			x.asks(t, s, 401) // its pin is kept for a rollback
		},
		"after an operator's rotation": func(t *testing.T, x theft, _ side) {
			s := side{x.rotate(t, x.agent.ID, `{}`).CertPEM}
			x.asks(t, s, 200)
			x.asks(t, x.renews(t, s), 200)
			x.Advance(later)
			x.asks(t, s, 401)
		},
		"in an instance that was started since": func(t *testing.T, x theft, s side) {
			x.asks(t, x.renews(t, s), 200)
			x.Advance(later)
			x.restart(t)
			x.asks(t, s, 401)
		},
		"with another agent's name": func(t *testing.T, x theft, s side) {
			x.asks(t, x.renews(t, s), 200)
			x.Advance(later)
			x.tokenStatus(t, "client_id", s.certPEM, 401, body(formType, "client_id="+x.agent.ID))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, memstore.Config{})
			x := theft{w, w.enrol(t, "kyc", "kyc:read")}
			script(t, x, side{x.agent.CertPEM})
			rows := x.suspicions(t)
			if len(rows) != 1 || rows[0].Details["evidence"] != "dead_certificate_used" ||
				rows[0].Details["contained"] != false || rows[0].Details["source_ip"] == "" {
				t.Fatalf("%d suspicions: %v", len(rows), rows)
			}
			x.Advance(time.Hour)
			x.restart(t)
			script2 := side{x.agent.CertPEM}
			x.tokenStatus(t, "once more", script2.certPEM, 401)
			if rows := x.suspicions(t); len(rows) != 1 {
				t.Errorf("%d rows after another use: one is enough", len(rows))
			}
		})
	}
}

// A loser that asks within a token's life of the successor's first use is noticed at its next request, and not before.
// At that moment it is the same as a late replica: the same certificate, the same key, and the same instant. Only what
// comes afterwards tells the two apart. A replica reads its new files when it is refused, and never shows the dead
// certificate again.
func TestALoserThatIsAsEarlyAsALateReplica(t *testing.T) {
	w := open(t, memstore.Config{})
	x := theft{w, w.enrol(t, "kyc", "kyc:read")}
	s := side{x.agent.CertPEM}
	x.asks(t, s, 200)
	x.asks(t, x.renews(t, s), 200)
	x.Advance(time.Minute)
	x.asks(t, s, 401)
	if rows := x.suspicions(t); len(rows) != 0 {
		t.Errorf("late by a minute: %d suspicions", len(rows))
	}
	x.Advance(later - time.Minute)
	x.asks(t, s, 401)
	if rows := x.suspicions(t); len(rows) != 1 {
		t.Errorf("%d suspicions a token's life later, want one", len(rows))
	}
}

// What honest agents do raises nothing.
func TestHonestAgentsAreNotSuspect(t *testing.T) {
	for name, script := range map[string]func(*testing.T, theft, side){
		"an answer was lost": func(t *testing.T, x theft, s side) {
			x.renews(t, s)
			x.Advance(later)
			x.asks(t, s, 200)
			x.asks(t, x.renews(t, s), 200)
		},
		"a replica is late": func(t *testing.T, x theft, s side) {
			x.asks(t, s, 200)
			x.asks(t, x.renews(t, s), 200)
			x.Advance(life)
			x.asks(t, s, 401)
		},
		"the operator rotated, the agent has no files yet": func(t *testing.T, x theft, s side) {
			x.rotate(t, x.agent.ID, `{}`)
			x.Advance(24 * time.Hour)
			x.asks(t, s, 401)
		},
		"the operator rotated after a renewal": func(t *testing.T, x theft, s side) {
			s = x.renews(t, s)
			x.asks(t, s, 200)
			x.Advance(24 * time.Hour)
			x.rotate(t, x.agent.ID, `{}`)
			x.Advance(24 * time.Hour)
			x.asks(t, s, 401)
		},
		"a grace is over": func(t *testing.T, x theft, s side) {
			x.rotate(t, x.agent.ID, `{"grace_seconds":60}`)
			x.Advance(later)
			x.asks(t, s, 401)
		},
		"an answer was lost in an overlap, and its deadline is over": func(t *testing.T, x theft, s side) {
			next := x.renews(t, s)
			x.asks(t, next, 200)
			x.Advance(time.Hour)
			x.change(t, query("mode", "mint"), query("overlap", "2592000"))
			x.renews(t, next)
			x.Advance(7 * 24 * time.Hour)
			x.asks(t, next, 401)
		},
		"another agent's certificate": func(t *testing.T, x theft, s side) {
			x.asks(t, x.renews(t, s), 200)
			x.Advance(later)
			x.tokenStatus(t, "client_id", x.enrol(t, "other").CertPEM, 401, body(formType, "client_id="+x.agent.ID))
		},
		"the agent is deactivated": func(t *testing.T, x theft, s side) {
			x.asks(t, x.renews(t, s), 200)
			x.send(t, event("DELETE", "/v1/admin/agents/"+x.agent.ID, admin))
			x.Advance(later)
			x.asks(t, s, 401)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, memstore.Config{})
			x := theft{w, w.enrol(t, "kyc", "kyc:read")}
			script(t, x, side{x.agent.CertPEM})
			if rows := x.suspicions(t); len(rows) != 0 {
				t.Errorf("%d suspicions: %v", len(rows), rows)
			}
		})
	}
}

// With the policy contain no side gets a token until an operator rotates the certificate. A renewal does not end it.
func TestContainedAgentsGetNoToken(t *testing.T) {
	w := open(t, memstore.Config{})
	x := theft{w, w.enrol(t, "kyc", "kyc:read")}
	server := w.resourceServer(t)
	a := w.send(t, event("PATCH", "/v1/admin/agents/"+x.agent.ID, admin, jsonBody(`{"suspicion":"contain"}`)))
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	victim := side{x.agent.CertPEM}
	thief := x.renews(t, victim)
	x.asks(t, thief, 200)
	x.Advance(later)
	token := w.tokenFor(t, holder{CertPEM: thief.certPEM}, nil)
	x.asks(t, victim, 401)
	w.refuse(t, "/v1/auth/token", refusal{"the thief", tokenRequest(thief.certPEM), 401, "invalid_client"})
	if w.active(t, server, token) {
		t.Error("the thief's earlier token is active")
	}
	x.Advance(24 * time.Hour)
	x.asks(t, x.renews(t, thief), 401)
	rows := x.suspicions(t)
	if len(rows) != 1 || rows[0].Details["contained"] != true {
		t.Fatalf("%d suspicions: %v", len(rows), rows)
	}
	next := side{w.rotate(t, x.agent.ID, `{"reason":"keyCompromise"}`).CertPEM}
	x.asks(t, next, 200)
	x.asks(t, victim, 401)
	x.asks(t, thief, 401)
	if rows := x.suspicions(t); len(rows) != 1 {
		t.Errorf("%d suspicions after the rotation", len(rows))
	}
}

func TestSuspicionPolicy(t *testing.T) {
	w := open(t, memstore.Config{})
	h := w.enrol(t, "kyc")
	path := "/v1/admin/agents/" + h.ID
	for value, status := range map[string]int{
		`"contain"`: 200, `"notify"`: 200, `null`: 200, `"Contain"`: 400, `"off"`: 400,
	} {
		if a := w.send(t, event("PATCH", path, admin, jsonBody(`{"suspicion":`+value+`}`))); a.status != status {
			t.Errorf("%s: status %d: %s", value, a.status, a.body)
		}
	}
}
