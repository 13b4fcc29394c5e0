package model

import (
	"crypto/ecdsa"
	"errors"
	"time"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// resources are the resource servers: one has learnt every status document, the other introspects.
type resources struct {
	learnt verifier.Status
	tokens map[string]*shownToken // by what they are judged by
	asks   []byte                 // a certificate, PEM, whose agent may introspect; nil: there is none
	// fast is until when a death may lie ahead that a clock has dated which was ahead.
	fast time.Time
}

// shownToken is a token that agents show to resource servers.
type shownToken struct {
	id     agent.ID
	text   string
	claims accesstoken.Claims
	ended  bool // an operation that ended it was answered with success
	lost   bool // by a clock so far behind that the status has forgotten the death already
	fresh  bool // it was issued behind the last operation
}

func newResources() resources { return resources{tokens: map[string]*shownToken{}} }

// shows notes a token that an agent was just issued.
func (m *machine) shows(t *rapid.T, id agent.ID, text string) {
	claims, err := accesstoken.VerifyIssued(text, m.signer, m.Now(), inmemory.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	name := claims.X5T + " " + claims.Handle
	if k := m.resources.tokens[name]; k != nil && k.ended {
		t.Fatalf("%s gets another token with a handle that was ended", id)
	}
	m.resources.tokens[name] = &shownToken{id: id, text: text, claims: claims, fresh: true}
}

func (m *machine) signer(kid string) *ecdsa.PublicKey { return m.PublicKey(m.ctx, kid) }

// dies notes that all tokens of an agent were ended, and the answer was there. The clock of the process that did it
// dates the deaths.
func (m *machine) dies(id agent.ID) {
	for _, k := range m.resources.tokens {
		if k.id == id {
			k.ended = true
			k.lost = k.lost || m.skew < -agent.DeathKept+accesstoken.MaxLife
		}
	}
}

// deviates notes that a process whose clock is off has done something.
func (m *machine) deviates(skew time.Duration) {
	if until := m.Now().Add(skew + 5*time.Second); skew > 0 && until.After(m.resources.fast) {
		m.resources.fast = until
	}
}

// checkResources: an ended token is dead by the document and by introspection, and so is one of a generation that is
// not accepted; a new one is alive by both; and what introspection calls active is alive by the document. No document
// is refused by one who has learnt those before it.
func (m *machine) checkResources(t *rapid.T, org registry.Org) {
	now, r := m.Now(), &m.resources
	got, err := m.Parts.StatusPublisher(m.Ring).Document(m.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.learnt.Learn(got.Compact, m.signer, inmemory.Issuer, now, now); err != nil {
		t.Fatalf("a status is refused: %v", err)
	}
	asks := token.NewIntrospector(m.Token, m.Ring)
	for name, k := range r.tokens {
		if !now.Before(k.claims.Expires) {
			delete(r.tokens, name)
			continue
		}
		alive, active := r.learnt.Live(k.claims, verifier.MostStale, now), m.introspects(t, asks, k)
		accepted := k.claims.Generation == 0 || org.Pointer.Accepts(k.claims.Generation, now)
		switch {
		case (k.ended && !k.lost || !accepted) && alive == nil:
			t.Fatalf("%s: a token that was ended is alive: ended %v, accepted %v: %+v", k.id, k.ended, accepted, k.claims)
		case (k.ended || !accepted) && active == yes:
			t.Fatalf("%s: a token that was ended is active: ended %v, accepted %v: %+v", k.id, k.ended, accepted, k.claims)
		case k.fresh && active == no:
			t.Fatalf("%s: a new token is not active: %+v", k.id, k.claims)
		case (k.fresh || active == yes) && alive != nil && k.claims.IssuedAt.After(r.fast):
			t.Fatalf("%s: a token that lives is dead by the status (active: %v): %v: %+v", k.id, active, alive, k.claims)
		}
		k.fresh = false
	}
}

// activity is what introspection says.
type activity int

const (
	unknown activity = iota // no agent may ask
	no
	yes
)

func (m *machine) introspects(t *rapid.T, asks *token.Introspector, k *shownToken) activity {
	if m.resources.asks == nil {
		return unknown
	}
	found, err := asks.Introspect(m.ctx, token.IntrospectionRequest{
		CertificatePEM: string(m.resources.asks),
		Token:          k.text,
	})
	switch {
	case errors.Is(err, token.ErrMayNotIntrospect):
		return unknown
	case err != nil:
		t.Fatal(err)
	case found.Active:
		return yes
	}
	return no
}
