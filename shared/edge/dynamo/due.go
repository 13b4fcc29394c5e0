package dynamo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

// The due index has two parts. The first holds the agents whose operator was notified, by the end of their
// certificates; the second holds the agents that hygiene is to look at. So one range holds everything that is worth a
// warning: the end of the first part, whose certificates have not ended yet, and the beginning of the second, which
// has been due for long. One range also holds all agents whose certificates are due.
const (
	toldPart  = "0#"
	awaitPart = "1#"
)

// duePlace is an agent's sort key in the due index; empty: it is not in it.
func duePlace(a agent.Agent) string {
	at, notified := a.Entry()
	switch {
	case at.IsZero():
		return ""
	case notified:
		return toldPart + dueTime(at) + "#" + string(a.ID)
	}
	return awaitPart + dueTime(at) + "#" + string(a.ID)
}

// dueTime keeps times in order as texts; before 1970 there are none.
func dueTime(t time.Time) string { return fmt.Sprintf("%014d", max(t.UnixMilli(), 0)) }

// behind is what follows everything of a time. In the order of bytes '$' follows '#'.
func behind(t time.Time) string { return dueTime(t) + "$" }

var duePattern = regexp.MustCompile(`^([01]#)[0-9]{14,}#(.+)$`)

// dueFrom is where the range of a query begins.
func dueFrom(q registry.DueQuery) string {
	switch {
	case !q.After.IsZero():
		return awaitPart + behind(q.After)
	case q.Told:
		return toldPart
	}
	return awaitPart
}

// Due reads a page of the due index.
func (s *Store) Due(ctx context.Context, q registry.DueQuery) (registry.DuePage, error) {
	const doing = "list who is due"
	low, err := dueAfter(q)
	if err != nil {
		return registry.DuePage{}, fmt.Errorf("%s: %w", doing, err)
	}
	limit := min(max(q.Limit, 1), maxPage)
	m := s.newMerge(s.byDue(), low, awaitPart+behind(q.At), limit)
	var page registry.DuePage
	page.Next, err = m.page(ctx, limit, func(place string, _ item) error {
		if parts := duePattern.FindStringSubmatch(place); parts != nil {
			page.Agents = append(page.Agents, agent.ID(parts[2]))
		}
		return nil
	})
	if err != nil {
		return registry.DuePage{}, unavailable(doing, err)
	}
	return page, nil
}

// dueAfter is where a page begins: after the cursor, which lies in the query's range.
func dueAfter(q registry.DueQuery) (string, error) {
	if q.Cursor == "" {
		return dueFrom(q), nil
	}
	place, ok := placeIn(q.Cursor)
	if !ok || !duePattern.MatchString(place) || place < dueFrom(q) {
		return "", registry.ErrCursor
	}
	return place + "!", nil
}

// CountDue counts the same range, without reading it: with a limit, no more than that of each shard.
func (s *Store) CountDue(ctx context.Context, q registry.DueQuery) (int64, error) {
	var total atomic.Int64
	err := s.eachShard(ctx, s.byDue(), span{dueFrom(q), awaitPart + behind(q.At)}, int32(min(q.Limit, maxPage)),
		func(n int32) { total.Add(int64(n)) })
	if err != nil {
		return 0, unavailable("count who is due", err)
	}
	return total.Load(), nil
}

