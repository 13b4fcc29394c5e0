package assertion

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
)

const (
	// ChallengeTTL is how long a challenge is good for.
	ChallengeTTL = 60 * time.Second

	// ahead is how far the clock of the instance that issued a challenge, or an assertion, may be ahead of the reader's.
	ahead = 5 * time.Second

	challengeKeySize = sha256.Size
	challengeRandom  = 16 // octets
	challengeSize    = 8 + challengeRandom + sha256.Size

	// challengeDomain separates the tags from everything else that the same key may authenticate.
	challengeDomain = "mastio login challenge v1\x00"
)

// Challenges issues and checks the challenges that an assertion has to hold: a time, random octets, and the HMAC of
// both and of the certificate's thumbprint. Nothing is stored, every instance that has the key accepts what the others
// issued, and a challenge is worth nothing to the holder of another certificate. It is safe for concurrent use.
type Challenges struct{ key []byte }

// NewChallenges returns the challenges of a secret key of 32 octets, and keeps a copy of the key. Any other length is
// an error.
func NewChallenges(key []byte) (*Challenges, error) {
	if len(key) != challengeKeySize {
		return nil, fmt.Errorf("challenge key has %d octets instead of %d", len(key), challengeKeySize)
	}
	return &Challenges{key: bytes.Clone(key)}, nil
}

// Issue returns a challenge for the certificate with this thumbprint: 75 characters of base64url, no two alike.
func (c *Challenges) Issue(thumbprint string, now time.Time) string {
	raw := make([]byte, 8+challengeRandom, challengeSize)
	binary.BigEndian.PutUint64(raw, uint64(now.UnixMilli()))
	_, _ = rand.Read(raw[8:]) // never fails
	return base64.RawURLEncoding.EncodeToString(c.seal(raw, thumbprint))
}

var errChallenge = errors.New("nonce is not a challenge that this Mastio issued for this certificate")

// check returns nil for a challenge of this certificate that is not older than ChallengeTTL.
func (c *Challenges) check(challenge, thumbprint string, now time.Time) error {
	raw, err := jose.Decode(challenge)
	if err != nil || len(raw) != challengeSize {
		return errChallenge
	}
	if !hmac.Equal(raw, c.seal(bytes.Clone(raw[:8+challengeRandom]), thumbprint)) {
		return errChallenge
	}
	issued := time.UnixMilli(int64(binary.BigEndian.Uint64(raw))) //nolint:gosec // only what Issue wrote has the tag
	if now.Before(issued.Add(-ahead)) || !now.Before(issued.Add(ChallengeTTL)) {
		return fmt.Errorf("nonce is a challenge older than %d s", ChallengeTTL/time.Second)
	}
	return nil
}

// seal appends the tag.
func (c *Challenges) seal(raw []byte, thumbprint string) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(challengeDomain))
	mac.Write(raw) // of one length, so that what follows needs none
	mac.Write([]byte(thumbprint))
	return mac.Sum(raw)
}
