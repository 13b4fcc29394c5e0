package dynamo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// maxPage is the most agents of one page.
const maxPage = 1000

// place is an agent's sort key in the index: generation of its newest pin, method, id. An agent without pins, be it
// deactivated or known by its SPIFFE ID, is of generation 0.
func place(a agent.Agent) string {
	return fmt.Sprintf("%06d#%s#%s", a.Pin().Generation, a.Method, a.ID)
}

// Agents reads a page of agents. The index holds keys alone, which change with an agent's generation and not with each
// of its certificates, so that a rotation does not pay for it. Each shard is asked for its part of the page, and again
// only where it held more than that; the records are read in batches, side by side. The record decides: an agent that
// has changed its generation meanwhile is left out.
func (s *Store) Agents(ctx context.Context, q registry.Query) (registry.Page, error) {
	const doing = "list agents"
	low, high, err := bounds(q)
	if err != nil {
		return registry.Page{}, fmt.Errorf("%s: %w", doing, err)
	}
	limit := min(max(q.Limit, 1), maxPage)
	m := s.newMerge(s.byGeneration(), low, high, limit)
	var page registry.Page
	var ids []agent.ID
	page.Next, err = m.page(ctx, limit, func(place string, _ item) error {
		if parts := cursorPattern.FindStringSubmatch(place); parts != nil {
			ids = append(ids, agent.ID(parts[3]))
		}
		return nil
	})
	if err != nil {
		return registry.Page{}, unavailable(doing, err)
	}
	if page.Agents, err = s.recordsOf(ctx, ids); err != nil {
		return registry.Page{}, unavailable(doing, err)
	}
	page.Agents = slices.DeleteFunc(page.Agents, func(a agent.Agent) bool {
		return q.Generation != 0 && a.Pin().Generation != q.Generation
	})
	return page, nil
}

// recordsOf reads any number of agents in the order of their ids, a batch for each hundred.
func (s *Store) recordsOf(ctx context.Context, ids []agent.ID) ([]agent.Agent, error) {
	chunks := slices.Collect(slices.Chunk(ids, maxFound))
	parts, errs := make([][]agent.Agent, len(chunks)), make([]error, len(chunks))
	var wg sync.WaitGroup
	for n, chunk := range chunks {
		wg.Go(func() { parts[n], errs[n] = s.Records(ctx, chunk) })
	}
	wg.Wait()
	return slices.Concat(parts...), errors.Join(errs...)
}

// In the order of bytes, '!' stands before and ':' after everything that occurs in a sort key.
var cursorPattern = regexp.MustCompile(`^([0-9]{6,})#(minted|byoca|spiffe)#(.+)$`)

// bounds are the first and the last sort key that a page may have, both inclusive.
func bounds(q registry.Query) (low, high string, err error) {
	low, high = "0", ":"
	generation := fmt.Sprintf("%06d", q.Generation)
	switch {
	case q.Generation != 0:
		low, high = generation+"#", generation+"$"
	case q.Method != "":
		low, high = generation+"#"+string(q.Method)+"#", generation+"#"+string(q.Method)+"$"
	}
	if q.Cursor == "" {
		return low, high, nil
	}
	place, ok := placeIn(q.Cursor)
	parts := cursorPattern.FindStringSubmatch(place)
	if !ok || parts == nil || q.Generation != 0 && parts[1] != generation ||
		q.Method != "" && (place < low || place >= high) {
		return "", "", registry.ErrCursor
	}
	if _, err := agent.ParseID(parts[3]); err != nil {
		return "", "", registry.ErrCursor
	}
	return place + "!", high, nil
}
