package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
)

// NonceSlot is the length of the time slots that nonces are made for. A nonce is good in its slot and in the next
// one: for 5 to 10 minutes.
const NonceSlot = 5 * time.Minute

// nonceKeySize is the size of the key and, for HMAC-SHA256, of the tag.
const nonceKeySize = sha256.Size

// nonceDomain keeps the tags apart from anything else the same key may ever authenticate.
const nonceDomain = "mastio dpop nonce v1\x00"

// Nonces issues and checks the nonces of RFC 9449, 8. A nonce is a time slot and its HMAC: nothing is stored, and every
// instance that has the key accepts what the others issued. All clients get the same nonce during a slot; that is
// enough, because its purpose is that no proof can be made long beforehand, while the jti keeps each from being
// used twice. Safe for concurrent use.
type Nonces struct{ key []byte }

// NewNonces returns the nonces of a secret key of 32 bytes. It keeps a copy of the key. Any other length is an error.
func NewNonces(key []byte) (*Nonces, error) {
	if len(key) != nonceKeySize {
		return nil, fmt.Errorf("dpop nonce key has %d bytes instead of %d", len(key), nonceKeySize)
	}
	return &Nonces{key: append([]byte(nil), key...)}, nil
}

// Issue returns the nonce for the DPoP-Nonce header: 54 characters of base64url.
func (n *Nonces) Issue(now time.Time) string {
	return base64.RawURLEncoding.EncodeToString(n.nonce(slot(now)))
}

// Check returns nil for a nonce of the present slot or a neighbour of it, ErrNonceMissing for an empty one and
// ErrNonce for any other. The next slot counts as well, because the instance that issued it may have a clock
// that is ahead by a moment.
func (n *Nonces) Check(nonce string, now time.Time) error {
	if nonce == "" {
		return ErrNonceMissing
	}
	raw, err := jose.Decode(nonce)
	if err != nil || len(raw) != 8+nonceKeySize {
		return fmt.Errorf("%w: malformed", ErrNonce)
	}
	s := int64(binary.BigEndian.Uint64(raw))
	if !hmac.Equal(raw, n.nonce(s)) {
		return fmt.Errorf("%w: not issued here", ErrNonce)
	}
	if age := slot(now) - s; age < -1 || age > 1 {
		return fmt.Errorf("%w: expired", ErrNonce)
	}
	return nil
}

// nonce is the slot as 8 big-endian bytes, and the tag of those.
func (n *Nonces) nonce(slot int64) []byte {
	raw := binary.BigEndian.AppendUint64(nil, uint64(slot))
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte(nonceDomain))
	mac.Write(raw)
	return mac.Sum(raw)
}

// slot numbers the slots from 1970 on, rounding down.
func slot(t time.Time) int64 {
	const length = int64(NonceSlot / time.Second)
	s := t.Unix()
	n := s / length
	if s < n*length {
		n--
	}
	return n
}
