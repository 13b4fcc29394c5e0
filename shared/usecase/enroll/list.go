package enroll

import (
	"context"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// What a page of a filtered listing looks at. An index answers the range, the order, and what its keys
// say; the rest is decided on records. A page that stops here has a cursor, and may have no agent.
const (
	maxKeys    = 20_000 // entries of an index: half a read unit for 4 KB of them
	maxRecords = 1000   // a read unit each
)

// Selection asks for a page of agents.
type Selection struct {
	registry.Filter
	NotCurrent bool // only those with a pin whose newest is of another generation than the current one
	Sort       registry.Sort
	Limit      int
	Cursor     string
	Untold     bool // without a total, for a caller that counts itself
}

// Select reads a page of the agents that match a filter. total is the number of agents on all pages. It is nil if no
// index can count it, and after the first page, because a count is paid once. A filter by DueAt without an order is in
// the order of what is due.
//
// Errors: ErrLimit, ErrSort, registry.ErrCursor; orgca.ErrMissing for NotCurrent without an Org CA.
func (e *Enroller) Select(ctx context.Context, l Selection) (page registry.Page, total *int64, err error) {
	if l.Limit < 1 || l.Limit > MaxLimit {
		return registry.Page{}, nil, ErrLimit
	}
	if l.NotCurrent {
		if l.Not, err = e.current(ctx); err != nil {
			return registry.Page{}, nil, err
		}
	}
	if l.Sort == BySeen {
		return e.bySeen(ctx, l)
	}
	if l.Sort == registry.ByGeneration && !l.DueAt.IsZero() {
		l.Sort = registry.ByDue
	}
	q := registry.Selection{
		Filter:  l.Filter,
		Sort:    l.Sort,
		Limit:   l.Limit,
		Cursor:  l.Cursor,
		Keys:    maxKeys,
		Records: max(maxRecords, l.Limit),
	}
	page, err = e.Store.List(ctx, q)
	if err != nil || l.Untold || l.Cursor != "" || q.Counter() == registry.Uncounted {
		return page, nil, err
	}
	n, err := e.Store.Count(ctx, q)
	return page, &n, err
}

// current is the number of the current generation. Error: orgca.ErrMissing.
func (e *Enroller) current(ctx context.Context) (int64, error) {
	org, err := e.Store.Org(ctx)
	if err != nil {
		return 0, err
	}
	if org.Pointer == nil {
		return 0, orgca.ErrMissing
	}
	return org.Pointer.Current, nil
}

// each hands over the agents that a filter leaves, by name, in the largest pages, most of them at the most; complete:
// all were handed over. It ends with the first error of do.
func (e *Enroller) each(
	ctx context.Context, f registry.Filter, most int, do func([]agent.Agent) error,
) (complete bool, err error) {
	q := registry.Selection{
		Filter:  f,
		Sort:    registry.ByName,
		Limit:   MaxLimit,
		Keys:    maxKeys,
		Records: maxRecords,
	}
	for range most {
		page, err := e.Store.List(ctx, q)
		if err == nil {
			err = do(page.Agents)
		}
		if err != nil {
			return false, err
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return true, nil
		}
	}
	return false, nil
}
