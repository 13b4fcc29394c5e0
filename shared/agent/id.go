package agent

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrID reports a text that is not an agent's identifier.
var ErrID = problem.New(400, "agent_id_invalid", "malformed agent id")

// ID names an agent for good: `{org_id}::{name}`. It never changes when the agent's certificate does.
type ID string

var pattern = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)

// isName refuses also "." and "..", which match the pattern but are no segments of a SPIFFE ID's path.
func isName(s string) bool { return pattern.MatchString(s) && s != "." && s != ".." }

// NewID joins an organisation and an agent's name; it returns ErrID if either is malformed.
func NewID(org, name string) (ID, error) {
	if !isName(org) || !isName(name) {
		return "", fmt.Errorf("%w: it is {org_id}::{agent_name}, each 1 to 64 of letters, digits, '.', '_' and '-', and "+
			"neither '.' nor '..'", ErrID)
	}
	return ID(org + "::" + name), nil
}

// ParseID reads `{org_id}::{name}`; it returns ErrID for anything else.
func ParseID(s string) (ID, error) {
	org, name, _ := strings.Cut(s, "::")
	return NewID(org, name)
}

// Org returns the organisation's half of the identifier.
func (id ID) Org() string {
	org, _, _ := strings.Cut(string(id), "::")
	return org
}

// Name returns the agent's half of the identifier.
func (id ID) Name() string {
	_, name, _ := strings.Cut(string(id), "::")
	return name
}
