package accesstoken

import "time"

// EpochLength is how long one key signs. It is not a setting: all instances, and the versions of two deployments that
// overlap, must agree on the number of an epoch.
const EpochLength = 24 * time.Hour

// Epoch returns the number of the epoch that t is in, counted from 1970-01-01T00:00:00Z. The key of that epoch signs.
func Epoch(t time.Time) int64 {
	const length = int64(EpochLength / time.Second)
	s := t.Unix()
	e := s / length
	if s < e*length {
		e-- // division rounds towards zero; epochs before 1970 must not share number 0
	}
	return e
}

// SignWindow returns when the key of epoch e signs: from the first instant on, before the second.
func SignWindow(e int64) (from, until time.Time) {
	return start(e), start(e + 1)
}

// PublishFrom returns when the key of epoch e must be in the JWKS: one epoch before it signs, so that every reader's
// cached copy has it before its first token. It is also when the key must exist.
func PublishFrom(e int64) time.Time { return start(e - 1) }

// How long an access token lives. What has to outlast tokens outlasts the longest life that can be set, whatever the
// setting is: tokens of before a change of the setting live on.
const (
	DefaultLife = 300 * time.Second
	MinLife     = 60 * time.Second
	MaxLife     = time.Hour
)

// margin is for how long a key stays published after its last token: far more than the clocks of readers differ.
const margin = 5 * time.Minute

// VerifyUntil returns when the key of epoch e may leave the JWKS: its last token, of the longest life, is dead by then.
func VerifyUntil(e int64) time.Time { return start(e + 1).Add(MaxLife + margin) }

func start(e int64) time.Time {
	return time.Unix(e*int64(EpochLength/time.Second), 0).UTC()
}
