package dynamo

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// refusalKey is the sort key of a refusal, next to the note of when the agent was seen.
const refusalKey = "REFUSED"

// Refuse notes a refusal: one conditional write of an item of its own, once for each certificate.
func (s *Store) Refuse(ctx context.Context, r registry.Refusal) error {
	w := writer{key(seenKey(r.Agent), refusalKey)}
	w.digest("thumbprint", r.Thumbprint)
	w.number("generation", r.Generation)
	w.text("code", r.Code)
	w.time("at", r.At)
	var a attempts
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                 &s.registry,
		Item:                      w.item,
		ConditionExpression:       aws.String("attribute_not_exists(pk) OR #thumbprint <> :thumbprint"),
		ExpressionAttributeNames:  map[string]string{"#thumbprint": "thumbprint"},
		ExpressionAttributeValues: item{":thumbprint": w.item["thumbprint"]},
	}, a.watch)
	if _, ok := conditionFailed(err); ok || err == nil {
		return nil //nolint:nilerr // it is noted already
	}
	return a.failed("note a refusal of "+string(r.Agent), err)
}

// Refusals reads refusals, a batch for each hundred, side by side.
func (s *Store) Refusals(ctx context.Context, ids []agent.ID) (map[agent.ID]registry.Refusal, error) {
	const doing = "read refusals"
	if err := ctx.Err(); err != nil {
		return nil, unavailable(doing, err)
	}
	items, err := s.batchAll(ctx, s.registry, seenKeys(ids, refusalKey))
	if err != nil {
		return nil, unavailable(doing, err)
	}
	found := map[agent.ID]registry.Refusal{}
	for _, i := range items {
		r, err := decodeRefusal(i)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		found[r.Agent] = r
	}
	return found, nil
}

func decodeRefusal(i item) (registry.Refusal, error) {
	r := reader{item: i}
	refused := registry.Refusal{
		Agent:      agent.ID(strings.TrimPrefix(r.text("pk"), seenPrefix)),
		Thumbprint: r.digest("thumbprint"),
		Generation: r.number("generation"),
		Code:       r.text("code"),
		At:         r.time("at"),
	}
	return refused, r.err
}
