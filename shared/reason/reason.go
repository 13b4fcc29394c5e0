// Package reason is the list of reasons why a certificate or a CA is replaced or ended, as codes for programs.
package reason

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mastio-aws/mastio/shared/problem"
)

// Errors of a reason.
var (
	ErrCode    = problem.New(400, "reason_invalid", "reason is not one of the words that are known")
	ErrComment = problem.New(400, "comment_invalid", "comment takes at most 500 characters of valid UTF-8, and no "+
		"control characters")
)

// Code is a word of RFC 5280 section 5.3.1.
type Code string

// The codes. The revocation lists' own ones (certificateHold, removeFromCRL) and aACompromise have no meaning here.
const (
	Unspecified          Code = "unspecified"
	KeyCompromise        Code = "keyCompromise"
	CACompromise         Code = "cACompromise"
	AffiliationChanged   Code = "affiliationChanged"
	Superseded           Code = "superseded"
	CessationOfOperation Code = "cessationOfOperation"
	PrivilegeWithdrawn   Code = "privilegeWithdrawn"
)

// Codes returns all of them.
func Codes() []Code {
	return []Code{Unspecified, KeyCompromise, CACompromise, AffiliationChanged, Superseded, CessationOfOperation,
		PrivilegeWithdrawn}
}

// Parse reads a code in upper and lower case alike and returns it in its one spelling. The empty text is Unspecified;
// any other text, a code with a blank or an underscore included, is ErrCode: a compromise that is misspelt must not
// become a routine rotation.
func Parse(s string) (Code, error) {
	if s == "" {
		return Unspecified, nil
	}
	for _, c := range Codes() {
		// Equal lengths keep out the letters beyond ASCII that fold to one of ASCII's.
		if len(s) == len(c) && strings.EqualFold(s, string(c)) {
			return c, nil
		}
	}
	return "", fmt.Errorf("%w; it takes %s; free text belongs into comment", ErrCode, words())
}

func words() string {
	var list []string
	for _, c := range Codes() {
		list = append(list, string(c))
	}
	return strings.Join(list, ", ")
}

// Compromise reports whether a private key is in wrong hands: what was certified with that key never counts again.
func (c Code) Compromise() bool { return c == KeyCompromise || c == CACompromise }

// AtOnce reports whether what is replaced has to stop with the commit: it takes neither grace nor overlap, and no
// rollback restores it.
func (c Code) AtOnce() bool { return c.Compromise() || c == PrivilegeWithdrawn }

// MaxComment is the length of the longest comment, in characters.
const MaxComment = 500

// Statement is the reason that a caller gives. The zero value is Unspecified without a comment.
type Statement struct {
	Code    Code
	Comment string // for people: the audit trail keeps it, nothing is decided by it
}

// Read returns what a caller sent as a Given. Errors: ErrCode, ErrComment.
func Read(code, comment string) (Statement, error) { return Statement{Code(code), comment}.Check() }

// Check returns g with its code in the one spelling. Errors: ErrCode, ErrComment.
func (g Statement) Check() (Statement, error) {
	code, err := Parse(string(g.Code))
	if err != nil {
		return Statement{}, err
	}
	if !utf8.ValidString(g.Comment) || utf8.RuneCountInString(g.Comment) > MaxComment ||
		strings.ContainsFunc(g.Comment, isControl) {
		return Statement{}, ErrComment
	}
	return Statement{code, g.Comment}, nil
}

func isControl(r rune) bool { return r < 0x20 && r != '\n' && r != '\r' && r != '\t' || r == 0x7f }

// Note writes the reason into the details of a row of the audit trail: the members reason and comment.
func (g Statement) Note(details map[string]any) map[string]any {
	details["reason"], details["comment"] = string(g.Code), g.Comment
	return details
}
