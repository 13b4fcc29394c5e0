package orgca

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Unspecified is the reason of a rotation that names none.
const Unspecified = "unspecified"

// Reasons are the words of RFC 5280 section 5.3.1 that explain a rotation.
var Reasons = []string{
	Unspecified, "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation", "privilegeWithdrawn",
}

// ReasonLegacy is the reason of a migration away from a legacy root; no request can name it.
const ReasonLegacy = "legacy_pathlen_zero"

// CheckReason returns the word of Reasons that a request means, in any case, or ErrReason. The empty text is Unspecified.
func CheckReason(reason string) (string, error) {
	reason = cmp.Or(reason, Unspecified)
	i := slices.IndexFunc(Reasons, func(known string) bool { // the length keeps out what folds into ASCII from elsewhere
		return len(known) == len(reason) && strings.EqualFold(known, reason)
	})
	if i < 0 {
		return "", fmt.Errorf("%w: one of %v", ErrReason, Reasons)
	}
	return Reasons[i], nil
}

// Compromised reports whether a rotation for this reason must never be undone: the superseded key is in wrong hands.
func Compromised(reason string) bool { return reason == "keyCompromise" || reason == "cACompromise" }

// AtOnce reports whether a rotation for this reason takes no overlap: what it supersedes must stop counting with the swap.
func AtOnce(reason string) bool { return Compromised(reason) || reason == "privilegeWithdrawn" }

// Binding returns the reason of a swap for which two were given: one when its CA was staged, one with the swap. A compromise
// stands, whichever of the two declared it, and so does a reason that takes no overlap; otherwise the later word counts, if
// it says anything.
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
