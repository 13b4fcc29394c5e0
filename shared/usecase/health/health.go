// Package health says whether this Mastio is fit. It has three parts: the state, computed anew at every call; the
// check before a deployment takes traffic; and the check that refuses every request under a legacy Org CA in strict
// mode.
package health

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// Thresholds.
const (
	StuckAfter = 5 * time.Minute
	// standbyGrace is how long a swap may be ago before a missing standby is worth a warning: the next one is being made.
	standbyGrace = 10 * time.Minute
	// domainGrace is how long the agents' domain may serve another truststore than the present one: an update takes
	// minutes.
	domainGrace = 30 * time.Minute
	// dueGrace is how long an agent's certificate may be due before that is worth a warning: hygiene runs once a day.
	dueGrace = 48 * time.Hour
)

// ExpiringWithin is how long before the earliest end in its chain an Org CA has to be replaced. From then on the
// chain would cut an agent's certificate of a year short; the schedule says how long before its end that certificate
// is replaced.
func ExpiringWithin(s agent.Schedule) time.Duration {
	return agent.Annually.MaxAge + cmp.Or(s, agent.Annually).RenewBefore
}

// Store is what a check needs of the registry.
type Store interface {
	truststore.Store
	// Expiring reports whether operators were notified of certificates that have not ended at now and were not replaced,
	// or whether some have been due since overdue.
	Expiring(ctx context.Context, now, overdue time.Time) (bool, error)
	Checkpoint(ctx context.Context) (*registry.LastCheckpoint, error)
	Suspects(ctx context.Context, limit int) ([]agent.ID, error)
}

// Checker computes the state of health. It is safe for concurrent use.
type Checker struct {
	Store   Store
	Objects truststore.Objects
	// Noted reads from a key under which fence its generation was superseded; zero: it was not.
	Noted func(ctx context.Context, key string) (fence int64, err error)
	// Left finds the keys of the organisation's Org CAs; it is asked, once a minute, while the registry has none. Nil: it
	// is not.
	Left func(ctx context.Context) ([]rotateca.KeySpec, error)
	// Forgotten reports whether the archive has checkpoints that the registry does not know. It is asked as Left is; nil:
	// it is not.
	Forgotten func(ctx context.Context) (bool, error)
	// Schedule says how long before their end agents' certificates are replaced; zero: agent.Annually.
	Schedule agent.Schedule
	// TokenLife is how long access tokens live. It is part of no check: the edge shows it where it is unusually long.
	TokenLife time.Duration
	// Secret returns how many characters the shortest admin secret has that is accepted; nil where no function reads it.
	Secret func(ctx context.Context) (length int, err error)
	Now    func() time.Time

	note     atomic.Pointer[note]
	expiring atomic.Pointer[conditionCache]
	suspect  atomic.Pointer[conditionCache]
	lost     atomic.Pointer[conditionCache]
	behind   atomic.Pointer[conditionCache]
}

// conditionCache is what was last read of one condition, once in noteAge.
type conditionCache struct {
	found bool
	at    time.Time
}

// note is the last note read from a key. The state of health is public and KMS has quotas, so the note is read once
// in noteAge.
type note struct {
	key   string
	fence int64
	at    time.Time
}

const noteAge = time.Minute

// State is the state of health.
type State struct {
	Generation  int64
	Fingerprint string
	Legacy      bool
	Standby     bool
	CANotBefore time.Time          // from when the whole chain is valid
	CANotAfter  time.Time          // the earliest end in the chain
	Warnings    []warnings.Warning // in a fixed order; never nil
}

// Check reads the registry twice, the truststore once, and now and then a key's note, the due index and
// the suspect agents. It returns an
// error only if the registry cannot be read; an unreadable truststore counts as out of date.
func (c *Checker) Check(ctx context.Context) (State, error) {
	org, err := c.Store.Org(ctx)
	if err != nil {
		return State{}, err
	}
	others, othersErr := c.Store.EdgeCAs(ctx)
	_, standby := org.Standby(c.Now())
	s := State{Standby: standby, Warnings: []warnings.Warning{}}
	if p := org.Pointer; p != nil {
		valid := p.Validity()
		s.Generation, s.Fingerprint, s.Legacy, s.CANotBefore, s.CANotAfter = p.Current, p.Fingerprint, p.Legacy, valid.From,
			valid.Until
	}
	now := c.Now()
	for _, w := range []struct {
		warning warnings.Warning
		holds   bool
	}{
		{warnings.LegacyPathLenZero, s.Legacy},
		{warnings.OrgCAExpiring, org.Pointer != nil && s.CANotAfter.Sub(now) < ExpiringWithin(c.Schedule)},
		{warnings.OrgCANotYetValid, org.Pointer != nil && now.Before(s.CANotBefore)},
		{warnings.OrgCAMissing, org.Pointer == nil},
		{warnings.StandbyMissing, !standby && org.Pointer != nil && now.Sub(org.Pointer.RotatedAt).Abs() > standbyGrace},
		{warnings.TruststoreOutOfDate, org.Pointer != nil && (othersErr != nil || c.outOfDate(ctx, org, others))},
		{warnings.TrustBundlesFilling, truststore.Filling(others)},
		{warnings.RegistryRestored, org.Pointer != nil && c.restored(ctx, *org.Pointer) || org.Pointer == nil &&
			c.isLost(ctx, now)},
		{warnings.RotationLockStuck, org.Lease.Stuck(now, StuckAfter)},
		{warnings.PlanStale, org.Plan.State == orgca.PlanDropped},
		{warnings.ReissueHalted, org.Reissue.Goes(org.Pointer) && org.Reissue.State == orgca.Halted},
		{warnings.ReissueLate, org.Reissue.Late(org.Pointer, now)},
		{warnings.AuditSetBack, c.setBack(ctx, now)},
		{warnings.CredentialSuspect, c.suspects(ctx, now)},
		{warnings.CertsExpiring, c.certsExpire(ctx, now)},
		{warnings.AdminSecretShort, c.secretShort(ctx)},
	} {
		if w.holds {
			s.Warnings = append(s.Warnings, w.warning)
		}
	}
	return s, nil
}

