package dashboard

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// errPage reports an address that no page has.
var errPage = problem.New(404, "page_not_found", "no such page").
	Says("There is no page at this address.")

func noPage(http.ResponseWriter, *http.Request) error { return errPage }

// way is a link or a button that leads on from an error.
type way struct{ Text, To string }

// failureView is an error as a page.
type failureView struct { //nolint:errname // what a page shows; no function returns it as an error
	*problem.Problem
	Title string
	Text  string
	Ways  []way // the first is the one to take
}

// phrase is what a page says about an error that the API explains with its calls.
type phrase struct {
	err   error
	title string
	text  string // empty: the API's own sentence
	ways  []way
}

var (
	toAgents = []way{{"Show all agents", agentsPath}}
	toPKI    = []way{{"Look at the Org CA", pkiPath}}
	toBYOCA  = []way{{"Enrol a certificate of your own CA", enrolPath + "?method=byoca"}}
)

var phrases = []phrase{
	{errPage, "Page not found", "There is no page at this address. Check the address for a typing mistake.", nil},
	{agent.ErrNotFound, "Agent not found", "No agent has this name.", toAgents},
	{agent.ErrID, "Agent not found", "This is not the name of an agent.", toAgents},
	{agent.ErrRotateAtYourCA, "The certificate is issued elsewhere", "The Mastio does not issue this agent's " +
		"certificate. Issue the next one at the agent's own CA and enrol it as an update. SPIRE rotates its " +
		"certificates without that.", toBYOCA},
	{session.ErrUsed, "This form was sent before", "", nil},
	{orgca.ErrLeaseHeld, "A rotation is in progress", "Another rotation of the Org CA is in progress. Repeat this when " +
		"it has ended.", toPKI},
	{orgca.ErrLeaseLost, "The rotation took too long", "Another rotation has begun meanwhile. Nothing was changed.",
		toPKI},
	{agent.ErrAlreadyEnrolled, "The agent exists", "An agent with this name exists and was not changed.", toAgents},
	{enroll.ErrMethod, "The agent exists", "An agent with this name was enrolled by another method and was not changed. " +
		"To change the method, deactivate the agent and enrol it again.", toAgents},
	{enroll.ErrCapabilities, "The agent exists", "An agent with this name exists, has other capabilities than these, " +
		"and was not changed.", toAgents},
	{enroll.ErrNotUnderOrgCA, "", "The certificate does not chain to the current Org CA. Issue it under that CA, and " +
		"put the certificates between them after the agent's.", nil},
	{enroll.ErrNotUnderBundle, "", "The SVID does not chain to any CA of the trust bundle. Put the certificates " +
		"between them after the SVID.", nil},
	{enroll.ErrOwnCA, "", "The trust bundle has an Org CA of this Mastio. SVIDs under the Org CA need no bundle: leave " +
		"it empty, and the agent follows the rotations of the Org CA.", nil},
	{enroll.ErrIssuedHere, "", "The Mastio issued this certificate itself, so it counts for the agent that it was " +
		"issued to and for no other.", nil},
	{enroll.ErrNoJob, "Job not found", "", toAgents},
}

// failure puts an error into the words of a page.
func (d *Dashboard) failure(r *http.Request, err error) failureView {
	v := failureView{Problem: d.problem(r, err)}
	v.Title, v.Text = v.Problem.Title, sentences(v.Problem)
	for _, s := range phrases {
		if !errors.Is(err, s.err) {
			continue
		}
		v.Title, v.Ways = cmp.Or(s.title, v.Title), s.ways
		if s.text != "" {
			plain := *v.Problem
			plain.Detail = s.text
			v.Text = sentences(&plain)
		}
		break
	}
	return v
}

// fail answers with an error as a page.
func (d *Dashboard) fail(w http.ResponseWriter, r *http.Request, err error) {
	d.showFailure(w, r, d.failure(r, err))
}

func (d *Dashboard) showFailure(w http.ResponseWriter, r *http.Request, v failureView) {
	d.render(w, r, v.Status, page{Name: "error", Title: v.Title, Content: v})
}

// Refuse answers with a page what no handler gets. The session of the request was not looked at.
func (d *Dashboard) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	w = below(w, d.Mount(r.Context()))
	secure(w.Header(), r)
	d.fail(w, r, err)
}

func (d *Dashboard) problem(r *http.Request, err error) *problem.Problem {
	p := problem.Of(err)
	p.RequestID = d.Caller(r.Context()).RequestID
	return p
}