// DueTimes reads the range of each shard from its beginning, keys alone. A shard that has more than the limit is known
// up to the last entry that was read, without that instant itself.
func (s *Store) DueTimes(ctx context.Context, q registry.DueQuery) (at []time.Time, through time.Time, err error) {
	q.Told = false
	of := span{dueFrom(q), awaitPart + behind(q.At)}
	limit := int32(min(max(q.Limit, 1), maxPage))
	times, ends, errs := make([][]time.Time, schema.Shards), make([]time.Time, schema.Shards), make([]error, schema.Shards)
	var wg sync.WaitGroup
	for n := range schema.Shards {
		wg.Go(func() {
			times[n], ends[n], errs[n] = s.dueTimesOf(ctx, n, of, limit)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, time.Time{}, unavailable("read when agents are due", err)
	}
	through = q.At
	for n, end := range ends {
		if at = append(at, times[n]...); !end.IsZero() && end.Before(through) {
			through = end
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return at, through, nil
}

// dueTimesOf reads one shard; end is the last instant that is known, or the zero time if the whole range is.
func (s *Store) dueTimesOf(
	ctx context.Context, shard int, of span, limit int32,
) (at []time.Time, end time.Time, err error) {
	in := s.byDue()
	out, err := s.client.Query(ctx, &dynamodb.QueryInput{
		TableName:                 &in.table,
		IndexName:                 &in.index,
		ProjectionExpression:      aws.String("#by"),
		KeyConditionExpression:    aws.String("#partition = :shard AND #by BETWEEN :low AND :high"),
		ExpressionAttributeNames:  map[string]string{"#partition": in.partition, "#by": in.by},
		ExpressionAttributeValues: item{":shard": text(shardKey(shard)), ":low": text(of.low), ":high": text(of.high)},
		Limit:                     &limit,
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, i := range out.Items {
		r := reader{item: i}
		if due, ok := dueIn(r.text(in.by)); ok {
			at = append(at, due)
		}
	}
	if len(out.LastEvaluatedKey) > 0 && len(at) > 0 {
		end = at[len(at)-1].Add(-time.Millisecond)
	}
	return at, end, nil
}

// dueIn reads the instant out of a place in the index.
func dueIn(place string) (time.Time, bool) {
	if !duePattern.MatchString(place) {
		return time.Time{}, false
	}
	ms, _, _ := strings.Cut(place[len(awaitPart):], "#")
	n, err := strconv.ParseInt(ms, 10, 64)
	return time.UnixMilli(n).UTC(), err == nil
}

// Expiring asks each shard for one entry of the range between the two parts.
func (s *Store) Expiring(ctx context.Context, now, overdue time.Time) (bool, error) {
	var found atomic.Bool
	of := span{toldPart + behind(now), awaitPart + behind(overdue)}
	err := s.eachShard(ctx, s.byDue(), of, 1, func(n int32) {
		if n > 0 {
			found.Store(true)
		}
	})
	if err != nil {
		return false, unavailable("look for certificates that end", err)
	}
	return found.Load(), nil
}

// eachShard counts a range of every shard of an index, all at once: of each the first entries only, or, without a
// limit, all.
func (s *Store) eachShard(ctx context.Context, in shardedIndex, of span, limit int32, counted func(int32)) error {
	errs := make([]error, schema.Shards)
	var wg sync.WaitGroup
	for n := range schema.Shards {
		wg.Go(func() {
			query := &dynamodb.QueryInput{
				TableName:                 &in.table,
				IndexName:                 &in.index,
				Select:                    types.SelectCount,
				KeyConditionExpression:    aws.String("#partition = :shard AND #by BETWEEN :low AND :high"),
				ExpressionAttributeNames:  map[string]string{"#partition": in.partition, "#by": in.by},
				ExpressionAttributeValues: item{":shard": text(shardKey(n)), ":low": text(of.low), ":high": text(of.high)},
			}
			if limit > 0 {
				query.Limit = &limit
			}
			errs[n] = s.countPages(ctx, query, counted)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *Store) countPages(ctx context.Context, in *dynamodb.QueryInput, counted func(int32)) error {
	for {
		out, err := s.client.Query(ctx, in)
		if err != nil {
			return err
		}
		counted(out.Count)
		if len(out.LastEvaluatedKey) == 0 || in.Limit != nil {
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// hygiene writes a map within the item, or nothing where there is nothing to keep. The map is most often about the
// newest pin, whose thumbprint the record has, and a version of the secret may be named after that thumbprint: neither
// is written again.
func (w writer) hygiene(h agent.Hygiene, newest string) {
	in := writer{item{}}
	in.text("deliver", string(h.Deliver))
	if own := h.About != "" && h.About == newest; own {
		in.flag("newest", own)
	} else {
		in.digest("about", h.About)
	}
	in.flag("told", h.Told)
	if own := h.Undelivered != "" && h.Undelivered == h.About; own {
		in.flag("own", own)
	} else {
		in.digest("undelivered", h.Undelivered)
	}
	in.number("failed", h.Failed)
	in.time("later", h.Later)
	in.number("named", h.Named)
	in.time("job", h.Job)
	if len(in.item) > 0 {
		w.item["hygiene"] = &types.AttributeValueMemberM{Value: in.item}
	}
}

// hygiene reads what writer.hygiene wrote into a record with this newest pin.
func (r *reader) hygiene(newest string) agent.Hygiene {
	m, ok := attribute[*types.AttributeValueMemberM](r, "hygiene")
	if !ok {
		return agent.Hygiene{}
	}
	in := reader{item: m.Value, err: r.err}
	h := agent.Hygiene{
		Deliver:     agent.Delivery(in.text("deliver")),
		About:       in.digest("about"),
		Told:        in.flag("told"),
		Undelivered: in.digest("undelivered"),
		Failed:      in.number("failed"),
		Later:       in.time("later"),
		Named:       in.number("named"),
		Job:         in.time("job"),
	}
	if in.flag("newest") {
		h.About = newest
	}
	if in.flag("own") {
		h.Undelivered = h.About
	}
	r.err = in.err
	return h
}
