package verifier

import (
	"cmp"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier/dpop"
)

const (
	// proofLife is longer than any proof can be accepted.
	proofLife = dpop.DefaultWindow + dpop.Ahead + 2*time.Second
	// maxProofs is how many proofs a memory holds in each half: some 60 MB, and 14,000 requests a second.
	maxProofs = 1 << 20
)

// memory remembers used proofs, in two halves: when the young one is old enough it becomes the old one, which is
// forgotten whole. It is safe for concurrent use.
type memory struct {
	most                 int // in each half; zero: maxProofs
	mu                   sync.Mutex
	young, old           map[proofID]struct{}
	turned               time.Time // when the young half was begun
	youngUntil, oldUntil time.Time // the latest date until which one of them must be remembered
}

// proofID is a hash of a proof's key and id, which its holder chooses.
type proofID [16]byte

// use returns ErrReplayed for a proof that was used before, and ErrMemory where no more can be remembered.
func (m *memory) use(jkt, jti string, until, now time.Time) error {
	sum := sha256.Sum256([]byte(jkt + "\x00" + jti))
	id := proofID(sum[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	// The date matters as well as the time that went by: a clock that is set back makes old proofs new.
	if m.young == nil || now.Sub(m.turned) >= proofLife && now.After(m.oldUntil) {
		m.old, m.oldUntil = m.young, m.youngUntil
		m.young, m.youngUntil, m.turned = map[proofID]struct{}{}, time.Time{}, now
	}
	_, young := m.young[id]
	_, old := m.old[id]
	switch {
	case young || old:
		return ErrReplayed
	case len(m.young) >= cmp.Or(m.most, maxProofs):
		return ErrMemory
	}
	m.young[id] = struct{}{}
	if until.After(m.youngUntil) {
		m.youngUntil = until
	}
	return nil
}
