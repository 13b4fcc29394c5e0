package agentcert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry"
)

// PinStore is what pinning needs of the registry.
type PinStore interface {
	Pointer(ctx context.Context, id agent.ID) (*orgca.Pointer, error)
	Keys(ctx context.Context, id agent.ID) (agent.Keys, error)
	Apply(ctx context.Context, c registry.Change) error
}

// Pinning is one certificate to issue and commit.
type Pinning struct {
	Agent   agent.Agent   // the desired record without its pins and chain; its version is the one read
	Pointer orgca.Pointer // as read with the agent
	Was     *agent.Agent  // the record that was read, untouched; nil: there is none
	Keys    *agent.Keys   // as read with the agent; nil: Pin reads them, where it needs them
	// Fresh: the certificate's key, and the DPoP key that goes with it, were made for it. So no key on record is one of
	// them, and the record of keys is not read until the agent's own record is full.
	Fresh bool
	Grace time.Duration // how long the pins before it still count
	// UntilUse: they count until the new one's first use, and for Grace at the longest.
	UntilUse bool
	// Reason says why the pins before it are replaced. If it stops them at once, not even a rollback of the Org CA brings
	// their certificates back; after a compromise, their keys and the DPoP keys that go with them are refused for good.
	Reason reason.Code
	// Before is what the record's chain head already says, and goes in with the same commit.
	Before []audit.Row
	// Allow, if set, is asked again when the Org CA moved meanwhile, before the certificate is issued under the new one.
	Allow func(a agent.Agent, ca orgca.Pointer) error
	// Reserve, if set, is asked before a signature is spent. It returns the keys with the reservation, which is stored
	// first, or the error that ends it.
	Reserve func(k agent.Keys) (agent.Keys, error)
	// Again, if set, is asked when another writer came first, with the agent as it was known. It reads the agent again and
	// returns what to commit now, or the error that ends it. The certificate stays the same as long as the Org CA does,
	// because all agents share the rate of KMS signatures.
	Again func(ctx context.Context, known agent.Agent) (Pinning, error)
	// Unissued are thumbprints of certificates that were committed just before and not handed out: the Org CA moved
	// meanwhile. The row names them, so that an auditor does not look for certificates that no agent ever had.
	Unissued []string
	// stored is what this call has committed before, in the place of Was.
	stored agent.Agent
	// Answer, if set, is what is kept under the request's idempotency key, in the same commit; nil: nothing is.
	Answer func(stored agent.Agent, c Certificate) (*registry.Answer, error)
	// Entry says what goes into the agent's chain; time and subject are filled in.
	Entry func(next agent.Pin) audit.Entry
}

func (p Pinning) keep() agent.Keep {
	k := agent.Keep{Grace: p.Grace, UntilUse: p.UntilUse, Restorable: p.Pointer.Previous}
	if p.Reason.AtOnce() {
		k.Restorable = 0
	}
	return k
}

// admits refuses a key that was certified for the agent before, and a DPoP key that was declared compromised. The key
// of an unused successor may come again: its answer may be lost, and the agent repeats the same request.
func (p Pinning) admits(k agent.Keys, pin agent.Pin) error {
	if err := k.SoundProofKey(pin.JKT); err != nil {
		return err
	}
	if p.Reason.Compromise() && pin.JKT != "" &&
		slices.ContainsFunc(p.Agent.Pins, func(q agent.Pin) bool { return q.JKT == pin.JKT }) {
		return agent.ErrProofKeyUsed
	}
	if p.Reason.Compromise() && pin.JKT != "" && pin.JKT == p.Agent.JKT {
		return agent.ErrProofKeyUsed
	}
	repeated := p.UntilUse && slices.ContainsFunc(p.Agent.Pins,
		func(q agent.Pin) bool { return q.Key == pin.Key && q.Unused })
	if repeated {
		return k.Sound(pin.Key)
	}
	return k.Fresh(p.Agent, pin.Key)
}

const pinTries = 3

