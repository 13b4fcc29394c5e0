package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/problem"
)

var (
	errGrace = problem.New(400, "grace_seconds_invalid", "grace_seconds takes 0 to 172800")
	errHeld  = problem.New(409, "rotation_in_progress", "another rotation is in progress").
			Says("Another rotation is in progress. Retry after it.").
			After(30 * time.Second)
	errRefused = problem.New(422, "ca_refused", "uploaded Org CA refused").Says("The CA was refused.")
	errToken   = problem.Internal("invalid access token")
	errProof   = problem.New(400, "dpop_proof_invalid", "invalid dpop proof").AtToken("invalid_dpop_proof")
)

// answerError is an error of a package that does not import this one.
type answerError struct{ sentence string }

func (answerError) Error() string { return "no token" }

func (e answerError) Answer() (status int, code, sentence string) {
	return 401, "token_required", e.sentence
}

func TestOf(t *testing.T) {
	const hidden = "Something went wrong here. The log entry with this request id has the cause."
	type answer struct {
		Status int
		Code   problem.Code
		Detail string
		OAuth  string
		Retry  time.Duration
	}
	for name, tt := range map[string]struct {
		err  error
		want answer
	}{
		"as it is": {errGrace, answer{400, "grace_seconds_invalid", "grace_seconds takes 0 to 172800", "", 0}},
		"wrapped": {fmt.Errorf("%w: not -1", errGrace),
			answer{400, "grace_seconds_invalid", "grace_seconds takes 0 to 172800: not -1", "", 0}},
		"fixed sentence": {fmt.Errorf("%w: of 01J", errHeld),
			answer{409, "rotation_in_progress", "Another rotation is in progress. Retry after it.", "", 30 * time.Second}},
		"another wait": {fmt.Errorf("acquire: %w", errHeld.After(time.Second)),
			answer{409, "rotation_in_progress", "Another rotation is in progress. Retry after it.", "", time.Second}},
		"token endpoint": {errProof, answer{400, "dpop_proof_invalid", "invalid dpop proof", "invalid_dpop_proof", 0}},
		"over a cause": {fmt.Errorf("%w: %w", errHeld, io.ErrUnexpectedEOF),
			answer{409, "rotation_in_progress", "Another rotation is in progress. Retry after it.", "", 30 * time.Second}},
		"the first of two": {errors.Join(io.EOF, fmt.Errorf("%w: %w", errHeld, errGrace)),
			answer{409, "rotation_in_progress", "Another rotation is in progress. Retry after it.", "", 30 * time.Second}},
		"internal": {fmt.Errorf("%w: its secret", errToken), answer{500, "internal", hidden, "", 0}},
		"internal over public": {fmt.Errorf("%w: %w", errToken, errHeld),
			answer{409, "rotation_in_progress", "Another rotation is in progress. Retry after it.", "", 30 * time.Second}},
		"of a package without problems": {fmt.Errorf("ask: %w", answerError{"Get a token."}),
			answer{401, "token_required", "Get a token.", "", 0}},
		"of such a package, without a sentence": {fmt.Errorf("ask: %w", answerError{}),
			answer{401, "token_required", "ask: no token", "", 0}},
		"no problem": {fmt.Errorf("dial 10.0.0.1: %w", io.EOF), answer{500, "internal", hidden, "", 0}},
	} {
		t.Run(name, func(t *testing.T) {
			p := problem.Of(tt.err)
			got := answer{p.Status, p.Code, p.Detail, p.OAuth, p.RetryIn}
			if diff := cmp.Diff(tt.want, got); diff != "" || p.Title != http.StatusText(p.Status) || p.Type != "about:blank" {
				t.Errorf("title %q, type %q (-want +got):\n%s", p.Title, p.Type, diff)
			}
		})
	}
}

// A copy is the declared problem, and changing what Of returned changes nothing that is declared.
func TestCopies(t *testing.T) {
	held := fmt.Errorf("acquire: %w", errHeld.After(time.Second))
	if !errors.Is(held, errHeld) || errors.Is(held, errGrace) || errHeld.RetryIn != 30*time.Second {
		t.Errorf("%v; the declared wait is %v", held, errHeld.RetryIn)
	}
	p := problem.Of(errHeld)
	p.RequestID, p.Code = "r", "other"
	if errHeld.RequestID != "" || errHeld.Code != "rotation_in_progress" {
		t.Errorf("the declared problem became %+v", errHeld)
	}
}

func TestDefects(t *testing.T) {
	err := errRefused.With([]problem.Defect{{
		Code:   "ca_expired",
		Detail: "it ended",
	}, {Code: "ca_serial", Detail: "it is 0"}})
	if got, want := err.Error(), "uploaded Org CA refused: ca_expired (it ended), ca_serial (it is 0)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := problem.Of(err); p.Code != "ca_expired" || p.Detail != "The CA was refused." || len(p.Errors) != 2 ||
		!errors.Is(err, errRefused) {
		t.Errorf("got %+v", p)
	}
}

func TestDocument(t *testing.T) {
	for _, err := range []error{errGrace, errHeld, errRefused.With([]problem.Defect{{
		Code:   "ca_expired",
		Detail: "it ended",
	}}), io.EOF} {
		sent := problem.Of(err)
		sent.RequestID = "r"
		document, fault := json.Marshal(sent)
		if fault != nil {
			t.Fatal(fault)
		}
		got, fault := problem.Read(document, sent.RetryIn)
		if fault != nil {
			t.Fatalf("%s: %v", document, fault)
		}
		again, _ := json.Marshal(problem.Of(fmt.Errorf("invoke: %w", got)))
		if string(again) != string(document) || problem.Of(got).RetryIn != sent.RetryIn || got.Error() == "" {
			t.Errorf("sent %s\ngot  %s", document, again)
		}
		if errors.Is(got, errHeld) != errors.Is(err, errHeld) || errors.Is(got, errGrace) != errors.Is(err, errGrace) {
			t.Errorf("%v came back as %v", err, got)
		}
	}
	const form = `{"type":"about:blank","title":"Conflict","status":409,"detail":"Another rotation is in progress. Retry after it.",` +
		`"code":"rotation_in_progress","request_id":""}`
	if got, _ := json.Marshal(errHeld); string(got) != form {
		t.Errorf("got %s, want %s", got, form)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, document := range []string{``, `null`, `{}`, `"no"`, `[]`, `{"status":200,"code":"ok"}`, `{"status":503}`,
		`{"status":600,"code":"x"}`} {
		if p, err := problem.Read([]byte(document), 0); !errors.Is(err, problem.ErrDocument) || p != nil {
			t.Errorf("%s: %v, %v", document, p, err)
		}
	}
}

// A problem without a code, or with a status that no answer has, is a mistake of the one who declares it.
func TestNewPanics(t *testing.T) {
	for name, declare := range map[string]func(){
		"no code":                   func() { problem.New(400, "", "text") },
		"no such status":            func() { problem.New(200, "code", "text") },
		"status that no answer has": func() { problem.New(418, "code", "text") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it is declared", name)
				}
			}()
			declare()
		}()
	}
}
