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

// What a census costs. An entry of the index is the names and values of four keys: "c" 07#minted, "g" 000002, "pk"
// AGENT#orga::agent-0000001, "sk" -, together 47 octets, and at most 158 with an organisation and an agent of 64
// letters each. DynamoDB counts 1 MB in one page, at half a read unit for 4 KB, and hands out no entry:
//
//	             entries   pages   of one shard, one after the other   read units
//	  100,000     4.7 MB      16       1                                    574
//	1,000,000      47 MB      48       3                                  5,737
//	1,000,000     158 MB     160      10  (the longest names)            19,287
//
// The shards are counted at the same time. Take 100 ms for a page and an index of four partitions, each with 3,000
// read units a second and no burst capacity: a million agents take 0.5 s, or 1.6 s with the longest names. test/bench
// has that model. In addition there are 96 empty counts, or 144 after a rollback, of half a unit each.
//
// Not taken: a counter that every enrolment updates would be one item that all agents' transactions collide on.

// censusAtOnce is how many counts run at the same time. The heavy counts, of one method and one range, are as many as
// there are shards, and are neighbours in the list.
const censusAtOnce = schema.Shards

// count is one range of one partition of the index.
type count struct {
	partition string
	low, high int64 // generations, both inclusive
	into      *int64
	found     int64
}

// Census counts the active agents in the index made for it.
func (s *Store) Census(ctx context.Context, current, newest int64) (map[agent.Method]registry.Tally, error) {
	tallies := map[agent.Method]*registry.Tally{}
	var counts []*count
	for _, method := range agent.Methods() {
		t := &registry.Tally{}
		tallies[method] = t
		counts = append(counts, ranges(method, current, newest, t)...)
	}
	if err := s.countAll(ctx, counts); err != nil {
		return nil, unavailable("count agents", err)
	}
	for _, c := range counts {
		*c.into += c.found
	}
	census := map[agent.Method]registry.Tally{}
	for method, t := range tallies {
		census[method] = *t
	}
	return census, nil
}

// ranges are the counts of one method, without the ranges that no pin can be under.
func ranges(method agent.Method, current, newest int64, t *registry.Tally) []*count {
	var counts []*count
	for _, r := range []count{{
		low:  0,
		high: current - 1,
		into: &t.Older,
	}, {low: current, high: current, into: &t.Current}, {low: current + 1, high: newest, into: &t.Newer}} {
		for shard := range schema.Shards {
			if r.low <= r.high {
				counts = append(counts, &count{
					partition: countKey(shardKey(shard), method),
					low:       r.low,
					high:      r.high,
					into:      r.into,
				})
			}
		}
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
		TableName:              &s.fleet,
		IndexName:              aws.String(schema.ActiveAgents),
		Select:                 types.SelectCount,
		KeyConditionExpression: aws.String("c = :partition AND g BETWEEN :low AND :high"),
		ExpressionAttributeValues: item{":partition": text(c.partition), ":low": text(generationText(c.low)),
			":high": text(generationText(c.high))},
	}
	for {
		out, err := s.client.Query(ctx, in)
		if err != nil {
			return err
		}
		c.found += int64(out.Count)
		if len(out.LastEvaluatedKey) == 0 {
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// countKey is the partition of the counting index that an agent is in.
func countKey(shard string, method agent.Method) string { return shard + "#" + string(method) }

// generationText keeps generations in order as texts.
func generationText(number int64) string { return fmt.Sprintf("%06d", number) }
