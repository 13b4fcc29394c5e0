package enroll

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
)

// BySeen is the order of the hours in which agents last got tokens: first those that never did, then the one whose hour
// is the oldest. No index has it, as an index would cost a write for each agent and hour.
const BySeen registry.Sort = "last_seen"

// maxSorted is how many agents are sorted at once.
const maxSorted = 20_000

// ErrSort reports a filter that leaves more agents than can be sorted.
var ErrSort = problem.New(400, "too_many_to_sort", "too many agents to sort").
	Says("sort=last_seen takes filters that leave at most 20,000 agents. Narrow the filter.")

// placedAgent is an agent with its place in the order.
type placedAgent struct {
	agent.Agent
	place string
}

// bySeen reads everything that the filter leaves, for each page anew. Errors: ErrSort, registry.ErrCursor.
func (e *Enroller) bySeen(ctx context.Context, l Selection) (page registry.Page, total *int64, err error) {
	after, err := base64.RawURLEncoding.DecodeString(l.Cursor)
	if err != nil || l.Cursor != "" && !isSeenPlace(string(after)) {
		return page, nil, registry.ErrCursor
	}
	all, err := e.sightings(ctx, l.Filter)
	if err != nil {
		return page, nil, err
	}
	slices.SortFunc(all, func(a, b placedAgent) int { return cmp.Compare(a.place, b.place) })
	if l.Cursor == "" {
		n := int64(len(all))
		total = &n
	}
	start := slices.IndexFunc(all, func(s placedAgent) bool { return s.place > string(after) })
	if start < 0 {
		start = len(all)
	}
	end := min(start+l.Limit, len(all))
	for _, s := range all[start:end] {
		page.Agents = append(page.Agents, s.Agent)
	}
	if end < len(all) {
		page.Next = base64.RawURLEncoding.EncodeToString([]byte(all[end-1].place))
	}
	return page, total, nil
}

func (e *Enroller) sightings(ctx context.Context, f registry.Filter) (all []placedAgent, err error) {
	// A page reads maxRecords at most, and may match none of them.
	complete, err := e.each(ctx, f, maxSorted/maxRecords, func(page []agent.Agent) error {
		hours, err := e.LastSeen(ctx, page...)
		if err != nil {
			return err
		}
		for _, a := range page {
			hour := int64(0)
			if at, seen := hours[a.ID]; seen {
				hour = at.Unix()
			}
			all = append(all, placedAgent{a, fmt.Sprintf(seenPlace, hour) + string(a.ID)})
		}
		return nil
	})
	if err == nil && !complete {
		err = ErrSort
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// seenPlace begins a place in the order: the hour, in seconds.
const seenPlace = "%011d#"

func isSeenPlace(place string) bool {
	var hour int64
	if n, err := fmt.Sscanf(place, seenPlace, &hour); n != 1 || err != nil || len(place) < len("00000000000#")+1 {
		return false
	}
	_, err := agent.ParseID(place[len("00000000000#"):])
	return err == nil
}
