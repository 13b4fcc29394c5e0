package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A key that was certified, or declared compromised, is refused, wherever it is stored: in the agent's record, in the
// record of keys, or in both. The pins are dropped here, as an activation may.
func TestCertifiedKeysAreRefusedWhereverTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a Agent
		var k Keys
		var certified []string
		last := 0
		key := func() string { last++; return keyNumber(last) }
		t.Repeat(map[string]func(*rapid.T){
			"certify": func(t *rapid.T) {
				next := key()
				var changed *Keys
				if a, changed = k.Certified(a, next); changed != nil {
					k = *changed
				}
				if rapid.Bool().Draw(t, "twice") { // under the next generation of the Org CA
					if a, changed = k.Certified(a, next); changed != nil {
						k = *changed
					}
				}
				certified = append(certified, next)
			},
			"pin": func(*rapid.T) {
				if len(certified) > 0 {
					a.Pins = []Pin{{Key: certified[len(certified)-1]}}
				}
			},
			"stage":      func(*rapid.T) { k = k.Stage(a.Pin(), key()) },
			"forget":     func(*rapid.T) { k = k.Remember(a); a.Pins = nil },
			"compromise": func(*rapid.T) { k = k.compromised(a) },
			"": func(t *rapid.T) {
				for _, used := range certified[max(len(certified)-MaxEarlier/2, 0):] {
					if err := k.Fresh(a, used); !errors.Is(err, ErrKeyUsed) {
						t.Fatalf("key %s of %d: %v; recent %v, earlier %v", used, last, err, a.Past.Recent, k.Earlier)
					}
				}
				if len(a.Past.Recent) > MaxRecent {
					t.Fatalf("the record names %d keys", len(a.Past.Recent))
				}
			},
		})
	})
}

// keyNumber is a key in the form of Pin.Key.
func keyNumber(n int) string { return strings.Repeat(fmt.Sprintf("%016x", n), 4) }

// One certificate in twenty writes the record of keys; with a note in it, each does.
func TestKeysAreStoredWithEveryTwentiethCertificate(t *testing.T) {
	var a Agent
	var k Keys
	var stored []int
	for n := range 40 {
		var changed *Keys
		if a, changed = k.Certified(a, keyNumber(n+1)); changed != nil {
			k = *changed
			stored = append(stored, n)
		}
	}
	if fmt.Sprint(stored) != "[19 39]" || len(k.Earlier) != MaxEarlier || len(a.Past.Recent) != 0 {
		t.Errorf("stored with %v; %d keys, %d in the record", stored, len(k.Earlier), len(a.Past.Recent))
	}
	k = k.Stage(a.Pin(), keyNumber(99))
	if _, changed := k.Certified(a, keyNumber(41)); changed == nil || len(changed.Staged) > 0 {
		t.Errorf("a note outlives the next certificate: %+v", changed)
	}
}

// Keys that were read before another call stored more of them do not cover the record that this call left.
func TestOlderKeysDoNotCoverTheRecord(t *testing.T) {
	var a Agent
	var k Keys
	older := k
	for n := range MaxRecent + 2 {
		var changed *Keys
		if a, changed = k.Certified(a, keyNumber(n+1)); changed != nil {
			k = *changed
			k.Version++ // as a store does
		}
		if !k.Covers(a) {
			t.Fatalf("after %d: the stored keys do not cover the record", n)
		}
	}
	if older.Covers(a) || older.Fresh(a, keyNumber(1)) != nil {
		t.Error("the older keys know the first key, or say that they do")
	}
}

// A staged certificate follows the pin that it was staged for, no other.
func TestStagedCertificateFollowsItsPin(t *testing.T) {
	before, other := Pin{Thumbprint: "aa"}, Pin{Thumbprint: "bb"}
	k := Keys{}.Stage(before, "cc")
	if !k.HasStaged(before, "cc") || k.HasStaged(other, "cc") || k.HasStaged(before, "dd") || k.HasStaged(Pin{}, "cc") {
		t.Errorf("staged: %v", k.Staged)
	}
}
