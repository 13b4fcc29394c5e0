package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/localstack/dynamodb"
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
		ID: agent.ID(inmemory.OrgID + "::" + name), Capabilities: []string{"kyc:read", "kyc:write"}, Method: agent.Minted, Status: agent.Active,
		Pins:     []agent.Pin{{Thumbprint: fmt.Sprintf("%064x", n), Generation: 1, NotBefore: at, NotAfter: at.AddDate(1, 0, 0)}},
		SPIFFEID: "spiffe://" + inmemory.TrustDomain + "/" + inmemory.OrgID + "/" + name, JKT: strings.Repeat("j", 43),
		EnrolledAt: at, UpdatedAt: at, Head: audit.Head{Seq: 1, Hash: strings.Repeat("0", 64)},
	}
}

// batch is the most items of one BatchWriteItem.
const batch = 25

// populate makes the tables of a prefix and fills them with agents, in batches: the fleet's size is what matters, not how
// it came about. Two goroutines keep the database busy.
func populate(ctx context.Context, c *awsdynamodb.Client, prefix string, size int) error {
	if err := dynamodb.CreateTables(ctx, c, prefix); err != nil {
		return err
	}
	const writers = 2
	errs := make(chan error, writers)
	for w := range writers {
		go func() {
			errs <- func() error {
				for from := w * batch; from < size; from += writers * batch {
					if err := putAgents(ctx, c, prefix+schema.Registry, from, min(from+batch, size)); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	var failed error
	for range writers {
		if err := <-errs; failed == nil {
			failed = err
		}
	}
	return failed
}

func putAgents(ctx context.Context, c *awsdynamodb.Client, table string, from, to int) error {
	requests := make([]types.WriteRequest, 0, batch)
	for n := from; n < to; n++ {
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: dynamo.AgentItem(fleetAgent(n))}})
	}
	for tries := 0; len(requests) > 0; tries++ {
		out, err := c.BatchWriteItem(ctx, &awsdynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: requests}})
		if err != nil {
			return err
		}
		if requests = out.UnprocessedItems[table]; len(requests) > 0 && tries == 5 {
			return fmt.Errorf("%d items were not processed in %d tries", len(requests), tries+1)
		}
		if len(requests) > 0 {
			time.Sleep(10 * time.Millisecond << tries)
		}
	}
	return nil
}
