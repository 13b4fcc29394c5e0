package orgca

import (
	"cmp"

	"github.com/mastio-aws/mastio/shared/reason"
)

// Unspecified is the reason of a rotation that names none.
const Unspecified = string(reason.Unspecified)

// ReasonLegacy is the reason of a migration away from a legacy root; no request can name it.
const ReasonLegacy = "legacy_pathlen_zero"

// Compromised reports whether the key of what a rotation for this reason supersedes is in wrong hands.
func Compromised(why string) bool { return reason.Code(why).Compromise() }

// AtOnce reports whether a rotation for this reason takes no overlap and has no way back: what it supersedes must stop
// counting with the swap.
func AtOnce(why string) bool { return reason.Code(why).AtOnce() }

// Binding returns the reason of a swap for which two were given: one when its CA was staged, one with the swap. A
// compromise stands, whichever of the two declared it, and so does a reason that takes no overlap; otherwise the later
// word counts, if it says anything.
func Binding(staged, swap string) string {
	for _, binds := range []func(string) bool{Compromised, AtOnce} {
		if binds(swap) {
			return swap
		}
		if binds(staged) {
			return staged
		}
	}
	if swap == "" || swap == Unspecified {
		return cmp.Or(staged, Unspecified)
	}
	return swap
}
