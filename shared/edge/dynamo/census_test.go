package dynamo_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

// pagedCounts answers every count of minted agents under generation 7 in pages, and twice as many of all minted agents.
// It answers every other with nothing.
type pagedCounts struct {
	dynamo.API
	pages         int
	broken        error // of the second page, if any
	calls         atomic.Int64
	running, most atomic.Int64
	// queries that are no counts of the index; strongly consistent ones, which an index refuses
	others, strong atomic.Int64
}

const perPage = 10

func (p *pagedCounts) Query(
	ctx context.Context, in *awsdynamodb.QueryInput, _ ...func(*awsdynamodb.Options),
) (*awsdynamodb.QueryOutput, error) {
	p.calls.Add(1)
	defer p.running.Add(-1)
	if n := p.running.Add(1); n > p.most.Load() {
		p.most.Store(n)
	}
	index := aws.ToString(in.IndexName)
	if index != schema.ActiveAgents && index != schema.AgentsByGeneration || in.Select != types.SelectCount {
		p.others.Add(1)
	}
	if aws.ToBool(in.ConsistentRead) {
		p.strong.Add(1)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	value := func(name string) string {
		return in.ExpressionAttributeValues[name].(*types.AttributeValueMemberS).Value
	}
	pages := p.pages
	switch {
	case index == schema.ActiveAgents && value(":partition")[2:] == "#minted":
		pages *= 2
	case index != schema.AgentsByGeneration || value(":low") != "000007#minted#" || value(":high") != "000007#minted$":
		return &awsdynamodb.QueryOutput{}, nil
	}
	page := 1
	if from, ok := in.ExclusiveStartKey["page"].(*types.AttributeValueMemberS); ok {
		page, _ = strconv.Atoi(from.Value)
	}
	if page == 2 && p.broken != nil {
		return nil, p.broken
	}
	out := &awsdynamodb.QueryOutput{Count: perPage}
	if page < pages {
		out.LastEvaluatedKey = map[string]types.AttributeValue{"page": &types.AttributeValueMemberS{Value: strconv.Itoa(page +
			1)}}
	}
	return out, nil
}

func TestCensusReadsEveryPage(t *testing.T) {
	p := &pagedCounts{pages: 4}
	got, err := dynamo.New(dynamo.Config{Client: p}).Census(t.Context(), 7, 7)
	if err != nil {
		t.Fatal(err)
	}
	each := int64(schema.Shards * 4 * perPage)
	want := map[agent.Method]registry.Tally{agent.Minted: {Older: each, Current: each}, agent.BYOCA: {}, agent.SPIFFE: {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("census (-want +got):\n%s", diff)
	}
	// Three methods, all and current; the counts of minted agents take seven pages and three pages more.
	if want := int64(3*2*schema.Shards + (7+3)*schema.Shards); p.calls.Load() != want {
		t.Errorf("%d queries, want %d", p.calls.Load(), want)
	}
	if p.most.Load() > 2*schema.Shards {
		t.Errorf("%d queries at once, want at most %d", p.most.Load(), 2*schema.Shards)
	}
	if p.others.Load() != 0 || p.strong.Load() != 0 {
		t.Errorf("%d queries are no counts of the index, %d ask for strong consistency", p.others.Load(), p.strong.Load())
	}
}

func TestCensusAsksForNewerGenerationsWhereThereAreSome(t *testing.T) {
	p := &pagedCounts{pages: 1}
	if _, err := dynamo.New(dynamo.Config{Client: p}).Census(t.Context(), 3, 7); err != nil {
		t.Fatal(err)
	}
	// Three methods: all, generation 3, and 4 to 7; the counts of all minted agents take a page more.
	if want := int64(3*(1+1+4)*schema.Shards + schema.Shards); p.calls.Load() != want {
		t.Errorf("%d queries, want %d", p.calls.Load(), want)
	}
}

// A count that is not whole is none.
func TestCensusThatBreaks(t *testing.T) {
	broken := errors.New("throttled")
	got, err := dynamo.New(dynamo.Config{Client: &pagedCounts{pages: 3, broken: broken}}).Census(t.Context(), 7, 7)
	if !errors.Is(err, registry.ErrUnavailable) || !errors.Is(err, broken) || got != nil {
		t.Errorf("got %v, %v; want the cause, as ErrUnavailable", got, err)
	}
}