// Pin issues a certificate for the material's key, commits it together with its audit row in one transaction, and
// returns the agent as stored. The pointer is no condition of the commit, so that no two agents ever touch the same
// item. If the Org CA moved meanwhile, the pin carries a superseded generation and does not count. Pin reads the
// pointer once after the commit to detect this, and then issues the certificate again instead of returning a dead
// one.
//
// Errors: agent.ErrKeyUsed, agent.ErrProofKeyUsed and ErrForeignKey, before anything is signed; registry.ErrConflict
// when the agent's record changed since it was read, and those of Again; registry.ErrUnknown.
func (i Issuer) Pin(ctx context.Context, p Pinning, m Material) (agent.Agent, Certificate, error) {
	fail := func(err error) (agent.Agent, Certificate, error) {
		return agent.Agent{}, Certificate{}, fmt.Errorf("pin a certificate of %s: %w", p.Agent.ID, err)
	}
	key, err := pki.KeyThumbprint(m.Public)
	if err != nil {
		return fail(err)
	}
	if err := i.unshared(ctx, p.Agent.ID, m, key); err != nil {
		return fail(err)
	}
	var c Certificate
	var unissued []string
	owner := i.NewID() // of the answer, which a second commit replaces
	for moves := 0; moves < pinTries; {
		keys, err := i.admitted(ctx, p, agent.Pin{Key: key, JKT: m.JKT}, moves > 0, c.CertPEM == nil)
		if err != nil {
			return fail(err)
		}
		if c.Pin.Generation != p.Pointer.Current {
			if c, err = i.certify(ctx, p.Pointer, p.Agent.ID, m, i.Now()); err != nil {
				return fail(err)
			}
		}
		p.Unissued = unissued
		stored, err := i.commit(ctx, p, keys, c, owner)
		if errors.Is(err, registry.ErrConflict) && p.Again != nil {
			if p, err = p.Again(ctx, p.Agent); err != nil {
				return agent.Agent{}, Certificate{}, err
			}
			continue
		}
		if err != nil {
			return fail(err)
		}
		present, err := i.Store.Pointer(ctx, p.Agent.ID)
		if err != nil { // takes nothing back: the pin is committed, and counted at the last read of the pointer
			return stored, c, nil //nolint:nilerr // see above
		}
		if present != nil && present.Current == c.Pin.Generation {
			return stored, c, nil
		}
		if present == nil {
			return agent.Agent{}, Certificate{}, orgca.ErrMissing
		}
		if p.Allow != nil {
			if err := p.Allow(stored, *present); err != nil {
				return fail(err)
			}
		}
		p.Agent, p.Was, p.stored, p.Pointer, p.Keys, p.Before = stored, nil, stored, *present, nil, nil
		moves++
		unissued = append(unissued, c.Pin.Thumbprint)
	}
	return fail(fmt.Errorf("the Org CA keeps moving: %w", registry.ErrConflict))
}

// admitted reads the agent's keys and decides whether the pin's key may be certified, unless this very call has
// certified it already. Before the first signature it stores the reservation.
func (i Issuer) admitted(ctx context.Context, p Pinning, pin agent.Pin, own, unsigned bool) (agent.Keys, error) {
	var reserved agent.Keys
	err := registry.Outlast(ctx, func() error {
		keys, err := i.known(ctx, &p, pin.Key)
		if err != nil {
			return err
		}
		if !own {
			if err := p.admits(keys, pin); err != nil {
				return err
			}
		}
		if reserved = keys; p.Reserve == nil || !unsigned {
			return nil
		}
		if reserved, err = p.Reserve(keys); err != nil {
			return err
		}
		err = registry.Settle(ctx, i.Store.Apply, registry.Change{ID: i.NewID(), Keys: &reserved})
		reserved.Version++
		return err
	})
	return reserved, err
}

