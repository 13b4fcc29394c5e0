package dashboard

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// recentFor is how long a number that was counted is shown again, and a name is found among those that were
// read: as long as the progress of a rotation counts.
const recentFor = 5 * time.Second

// recent is the registry with the numbers and names that this instance has read a moment ago: a walk from page to page,
// or from search to search, reads the fleet's indexes once. It is safe for concurrent use.
type recent struct {
	enroll.Store
	counts lately[countOf, int64]
	names  lately[struct{}, nameList]
}

// countOf is what was counted: all pages of a listing, or the due index.
type countOf struct {
	listing registry.Selection
	due     registry.DueQuery
}

// nameList are names in their order; whole: the fleet has no others.
type nameList struct {
	ids   []agent.ID
	whole bool
}

func newRecent(s enroll.Store, now func() time.Time) *recent {
	return &recent{Store: s, counts: lately[countOf, int64]{now: now}, names: lately[struct{}, nameList]{now: now}}
}

// forget drops everything, because an operator who has changed something looks at the numbers next.
func (r *recent) forget() {
	r.counts.forget()
	r.names.forget()
}

// lately remembers values for recentFor.
type lately[K comparable, V any] struct {
	now func() time.Time

	mu     sync.Mutex
	kept   map[K]keptValue[V]
	forgot int // how many times: a value that was read before is not kept afterwards
}

type keptValue[V any] struct {
	value V
	at    time.Time
}

func (k keptValue[V]) fresh(now time.Time) bool {
	return !now.Before(k.at) && now.Sub(k.at) < recentFor
}

// of returns the remembered value, or reads one. Errors: those of read.
func (l *lately[K, V]) of(key K, read func() (V, error)) (V, error) {
	now := l.now()
	l.mu.Lock()
	last, known := l.kept[key]
	forgot := l.forgot
	l.mu.Unlock()
	if known && last.fresh(now) {
		return last.value, nil
	}
	value, err := read()
	if err != nil {
		return value, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.forgot == forgot {
		maps.DeleteFunc(l.kept, func(_ K, k keptValue[V]) bool { return !k.fresh(now) })
		if l.kept == nil {
			l.kept = map[K]keptValue[V]{}
		}
		l.kept[key] = keptValue[V]{value, now}
	}
	return value, nil
}

func (l *lately[K, V]) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.kept)
	l.forgot++
}

// Count counts what all pages of a listing have.
func (r *recent) Count(ctx context.Context, l registry.Selection) (int64, error) {
	of := l
	of.Limit, of.Cursor, of.Keys, of.Records, of.DueAt = 0, "", 0, 0, coarse(l.DueAt)
	return r.counts.of(countOf{listing: of}, func() (int64, error) { return r.Store.Count(ctx, l) })
}

// CountDue counts the due index.
func (r *recent) CountDue(ctx context.Context, q registry.DueQuery) (int64, error) {
	of := q
	of.At, of.After = coarse(q.At), coarse(q.After)
	return r.counts.of(countOf{due: of}, func() (int64, error) { return r.Store.CountDue(ctx, q) })
}

// coarse is an instant that stays the same for as long as a number is shown again, most of the time.
func coarse(t time.Time) time.Time { return t.Truncate(time.Minute) }

// List searches for a part of a name among the names that were read a moment ago. Records are as they are now.
func (r *recent) List(ctx context.Context, l registry.Selection) (page registry.Page, err error) {
	if l.Name == "" || l.Sort != registry.ByName {
		return r.Store.List(ctx, l)
	}
	after, err := registry.NameBefore(l.Cursor)
	if err != nil {
		return page, err
	}
	names, err := r.names.of(struct{}{}, func() (n nameList, err error) {
		n.ids, n.whole, err = r.Names(ctx, largeFleet)
		return n, err
	})
	if err != nil {
		return page, err
	}
	if !names.whole {
		return r.Store.List(ctx, l)
	}
	var found []agent.ID
	for _, id := range names.ids {
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
