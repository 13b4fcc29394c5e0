// Package admin says who holds an admin secret and what the holder may: roles, and the entries of named admins.
package admin

import (
	"regexp"
	"strings"
)

// Most is how many named admins an organisation has at the most: an instance remembers so many.
const Most = 32

// Admin is the holder of an admin secret that was shown. The zero Admin may nothing.
type Admin struct {
	Name         string // empty: the holder of the installation's one secret
	Version      string // id of the version of the secret
	Role         Role
	Capabilities []string // what an enroller may give to an agent
}

// Holder returns the holder of the installation's one secret, who may everything.
func Holder(version string) Admin { return Admin{Version: version, Role: CAOfficer} }

// Actor is the admin in the audit trail. A name has fewer characters than the id of a version, so that neither passes
// for the other.
func (a Admin) Actor() string {
	if a.Name != "" {
		return "admin:" + a.Name
	}
	return "admin:" + a.Version
}

// name is the form of an admin's name: a part of a secret's name, and shorter than the id of a version, which has 32
// characters at the least.
var name = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,30}$`)

// Split takes NAME:SECRET apart. ok is false for a text that names no admin: it can only be the one secret.
func Split(shown string) (who, secret string, ok bool) {
	who, secret, ok = strings.Cut(shown, ":")
	if !ok || secret == "" || !name.MatchString(who) {
		return "", "", false
	}
	return who, secret, true
}

// Limit is what an enroller may enrol: a name that is new, with capabilities out of a list. A nil Limit allows all.
type Limit struct{ Capabilities []string }

// Limit returns the admin's limit at an enrolment.
func (a Admin) Limit() *Limit {
	if a.Role.Includes(Operator) {
		return nil
	}
	return &Limit{a.Capabilities}
}
