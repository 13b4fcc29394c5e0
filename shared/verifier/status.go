package verifier

import (
	"crypto/ecdsa"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// Status is what a resource server has learnt from status documents: the newest one, and what any of them called dead,
// until no token of it can be valid. It is safe for concurrent use. It must not be copied.
type Status struct {
	mu        sync.RWMutex
	newest    Document
	digest    [32]byte
	began     time.Time            // of the request that fetched the newest
	notBefore time.Time            // the latest that was seen
	dead      map[string]time.Time // by entry name
}

// maxDead is how many entries are kept. An honest Mastio names no more than a few documents hold within the time that
// an entry is kept.
const maxDead = 8 * StatusEntries

// commitRoom is how much later than a document's date what it says may have been committed.
const commitRoom = 2 * time.Second

// clocksApart is how much earlier a token's date may be than that of a document that was composed before it: two
// clocks, each a second off, and whole seconds.
const clocksApart = 3 * time.Second

// While a document is older than a token it is fetched again, once in behindApart. A request waits for it no longer
// than behindWait.
const (
	behindApart = time.Second
	behindWait  = 4 * time.Second
)

// Learn takes a document. began is when the request for it was sent, now when the answer was there; both should have a
// monotonic reading. What the document calls dead is dead even where the document itself is refused as an older one:
// the Mastio signed it.
//
// Errors: ErrStatus, ErrStatusIssuer, ErrStatusAhead, ErrStatusOlder, ErrStatusRolledBack, ErrStatusForked. What was
// learnt before then counts until it is stale.
func (s *Status) Learn(
	compact string, keys func(kid string) *ecdsa.PublicKey, issuer string, began, now time.Time,
) error {
	d, err := ReadStatus(compact, keys)
	switch {
	case err != nil:
		return err
	case d.Issuer != issuer:
		return ErrStatusIssuer
	case d.IssuedAt.After(now.Add(statusSkew)):
		return ErrStatusAhead
	}
	digest := d.Digest()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bury(d, now)
	switch {
	case d.Seq < s.newest.Seq:
		return fmt.Errorf("%w: seq %d after %d", ErrStatusRolledBack, d.Seq, s.newest.Seq)
	case d.Seq == s.newest.Seq && digest != s.digest:
		return fmt.Errorf("%w: seq %d", ErrStatusForked, d.Seq)
	case d.IssuedAt.Before(s.newest.IssuedAt):
		return ErrStatusOlder
	}
	s.newest, s.digest, s.began = d, digest, began
	return nil
}

// bury remembers what the document calls dead, and forgets what no token can be of any more. Where too much is dead,
// all tokens are that were issued before the document: an entry's own instant may lie far ahead.
func (s *Status) bury(d Document, now time.Time) {
	if d.NotBefore.After(s.notBefore) {
		s.notBefore = d.NotBefore
	}
	if s.dead == nil {
		s.dead = make(map[string]time.Time, len(d.Dead))
	}
	for _, e := range d.Dead {
		if name := entryName(e.X5T, e.Handle); e.NotBefore.After(s.dead[name]) {
			s.dead[name] = e.NotBefore
		}
	}
	for name, until := range s.dead {
		if now.After(until.Add(MaxTokenLife+statusSkew)) || !until.After(s.notBefore) {
			delete(s.dead, name)
		}
	}
	if len(s.dead) <= maxDead {
		return
	}
	if before := d.IssuedAt.Add(commitRoom); before.After(s.notBefore) {
		s.notBefore = before
	}
	clear(s.dead)
}

// entryName is one name for both kinds: a thumbprint has 43 characters, and no handle has that prefix.
func entryName(x5t, handle string) string {
	if x5t != "" {
		return "x5t#S256 " + x5t
	}
	return "handle " + handle
}

// Live returns nil if a token is alive at now: ErrStale where the newest document is older than maxStale or than its
// own max_age, by its date or by the time since it was fetched, ErrRevoked where the token is dead, ErrStatusBehind
// where a newer document has to say it.
func (s *Status) Live(c accesstoken.Claims, maxStale time.Duration, now time.Time) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.newest.Seq == 0 {
		return fmt.Errorf("%w: none was fetched yet", ErrStale)
	}
	// Clocks may differ by a second. A clock that is behind must not make the document live longer.
	limit := min(maxStale, s.newest.MaxAge) - time.Second
	if age := now.Sub(s.newest.IssuedAt); age > limit {
		return fmt.Errorf("%w: it is %d s old", ErrStale, age/time.Second)
	}
	if age := now.Sub(s.began); age > limit {
		return fmt.Errorf("%w: it was fetched %d s ago", ErrStale, age/time.Second)
	}
	if c.IssuedAt.Before(s.notBefore) {
		return fmt.Errorf("%w: it was issued before %d", ErrRevoked, s.notBefore.Unix())
	}
	for _, name := range []string{entryName(c.X5T, ""), entryName("", c.Handle)} {
		if until, ok := s.dead[name]; ok && c.IssuedAt.Before(until) {
			return fmt.Errorf("%w: its certificate or its agent was", ErrRevoked)
		}
	}
	return s.newest.generationLives(c)
}

// generationLives judges a token by its generation. The document knows nothing of a generation above all that it
// accepts, of a token that may have been issued after it: numbers rise. A lower one it has accepted, and does not any
// more; only a token that is certainly newer than the document shows that a rollback has brought the generation back.
func (d *Document) generationLives(c accesstoken.Claims) error {
	if c.Generation == 0 || slices.Contains(d.Generations, c.Generation) {
		return nil
	}
	issued := c.IssuedAt
	if !slices.ContainsFunc(d.Generations, func(g int64) bool { return g >= c.Generation }) {
		issued = issued.Add(clocksApart)
	} else {
		issued = issued.Add(-time.Second)
	}
	if issued.Before(d.IssuedAt) {
		return fmt.Errorf("%w: its generation is not accepted", ErrRevoked)
	}
	return fmt.Errorf("%w: it is of generation %d", ErrStatusBehind, c.Generation)
}
