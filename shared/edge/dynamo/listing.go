package dynamo

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// What a page of a listing costs at 10,000 agents, computed from the sizes of what is read, not measured. A record of
// one certificate is below 4 KB: one read unit, as it is read strongly consistently. An entry of an index is 75 to 115
// octets, at half a unit for 4 KB that one query returns.
//
//	all, or one generation, by 100                       100 records, 16 queries           about 110 units
//	part of a name that few have                         10,000 entries, few records       about 150 units
//	owner or status that few have (1,000 records)        1,000 records, then a cursor      about 1,020 units a page
//	total, once for a listing                            an index is counted               60 to 150 units

// maxChunk is the most entries of an index that one call asks a shard for: two fifths of the megabyte that one call
// reads, or all with the shortest names.
const maxChunk = 4000

// candidate is an entry of an index that a listing may have.
type candidate struct {
	place string
	id    agent.ID
}

// span is a range of an index, both ends inclusive.
type span struct{ low, high string }

// List reads a page of the agents that match a filter. The index in the listing's order is read entry by entry; what
// its keys say of an agent is checked before the record is read. The record decides.
func (s *Store) List(ctx context.Context, l registry.Selection) (registry.Page, error) {
	const doing = "list agents"
	w, err := s.newWalk(l)
	if err != nil {
		return registry.Page{}, fmt.Errorf("%s: %w", doing, err)
	}
	var page registry.Page
	for records := 0; ; {
		want := min(l.Limit, maxPage) - len(page.Agents)
		if !l.KeysSuffice() && records > 0 { // some were read in vain: most of them may be
			want = max(want, maxFound)
		}
		found, err := w.candidates(ctx, min(want, l.Records-records))
		if err != nil {
			return registry.Page{}, unavailable(doing, err)
		}
		records += len(found)
		stop, err := s.take(ctx, l, found, &page)
		if err != nil {
			return registry.Page{}, unavailable(doing, err)
		}
		switch {
		case stop < len(found):
			page.Next = cursorAt(found[stop-1].place)
			return page, nil
		case w.ended:
			return page, nil
		case w.seen >= l.Keys || records >= l.Records || len(page.Agents) >= l.Limit:
			page.Next = cursorAt(w.last)
			return page, nil
		}
	}
}

// take reads the candidates' records and adds those that match to the page, until it is full. It returns how many of
// the candidates it looked at.
func (s *Store) take(ctx context.Context, l registry.Selection, found []candidate, page *registry.Page) (int, error) {
	records, err := s.wholeOf(ctx, found)
	if err != nil {
		return 0, err
	}
	for n, c := range found {
		if len(page.Agents) == l.Limit {
			return n, nil
		}
		if a, there := records[c.id]; there && l.Matches(a) {
			page.Agents = append(page.Agents, registry.Listed(a))
		}
	}
	return len(found), nil
}

// wholeOf reads the candidates' whole records, a batch for each hundred, side by side.
func (s *Store) wholeOf(ctx context.Context, found []candidate) (map[agent.ID]agent.Agent, error) {
	keys := make([]item, len(found))
	for n, c := range found {
		keys[n] = key(agentKey(c.id), single)
	}
	items, err := s.batchAll(ctx, s.registry, keys)
	if err != nil {
		return nil, err
	}
	records := map[agent.ID]agent.Agent{}
	for _, i := range items {
		a, err := decodeAgent(i)
		if err != nil {
			return nil, err
		}
		records[a.ID] = a
	}
	return records, nil
}

// walk goes through the ranges of an index in their order.
type walk struct {
	store *Store
	of    shardedIndex
	spans []span
	given []string // places that are known without the index, in their order; nil: none are
	chunk int      // entries that are asked for at once
	now   *merge
	takes func(place string) (agent.ID, bool)
	keys  int
	seen  int
	last  string // the place that was seen last
	ended bool
}

// candidates returns the next entries whose keys match, at most so many. There are fewer if the index has ended, or if
// the walk has seen as many keys as it may.
func (w *walk) candidates(ctx context.Context, most int) ([]candidate, error) {
	var found []candidate
	for len(found) < most && w.seen < w.keys {
		place, err := w.next(ctx)
		if err != nil || w.ended {
			return found, err
		}
		w.seen, w.last = w.seen+1, place
		if id, ok := w.takes(place); ok {
			found = append(found, candidate{place, id})
		}
	}
	return found, nil
}

// next is the place of the next entry; ended: there is none.
func (w *walk) next(ctx context.Context) (string, error) {
	if len(w.given) > 0 {
		place := w.given[0]
		w.given = w.given[1:]
		return place, nil
	}
	for {
		if w.now == nil {
			if len(w.spans) == 0 {
				w.ended = true
				return "", nil
			}
			w.now = w.store.newMerge(w.of, w.spans[0].low, w.spans[0].high, w.chunk)
			w.now.bare = true
			w.spans = w.spans[1:]
		}
		if err := w.now.fill(ctx); err != nil {
			return "", err
		}
		if first := w.now.first(); first != nil {
			return first.next().place, nil
		}
		w.now = nil
	}
}

// Names reads the index by name.
func (s *Store) Names(ctx context.Context, most int) (ids []agent.ID, whole bool, err error) {
	const doing = "read the names"
	w, err := s.newWalk(registry.Selection{Sort: registry.ByName, Limit: maxPage, Keys: most + 1})
	if err != nil {
		return nil, false, unavailable(doing, err)
	}
	for len(ids) <= most {
		place, err := w.next(ctx)
		if err != nil {
			return nil, false, unavailable(doing, err)
		}
		if w.ended {
			return ids, true, nil
		}
		ids = append(ids, agent.ID(place))
	}
	return ids[:most], false, nil
}

