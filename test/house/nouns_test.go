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
	"Warning": "one of the table of warnings",
	"Setting": "one of the table of settings",
	"binding": "of a token to keys (RFC 9449)",
	"Pinning": "the act that agentcert carries out",
	"feed":    "documents, fetched again and again",
	"Finding": "of a checker", "finding": "of a checker",
	"listing":    "a list that is read in pages",
	"keyring":    "names of keys",
	"Naming":     "the entry that finds an agent by its name",
	"Sighting":   "registry.Sighting: that an agent was seen in an hour",
	"everything": "what storetest compares",
}

// A name of a type is a noun, so that a search finds it and a line with it reads alone.
func TestTypesAreNouns(t *testing.T) {
	used := map[string]bool{}
	for _, f := range withTests(t) {
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
