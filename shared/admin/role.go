package admin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrRole reports a request that the admin's role may not make.
var ErrRole = problem.New(403, "role_insufficient", "the admin's role may not do this")

// Role is what an admin may. Each role may all that the one before it may.
type Role string

// The roles, the least first.
const (
	Viewer    Role = "viewer"     // reads
	Enroller  Role = "enroller"   // enrols agents with new names, with capabilities that its entry lists
	Operator  Role = "operator"   // does everything with agents
	CAOfficer Role = "ca-officer" // rotates the Org CA, and ends its generations
)

// Roles returns all roles, the least first.
func Roles() []Role { return []Role{Viewer, Enroller, Operator, CAOfficer} }

// Includes reports whether r may all that the least role may. A role that is not known includes nothing, and nothing
// includes it.
func (r Role) Includes(least Role) bool {
	has, needs := slices.Index(Roles(), r), slices.Index(Roles(), least)
	return needs >= 0 && has >= needs
}

// Permit returns nil if role r may do what takes the least role. Its ErrRole names the roles that may.
func (r Role) Permit(least Role) error {
	if r.Includes(least) {
		return nil
	}
	return fmt.Errorf("%w: %s is not %s", ErrRole.Says(insufficient(r, least)), r, least)
}

func insufficient(r, least Role) string {
	n := slices.Index(Roles(), least)
	if n < 0 {
		return "No role may make this request. Nothing was changed."
	}
	var may []string
	for _, role := range Roles()[n:] {
		may = append(may, string(role))
	}
	return fmt.Sprintf("Your role, %s, may not make this request. Nothing was changed. The role that may: %s.", r,
		strings.Join(may, ", or "))
}

// Allow returns nil if an enrolment keeps to the limit: the agent's name is new, and the limit lists all its
// capabilities. Otherwise it returns ErrRole.
func (l *Limit) Allow(isNew bool, capabilities []string) error {
	if l == nil {
		return nil
	}
	if !isNew {
		return fmt.Errorf("%w: the name is not new", ErrRole.Says("An enroller enrols new names alone. An agent with this "+
			"name exists or existed, and was not changed. The role that may: operator, or ca-officer."))
	}
	for _, c := range capabilities {
		if !slices.Contains(l.Capabilities, c) {
			return fmt.Errorf("%w: capability %q", ErrRole.Says(fmt.Sprintf("Your entry does not list the capability %q. "+
				"Nothing was changed. The role that may: operator, or ca-officer.", c)), c)
		}
	}
	return nil
}
