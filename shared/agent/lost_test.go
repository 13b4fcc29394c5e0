package agent

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
)

func proofKey(n byte) string {
	return base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte{n}, 32))
}

func certifiedKey(n byte) string { return fmt.Sprintf("%064x", slices.Repeat([]byte{n}, 32)) }

// A compromise is a fact in two records. Whatever authenticates the agent is refused by both.
func TestCompromiseIsInBothRecords(t *testing.T) {
	earlier := Keys{}.Certify(certifiedKey(9))
	for _, status := range []Status{Active, Deactivated} {
		before := Agent{
			Status: status,
			JKT:    proofKey(1),
			Pins:   []Pin{{Key: certifiedKey(2), JKT: proofKey(2)}, {Key: certifiedKey(3), JKT: proofKey(3)}},
			Past:   Past{Lost: LostProofKeys(nil).with(proofKey(4))},
		}
		a, k := Compromise(before, earlier)
		if a.JKT != "" {
			t.Errorf("%s: the DPoP key %s is still registered", status, a.JKT)
		}
		for n := byte(1); n <= 3; n++ {
			if !a.Past.Lost.Has(proofKey(n)) {
				t.Errorf("%s: the agent accepts a proof by the lost key %d", status, n)
			}
			if err := k.SoundProofKey(proofKey(n)); !errors.Is(err, ErrProofKeyUsed) {
				t.Errorf("%s: the lost DPoP key %d may be registered: %v", status, n, err)
			}
		}
		for n := byte(2); n <= 3; n++ {
			if err := k.Sound(certifiedKey(n)); !errors.Is(err, ErrKeyUsed) {
				t.Errorf("%s: the lost key %d may be certified: %v", status, n, err)
			}
		}
		if !a.Past.Lost.Has(proofKey(4)) {
			t.Errorf("%s: what was lost before counts again", status)
		}
		if lost := k.Sound(certifiedKey(9)) != nil; lost != (status == Deactivated) {
			t.Errorf("%s: the earlier key is lost: %v", status, lost)
		}
		if len(earlier.Compromised) != 0 || before.JKT == "" || before.Past.Lost.Has(proofKey(1)) {
			t.Errorf("%s: the caller's values changed", status)
		}
	}
}
