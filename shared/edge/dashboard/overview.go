package dashboard

import (
	"context"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// explained puts warnings into words, with the day that a warning about the Org CA's validity is about. A warning that
// the table does not know still shows.
func explained(s health.State) []warnings.Row {
	var all []warnings.Row
	for _, w := range s.Warnings {
		r, ok := w.Row()
		if !ok {
			r = warnings.Row{Warning: w, Title: string(w), Text: "GET /healthz shows this warning."}
		}
		switch w {
		case warnings.OrgCAExpiring:
			r.Text = "Its chain ends on " + s.CANotAfter.UTC().Format(time.DateOnly) + ". " + r.Text
		case warnings.OrgCANotYetValid:
			r.Text = "Its chain is valid from " + s.CANotBefore.UTC().Format(time.DateOnly) + ". " + r.Text
		default:
		}
		all = append(all, r)
	}
	return all
}

// overviewView is the first page.
type overviewView struct {
	Warnings []warnings.Row
	Status   rotateca.Status
	Suspects suspectList
	Missing  bool // there is no Org CA yet
	Moved    progressBar
	Due      dueCount
	Events   []event
	Expires  chip
	// ChainEnds is the earliest end of the Org CA's chain, which ends agents' certificates too.
	ChainEnds time.Time
}

func (d *Dashboard) overview(w http.ResponseWriter, r *http.Request) error {
	state, err := d.Health.Check(r.Context())
	if err != nil {
		return err
	}
	org, err := d.Registry.Org(r.Context())
	if err != nil {
		return err
	}
	v := overviewView{Warnings: explained(state), Due: d.due(r.Context()), Missing: org.Pointer == nil}
	if v.Suspects, err = d.suspects(r.Context(), state); err != nil {
		return err
	}
	if v.Status, err = d.Progress.Of(r.Context(), org); err != nil {
		return err
	}
	v.Expires, v.ChainEnds, v.Moved = expiry(state.CANotAfter, d.Now()), state.CANotAfter, movedOf(v.Status.Progress)
	if v.Events, _, err = d.events(r.Context(), d.OrgID, org.Head.Seq); err != nil {
		return err
	}
	d.render(w, r, http.StatusOK, page{Name: "overview", Section: "overview", Title: "Overview", Content: v})
	return nil
}

// dueCount is how many certificates are due before long.
type dueCount struct {
	Count      string // empty: none, or unknown at the moment
	Text, Link string
}

// due counts what is due, at a cost that follows the due and not the fleet, and has a bound.
func (d *Dashboard) due(ctx context.Context) dueCount {
	n, err := d.Enroll.CountDue(ctx, ahead, mostSeen)
	if err != nil || n == 0 { // what else there is to see is worth more than an error
		return dueCount{}
	}
	v := dueCount{Count: count(int(n)), Text: "certificates are due within " + lasting(ahead), Link: dueURL(ahead)}
	switch {
	case n == 1:
		v.Text = "certificate is due within " + lasting(ahead)
	case n >= mostSeen:
		v.Count += " or more"
	}
	return v
}

// expiry is how far a CA's end is.
func expiry(t, now time.Time) chip {
	switch left := t.Sub(now); {
	case left <= 0:
		return chip{Kind: "bad", Text: "expired"}
	case left < health.ExpiringWithin(agent.Annually):
		return chip{Kind: "warn", Text: relative(t, now)}
	default:
		return chip{Kind: "plain", Text: relative(t, now)}
	}
}
