package dashboard

import (
	"context"
	"net/http"
	"sync"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// largeFleet is how many agents a page looks through for a part of a name, and counts for a number next to a link.
const largeFleet = 20_000

// tally counts the fleet, out of indexes alone. A number that is not known is negative: what else there is to see is
// worth more than an error.
type tally struct {
	All, Active, Old, Due, Deactivated int64
	Methods                            map[agent.Method]int64 // active agents
}

const uncounted = -1

// tally counts what the links of the list lead to. Active agents are counted as on the overview, so two pages do not
// contradict each other.
func (d *Dashboard) tally(r *http.Request, org registry.Org) tally {
	ctx := r.Context()
	t := tally{uncounted, uncounted, uncounted, uncounted, uncounted, map[agent.Method]int64{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := d.Enroll.CountDue(ctx, ahead, mostSeen); err == nil {
			t.Due = n
		}
	})
	wg.Go(func() { t.active(ctx, d.Progress, org) })
	wg.Wait()
	if t.Active < 0 || t.Active > largeFleet {
		return t
	}
	if n, err := d.Enroll.Total(ctx); err == nil {
		t.All, t.Deactivated = n, max(0, n-t.Active)
	}
	return t
}

func (t *tally) active(ctx context.Context, o *rotateca.Observer, org registry.Org) {
	status, err := o.Of(ctx, org)
	if err != nil || status.Progress == nil {
		return
	}
	t.Active, t.Old = status.Progress.Agents, status.Progress.Remaining
	for m, moved := range status.Progress.PerMethod {
		t.Methods[m] = moved.Agents
	}
}

// chipLink is a link that narrows the list.
type chipLink struct {
	Text, Count, To string
	On              bool // the list is narrowed so
}

func counted(n int64, most int) string {
	switch {
	case n < 0:
		return ""
	case most > 0 && n >= int64(most):
		return count(most) + "+"
	}
	return count(int(n))
}

// chips are the links above the list. Their numbers are of the whole fleet, so a list that is narrowed in another way
// shows none.
func (l agentFilter) chips(t tally) []chipLink {
	number := func(n int64, most int) string {
		if l.Search != "" || l.Owner != "" || l.Method != "" {
			return ""
		}
		return counted(n, most)
	}
	all := []chipLink{{Text: "All", Count: number(t.All, 0)}}
	choices := []choice{{}, chooseOld, dueWithin(ahead), chooseSilent, chooseDeactivated}
	counts := []string{"", number(t.Old, 0), number(t.Due, mostSeen), "", number(t.Deactivated, 0)}
	on := false
	for n, c := range choices {
		if n > 0 {
			all = append(all, chipLink{Text: c.Text, Count: counts[n]})
		}
		next := l
		if next.Chosen, next.Beginning = c, false; c != (choice{}) {
			next.Sort = ""
		}
		all[n].To, all[n].On = next.url(""), l.Chosen == c
		on = on || all[n].On
	}
	if !on {
		all = append(all, chipLink{Text: l.Chosen.Text, To: l.url(""), On: true})
	}
	return all
}

// methods are the links to the agents of one method. Pressed again, a link takes the restriction away.
func (l agentFilter) methods(t tally) []chipLink {
	var all []chipLink
	for _, m := range agent.Methods() {
		next := l
		if next.Method = m; l.Method == m {
			next.Method = ""
		}
		c := chipLink{Text: how(m), To: next.url(""), On: l.Method == m}
		if n, ok := t.Methods[m]; ok && l.Search == "" && l.Owner == "" && l.Chosen == (choice{}) {
			c.Count = counted(n, 0)
		}
		all = append(all, c)
	}
	return all
}

// total says how many agents the list has, as far as an index knows; found: those of a page that is the only one.
func (l agentFilter) total(t tally, found *int64) string {
	switch {
	case l.Whole() && l.Sort == "" && t.All < 0 && t.Active >= 0:
		return plural(int(t.Active), "active agent")
	case l.Whole() && l.Sort == "" && t.All >= 0:
		return plural(int(t.All), "agent")
	case found != nil:
		return plural(int(*found), "agent")
	case l.Search != "" || l.Owner != "" || l.Method != "":
		return ""
	case l.Chosen.Old && t.Old >= 0:
		return plural(int(t.Old), "agent")
	case l.Chosen.Deactivated && t.Deactivated >= 0:
		return plural(int(t.Deactivated), "agent")
	}
	return ""
}
