package issue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Store is what pinning needs of the registry.
type Store interface {
	Pointer(ctx context.Context, id agent.ID) (*orgca.Pointer, error)
	Apply(ctx context.Context, c registry.Change) error
}

// Pinning is one certificate to issue and commit.
type Pinning struct {
	Agent   agent.Agent   // as it shall be but for its pins and chain; its version is the one read
	Pointer orgca.Pointer // as read with the agent
	Grace   time.Duration // how long the pins before it still count
	// UntilUse: they count until the new one's first use, and for Grace at the longest.
	UntilUse bool
	// AtOnce: nothing of the old certificate lives on; not even a rollback of the Org CA brings it back.
	AtOnce bool
	// Before is what the record's chain head already says, and goes in with the same commit.
	Before []audit.Row
	// Allow, if set, is asked again when the Org CA moved meanwhile, before the certificate is issued under the new one.
	Allow func(a agent.Agent, ca orgca.Pointer) error
	// Entry says what goes into the agent's chain; time and subject are filled in.
	Entry func(next agent.Pin) audit.Entry
}

func (p Pinning) keep() agent.Keep {
	k := agent.Keep{Grace: p.Grace, UntilUse: p.UntilUse, Restorable: p.Pointer.Previous}
	if p.AtOnce {
		k.Restorable = 0
	}
	return k
}

const pinTries = 3

// Pin issues a certificate for the material's key, commits it together with its audit row in one transaction, and
// returns the agent as stored. The pointer is no condition of the commit, so that no two agents ever touch the same
// item: if the Org CA moved meanwhile, the pin carries a superseded generation and does not count. That is seen by one
// look at the pointer after the commit, and then the certificate is issued again rather than handed out dead.
//
// Errors: registry.ErrConflict when the agent's record changed since it was read, registry.ErrUnknown.
func (i Issuer) Pin(ctx context.Context, p Pinning, m Material) (agent.Agent, Certificate, error) {
	for range pinTries {
		stored, certificate, err := i.commit(ctx, p, m)
		if err != nil {
			return agent.Agent{}, Certificate{}, fmt.Errorf("pin a certificate of %s: %w", p.Agent.ID, err)
		}
		present, err := i.Store.Pointer(ctx, p.Agent.ID)
		if err != nil { // takes nothing back: the pin is committed, and counted when the pointer was read last
			return stored, certificate, nil //nolint:nilerr // see above
		}
		if present != nil && present.Current == certificate.Pin.Generation {
			return stored, certificate, nil
		}
		if present == nil {
			return agent.Agent{}, Certificate{}, orgca.ErrMissing
		}
		if p.Allow != nil {
			if err := p.Allow(stored, *present); err != nil {
				return agent.Agent{}, Certificate{}, fmt.Errorf("pin a certificate of %s: %w", p.Agent.ID, err)
			}
		}
		p.Agent, p.Pointer, p.Before = stored, *present, nil
	}
	return agent.Agent{}, Certificate{}, fmt.Errorf("pin a certificate of %s: the Org CA keeps moving: %w", p.Agent.ID, registry.ErrConflict)
}

func (i Issuer) commit(ctx context.Context, p Pinning, m Material) (agent.Agent, Certificate, error) {
	certificate, err := i.certify(ctx, p.Pointer, p.Agent.ID, m, i.Now())
	if err != nil {
		return agent.Agent{}, Certificate{}, err
	}
	stored, err := i.Record(ctx, p, certificate)
	return stored, certificate, err
}

// Record commits a certificate's pin together with its audit row, and returns the agent as stored. Whether the Org CA
// moved meanwhile is the caller's to look at.
//
// Errors: as of Pin.
func (i Issuer) Record(ctx context.Context, p Pinning, c Certificate) (agent.Agent, error) {
	now := i.Now()
	next := p.Agent
	if c.Pin.JKT != "" && !p.UntilUse { // a successor's becomes the agent's with its first use
		next.Pins, next.JKT = withProofKey(next), c.Pin.JKT
	}
	next = next.Repin(c.Pin, p.keep(), now)
	next.SPIFFEID = c.SPIFFEID
	e := p.Entry(c.Pin)
	e.Time, e.Subject = now, string(p.Agent.ID)
	row, head, err := p.Agent.Head.Append(e)
	if err != nil {
		return agent.Agent{}, err
	}
	next.Head = head
	err = registry.Settle(ctx, i.Store.Apply, registry.Change{ID: i.NewID(), Agent: &next, Rows: append(slices.Clone(p.Before), row)})
	next.Version++
	return next, err
}

// withProofKey returns the agent's pins with the DPoP key that has been theirs: those that live on beside a new
// certificate go on with it.
func withProofKey(a agent.Agent) []agent.Pin {
	pins := slices.Clone(a.Pins)
	for n := range pins {
		pins[n].JKT = cmp.Or(pins[n].JKT, a.JKT)
	}
	return pins
}
