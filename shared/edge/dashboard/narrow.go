package dashboard

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

const day24 = 24 * time.Hour

// ahead is how far the overview looks ahead for certificates that are due, and how many it counts at most.
const (
	ahead    = 30 * day24
	mostSeen = 1000
)

// choice is what a list of agents is narrowed to; the zero value: to nothing.
type choice struct {
	Value, Text string
	Generation  int64 // those with a certificate of this Org CA
	Old         bool  // those with a certificate of another Org CA than the current one
	Silent      bool
	Deactivated bool
	Due         bool // those whose certificates are due
	Within      time.Duration
	Week        time.Time // its Monday: those whose certificates are due in that week
}

// Words is a choice within a sentence.
func (c choice) Words() string {
	if c.Generation > 0 || c.Text == "" {
		return c.Text
	}
	return strings.ToLower(c.Text[:1]) + c.Text[1:]
}

var (
	chooseOld         = choice{Value: "old", Text: "On the old Org CA", Old: true}
	chooseSilent      = choice{Value: "silent", Text: "Silent", Silent: true}
	chooseDeactivated = choice{Value: "deactivated", Text: "Deactivated", Deactivated: true}
)

func dueWithin(d time.Duration) choice {
	c := choice{Value: fmt.Sprintf("due-%d", d/day24), Text: "Due now", Due: true, Within: d}
	if d > 0 {
		c.Text = "Due within " + lasting(d)
	}
	return c
}

func dueURL(d time.Duration) string { return agentFilter{Chosen: dueWithin(d)}.url("") }

func ofGeneration(n int64) choice {
	return choice{Value: fmt.Sprintf("generation-%d", n), Text: fmt.Sprintf("On G%d", n), Generation: n}
}

// chosen reads a choice from an address; an unknown value chooses nothing.
func chosen(value string) choice {
	if number, ok := strings.CutPrefix(value, "generation-"); ok {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && n > 0 {
			return ofGeneration(n)
		}
	}
	if c, ok := chosenWeek(value); ok {
		return c
	}
	if days, ok := strings.CutPrefix(value, "due-"); ok { // beyond Foresight an agent may be listed early
		n, err := strconv.ParseInt(days, 10, 64)
		if within := time.Duration(n) * day24; err == nil && n >= 0 && n <= int64(agent.Foresight/day24) {
			return dueWithin(within)
		}
	}
	for _, c := range []choice{chooseOld, chooseSilent, chooseDeactivated} {
		if c.Value == value {
			return c
		}
	}
	return choice{}
}

// The orders that the address of a list may name. The order by name has no word.
const (
	sortDue  = "due"
	sortSeen = "last_seen"
)

// agentFilter is what a list of agents is narrowed to, and its order: the parameters of its address.
type agentFilter struct {
	Search string
	Chosen choice
	Method agent.Method
	Owner  string
	Sort   string
	// Beginning: the fleet is too large for a search of every name, so names are searched by their beginning.
	Beginning bool
}

func readListing(q url.Values) agentFilter {
	l := agentFilter{
		Search:    strings.TrimSpace(q.Get("q")),
		Chosen:    chosen(q.Get("show")),
		Owner:     strings.TrimSpace(q.Get("owner")),
		Beginning: q.Get("by") == "beginning",
	}
	if m := agent.Method(q.Get("method")); slices.Contains(agent.Methods(), m) {
		l.Method = m
	}
	if s := q.Get("sort"); s == sortDue && l.Chosen == (choice{}) || s == sortSeen && !l.Chosen.Silent {
		l.Sort = s
	}
	return l
}

// url is the address of the list, or of its page at a cursor.
func (l agentFilter) url(cursor string) string { return l.at(agentsPath, cursor) }

// fields are the parameters that narrow the list, those that are there.
func (l agentFilter) fields() map[string]string {
	all := map[string]string{"q": l.Search, "show": l.Chosen.Value, "method": string(l.Method), "owner": l.Owner}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

func (l agentFilter) at(path, cursor string) string {
	q := url.Values{}
	for name, value := range l.fields() {
		q.Set(name, value)
	}
	if l.Sort != "" {
		q.Set("sort", l.Sort)
	}
	if l.Beginning {
		q.Set("by", "beginning")
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// orderable reports whether an order for many agents can be for what the list has: a job's filter says it.
func (l agentFilter) orderable() bool {
	return !l.Chosen.Silent && !l.Chosen.Deactivated && l.Chosen.Week.IsZero() && !l.Beginning
}

// Whole reports whether the list has every agent.
func (l agentFilter) Whole() bool {
	return l.Search == "" && l.Chosen == (choice{}) && l.Method == "" && l.Owner == ""
}

// selection asks the registry for what the list has. Each order is that of an index which decides what is in the list,
// where there is one: by name, by when certificates are due, else by Org CA.
func (d *Dashboard) selection(l agentFilter) enroll.Selection {
	s := enroll.Selection{
		Filter: registry.Filter{
			Name:       strings.TrimPrefix(l.Search, d.OrgID+"::"),
			Method:     l.Method,
			Owner:      l.Owner,
			Generation: l.Chosen.Generation,
		},
		NotCurrent: l.Chosen.Old,
		Sort:       registry.ByName,
		Limit:      pageSize,
	}
	switch {
	case l.Sort == sortSeen:
		s.Sort = enroll.BySeen
	case l.Chosen.Due:
		s.DueAt, s.Sort = d.Now().Add(l.Chosen.Within), registry.ByDue
	case l.Sort == sortDue:
		s.Sort = registry.ByDue
	case l.Chosen.Generation > 0, l.Chosen.Old, l.Chosen.Deactivated, l.Method != "" && l.Search == "":
		s.Sort = registry.ByGeneration
	}
	if l.Chosen.Deactivated {
		s.Status = agent.Deactivated
	} else if l.Method != "" && l.Chosen == (choice{}) {
		s.Status = agent.Active // as they are counted
	}
	return s
}
