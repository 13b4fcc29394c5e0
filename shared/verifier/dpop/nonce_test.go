package dpop

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func nonces(t *testing.T, fill byte) *Nonces {
	t.Helper()
	n, err := NewNonces(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNonceLifetime(t *testing.T) {
	start := time.Unix(0, 0).Add(6_000_000 * NonceSlot) // the first instant of a slot
	for _, tc := range []struct {
		name          string
		issued, shown time.Time
		want          error
	}{
		{"at once", start, start, nil},
		{"at the end of its slot", start, start.Add(NonceSlot - 1), nil},
		{"at the end of the next slot", start, start.Add(2*NonceSlot - 1), nil},
		{"after the next slot", start, start.Add(2 * NonceSlot), ErrNonce},
		{"5 minutes later at least", start.Add(NonceSlot - 1), start.Add(2*NonceSlot - 1), nil},
		{"a day later", start, start.Add(24 * time.Hour), ErrNonce},
		{"by an instance with a slower clock", start, start.Add(-time.Second), nil},
		{"by one that is minutes behind", start, start.Add(-NonceSlot - 1), ErrNonce},
		{"before 1970", time.Unix(-1, 0), time.Unix(1, 0), nil},
	} {
		// Two instances of the same key agree.
		err := nonces(t, 1).Check(nonces(t, 1).Issue(tc.issued), tc.shown)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: error = %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestNonceIsStableWithinASlotOnly(t *testing.T) {
	n := nonces(t, 1)
	start := time.Unix(0, 0).Add(6_000_000 * NonceSlot)
	if a, b := n.Issue(start), n.Issue(start.Add(NonceSlot-1)); a != b || len(a) != 54 {
		t.Errorf("nonces %q and %q, want 54 equal characters", a, b)
	}
	if a, b := n.Issue(start), n.Issue(start.Add(NonceSlot)); a == b {
		t.Error("the next slot has the same nonce")
	}
}

func TestNonceRefused(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	n := nonces(t, 1)
	good := n.Issue(now)
	if err := n.Check("", now); !errors.Is(err, ErrNonceMissing) || errors.Is(err, ErrNonce) {
		t.Errorf("no nonce: error = %v, want ErrNonceMissing", err)
	}
	for name, nonce := range map[string]string{
		"another key":   nonces(t, 2).Issue(now),
		"cut":           good[:53],
		"longer":        good + "AA",
		"line break":    good[:10] + "\n" + good[10:],
		"padded":        good + "==",
		"trailing bits": good[:53] + sibling(good),
		"text":          "nonce",
		"zeros":         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	} {
		if err := n.Check(nonce, now); !errors.Is(err, ErrNonce) {
			t.Errorf("%s: error = %v, want ErrNonce", name, err)
		}
	}
	for i := range good { // any changed character
		c := byte('A')
		if good[i] == c {
			c = 'B'
		}
		if err := n.Check(good[:i]+string(c)+good[i+1:], now); !errors.Is(err, ErrNonce) {
			t.Errorf("character %d changed: error = %v, want ErrNonce", i, err)
		}
	}
}

func TestNewNoncesDemandsAWholeKeyAndKeepsACopy(t *testing.T) {
	for _, size := range []int{0, 16, 31, 33} {
		if n, err := NewNonces(make([]byte, size)); err == nil || n != nil {
			t.Errorf("key of %d bytes: got %v, %v, want an error", size, n, err)
		}
	}
	key := bytes.Repeat([]byte{1}, 32)
	n, err := NewNonces(key)
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	if err := n.Check(nonces(t, 1).Issue(now), now); err != nil {
		t.Errorf("after the caller cleared its key: %v", err)
	}
}