// secretShort reports an admin secret that could be guessed. It does not report an unreadable secret: the start-up
// check and every request of an operator report that.
func (c *Checker) secretShort(ctx context.Context) bool {
	if c.Secret == nil {
		return false
	}
	length, err := c.Secret(ctx)
	return err == nil && length < session.MinSecret
}

// outOfDate reports whether the object lacks a certificate that the edge needs, or the agents' domain, as the standby
// job last saw it, has not served the object for too long. A generation that has just been staged is not missed yet:
// the next run of the standby job adds it.
func (c *Checker) outOfDate(ctx context.Context, org registry.Org, others []registry.EdgeCA) bool {
	present, err := c.Objects.Read(ctx)
	since := org.Truststore.Since
	if err != nil || !since.IsZero() && c.Now().Sub(since).Abs() > domainGrace {
		return true
	}
	needed := slices.DeleteFunc(slices.Clone(org.Generations), func(g orgca.Generation) bool {
		return g.State == orgca.Staged && g.Truststore == ""
	})
	certificates := orgca.TrustBundle(needed)
	for _, ca := range others[:min(len(others), truststore.MaxEdgeCAs)] {
		certificates = append(certificates, ca.DER)
	}
	return slices.ContainsFunc(certificates, func(der []byte) bool {
		return !bytes.Contains(present.PEM, truststore.Encode([][]byte{der}))
	})
}

// restored reports whether the note on the current Org CA's key records a swap that superseded it and that the
// registry does not know. An unreadable key counts as a key without a note.
func (c *Checker) restored(ctx context.Context, p orgca.Pointer) bool {
	last, now := c.note.Load(), c.Now()
	if last == nil || last.key != p.SigningKey || now.Sub(last.at).Abs() >= noteAge {
		fence, err := c.Noted(ctx, p.SigningKey)
		if err != nil {
			return false
		}
		last = &note{p.SigningKey, fence, now}
		c.note.Store(last)
	}
	return last.fence > p.Fence
}

// isLost reports whether the registry has no Org CA although the key store has keys of one. Keys that cannot be read
// say nothing.
func (c *Checker) isLost(ctx context.Context, now time.Time) bool {
	if c.Left == nil {
		return false
	}
	return condition(&c.lost, now, func() (bool, error) {
		err := (rotateca.Traces{Org: c.Store.Org, Keys: c.Left, Forgotten: c.Forgotten}).Lost(ctx)
		if errors.Is(err, rotateca.ErrLost) {
			return true, nil
		}
		return false, err
	})
}

// condition returns what a read has found, and reads once in noteAge. What cannot be read says nothing.
func condition(cache *atomic.Pointer[conditionCache], now time.Time, read func() (bool, error)) bool {
	last := cache.Load()
	if last == nil || now.Sub(last.at).Abs() >= noteAge {
		found, err := read()
		if err != nil {
			return false
		}
		last = &conditionCache{found, now}
		cache.Store(last)
	}
	return last.found
}

// certsExpire reports whether agents' certificates end unreplaced.
func (c *Checker) certsExpire(ctx context.Context, now time.Time) bool {
	return condition(&c.expiring, now, func() (bool, error) { return c.Store.Expiring(ctx, now, now.Add(-dueGrace)) })
}

// suspects reports whether an agent is suspect. It asks for one, however many there are.
func (c *Checker) suspects(ctx context.Context, now time.Time) bool {
	return condition(&c.suspect, now, func() (bool, error) {
		found, err := c.Store.Suspects(ctx, 1)
		return len(found) > 0, err
	})
}

// setBack reports whether the checkpoint job has noted that the audit trail was set back.
func (c *Checker) setBack(ctx context.Context, now time.Time) bool {
	return condition(&c.behind, now, func() (bool, error) {
		stored, err := c.Store.Checkpoint(ctx)
		return stored != nil && stored.SetBack > 0, err
	})
}
