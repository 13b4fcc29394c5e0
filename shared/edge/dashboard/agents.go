package dashboard

import (
	"net/http"
	"strconv"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

const agentsPath = "/proxy/agents"

// pageSize is how many agents a page shows.
const pageSize = 50

// soon is how long before its end a certificate is worth a word, however shortly it was meant to live.
const soon = 7 * day24

// agentRow is an agent in a list.
type agentRow struct {
	agent.Agent
	State      chip
	Generation chip
	Until      time.Time // end of the overlap that accepts its certificate; zero: the certificate needs none
	LastSeen   time.Time // the hour in which it last got a token; zero: none is known
}

// agentList is a page of agents.
type agentList struct {
	agentFilter
	Chips, Methods []chipLink
	Total          string // empty: not known
	Agents         []agentRow
	Looked         int    // agents that were looked at for this page, where no index knows them
	First, Next    string // addresses; empty: this is the first page, or the last
	Sorts          map[string]string
	Bulk           string // address of the order for all that match; empty: it cannot be for these
	Job            *registry.Job
}

func (d *Dashboard) agents(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	org, err := d.Registry.Org(r.Context())
	if err != nil {
		return err
	}
	v := agentList{agentFilter: readListing(q)}
	t := d.tally(r, org)
	if !q.Has("cursor") {
		v.Beginning = v.Search != "" && t.Active > largeFleet
	}
	found, total, err := d.find(r, &v, q.Get("cursor"))
	if err != nil {
		return err
	}
	seen, err := d.Enroll.LastSeen(r.Context(), found.Agents...)
	if err != nil {
		return err
	}
	for _, a := range found.Agents {
		v.Agents = append(v.Agents, d.row(a, org, seen))
	}
	if q.Has("cursor") {
		v.First = v.url("")
	} else if only := int64(len(found.Agents)); total == nil && found.Next == "" {
		total = &only
	}
	if found.Next != "" {
		v.Next = v.url(found.Next)
	}
	v.Chips, v.Methods, v.Total = v.chips(t), v.methods(t), v.total(t, total)
	v.Sorts = v.sorts(t, total)
	if v.orderable() {
		v.Bulk = v.at(bulkPath, "")
	}
	if v.Job, err = d.Enroll.Running(r.Context()); err != nil {
		return err
	}
	d.render(w, r, http.StatusOK, page{Name: "agents", Section: "agents", Title: "Agents", Content: v})
	return nil
}

// find reads one page of the list, and how many agents all pages have where that was counted.
func (d *Dashboard) find(r *http.Request, v *agentList, cursor string) (registry.Page, *int64, error) {
	s := d.selection(v.agentFilter)
	s.Cursor = cursor
	switch {
	case v.Beginning:
		page, err := d.Enroll.Find(r.Context(), v.Search, pageSize, cursor)
		return page, nil, err
	case v.Chosen.Silent:
		found, err := d.Enroll.Silent(r.Context(), s.Filter, pageSize, cursor)
		v.Looked = found.Looked
		return found.Page, nil, err
	case !v.Chosen.Week.IsZero():
		from, to := v.Chosen.Week, v.Chosen.Week.Add(week)
		if now := d.Now(); from.Before(now) {
			from = now // what is due already is another choice
		}
		page, err := d.Enroll.DueIn(r.Context(), from, to, pageSize, cursor)
		return page, nil, err
	}
	// what a link shows is counted with the links
	s.Untold = v.Whole() && v.Sort == "" || v.Chosen.Old && v.Method == "" && v.Search == ""
	return d.Enroll.Select(r.Context(), s)
}

// mostSorted is how many agents are sorted by their last token, which no index has: every one of them is read.
const mostSorted = 1000

// sorts are the addresses of the list in other orders, by the order's word. An order that the list cannot have, or has,
// is left out.
func (l agentFilter) sorts(t tally, total *int64) map[string]string {
	all := map[string]string{}
	add := func(sort string) {
		next := l
		if next.Sort = sort; l.Sort != sort {
			all[sort] = next.url("")
		}
	}
	if l.Beginning || l.Chosen.Silent {
		return all
	}
	if l.Sort != "" {
		add("")
	}
	if l.Chosen == (choice{}) {
		add(sortDue)
	}
	n := t.Active
	switch {
	case total != nil:
		n = *total
	case l.Chosen.Old && t.Old >= 0:
		n = t.Old
	case l.Chosen.Deactivated && t.Deactivated >= 0:
		n = t.Deactivated
	}
	if n >= 0 && n <= mostSorted {
		add(sortSeen)
	}
	return all
}

func (d *Dashboard) row(a agent.Agent, org registry.Org, seen map[agent.ID]time.Time) agentRow {
	v := agentRow{
		Agent:      a,
		State:      d.state(a, org.Pointer),
		Generation: generationChip(a.Pin(), org),
		LastSeen:   seen[a.ID],
	}
	if p := org.Pointer; p != nil && p.Accepts(a.Pin().Generation, d.Now()) {
		for _, o := range p.Accepted {
			if o.Generation == a.Pin().Generation {
				v.Until = o.Until
			}
		}
	}
	return v
}

// state says in a word whether an agent can authenticate, and if not, or not for long, what to do.
func (d *Dashboard) state(a agent.Agent, p *orgca.Pointer) chip {
	now, pin := d.Now(), a.Pin()
	if a.Status != agent.Active {
		return chip{"off", "Deactivated", "It has no certificate. Enrolling it again brings it back."}
	}
	if a.Suspicious() {
		return suspected(a)
	}
	if a.Method == agent.SPIFFE && pin.Thumbprint == "" {
		return chip{"good", "Active", "It is known by its SPIFFE ID; SPIRE rotates its certificates."}
	}
	if p == nil || pin.Thumbprint == "" {
		return chip{"bad", "Re-enrol", "It has no certificate that counts."}
	}
	if _, err := a.Authenticate(pin.Thumbprint, *p, now); err != nil {
		return chip{"bad", "Re-enrol", "Its certificate is of an Org CA that is not accepted any more. " + remedy(a.Method)}
	}
	switch {
	case !now.Before(pin.NotAfter):
		return chip{"bad", "Expired", "Its certificate has expired. " + remedy(a.Method)}
	case pin.Generation != p.Current:
		return chip{"warn", "On the old CA",
			"Its certificate is of an earlier Org CA and stops " + stopsAt(*p, pin.Generation, now) + ". " +
				remedy(a.Method)}
	case !now.Before(pin.DueAt()), pin.NotAfter.Sub(now) < soon:
		return chip{"warn", "Expiring", "Its certificate expires soon. " + remedy(a.Method)}
	}
	return chip{"good", "Active", "Its certificate counts."}
}

// stopsAt is when certificates of an accepted generation stop, in words.
func stopsAt(p orgca.Pointer, generation int64, now time.Time) string {
	until, ok := p.AcceptedUntil(generation, now)
	if !ok {
		return "when the overlap ends"
	}
	return moment(until)
}

// remedy says how an agent gets its next certificate.
func remedy(m agent.Method) string {
	switch m {
	case agent.Minted:
		return "Rotate its certificate."
	case agent.BYOCA:
		return "Issue a new certificate at your CA under the current Org CA, then enrol it again."
	case agent.SPIFFE:
		return "The next rotation of its SVID brings it back."
	}
	return ""
}

func generationChip(p agent.Pin, org registry.Org) chip {
	if p.Generation == 0 {
		return chip{}
	}
	c := chip{Kind: "plain", Text: "G" + strconv.FormatInt(p.Generation, 10)}
	if g, ok := org.Generation(p.Generation); ok {
		c.Hint = string(g.State)
	}
	if org.Pointer != nil && org.Pointer.Current == p.Generation {
		c.Kind = "current"
	}
	return c
}
