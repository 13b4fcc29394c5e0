package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/schema"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// fleetAgent is the n-th agent of a fleet, as an enrolment leaves it.
func fleetAgent(n int) agent.Agent {
	at := inmemory.Start
	name := fmt.Sprintf("agent-%07d", n)
	return agent.Agent{
		ID:      agent.ID(inmemory.OrgID + "::" + name),
		Profile: agent.Profile{Capabilities: []string{"kyc:read", "kyc:write"}},
		Method:  agent.Minted,
		Status:  agent.Active,
		Pins: []agent.Pin{{
			Thumbprint: fmt.Sprintf("%064x", n),
			Generation: 1,
			NotBefore:  at,
			NotAfter:   at.AddDate(1, 0, 0),
		}},
		SPIFFEID:   "spiffe://" + inmemory.TrustDomain + "/" + inmemory.OrgID + "/" + name,
		JKT:        strings.Repeat("j", 43),
		EnrolledAt: at,
		UpdatedAt:  at,
		Head:       audit.Head{Seq: 1, Hash: strings.Repeat("0", 64)},
	}
}

// load fills tables of their own with a fleet, once, and returns their prefix.
func (b *bench) load(ctx context.Context, size int) (string, error) {
	if prefix, ok := b.loaded[size]; ok {
		return prefix, nil
	}
	system, err := b.stack(ctx)
	if err != nil {
		return "", err
	}
	prefix := fmt.Sprintf("bench-%d-", size)
	b.say("DynamoDB Local: loading %d agents", size)
	loading := time.Now()
	if err := populate(ctx, system.Clients.DynamoDB, prefix, size); err != nil {
		return "", fmt.Errorf("load %d agents: %w", size, err)
	}
	b.say("DynamoDB Local: %d agents loaded in %.0f s", size, time.Since(loading).Seconds())
	if b.loaded == nil {
		b.loaded = map[int]string{}
	}
	b.loaded[size] = prefix
	return prefix, nil
}

// batch is how many agents one BatchWriteItem takes: two items each, of at most 25.
const batch = 12

// populate makes the tables of a prefix and fills them with agents, in batches: the fleet's size is what matters, not
// how it came about. Two writers keep the database busy.
func populate(ctx context.Context, c *awsdynamodb.Client, prefix string, size int) error {
	if err := dynamodb.CreateTables(ctx, c, prefix); err != nil {
		return err
	}
	const writers = 2
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for from := w * batch; from < size && errs[w] == nil; from += writers * batch {
				errs[w] = putAgents(ctx, c, prefix, from, min(from+batch, size))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func putAgents(ctx context.Context, c *awsdynamodb.Client, prefix string, from, to int) error {
	var agents, entries []types.WriteRequest
	for n := from; n < to; n++ {
		a := fleetAgent(n)
		agents = append(agents, types.WriteRequest{PutRequest: &types.PutRequest{Item: dynamo.AgentItem(a)}})
		entries = append(entries, types.WriteRequest{PutRequest: &types.PutRequest{Item: dynamo.EntryItem(a)}})
	}
	out, err := c.BatchWriteItem(ctx, &awsdynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
		prefix + schema.Registry: agents, prefix + schema.Fleet: entries,
	}})
	if err != nil {
		return err
	}
	if left := len(out.UnprocessedItems); left > 0 { // DynamoDB Local has no throughput to run out of
		return fmt.Errorf("items of %d tables were not written", left)
	}
	return nil
}
