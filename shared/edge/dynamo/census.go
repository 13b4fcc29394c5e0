package dynamo

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

// A census counts the active agents of each method, and in the index by generation those under the current one and
// newer ones: only a pin is under a generation, and only an active agent has a pin. The others are older. So an agent
// that moves to another generation moves in one index, and the smaller entries are those of the whole fleet.
//
// An entry of the first index is the names and values of three keys: "c" 07#minted, "pk" AGENT#orga::agent-0000001,
// "sk" -, together 40 octets; one of the second, with gen_pk and gen_sk, 77. With an organisation and an agent of 64
// letters each it is 151 and 299. DynamoDB counts 1 MB in one page, at half a read unit for 4 KB, and hands out no
// entry. With half of the fleet under the current generation:
//
//	             octets counted   pages of one shard, one after the other   read units
//	1,000,000        40 + 39 MB                 3, of either index               9,582
//	1,000,000      151 + 150 MB                10, of either index              36,682  (the longest names)
//
// The shards of both are counted at the same time. Take 100 ms for a page and an index of four partitions, each with
// 3,000 read units a second and no burst capacity: test/bench has that model. In addition there are 48 empty counts for
// each generation after the current one, of half a unit each.
//
// Not taken: a counter that every enrolment updates would be one item that all agents' transactions collide on.

// censusAtOnce is how many counts run at the same time. The heavy counts, of one method in either index, are twice as
// many as there are shards, and are neighbours in the list.
const censusAtOnce = 2 * schema.Shards

// count is one range of one partition of an index of the fleet; of the whole partition if the range has no end.
type count struct {
	index     string
	partition string
	low, high string // both inclusive
	into      *int64
	found     int64
}

// Census counts the active agents in the indexes made for it.
func (s *Store) Census(ctx context.Context, current, newest int64) (map[agent.Method]registry.Tally, error) {
	tallies := map[agent.Method]*registry.Tally{}
	var counts []*count
	for _, method := range agent.Methods() {
		t := &registry.Tally{}
		tallies[method] = t
		counts = append(counts, ofMethod(method, &t.Older)...) // all of them, less the others
		counts = append(counts, under(current, method, &t.Current)...)
		for g := current + 1; g <= newest; g++ {
			counts = append(counts, under(g, method, &t.Newer)...)
		}
	}
	if err := s.countAll(ctx, counts); err != nil {
		return nil, unavailable("count agents", err)
	}
	for _, c := range counts {
		*c.into += c.found
	}
	census := map[agent.Method]registry.Tally{}
	for method, t := range tallies {
		t.Older = max(t.Older-t.Current-t.Newer, 0) // an index may lag behind the other
		census[method] = *t
	}
	return census, nil
}

// ofMethod are the counts of all active agents of a method.
func ofMethod(method agent.Method, into *int64) (counts []*count) {
	for shard := range schema.Shards {
		counts = append(counts, &count{
			index:     schema.ActiveAgents,
			partition: countKey(shardKey(shard), method),
			into:      into,
		})
	}
	return counts
}

// under are the counts of the agents of a method whose newest pin is under a generation. They are active.
func under(generation int64, method agent.Method, into *int64) (counts []*count) {
	if generation <= 0 { // that of agents without a pin
		return nil
	}
	at := generationText(generation) + "#" + string(method)
	for shard := range schema.Shards {
		counts = append(counts, &count{
			index:     schema.AgentsByGeneration,
			partition: shardKey(shard),
			low:       at + "#",
			high:      at + "$",
			into:      into,
		})
	}
	return counts
}

// countAll stops at the first error, which is the one that it returns.
func (s *Store) countAll(ctx context.Context, counts []*count) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	free := make(chan struct{}, censusAtOnce)
	var wg sync.WaitGroup
	for _, c := range counts {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			if err := s.count(ctx, c); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (s *Store) count(ctx context.Context, c *count) error {
	in := &dynamodb.QueryInput{
		TableName:                 &s.fleet,
		IndexName:                 &c.index,
		Select:                    types.SelectCount,
		KeyConditionExpression:    aws.String("c = :partition"),
		ExpressionAttributeValues: item{":partition": text(c.partition)},
	}
	if c.high != "" {
		in.KeyConditionExpression = aws.String("gen_pk = :partition AND gen_sk BETWEEN :low AND :high")
		in.ExpressionAttributeValues[":low"], in.ExpressionAttributeValues[":high"] = text(c.low), text(c.high)
	}
	return s.countPages(ctx, in, func(n int32) { c.found += int64(n) })
}

// countKey is the partition of the counting index that an agent is in.
func countKey(shard string, method agent.Method) string { return shard + "#" + string(method) }

// generationText keeps generations in order as texts.
func generationText(number int64) string { return fmt.Sprintf("%06d", number) }
