package dynamo

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Seen notes a sighting: one conditional write of an item of its own. DynamoDB takes the same unit where the condition
// is false.
func (s *Store) Seen(ctx context.Context, seen registry.Sighting) error {
	w := writer{key(seenKey(seen.Agent), single)}
	w.time("hour", seen.Hour)
	w.number("generation", seen.Generation)
	w.number("interval", seen.Interval)
	var a attempts
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                &s.registry,
		Item:                     w.item,
		ConditionExpression:      aws.String("attribute_not_exists(pk) OR #hour < :hour OR #hour = :wrong"),
		ExpressionAttributeNames: map[string]string{"#hour": "hour"},
		ExpressionAttributeValues: item{
			":hour":  millis(seen.Hour),
			":wrong": millis(seen.Corrects), // the zero time is no hour that is ever stored
		},
	}, a.watch)
	if _, ok := conditionFailed(err); ok || err == nil {
		return nil //nolint:nilerr // it is noted already, for this hour or a later one
	}
	return a.failed("note that "+string(seen.Agent)+" was seen", err)
}

// SeenAt reads sightings, a batch for each hundred, side by side.
func (s *Store) SeenAt(ctx context.Context, ids []agent.ID) (map[agent.ID]registry.Sighting, error) {
	const doing = "read when agents were seen"
	if err := ctx.Err(); err != nil {
		return nil, unavailable(doing, err)
	}
	items, err := s.batchAll(ctx, s.registry, seenKeys(ids, single))
	if err != nil {
		return nil, unavailable(doing, err)
	}
	found := map[agent.ID]registry.Sighting{}
	for _, i := range items {
		seen, err := decodeSighting(i)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		found[seen.Agent] = seen
	}
	return found, nil
}

func decodeSighting(i item) (registry.Sighting, error) {
	r := reader{item: i}
	s := registry.Sighting{
		Agent:      agent.ID(strings.TrimPrefix(r.text("pk"), seenPrefix)),
		Hour:       r.time("hour"),
		Generation: r.number("generation"),
		Interval:   r.number("interval"),
	}
	return s, r.err
}