func cursorAt(place string) string { return base64.RawURLEncoding.EncodeToString([]byte(place)) }

// newWalk is a walk through what a listing may have, from its cursor on. Error: registry.ErrCursor.
func (s *Store) newWalk(l registry.Selection) (*walk, error) {
	w := &walk{store: s, chunk: min(l.Limit, maxPage), keys: l.Keys}
	if l.Name != "" {
		w.chunk = maxPage // most of them are read in vain
	}
	w.takes = func(place string) (agent.ID, bool) {
		id, method, ok := inPlace(l.Sort, place)
		return id, ok && l.NamedSo(id) && (l.Method == "" || method == "" || method == l.Method)
	}
	switch l.Sort {
	case registry.ByName:
		if w.of, w.spans = s.byName(), []span{{"!", "~"}}; l.Among != "" {
			w.spans, w.given = nil, slices.Compact(slices.Sorted(strings.FieldsSeq(l.Among)))
		}
	case registry.ByDue:
		w.of, w.spans = s.byDue(), []span{dueSpan(l.Filter)}
	case registry.ByGeneration:
		w.of, w.spans = s.byGeneration(), generationSpans(l.Filter)
	}
	return w, w.from(l)
}

// from leaves out what stands before the cursor.
func (w *walk) from(l registry.Selection) error {
	if l.Cursor == "" {
		return nil
	}
	place, ok := placeIn(l.Cursor)
	if !ok {
		return registry.ErrCursor
	}
	id, _, ok := inPlace(l.Sort, place)
	if _, err := agent.ParseID(string(id)); !ok || err != nil {
		return registry.ErrCursor
	}
	if l.Sort == registry.ByGeneration && l.Generation != 0 && (place < w.spans[0].low || place > w.spans[0].high) {
		return registry.ErrCursor
	}
	w.given = slices.DeleteFunc(w.given, func(given string) bool { return given <= place })
	w.spans = slices.DeleteFunc(w.spans, func(s span) bool { return s.high <= place })
	for n := range w.spans {
		w.spans[n].low = max(w.spans[n].low, place+"!")
	}
	return nil
}

// inPlace reads what a sort key says of an agent; method is empty where it does not say it.
func inPlace(s registry.Sort, place string) (id agent.ID, method agent.Method, ok bool) {
	switch s {
	case registry.ByName:
		return agent.ID(place), "", true
	case registry.ByDue:
		if parts := duePattern.FindStringSubmatch(place); parts != nil {
			return agent.ID(parts[2]), agent.Minted, true
		}
	case registry.ByGeneration:
		if parts := cursorPattern.FindStringSubmatch(place); parts != nil {
			return agent.ID(parts[3]), agent.Method(parts[2]), true
		}
	}
	return "", "", false
}

// generationSpans are the ranges of the index by generation that a filter leaves.
func generationSpans(f registry.Filter) []span {
	switch {
	case f.Generation != 0:
		g := generationText(f.Generation)
		return []span{{g + "#", g + "$"}}
	case f.Not != 0: // no pin is generation 0
		g := generationText(f.Not)
		return []span{{generationText(1) + "#", g + "#"}, {g + "$", ":"}}
	case f.Status == agent.Deactivated: // without a pin
		return []span{{generationText(0) + "#", generationText(0) + "$"}}
	}
	return []span{{"0", ":"}}
}

// dueSpan is the range of the due index that a filter leaves.
func dueSpan(f registry.Filter) span {
	if f.DueAt.IsZero() {
		return span{toldPart, awaitPart + ":"}
	}
	return span{toldPart, awaitPart + behind(f.DueAt)}
}

// Count counts what all pages of a listing have, in the index that can.
func (s *Store) Count(ctx context.Context, l registry.Selection) (int64, error) {
	const doing = "count agents"
	var n int64
	var err error
	switch l.Counter() {
	case registry.Uncounted:
		err = registry.ErrUnsupported
	case registry.OfAll:
		n, err = s.countShards(ctx, s.byGeneration(), span{"0", ":"})
	case registry.OfDue:
		n, err = s.countShards(ctx, s.byDue(), dueSpan(l.Filter))
	case registry.OfActive:
		n, err = s.countActive(ctx, l.Filter)
	}
	if err != nil {
		return 0, unavailable(doing, err)
	}
	return n, nil
}

// countActive counts active agents. Only those have a pin, so a filter by generation leaves no others.
func (s *Store) countActive(ctx context.Context, f registry.Filter) (int64, error) {
	if f.Method == "" && (f.Generation != 0 || f.Not != 0) {
		var n int64
		for _, of := range generationSpans(f) {
			found, err := s.countShards(ctx, s.byGeneration(), of)
			if err != nil {
				return 0, err
			}
			n += found
		}
		return n, nil
	}
	methods := agent.Methods()
	if f.Method != "" {
		methods = []agent.Method{f.Method}
	}
	var all, out int64
	var counts []*count
	for _, m := range methods {
		switch {
		case f.Generation != 0:
			counts = append(counts, under(f.Generation, m, &all)...)
		default:
			counts = append(counts, ofMethod(m, &all)...)
			counts = append(counts, under(f.Not, m, &out)...)
		}
	}
	if err := s.countAll(ctx, counts); err != nil {
		return 0, err
	}
	for _, c := range counts {
		*c.into += c.found
	}
	return max(all-out, 0), nil
}

// countShards counts a range of every shard of an index.
func (s *Store) countShards(ctx context.Context, in shardedIndex, of span) (int64, error) {
	var total atomic.Int64
	err := s.eachShard(ctx, in, of, 0, func(n int32) { total.Add(int64(n)) })
	return total.Load(), err
}
