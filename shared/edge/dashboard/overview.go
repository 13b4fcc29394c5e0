package dashboard

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
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

// overviewView is the first page: whether everything is all right, and what to do.
type overviewView struct {
	Warnings []warnings.Row
	Status   rotateca.Status
	Suspects suspectList
	Missing  bool // there is no Org CA yet
	Verdict  chip
	Todo     []todo
	Moved    progressBar
	Weeks    weeks
	Accepted []rotateca.Entry // earlier Org CAs in an overlap, with AcceptedUntil
	Acts     []event
	Routine  routine
	Expires  chip
	// ChainEnds is the earliest end of the Org CA's chain, which ends agents' certificates too.
	ChainEnds time.Time
}

// Before is how long before its end a certificate of a year is due.
func (overviewView) Before() string { return lasting(agent.Annually.RenewBefore) }

func (d *Dashboard) overview(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	state, err := d.Health.Check(ctx)
	if err != nil {
		return err
	}
	org, err := d.Registry.Org(ctx)
	if err != nil {
		return err
	}
	v := overviewView{Warnings: explained(state), Missing: org.Pointer == nil}
	if v.Suspects, err = d.suspects(ctx, state); err != nil {
		return err
	}
	var rows []audit.Row
	var rowsErr error
	var reading sync.WaitGroup
	reading.Go(func() { v.Weeks = d.weeks(ctx) })
	reading.Go(func() { rows, rowsErr = d.lastOf(ctx, org.Head.Seq) })
	v.Status, err = d.Progress.Of(ctx, org)
	reading.Wait()
	if err := errors.Join(err, rowsErr); err != nil {
		return err
	}
	v.Expires, v.ChainEnds, v.Moved = expiry(state.CANotAfter, d.Now()), state.CANotAfter, movedOf(v.Status.Progress)
	v.Accepted = accepted(v.Status.History)
	v.Acts, v.Routine = acts(rows)
	v.Todo = d.attention(ctx, org, v, rows)
	v.Verdict = verdictOf(v)
	d.render(w, r, http.StatusOK, page{Name: "overview", Section: "overview", Title: "Overview", Content: v})
	return nil
}

// accepted are the earlier Org CAs whose certificates count.
func accepted(history []rotateca.Entry) (all []rotateca.Entry) {
	for _, e := range history {
		if e.AcceptedUntil != nil {
			all = append(all, e)
		}
	}
	return all
}

// verdictOf answers whether everything is all right.
func verdictOf(v overviewView) chip {
	worst, n := "good", 0
	for _, t := range v.Todo {
		if t.Kind == "info" {
			continue
		}
		if n++; worst != "bad" {
			worst = t.Kind
		}
	}
	switch {
	case n == 1:
		return chip{Kind: worst, Text: "One thing needs attention"}
	case n > 1:
		return chip{Kind: worst, Text: count(n) + " things need attention"}
	case !v.Moved.Known, !v.Weeks.Known:
		return chip{"warn", "No warning holds", "The fleet cannot be counted at the moment."}
	}
	return chip{"good", "Everything is all right", "No warning holds, and no certificate is due. " + v.Moved.Text()}
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
