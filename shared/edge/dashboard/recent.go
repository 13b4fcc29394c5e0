package dashboard

import (
	"context"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// recentFor is how long a number that was counted is shown again, and a name is found among those that were
// read: as long as the progress of a rotation counts.
const recentFor = 5 * time.Second

// recent is the registry with the numbers that this instance has counted, and the names that it has read, a moment ago:
// a walk from page to page, or from search to search, goes through the fleet once. It is safe for concurrent use.
type recent struct {
	enroll.Store
	now func() time.Time

	mu     sync.Mutex
	counts map[countOf]countedAt
	names  []agent.ID // of the whole fleet, in their order
	read   time.Time  // when they were; zero: they were not
	forgot int        // how many times: what was counted before is not remembered afterwards
}

// countOf is what was counted: all pages of a listing, or the due index.
type countOf struct {
	listing registry.Selection
	due     registry.DueQuery
}

type countedAt struct {
	n  int64
	at time.Time
}

func newRecent(s enroll.Store, now func() time.Time) *recent {
	return &recent{Store: s, now: now, counts: map[countOf]countedAt{}}
}

// Count counts what all pages of a listing have.
func (r *recent) Count(ctx context.Context, l registry.Selection) (int64, error) {
	of := l
	of.Limit, of.Cursor, of.Keys, of.Records, of.DueAt = 0, "", 0, 0, coarse(l.DueAt)
	return r.count(countOf{listing: of}, func() (int64, error) { return r.Store.Count(ctx, l) })
}

// CountDue counts the due index.
func (r *recent) CountDue(ctx context.Context, q registry.DueQuery) (int64, error) {
	of := q
	of.At, of.After = coarse(q.At), coarse(q.After)
	return r.count(countOf{due: of}, func() (int64, error) { return r.Store.CountDue(ctx, q) })
}

// coarse is an instant that stays the same for as long as a number is shown again, most of the time.
func coarse(t time.Time) time.Time { return t.Truncate(time.Minute) }

func (r *recent) count(of countOf, count func() (int64, error)) (int64, error) {
	now := r.now()
	r.mu.Lock()
	last, known := r.counts[of]
	forgot := r.forgot
	r.mu.Unlock()
	if known && !now.Before(last.at) && now.Sub(last.at) < recentFor {
		return last.n, nil
	}
	n, err := count()
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, c := range r.counts {
		if now.Sub(c.at) >= recentFor {
			delete(r.counts, other)
		}
	}
	if r.forgot == forgot {
		r.counts[of] = countedAt{n, now}
	}
	return n, nil
}

// List searches for a part of a name among the names that were read a moment ago. Records are as they are now.
func (r *recent) List(ctx context.Context, l registry.Selection) (page registry.Page, err error) {
	if l.Name == "" || l.Sort != registry.ByName {
		return r.Store.List(ctx, l)
	}
	names, whole, err := r.allNames(ctx)
	if err != nil {
		return page, err
	}
	after, err := registry.NameBefore(l.Cursor)
	if !whole || err != nil { // the registry says what is wrong with a cursor
		return r.Store.List(ctx, l)
	}
	var found []agent.ID
	for _, id := range names {
		if id > after && l.NamedSo(id) {
			found = append(found, id)
		}
	}
	return r.listed(ctx, l, found)
}

// listed is the page of a listing that begins with these agents.
func (r *recent) listed(
	ctx context.Context, l registry.Selection, found []agent.ID,
) (page registry.Page, err error) {
	for read := 0; len(found) > 0 && len(page.Agents) < l.Limit && read < l.Records; {
		batch := found[:min(len(found), enroll.MaxFound)]
		next := l
		next.Among, next.Cursor, next.Limit = registry.Among(batch...), "", l.Limit-len(page.Agents)
		some, err := r.Store.List(ctx, next)
		if err != nil {
			return registry.Page{}, err
		}
		page.Agents = append(page.Agents, some.Agents...)
		if page.Next = some.Next; page.Next != "" {
			return page, nil
		}
		if found, read = found[len(batch):], read+len(batch); len(found) > 0 {
			page.Next = registry.BehindName(batch[len(batch)-1])
		}
	}
	return page, nil
}

// allNames are those of a fleet that is looked through for a part of a name; whole: they are all.
func (r *recent) allNames(ctx context.Context) (names []agent.ID, whole bool, err error) {
	now := r.now()
	r.mu.Lock()
	names, forgot := r.names, r.forgot
	fresh := !r.read.IsZero() && !now.Before(r.read) && now.Sub(r.read) < recentFor
	r.mu.Unlock()
	if fresh {
		return names, true, nil
	}
	if names, whole, err = r.Names(ctx, largeFleet); err != nil || !whole {
		return nil, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forgot == forgot {
		r.names, r.read = names, now
	}
	return names, true, nil
}

// forget is for an operator who has changed something, and looks at the numbers next.
func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.counts)
	r.names, r.read = nil, time.Time{}
	r.forgot++
}
