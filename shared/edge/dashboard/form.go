package dashboard

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/mastio-aws/mastio/shared/session"
)

// maxForm is the most octets of a form: two pasted certificates with their escapes, and some.
const maxForm = 256 << 10

var errForm = fmt.Errorf("%w: it cannot be read", session.ErrForged)

// form reads a form of a page of this session. Error: session.ErrForged.
func (d *Dashboard) form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	f, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	if err := session.CheckForm(visitOf(r.Context()).token, f.Get("form_token")); err != nil {
		return nil, err
	}
	return f, nil
}

// readForm reads a form that was sent from a page of this host.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if !sameOrigin(r) {
		return nil, session.ErrForged
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil ||
		kind != "application/x-www-form-urlencoded" {
		return nil, errForm
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, errForm
	}
	return r.PostForm, nil
}

// errConfirm reports that the text to confirm was not typed.
var errConfirm = errors.New("the text to confirm was not typed")

// confirmed compares what was typed with what was asked for; spaces around it and its case do not matter.
func confirmed(f url.Values, want string) error {
	if !strings.EqualFold(strings.TrimSpace(f.Get("confirm")), want) {
		return errConfirm
	}
	return nil
}

// field is an error message for one field of a form; Name is empty for the form as a whole.
type field struct{ Name, Text string }

// formView is a form as a page shows it: what it holds, what is wrong with it, and the number that makes it work once.
type formView struct {
	Action string
	Values url.Values
	Number string
	Errors []field
	Status int // of the answer; zero: 200
}

// fresh is a form that was not sent yet, or is shown once more with what was wrong.
func fresh(action string, values url.Values, errs ...field) formView {
	a := formView{Action: action, Values: values, Number: session.NewToken(), Errors: errs, Status: http.StatusOK}
	if len(errs) > 0 {
		a.Status = http.StatusUnprocessableEntity
	}
	return a
}

// Value is what a field holds.
func (a formView) Value(name string) string { return a.Values.Get(name) }

// Is reports whether a field holds a value; one that was not sent holds the default.
func (a formView) Is(name, value, otherwise string) bool {
	if !a.Values.Has(name) {
		return value == otherwise
	}
	return a.Values.Get(name) == value
}

// Wrong returns what is wrong with a field.
func (a formView) Wrong(name string) string {
	return strings.Join(a.All(name), " ")
}

// All returns everything that is wrong with a field, each for itself.
func (a formView) All(name string) []string {
	var texts []string
	for _, e := range a.Errors {
		if e.Name == name {
			texts = append(texts, e.Text)
		}
	}
	return texts
}
