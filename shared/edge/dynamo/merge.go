package dynamo

import (
	"context"
	"encoding/base64"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/schema"
)

// shardedIndex is an index whose entries are spread over schema.Shards partitions.
type shardedIndex struct {
	table, index  string
	partition, by string // names of its keys
	prefix        string // of each partition's key, before the number of the shard
}

// The indexes of agents.
func (s *Store) byGeneration() shardedIndex {
	return shardedIndex{table: s.fleet, index: schema.AgentsByGeneration, partition: "gen_pk", by: "gen_sk"}
}

func (s *Store) byName() shardedIndex {
	return shardedIndex{table: s.fleet, index: schema.AgentsByName, partition: "gen_pk", by: "id"}
}

func (s *Store) byDue() shardedIndex {
	return shardedIndex{table: s.registry, index: schema.AgentsByDue, partition: "due_pk", by: "due_sk"}
}

// merge reads the shards of an index side by side and yields their items in one order.
type merge struct {
	store  *Store
	of     shardedIndex
	high   string
	back   bool // from the end of the range to its beginning
	bare   bool // reads sort keys only, and growth times as many with each call, up to maxChunk
	shards []*shard
}

// growth saves calls where a walk rejects many entries.
const growth = 8

type shard struct {
	name, low string
	start     item  // where to go on
	chunk     int32 // items to ask for at once
	done      bool  // nothing more to read than what is in found
	found     []entry
}

// entry is an item of an index with its sort key.
type entry struct {
	place string
	item  item
}

func (s *Store) newMerge(of shardedIndex, low, high string, limit int) *merge {
	// Half as much again as an even share, and a little more for small pages.
	chunk := int32(limit*3/(2*schema.Shards) + 8)
	m := &merge{store: s, of: of, high: high}
	for n := range schema.Shards { // DynamoDB refuses a range that ends before it begins
		m.shards = append(m.shards, &shard{
			name:  of.prefix + shardKey(n),
			low:   low,
			chunk: chunk,
			done:  low > high,
		})
	}
	return m
}

// fill reads on where nothing is left, all such shards at once.
func (m *merge) fill(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(m.shards))
	for n, sh := range m.shards {
		if len(sh.found) == 0 && !sh.done {
			wg.Go(func() { errs[n] = m.read(ctx, sh) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// read reads a shard until something is found or its end is reached: a page of DynamoDB's may be empty in between.
func (m *merge) read(ctx context.Context, sh *shard) error {
	in := &dynamodb.QueryInput{
		TableName:                 &m.of.table,
		IndexName:                 aws.String(m.of.index),
		ScanIndexForward:          aws.Bool(!m.back),
		KeyConditionExpression:    aws.String("#partition = :shard AND #by BETWEEN :low AND :high"),
		ExpressionAttributeNames:  map[string]string{"#partition": m.of.partition, "#by": m.of.by},
		ExpressionAttributeValues: item{":shard": text(sh.name), ":low": text(sh.low), ":high": text(m.high)},
	}
	if m.bare {
		in.ProjectionExpression = aws.String("#by")
	}
	for len(sh.found) == 0 && !sh.done {
		in.Limit, in.ExclusiveStartKey = aws.Int32(sh.chunk), sh.start
		out, err := m.store.client.Query(ctx, in)
		if err != nil {
			return err
		}
		for _, i := range out.Items {
			r := reader{item: i}
			sh.found = append(sh.found, entry{r.text(m.of.by), i})
		}
		sh.start, sh.done = out.LastEvaluatedKey, len(out.LastEvaluatedKey) == 0
		if m.bare {
			sh.chunk = min(sh.chunk*growth, maxChunk)
		}
	}
	return nil
}

// page takes the first items, at most limit, each with its sort key, and returns the cursor of the page behind them;
// empty: there is none.
func (m *merge) page(ctx context.Context, limit int, take func(place string, i item) error) (next string, err error) {
	var last string
	for n := 0; ; n++ {
		if err := m.fill(ctx); err != nil {
			return "", err
		}
		first := m.first()
		if first == nil {
			return "", nil
		}
		if n == limit {
			return base64.RawURLEncoding.EncodeToString([]byte(last)), nil
		}
		e := first.next()
		if err := take(e.place, e.item); err != nil {
			return "", err
		}
		last = e.place
	}
}

// placeIn is the sort key at which the page before ended; false if the cursor is not the one spelling of any.
func placeIn(cursor string) (string, bool) {
	decoded, err := base64.RawURLEncoding.DecodeString(cursor)
	return string(decoded), err == nil && base64.RawURLEncoding.EncodeToString(decoded) == cursor
}

// first is the shard whose next item comes first; nil if there is none. Every shard must be filled.
func (m *merge) first() *shard {
	var first *shard
	for _, sh := range m.shards {
		if len(sh.found) > 0 && (first == nil || sh.found[0].place < first.found[0].place != m.back) {
			first = sh
		}
	}
	return first
}

// next takes a shard's next item.
func (sh *shard) next() entry {
	e := sh.found[0]
	sh.found = sh.found[1:]
	return e
}
