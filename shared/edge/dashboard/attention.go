package dashboard

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/warnings"
)

const (
	rotationPath = "/proxy/pki/rotation"
	// refusedFor is how long a refused upload is worth a word, and refusedSignIns how long refused sign-ins are.
	refusedFor, refusedSignIns = 7 * day24, day24
	// lookedAt bounds the agents that the overview looks up to see how many of them are silent.
	lookedAt = 100
)

// todo is a thing that needs attention, with what to do about it.
type todo struct {
	Kind         string // bad, warn, or info for what only is to be known
	Title, Text  string
	At           time.Time // when it happens or happened; zero: no instant
	Deadlines    []deadline
	Link, Action string
	Code         string // of a warning
}

// deadline is how many agents lose their certificates when the overlap of an Org CA ends.
type deadline struct {
	Generation, Agents int64
	Until              time.Time
}

// kinds are the kinds of todo in their order.
var kinds = []string{"bad", "warn", "info"}

// attention is everything that an operator should look at, the most urgent first. What cannot be read at the moment is
// left out: the rest is worth more than an error.
func (d *Dashboard) attention(ctx context.Context, org registry.Org, v overviewView, rows []audit.Row) []todo {
	now := d.Now()
	all := warned(v.Warnings)
	all = append(all, d.behind(ctx, org, v.Status.Progress)...)
	all = append(all, steered(org)...)
	all = append(all, dueTodo(v.Weeks)...)
	all = append(all, refused(rows, now)...)
	if s := v.Status.Scheduled; s != nil && s.Status == orgca.PlanScheduled {
		all = append(all, todo{
			Kind:   "info",
			Title:  "A rotation of the Org CA is scheduled",
			At:     s.At,
			Link:   pkiPath + "#scheduled",
			Action: "See the plan",
		})
	}
	slices.SortStableFunc(all, func(a, b todo) int {
		return cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind))
	})
	return all
}

// warned are the warnings of /healthz.
func warned(rows []warnings.Row) (all []todo) {
	for _, w := range rows {
		t := todo{Kind: "warn", Title: w.Title, Text: w.Text, Link: w.Page, Action: w.Action, Code: string(w.Warning)}
		if w.Bad {
			t.Kind = "bad"
		}
		all = append(all, t)
	}
	return all
}

// behind are the agents that have not moved: those with a deadline, and those whose certificates have stopped.
func (d *Dashboard) behind(ctx context.Context, org registry.Org, p *rotateca.Progress) (all []todo) {
	if org.Pointer == nil || p == nil || p.Remaining == 0 {
		return nil
	}
	waiting, err := d.deadlines(ctx, org)
	if err != nil {
		return []todo{{
			Kind:   "warn",
			Title:  hasOrHave(p.Remaining, "agent") + " no certificate of the current Org CA",
			Link:   rotationPath,
			Action: "See who remains",
		}}
	}
	stopped := p.Remaining
	var in int64
	for _, w := range waiting {
		in, stopped = in+w.Agents, stopped-w.Agents
	}
	if in > 0 {
		t := todo{
			Kind:      "warn",
			Title:     hasOrHave(in, "agent") + " a certificate that stops with an overlap",
			Deadlines: waiting,
			Text:      "Afterwards these agents get no token." + d.silentAmong(ctx, org),
			Link:      rotationPath,
			Action:    "See who remains",
		}
		if waiting[0].Until.Sub(d.Now()) < day24 {
			t.Kind = "bad"
		}
		all = append(all, t)
	}
	if stopped > 0 {
		all = append(all, todo{
			Kind:  "warn",
			Title: hasOrHave(stopped, "agent") + " no certificate that works",
			Text: "Their newest certificates are of Org CAs that are not accepted any more. Rotate the certificates, " +
				"or enrol the agents again. Deactivate agents that are not needed.",
			Link:   rotationPath,
			Action: "See which",
		})
	}
	return all
}

// deadlines are the accepted generations that agents are still under, those first that end first.
func (d *Dashboard) deadlines(ctx context.Context, org registry.Org) (all []deadline, err error) {
	for _, a := range org.Pointer.Accepted {
		until, ok := org.Pointer.AcceptedUntil(a.Generation, d.Now())
		if !ok {
			continue
		}
		n, err := d.Enroll.CountUnder(ctx, a.Generation, "")
		if err != nil {
			return nil, err
		}
		if n > 0 {
			all = append(all, deadline{a.Generation, n, until})
		}
	}
	slices.SortFunc(all, func(a, b deadline) int { return a.Until.Compare(b.Until) })
	return all, nil
}