// unread reports whether the pinning needs nothing that the record of keys has, and changes nothing of it.
func (p Pinning) unread(key string) bool {
	if !p.Fresh || p.Reason.Compromise() || p.Reserve != nil || p.Agent.Hygiene.Deliver == agent.SecretsManager {
		return false
	}
	_, named := p.Agent.Certified(key)
	return named
}

// known returns the agent's keys: those that the caller read, once; from then on those in the store; none where the
// pinning needs none.
func (i Issuer) known(ctx context.Context, p *Pinning, key string) (agent.Keys, error) {
	if p.unread(key) {
		return agent.Keys{Agent: p.Agent.ID}, nil
	}
	if read := p.Keys; read != nil && read.Covers(p.Agent) {
		p.Keys = nil
		return *read, nil
	}
	return i.Store.Keys(ctx, p.Agent.ID)
}

// Record commits a certificate's pin together with its audit row, and returns the agent as stored. The caller checks
// whether the Org CA moved meanwhile.
//
// Errors: as of Pin.
func (i Issuer) Record(ctx context.Context, p Pinning, c Certificate) (agent.Agent, error) {
	keys, err := i.known(ctx, &p, c.Pin.Key)
	if err != nil {
		return agent.Agent{}, err
	}
	if err := p.admits(keys, c.Pin); err != nil {
		return agent.Agent{}, err
	}
	return i.commit(ctx, p, keys, c, "")
}

func (i Issuer) commit(
	ctx context.Context, p Pinning, keys agent.Keys, c Certificate, owner string,
) (agent.Agent, error) {
	now := i.Now()
	next := p.Agent
	switch {
	// the registered DPoP key goes too: a new one comes with the request, or none is registered
	case p.Reason.Compromise():
		next, keys = agent.Compromise(next, keys)
		next.JKT = c.Pin.JKT
	case c.Pin.JKT != "" && !p.UntilUse: // a successor's becomes the agent's with its first use
		next.Pins, next.JKT = withProofKey(next), c.Pin.JKT
	}
	record := agent.Keys.Certified
	if p.Reason.Compromise() {
		record = agent.Keys.Store
	}
	next, changed := record(keys, next, c.Pin.Key)
	next = next.Repin(c.Pin, p.keep(), now)
	next.SPIFFEID = c.SPIFFEID
	e := p.Entry(c.Pin)
	e.Time, e.Subject = now, string(p.Agent.ID)
	if len(p.Unissued) > 0 {
		e.Details["superseded_unissued"] = list(p.Unissued)
	}
	row, head, err := p.Agent.Head.Append(e)
	if err != nil {
		return agent.Agent{}, err
	}
	next.Head = head
	answer, err := p.answer(next, c, owner)
	if err != nil {
		return agent.Agent{}, err
	}
	err = registry.Settle(ctx, i.Store.Apply, registry.Change{
		ID:     i.NewID(),
		Agent:  &next,
		Was:    p.Was,
		Keys:   changed,
		Rows:   append(slices.Clone(p.Before), row),
		Answer: answer,
	}.EndsUnder(p.was(), now, &p.Pointer))
	next.Version++
	return next, err
}

// was is the record that the commit replaces.
func (p Pinning) was() agent.Agent {
	if p.Was != nil {
		return *p.Was
	}
	return p.stored
}

func (p Pinning) answer(stored agent.Agent, c Certificate, owner string) (*registry.Answer, error) {
	if p.Answer == nil {
		return nil, nil
	}
	a, err := p.Answer(stored, c)
	if a != nil {
		a.Owner = owner
	}
	return a, err
}

// list is what a row's details hold of texts.
func list(texts []string) []any {
	all := make([]any, len(texts))
	for i, text := range texts {
		all[i] = text
	}
	return all
}

// withProofKey returns the agent's pins with the DPoP key that has been theirs: pins that live on after a new
// certificate keep that key.
func withProofKey(a agent.Agent) []agent.Pin {
	pins := slices.Clone(a.Pins)
	for n := range pins {
		pins[n].JKT = cmp.Or(pins[n].JKT, a.JKT)
	}
	return pins
}
