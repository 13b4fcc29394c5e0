package dynamo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

// maxPage is the most agents of one page.
const maxPage = 1000

// place is an agent's sort key in the index: generation of its newest pin, method, id. An agent without pins, be it
// deactivated or known by its SPIFFE ID, is of generation 0.
func place(a agent.Agent) string {
	return fmt.Sprintf("%06d#%s#%s", a.Pin().Generation, a.Method, a.ID)
}

// Agents reads a page of agents from the index. Each shard is asked for its part of the page, and again only where it
// held more than that, so a page costs about twice what is on it.
func (s *Store) Agents(ctx context.Context, q registry.Query) (registry.Page, error) {
	const doing = "list agents"
	low, high, err := bounds(q)
	if err != nil {
		return registry.Page{}, fmt.Errorf("%s: %w", doing, err)
	}
	limit := min(max(q.Limit, 1), maxPage)
	m := newMerge(s, low, high, limit)
	var page registry.Page
	var last string
	for {
		if err := m.fill(ctx); err != nil {
			return registry.Page{}, unavailable(doing, err)
		}
		next := m.first()
		if next == nil {
			return page, nil
		}
		if len(page.Agents) == limit {
			page.Next = base64.RawURLEncoding.EncodeToString([]byte(last))
			return page, nil
		}
		a, err := decodeAgent(next.found[0])
		if err != nil {
			return registry.Page{}, unavailable(doing, err)
		}
		page.Agents = append(page.Agents, a)
		last, next.found = next.next(), next.found[1:]
	}
}

// In the order of bytes, '!' stands before and ':' behind everything that occurs in a sort key.
var cursorPattern = regexp.MustCompile(`^([0-9]{6,})#(minted|byoca|spiffe)#(.+)$`)

// bounds are the first and the last sort key that a page may have, both inclusive.
func bounds(q registry.Query) (low, high string, err error) {
	low, high = "0", ":"
	generation := fmt.Sprintf("%06d", q.Generation)
	if q.Generation != 0 {
		low, high = generation+"#", generation+"$"
	}
	if q.Cursor == "" {
		return low, high, nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != q.Cursor {
		return "", "", registry.ErrCursor
	}
	parts := cursorPattern.FindStringSubmatch(string(decoded))
	if parts == nil || q.Generation != 0 && parts[1] != generation {
		return "", "", registry.ErrCursor
	}
	if _, err := agent.ParseID(parts[3]); err != nil {
		return "", "", registry.ErrCursor
	}
	return string(decoded) + "!", high, nil
}

// merge reads the shards of the index side by side and yields their agents in one order.
type merge struct {
	store  *Store
	high   string
	chunk  int32 // agents asked for at once, of one shard
	shards []*shard
}

type shard struct {
	name, low string
	start     item // where to go on
	done      bool // nothing more to read than what is in found
	found     []item
}

func newMerge(s *Store, low, high string, limit int) *merge {
	// Half as much again as an even share, and a little more for small pages.
	m := &merge{store: s, high: high, chunk: int32(limit*3/(2*schema.Shards) + 8)}
	for n := range schema.Shards {
		m.shards = append(m.shards, &shard{name: shardKey(n), low: low})
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
	for len(sh.found) == 0 && !sh.done {
		out, err := m.store.client.Query(ctx, &dynamodb.QueryInput{
			TableName: &m.store.registry, IndexName: aws.String(schema.AgentsByGeneration), Limit: &m.chunk,
			KeyConditionExpression:    aws.String("gen_pk = :shard AND gen_sk BETWEEN :low AND :high"),
			ExpressionAttributeValues: item{":shard": text(sh.name), ":low": text(sh.low), ":high": text(m.high)},
			ExclusiveStartKey:         sh.start,
		})
		if err != nil {
			return err
		}
		sh.found, sh.start, sh.done = out.Items, out.LastEvaluatedKey, len(out.LastEvaluatedKey) == 0
	}
	return nil
}

// first is the shard whose next agent comes first; nil if there is none. Every shard must be filled.
func (m *merge) first() *shard {
	var first *shard
	for _, sh := range m.shards {
		if len(sh.found) > 0 && (first == nil || sh.next() < first.next()) {
			first = sh
		}
	}
	return first
}

func (sh *shard) next() string {
	r := reader{item: sh.found[0]}
	return r.text("gen_sk")
}