// silentAmong says how many of the agents that remain are silent, of those that are looked at.
func (d *Dashboard) silentAmong(ctx context.Context, org registry.Org) string {
	silent, looked, err := d.Progress.Silent(ctx, org, lookedAt)
	switch {
	case err != nil || silent == 0:
		return ""
	case looked == lookedAt:
		return " At least " + count(int(silent)) + " are silent: they get no tokens now."
	}
	return " " + count(int(silent)) + " of them get no tokens now."
}

// steered is a re-issue that stands still, or has failures.
func steered(org registry.Org) []todo {
	r := org.Reissue
	switch {
	case !r.Goes(org.Pointer):
	case r.State == orgca.Paused:
		return []todo{{
			Kind:   "warn",
			Title:  "The re-issue of certificates is paused",
			Text:   "No agent is moved until an operator resumes it.",
			Link:   rotationPath,
			Action: "Resume or roll back",
		}}
	case r.Failed > 0:
		return []todo{{
			Kind:   "warn",
			Title:  "Deliveries of new certificates fail",
			Text:   count(int(r.Failed)) + " failed and are tried again. The log of the function hygiene says why.",
			Link:   rotationPath,
			Action: "See the re-issue",
		}}
	}
	return nil
}

// dueTodo is what is due to be replaced: now, or before long.
func dueTodo(w weeks) (all []todo) {
	if w.Now > 0 {
		all = append(all, todo{
			Kind:   "warn",
			Title:  isOrAre(w.Now, "certificate") + " due to be replaced now",
			Text:   "Agents that renew themselves, and deliveries, take a day. Rotate the others.",
			Link:   dueURL(0),
			Action: "See which",
		})
	}
	if w.Soon > 0 {
		all = append(all, todo{
			Kind:   "info",
			Title:  isOrAre(w.Soon, "certificate") + " due within " + lasting(ahead),
			Link:   dueURL(ahead),
			Action: "See which",
		})
	}
	return all
}

// refused are refused uploads that no operator has followed up, and refused sign-ins. Rows are in order.
func refused(rows []audit.Row, now time.Time) (all []todo) {
	var upload, signIn *audit.Row
	for n, row := range rows {
		at, err := time.Parse(time.RFC3339, row.Timestamp)
		age := now.Sub(at)
		switch {
		case err != nil:
		case row.EventType == audit.OrgCAUploadRefused && age < refusedFor:
			upload = &rows[n]
		case row.EventType == audit.OrgCARotated, row.EventType == audit.OrgCAStaged && row.Details["source"] == "upload":
			upload = nil
		case row.EventType == audit.AdminLoginRefused && age < refusedSignIns:
			signIn = &rows[n]
		}
	}
	if upload != nil {
		e := describe(*upload)
		all = append(all, todo{
			Kind:   "warn",
			Title:  "An upload of an Org CA was refused",
			At:     rowAt(*upload),
			Text:   strings.TrimSpace("By " + e.Who() + because(e)),
			Link:   rotateCAPath,
			Action: "Bring it again",
		})
	}
	if signIn != nil {
		all = append(all, todo{
			Kind:   "warn",
			Title:  "Sign-ins were refused",
			At:     rowAt(*signIn),
			Text:   "A wrong admin secret was sent to the dashboard or to the API.",
			Link:   auditPath + "?" + url.Values{"event_type": {string(audit.AdminLoginRefused)}}.Encode(),
			Action: "See from where",
		})
	}
	return all
}

func because(e event) string {
	for _, p := range e.About {
		if p.Name == "because of" {
			return ", because of " + p.Value + "."
		}
	}
	return "."
}

func rowAt(row audit.Row) time.Time {
	at, _ := time.Parse(time.RFC3339, row.Timestamp)
	return at
}

func hasOrHave(n int64, what string) string {
	if n == 1 {
		return plural(1, what) + " has"
	}
	return plural(int(n), what) + " have"
}

func isOrAre(n int64, what string) string {
	if n == 1 {
		return plural(1, what) + " is"
	}
	return plural(int(n), what) + " are"
}
