package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
)

// mostActs and mostActors bound what is kept of a trail, however long it is.
const (
	mostActs   = 10_000
	mostActors = 100
)

// agentsTogether is under which name the rows by agents themselves are counted.
const agentsTogether = "agents"

// Report is what was found, and what the trail is about: its period, and who acted.
type Report struct {
	bundle.Report
	From   string                `json:"from,omitempty"` // of the first row that holds, RFC 3339
	To     string                `json:"to,omitempty"`
	Actors map[string]int64      `json:"actors"` // rows by each; agents together
	Events map[audit.Event]int64 `json:"events"`
	Acts   []Act                 `json:"-"`
	More   int64                 `json:"-"` // acts beyond mostActs
}

// Act is one row of interest: a person's, or about the Org CA.
type Act struct {
	audit.Row
	Checkpoint int64 // that seals it; 0: none does yet
}

// collector gathers a report while rows are verified.
type collector struct{ report Report }

func (c *collector) row(r audit.Row, checkpoint int64) {
	p := &c.report
	if p.From == "" || r.Timestamp < p.From {
		p.From = r.Timestamp
	}
	p.To = max(p.To, r.Timestamp)
	p.Events[r.EventType]++
	actor := r.Actor
	if strings.Contains(actor, "::") {
		actor = agentsTogether
	}
	if _, known := p.Actors[actor]; !known && len(p.Actors) >= mostActors {
		actor = "others"
	}
	p.Actors[actor]++
	person := strings.HasPrefix(r.Actor, "admin:") || strings.HasPrefix(r.Actor, "dashboard:")
	switch {
	case r.EventType == audit.CheckpointMade, !person && !strings.HasPrefix(string(r.EventType), "org_ca."):
	case len(p.Acts) == mostActs:
		p.More++
	default:
		p.Acts = append(p.Acts, Act{r, checkpoint})
	}
}

func (c *collector) finish(r bundle.Report) Report {
	c.report.Report = r
	slices.SortStableFunc(c.report.Acts, func(a, b Act) int { return cmp.Compare(a.ID, b.ID) }) // by time
	return c.report
}

// Key says which key a row is about.
func (a Act) Key() string {
	parts := []string{a.Subject}
	for _, name := range []string{"generation", "cert_thumbprint", "fingerprint", "previous_generation",
		"previous_thumbprint", "previous_fingerprint"} {
		if value, ok := a.Details[name]; ok && value != "" {
			parts = append(parts, fmt.Sprintf("%s %v", strings.ReplaceAll(name, "_", " "), value))
		}
	}
	return strings.Join(parts, ", ")
}

// Why is the reason that was given, and the comment.
func (a Act) Why() string {
	var parts []string
	for _, name := range []string{"reason", "comment", "scheduled_by", "why"} {
		if value, ok := a.Details[name].(string); ok && value != "" {
			parts = append(parts, value)
		}
	}
	return strings.Join(parts, ": ")
}

// Where is the address that the request came from.
func (a Act) Where() string {
	address, _ := a.Details["source_ip"].(string)
	return address
}
