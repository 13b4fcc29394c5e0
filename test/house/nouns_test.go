package house

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// participle matches a name that says what happened to a thing, and not which thing: one word.
var participle = regexp.MustCompile(`^[A-Za-z][a-z]+(ed|ing)$`)

// irregular are participles and adjectives that the expression does not match.
var irregular = []string{
	"told", "fresh", "due", "seen", "kept", "held", "left", "sent", "shown", "given", "made", "lost",
}

// nouns are names of types that look like participles and are nouns of the field, or the verb's result in its own
// package, which is always named with them.
var nouns = map[string]string{
	"Warning":    "one of the table of warnings",
	"Setting":    "one of the table of settings",
	"binding":    "of a token to keys (RFC 9449)",
	"Pinning":    "the act that agentcert carries out",
	"opened":     "tokens whose signatures were verified",
	"feed":       "documents, fetched again and again",
	"Naming":     "the entry that finds an agent by its name",
	"Verified":   "assertion.Verified, verifier.Verified",
	"Sealed":     "audit.Sealed: a checkpoint with its seal",
	"Sighting":   "registry.Sighting: that an agent was seen in an hour",
	"Moved":      "rotateca.Moved: how many agents have",
	"Admitted":   "enroll.Admitted",
	"everything": "what storetest compares",
}

// A name of a type is a noun, so that a search finds it and a line with it reads alone.
func TestTypesAreNouns(t *testing.T) {
	used := map[string]bool{}
	for _, f := range sources(t) {
		if !below(f.path, []string{"functions", "shared"}) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			name := spec.Name.Name
			if !participle.MatchString(name) && !slices.Contains(irregular, strings.ToLower(name)) {
				return true
			}
			if used[name] = true; nouns[name] == "" {
				t.Errorf("%s: the type %s is named by a participle: use the noun", f.path, name)
			}
			return true
		})
	}
	for name := range nouns {
		if !used[name] {
			t.Errorf("no type is named %s: strike it from the list", name)
		}
	}
}
