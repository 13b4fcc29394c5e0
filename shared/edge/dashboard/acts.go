package dashboard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

const (
	lastRows = 120 // of the organisation's chain, that the overview reads
	lastActs = 8   // of them, that it shows
)

// routine is what schedules did, folded into a line.
type routine struct {
	Events int64
	Words  string // what, and how often
	Last   time.Time
	Link   string
}

// lastOf reads the end of the organisation's chain, in order: one query.
func (d *Dashboard) lastOf(ctx context.Context, seq int64) ([]audit.Row, error) {
	return d.Registry.Rows(ctx, d.OrgID, max(seq-lastRows, 0), lastRows+activity) // some may have come since
}

// acts are what people did, and what schedules did that is no routine, newest first; the rest is folded.
func acts(rows []audit.Row) (all []event, rest routine) {
	times := map[string]int{}
	var kinds []string
	for _, row := range slices.Backward(rows) {
		e := describe(row)
		if !strings.HasPrefix(row.Actor, "schedule:") || e.Kind != "off" {
			if len(all) < lastActs {
				all = append(all, e)
			}
			continue
		}
		if rest.Events++; rest.Events == 1 {
			rest.Last = rowAt(row)
		}
		if times[e.Title]++; times[e.Title] == 1 {
			kinds = append(kinds, e.Title)
		}
	}
	slices.SortStableFunc(kinds, func(a, b string) int { return times[b] - times[a] })
	for n, kind := range kinds {
		kinds[n] = fmt.Sprintf("%s %d×", kind, times[kind])
	}
	rest.Words, rest.Link = strings.Join(kinds, ", "), auditPath+"?actor=schedule"
	return all, rest
}
