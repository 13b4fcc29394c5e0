// Package problem is the one error type that crosses a border of the Mastio: an error with its status, its code and
// its public sentence (RFC 9457).
//
// A problem is declared next to its rule, and it is the error itself:
//
//	var ErrGrace = problem.New(400, "grace_seconds_invalid", "grace_seconds takes 0 to 172800")
//
// A function returns the problem as it is, or wraps it with %w. Of finds the problem where an answer is written. An
// error without a problem is answered like a problem of Internal: status 500 and no reason.
package problem

import (
	"errors"
	"strings"
	"time"
)

// Code names a kind of problem, or of defect, to programs. A published code is never changed.
type Code string

// Defect is one thing that is wrong with an upload. Its detail never contains anything of a private key.
type Defect struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}

// Done is what a request did whose answer held a private key, and how its caller goes on without that answer.
type Done struct {
	Thumbprint string    `json:"cert_thumbprint"`
	At         time.Time `json:"at"`
	Next       string    `json:"next"` // method and path of the call that goes on
}

// Remain is which agents a request would have cut off.
type Remain struct {
	Count   int64   `json:"count"`
	AtLeast bool    `json:"at_least"` // there were more agents than were looked at
	First   []Agent `json:"first"`    // at most ten, those first that were seen last
}

// Agent is one of them.
type Agent struct {
	ID       string     `json:"agent_id"`
	Method   string     `json:"method"`
	LastSeen *time.Time `json:"last_seen"` // the hour in which it last got a token; null: none is known
}

// Problem is an error and its answer. Its JSON form is a problem document (RFC 9457). A declared problem is never
// changed: every method returns a copy, which errors.Is takes for the declared one. It is safe for concurrent use.
type Problem struct { //nolint:errname // it is an answer as much as an error
	Type      string   `json:"type"`
	Title     string   `json:"title"`
	Status    int      `json:"status"`
	Detail    string   `json:"detail"` // of a declared problem: its fixed public sentence, or empty
	Code      Code     `json:"code"`
	RequestID string   `json:"request_id"`
	Errors    []Defect `json:"errors,omitempty"` // of a refused upload: all that is wrong with it
	Done      *Done    `json:"done,omitempty"`   // of a repetition whose answer is not kept: what the first request did
	Remain    *Remain  `json:"remain,omitempty"` // of a request that is refused because of agents

	OAuth   string        `json:"-"` // error code at the token endpoint (RFC 6749 section 5.2); empty: by status
	RetryIn time.Duration `json:"-"` // the Retry-After header, in whole seconds; zero: none

	rule *rule // nil for a problem that was read from a document
}

// rule is what all copies of a declared problem share.
type rule struct {
	text     string
	internal bool
}

// New declares a problem. The text is what Error returns; it is the public sentence too, with all that wraps it, unless
// Says gives another. New panics for a status that no answer of the Mastio has.
func New(status int, code Code, text string) *Problem {
	title, ok := titles[status]
	if !ok || code == "" {
		panic("problem: no such status, or no code: " + text)
	}
	return &Problem{Type: "about:blank", Title: title, Status: status, Code: code, rule: &rule{text: text}}
}

// Internal declares an error that no request can cause. The answer is 500 without a reason, whose cause is in the log;
// but any other problem in the same chain of errors is preferred.
func Internal(text string) *Problem {
	p := New(500, "internal", text)
	p.Detail = "Something went wrong here. The log entry with this request id has the cause."
	p.rule.internal = true
	return p
}

// Says returns the problem with a fixed public sentence. The error's own text, and what wraps it, stay in the log.
func (p *Problem) Says(sentence string) *Problem {
	q := *p
	q.Detail = sentence
	return &q
}

// AtToken returns the problem with its error code at the token endpoint (RFC 6749 section 5.2).
func (p *Problem) AtToken(code string) *Problem {
	q := *p
	q.OAuth = code
	return &q
}

// After returns the problem with a time to wait before a retry, in whole seconds.
func (p *Problem) After(wait time.Duration) *Problem {
	q := *p
	q.RetryIn = wait
	return &q
}

// With returns the problem with defects, at least one. The code of the first is the problem's.
func (p *Problem) With(defects []Defect) *Problem {
	q := *p
	q.Code, q.Errors = defects[0].Code, defects
	return &q
}

// Did returns the problem with what was done, and the public sentence about it.
func (p *Problem) Did(d Done, sentence string) *Problem {
	q := *p
	q.Done, q.Detail = &d, sentence
	return &q
}

// Because returns the problem with the agents that are its cause.
func (p *Problem) Because(r Remain) *Problem {
	q := *p
	q.Remain = &r
	return &q
}

// Error returns the declared text and the defects; of a problem that was read from a document, its code and its detail.
func (p *Problem) Error() string {
	if p.rule == nil {
		return string(p.Code) + ": " + p.Detail
	}
	if len(p.Errors) == 0 {
		return p.rule.text
	}
	words := make([]string, len(p.Errors))
	for i, d := range p.Errors {
		words[i] = string(d.Code) + " (" + d.Detail + ")"
	}
	return p.rule.text + ": " + strings.Join(words, ", ")
}

// Is reports whether the target is the same declared problem, or a copy of it. A problem that was read from a document
// is any declared problem with its status and its code.
func (p *Problem) Is(target error) bool {
	q, ok := target.(*Problem) //nolint:errorlint // errors.Is does the unwrapping
	switch {
	case !ok:
		return false
	case p.rule == nil || q.rule == nil:
		return p.Status == q.Status && p.Code == q.Code
	}
	return p.rule == q.rule
}

var unexplained = Internal("not a problem")

// Of returns the answer to an error: a copy of the first problem in its chain, depth first, that is not internal. What
// wraps the error comes first, so the particular goes before the general. Without a fixed sentence the error's whole
// text is the public one, which then must not hold a cause from below. An error with the method Answer() (status int,
// code, sentence string) counts as such a problem.
func Of(err error) *Problem {
	found := find(err)
	if found == nil {
		found = unexplained
	}
	p := *found
	if p.Detail == "" {
		p.Detail = err.Error()
	}
	return &p
}

func find(err error) *Problem {
	if p, ok := err.(*Problem); ok && (p.rule == nil || !p.rule.internal) { //nolint:errorlint // this is the unwrapping
		return p
	}
	switch w := err.(type) { //nolint:errorlint // this is the unwrapping
	case interface {
		Answer() (status int, code, sentence string)
	}: // of a package that others link, and that therefore does not link this one
		status, code, sentence := w.Answer()
		return New(status, Code(code), err.Error()).Says(sentence)
	case interface{ Unwrap() error }:
		if below := w.Unwrap(); below != nil {
			return find(below)
		}
	case interface{ Unwrap() []error }:
		for _, below := range w.Unwrap() {
			if p := find(below); p != nil {
				return p
			}
		}
	}
	return nil
}

// ErrDocument reports bytes that are no problem document.
var ErrDocument = errors.New("not a problem document")
