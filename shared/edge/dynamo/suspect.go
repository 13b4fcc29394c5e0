package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// The suspect agents are one partition, with an item for each: who looks for them takes one query, whatever the fleet.
// An item follows from the agent's record and is written in the same transaction, but only by a change that makes the
// agent suspect or ends it.
const suspectRecords = "SUSPECT"

// suspect writes that the agent of a change is suspect, or is no longer. No condition is needed: the agent's own lets
// one change in.
func (s *Store) suspect(c registry.Change) types.TransactWriteItem {
	place := key(suspectRecords, string(c.Agent.ID))
	if *c.Suspect {
		return types.TransactWriteItem{Put: &types.Put{TableName: &s.registry, Item: place}}
	}
	return types.TransactWriteItem{Delete: &types.Delete{TableName: &s.registry, Key: place}}
}

// Suspects reads the ids of suspect agents: one query of at most limit items.
func (s *Store) Suspects(ctx context.Context, limit int) ([]agent.ID, error) {
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.registry,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": text(suspectRecords)},
	}, max(limit, 1))
	if err != nil {
		return nil, unavailable("look for suspect agents", err)
	}
	var ids []agent.ID
	for _, i := range items {
		r := reader{item: i}
		if ids = append(ids, agent.ID(r.text("sk"))); r.err != nil {
			return nil, unavailable("look for suspect agents", r.err)
		}
	}
	return ids, nil
}

func (w writer) suspect(s agent.Suspect) {
	w.digest("suspect", s.Thumbprint)
	w.time("suspect_at", s.At)
	w.text("suspect_by", string(s.Evidence))
	w.text("suspect_other", string(s.Other))
}

func (r *reader) suspect() agent.Suspect {
	return agent.Suspect{
		Evidence:   agent.Evidence(r.text("suspect_by")),
		Thumbprint: r.digest("suspect"),
		Other:      agent.ID(r.text("suspect_other")),
		At:         r.time("suspect_at"),
	}
}
