package main

import (
	"errors"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
)

// Exit statuses. A pipeline decides on them, so they never change.
const (
	succeeded    = 0
	refused      = 1 // the Mastio refused the request, doctor has found something, or a trail is BROKEN
	misused      = 2 // the command cannot be understood, a local file cannot be used, or a file is not a bundle
	unreachable  = 3 // the Mastio does not answer; nothing was changed
	unknown      = 4 // a change may have been made: it was asked for again with the same key, without an answer
	unpinned     = 5 // a trail is consistent, and no audit key was named
	exitStatuses = `Exit status:
  0  done
  1  the Mastio refused the request, doctor found something to do, or an audit trail is BROKEN
  2  the command cannot be understood, a file on this machine cannot be used, or a file is not a bundle
  3  the Mastio cannot be reached; nothing was changed
  4  the outcome of a change is not known, although the request was repeated with the same Idempotency-Key
  5  an audit trail is consistent, and no audit key was named`
)

// errShown ends a command that showed what it would have sent.
var errShown = errors.New("shown, not sent")

// verdict ends a command with a status of its own. Its text may be empty: what there is to say was printed.
type verdict struct {
	status int
	text   string
}

// Error is the text.
func (v *verdict) Error() string { return v.text }

// statusOf returns the exit status of a command that ended with err.
func statusOf(err error) int {
	var v *verdict
	var no *api.RefusedError
	var far *api.UnreachableError
	var open *api.UnknownError
	switch {
	case err == nil, errors.Is(err, errShown):
		return succeeded
	case errors.As(err, &v):
		return v.status
	case errors.As(err, &open):
		return unknown
	case errors.As(err, &far):
		return unreachable
	case errors.As(err, &no):
		return refused
	}
	return misused
}
