package dashboard

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// pageSize is how many agents a page shows.
const pageSize = 50

// soon is how long before its end a certificate is worth a word, however shortly it was meant to live.
const soon = 7 * day24

// agentRow is an agent in a list.
type agentRow struct {
	agent.Agent
	State      chip
	Generation chip
	LastSeen   time.Time // the hour in which it last got a token; zero: none is known
}

// agentList is a page of agents.
type agentList struct {
	Search      string
	Chosen      choice
	Due         []choice // to choose from: whose certificates are due
	CAs         []choice // and under which Org CA they are, newest first
	Agents      []agentRow
	First, Next string // addresses; empty: this is the first page, or the last
}

func (d *Dashboard) agents(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	org, err := d.Registry.Org(r.Context())
	if err != nil {
		return err
	}
	v := agentList{Search: strings.TrimSpace(q.Get("q")), Due: dueChoices(), CAs: ofAgents(org.Generations)}
	if v.Search == "" { // a name is looked for among all
		v.Chosen = chosen(q.Get("show"))
	}
	if !v.Chosen.Week.IsZero() {
		v.Due = append(v.Due, v.Chosen)
	}
	found, err := d.find(r, v, q.Get("cursor"))
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
		v.First = agentsURL(v, "")
	}
	if found.Next != "" {
		v.Next = agentsURL(v, found.Next)
	}
	d.render(w, r, http.StatusOK, page{Name: "agents", Section: "agents", Title: "Agents", Content: v})
	return nil
}

// find reads one page: by the beginning of the name, by what is due, or by generation. All are indexes; nothing looks
// through the fleet.
func (d *Dashboard) find(r *http.Request, v agentList, cursor string) (registry.Page, error) {
	switch {
	case v.Chosen.Generation > 0:
		return d.Enroll.List(r.Context(), registry.Query{Generation: v.Chosen.Generation, Limit: pageSize, Cursor: cursor})
	case !v.Chosen.Week.IsZero():
		from, to := v.Chosen.Week, v.Chosen.Week.Add(week)
		if now := d.Now(); from.Before(now) {
			from = now // what is due already is another choice
		}
		return d.Enroll.DueIn(r.Context(), from, to, pageSize, cursor)
	case v.Chosen.Due:
		return d.Enroll.Due(r.Context(), v.Chosen.Within, pageSize, cursor)
	}
	return d.Enroll.Find(r.Context(), v.Search, pageSize, cursor)
}

func agentsURL(v agentList, cursor string) string {
	q := url.Values{}
	for name, value := range map[string]string{"q": v.Search, "show": v.Chosen.Value, "cursor": cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/proxy/agents"
	}
	return "/proxy/agents?" + q.Encode()
}

func (d *Dashboard) row(a agent.Agent, org registry.Org, seen map[agent.ID]time.Time) agentRow {
	return agentRow{
		Agent:      a,
		State:      d.state(a, org.Pointer),
		Generation: generationChip(a.Pin(), org),
		LastSeen:   seen[a.ID],
	}
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
		return chip{"warn", "Overlap",
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
