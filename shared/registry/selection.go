package registry

import (
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
)

// Sort is the order of a listing.
type Sort string

// The orders. Each is the order of an index.
const (
	ByGeneration Sort = ""     // of the newest pin, then method, then id
	ByName       Sort = "name" // the id
	// ByDue lists the agents of the due index alone: active, with a certificate that the Mastio issues. First those whose
	// operators were notified, by the end of their certificates, then by the instant at which they are due.
	ByDue Sort = "due"
)

// Filter says which agents a listing has; the zero value of a field: any.
type Filter struct {
	Name string // a part of the agent's name, in any case
	// Among are the ids of the agents that may match, each followed by a space: an operator selected them one by one.
	Among      string
	Method     agent.Method
	Status     agent.Status
	Owner      string // the whole of it, in any case
	Generation int64  // of the newest pin
	Not        int64  // those with a pin whose newest is of another generation than this one
	// DueAt: their certificates are due then, or their operators were notified. Only certificates that the Mastio issues
	// are ever due.
	DueAt time.Time
}

// Selection asks for a page of the agents that match a filter.
type Selection struct {
	Filter
	Sort   Sort
	Limit  int    // 1 to 1,000
	Cursor string // of the page before; empty: the first page
	// Keys is how many entries of the index a page looks at, at most, and Records how many records it reads. A page
	// that stops there has a cursor, and may have no agent. Both at least 1.
	Keys, Records int
}

// Among is a filter's Among for these agents.
func Among(ids ...agent.ID) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(string(id) + " ")
	}
	return b.String()
}

// among reports whether an agent is one of those that were selected.
func (f Filter) among(id agent.ID) bool {
	at := strings.Index(f.Among, string(id)+" ")
	return f.Among == "" || at == 0 || at > 0 && strings.Contains(f.Among, " "+string(id)+" ")
}

// NamedSo reports whether an agent's name is one that the filter asks for.
func (f Filter) NamedSo(id agent.ID) bool {
	if !f.among(id) {
		return false
	}
	return f.Name == "" || strings.Contains(strings.ToLower(id.Name()), strings.ToLower(f.Name))
}

// Matches reports whether a record is one that the filter asks for.
func (f Filter) Matches(a agent.Agent) bool {
	generation := a.Pin().Generation
	switch {
	case !f.NamedSo(a.ID),
		f.Method != "" && a.Method != f.Method,
		f.Status != "" && a.Status != f.Status,
		f.Owner != "" && !strings.EqualFold(a.Owner, f.Owner),
		f.Generation != 0 && generation != f.Generation,
		f.Not != 0 && (generation == 0 || generation == f.Not):
		return false
	case f.DueAt.IsZero():
		return true
	}
	at, notified := a.Due()
	return !at.IsZero() && (notified || !at.After(f.DueAt))
}

// KeysSuffice reports whether an index in this order decides on its own which agents match, so that no record is read
// in vain.
func (l Selection) KeysSuffice() bool {
	switch {
	case l.Status != "" || l.Owner != "":
		return false
	case l.Sort == ByDue:
		return l.Method == "" && l.Generation == 0 && l.Not == 0
	case l.Sort == ByName:
		return l.Method == "" && l.Generation == 0 && l.Not == 0 && l.DueAt.IsZero()
	}
	return l.DueAt.IsZero()
}

// Counter is the index that counts what a listing has.
type Counter int

// Which index counts.
const (
	Uncounted Counter = iota // none: the records decide
	OfAll                    // every agent
	OfActive                 // the active agents, by method and generation
	OfDue                    // the due index
)

// Counter returns the index that counts all that the pages of a listing have.
func (l Selection) Counter() Counter {
	f := l.Filter
	pinned := f.Generation != 0 || f.Not != 0
	switch {
	case f.Name != "" || f.Owner != "" || f.Among != "":
		return Uncounted
	case l.Sort == ByDue || !f.DueAt.IsZero():
		if pinned || f.Method != "" && f.Method != agent.Minted || f.Status == agent.Deactivated {
			return Uncounted
		}
		return OfDue
	case f.Status == agent.Deactivated:
		return Uncounted
	case f.Not != 0 && f.Method == agent.SPIFFE: // they need no pin, and most have none
		return Uncounted
	case f.Status == agent.Active || pinned: // an agent that is not active has no pin
		return OfActive
	case f.Method == "":
		return OfAll
	}
	return Uncounted
}
