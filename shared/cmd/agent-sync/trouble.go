package main

import "errors"

// Exit statuses.
const (
	done        = 0
	failed      = 1 // Secrets Manager did not answer, or the files could not be written
	usage       = 2
	unsafe      = 3 // others may write the directory
	refused     = 4 // the secret's content
	undelivered = 5 // the secret is not there, or holds nothing yet
	unannounced = 6 // the files are in place; the command or the signal failed
)

// trouble is what stopped a round: what happened, what to do next, and the exit status that --once ends with. Its text
// never quotes the secret.
type trouble struct {
	status     int
	what, next string
	cause      error // may be nil
}

// Error says what happened and why; what to do next is for the log alone.
func (t *trouble) Error() string {
	if t.cause == nil {
		return t.what
	}
	return t.what + ": " + t.cause.Error()
}

// Unwrap returns the cause.
func (t *trouble) Unwrap() error { return t.cause }

// statusOf is the exit status for an error; the first one counts.
func statusOf(err error) int {
	if err == nil {
		return done
	}
	if t, ok := errors.AsType[*trouble](err); ok {
		return t.status
	}
	return failed
}
