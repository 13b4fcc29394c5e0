package agent

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Profile is what an operator says of an agent. Every enrolment takes it, the record keeps it, and every answer about
// the agent shows it: a new field is declared here and nowhere else in a request or an answer. The tags are the
// members' names in JSON and the fields' names in a form.
type Profile struct {
	DisplayName  string   `json:"display_name"`
	Capabilities []string `json:"capabilities"` // what the agent's tokens may name as scope
	// Owner is free text that says who answers for the agent, such as an e-mail address or a team. Empty: not known.
	// JSON then leaves the owner out, so that requests of releases without owners keep their hash under an
	// Idempotency-Key.
	Owner string `json:"owner,omitempty"`
	// Suspicion says what follows where the credential is suspect: SuspicionNotify or SuspicionContain; empty: notify.
	Suspicion string `json:"suspicion,omitempty"`
}

// Limits of what an operator may write into a record.
const (
	maxDisplayName  = 128 // characters
	maxCapabilities = 64
	maxCapability   = 128 // octets
	maxOwner        = 200 // characters
)

// ownCapability begins the capabilities that give an agent a right at the Mastio itself.
const ownCapability = "mastio:"

// Introspect lets an agent ask the Mastio about tokens of others, as a resource server does.
const Introspect = ownCapability + "introspect"

// ownCapabilities are those that the Mastio knows. An agent must not hold another one: it would get the right on the
// day on which a release gives the name a meaning.
var ownCapabilities = []string{Introspect}

// ReadProfile reads a profile from a form, whose fields value returns.
func ReadProfile(value func(name string) string) Profile {
	return Profile{
		DisplayName:  strings.TrimSpace(value("display_name")),
		Capabilities: strings.Fields(value("capabilities")),
		Owner:        strings.TrimSpace(value("owner")),
		Suspicion:    value("suspicion"),
	}
}

// Over returns the profile with what it leaves out taken from an earlier one; a display name is then the agent's name.
func (p Profile) Over(old Profile, name string) Profile {
	p.DisplayName = cmp.Or(p.DisplayName, old.DisplayName, name)
	p.Owner = cmp.Or(p.Owner, old.Owner)
	p.Suspicion = cmp.Or(p.Suspicion, old.Suspicion)
	if p.Capabilities == nil {
		p.Capabilities = old.Capabilities
	}
	return p
}

// Check returns ErrProfile if the display name, a capability or the owner cannot be stored, or the capability not put
// into a token. ProfileField names the field that the error is about.
func (p Profile) Check() error {
	if !isLine(p.DisplayName, maxDisplayName) {
		return refused("display_name", "display_name takes at most %d characters and no control characters", maxDisplayName)
	}
	if !isLine(p.Owner, maxOwner) {
		return refused("owner", "owner takes at most %d characters and no control characters", maxOwner)
	}
	if !slices.Contains([]string{"", SuspicionNotify, SuspicionContain}, p.Suspicion) {
		return refused("suspicion", "suspicion takes %s or %s", SuspicionNotify, SuspicionContain)
	}
	if len(p.Capabilities) > maxCapabilities {
		return refused("capabilities", "at most %d capabilities", maxCapabilities)
	}
	for _, c := range p.Capabilities {
		if begins(c, ownCapability) && !slices.Contains(ownCapabilities, c) {
			return refused("capabilities", "a capability that begins with %s, in any case, is the Mastio's; it knows only %s",
				ownCapability, strings.Join(ownCapabilities, ", "))
		}
		if c == "" || len(c) > maxCapability || slices.ContainsFunc([]rune(c), notScopeToken) {
			return refused("capabilities", "a capability is 1 to %d printable ASCII characters without space, "+
				"quote or backslash", maxCapability)
		}
	}
	return nil
}

// ProfileField returns the name of the field that an error of Check is about; empty: it is another error.
func ProfileField(err error) string {
	if e, ok := errors.AsType[*profileError](err); ok {
		return e.field
	}
	return ""
}

// profileError is ErrProfile about one field.
type profileError struct{ field, text string }

func (e *profileError) Error() string { return ErrProfile.Error() + ": " + e.text }
func (e *profileError) Unwrap() error { return ErrProfile }

func refused(field, format string, args ...any) error {
	return &profileError{field, fmt.Sprintf(format, args...)}
}

// begins reports whether s begins with a prefix, in any case: a name that only looks like the Mastio's own misleads.
func begins(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// isLine reports whether s is one line of at most so many characters.
func isLine(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !slices.ContainsFunc([]rune(s), isControl)
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// notScopeToken is the complement of RFC 6749 section 3.3's scope-token characters: capabilities are granted as scope.
func notScopeToken(r rune) bool { return r <= 0x20 || r >= 0x7f || r == '"' || r == '\\' }
