package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

func encodeAlias(a registry.Alias) item {
	w := writer{key(aliasKey(a.Name), single)}
	w.text("agent", string(a.Agent))
	if !a.Expires.IsZero() {
		w.item["ttl"] = expiry(a.Expires)
	}
	return w.item
}

// Alias finds the agent that the first of these names leads to, in one call.
func (s *Store) Alias(ctx context.Context, names ...string) (agent.ID, error) {
	const doing = "read an alias"
	var keys []item
	for _, name := range names {
		keys = append(keys, key(aliasKey(name), single))
	}
	items, err := s.batch(ctx, s.registry, keys)
	if err != nil {
		return "", unavailable(doing, err)
	}
	found := map[string]agent.ID{}
	for _, i := range items {
		r := reader{item: i}
		found[r.text("pk")] = agent.ID(r.text("agent"))
		if r.err != nil {
			return "", unavailable(doing, r.err)
		}
	}
	for _, name := range names {
		if id, ok := found[aliasKey(name)]; ok {
			return id, nil
		}
	}
	return "", nil
}

// EdgeCAs reads the CAs of others that the edge lets in, in one query.
func (s *Store) EdgeCAs(ctx context.Context) ([]registry.EdgeCA, error) {
	const doing = "read the edge's CAs"
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName: &s.registry, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": text(edge)},
	}, 0)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	var cas []registry.EdgeCA
	for _, i := range items {
		ca, err := decodeEdgeCA(i)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		cas = append(cas, ca)
	}
	return cas, nil
}

func encodeEdgeCA(c registry.EdgeCA) item {
	w := writer{key(edge, edgeKey(c.DER))}
	w.blob("der", c.DER)
	if !c.Expires.IsZero() {
		w.item["ttl"] = expiry(c.Expires)
	}
	return w.item
}

func decodeEdgeCA(i item) (registry.EdgeCA, error) {
	r := reader{item: i}
	c := registry.EdgeCA{DER: r.blob("der")}
	if ttl := r.number("ttl"); ttl != 0 {
		c.Expires = time.Unix(ttl, 0).UTC()
	}
	return c, r.err
}
