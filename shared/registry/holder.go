package registry

import (
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
)

// KeyHolder says which agent has proved that it has a private key: by a connection, or by a DPoP proof. A key that was
// only registered, or copied with a certificate, has no holder.
type KeyHolder struct {
	Key   agent.ProvedKey
	Agent agent.ID
	Until time.Time // whole seconds; a store may forget it from then on
}

// A holder is noted for KeyHeld, and again with the first use of the key in an instance when less than KeyNotedAgain is
// left. So a key in use is never forgotten, and costs a write every two months.
const (
	KeyHeld       = 90 * 24 * time.Hour
	KeyNotedAgain = 30 * 24 * time.Hour
)

// HolderOf is the holder of a key from now on.
func HolderOf(key agent.ProvedKey, id agent.ID, now time.Time) KeyHolder {
	return KeyHolder{Key: key, Agent: id, Until: now.Add(KeyHeld).UTC().Truncate(time.Second)}
}

// Lasts reports whether the note need not be written again.
func (h KeyHolder) Lasts(now time.Time) bool { return h.Until.Sub(now) > KeyNotedAgain }
