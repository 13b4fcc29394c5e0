package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/registry"
)

// EdgeCAs reads the CAs of others that the edge lets in, in one query.
func (s *Store) EdgeCAs(ctx context.Context) ([]registry.EdgeCA, error) {
	const doing = "read the edge's CAs"
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.registry,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": text(edge)},
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
	w.flag("counted", c.Counted)
	w.time("unnamed", c.Unnamed)
	return w.item
}

func decodeEdgeCA(i item) (registry.EdgeCA, error) {
	r := reader{item: i}
	c := registry.EdgeCA{DER: r.blob("der"), Counted: r.flag("counted"), Unnamed: r.time("unnamed")}
	if ttl := r.number("ttl"); ttl != 0 {
		c.Expires = time.Unix(ttl, 0).UTC()
	}
	return c, r.err
}

// Named asks for the first of those who name a CA: each is an item of the CA's partition.
func (s *Store) Named(ctx context.Context, der []byte) (bool, error) {
	out, err := s.client.Query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.registry,
		ConsistentRead:            aws.Bool(true),
		Limit:                     aws.Int32(1),
		Select:                    types.SelectCount,
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": text(namedKey(der))},
	})
	if err != nil {
		return false, unavailable("look for who names a CA", err)
	}
	return out.Count > 0, nil
}

// naming writes what an agent's bundle names, without a condition: the agent's record, in the same transaction, has
// one.
func (s *Store) naming(n registry.Naming) []types.TransactWriteItem {
	named := func(der []byte) item { return key(namedKey(der), string(n.Agent)) }
	var list []types.TransactWriteItem
	for _, der := range n.Names {
		list = append(list, types.TransactWriteItem{Put: &types.Put{TableName: &s.registry, Item: named(der)}})
	}
	for _, der := range n.Drops {
		list = append(list, types.TransactWriteItem{Delete: &types.Delete{TableName: &s.registry, Key: named(der)}})
	}
	return list
}

// mark writes or deletes a CA of the edge iff it has the mark that it was read with.
func (s *Store) mark(m registry.EdgeMark) types.TransactWriteItem {
	condition, values := "attribute_exists(pk) AND attribute_not_exists(unnamed)", item(nil)
	if !m.CA.Unnamed.IsZero() {
		condition, values = "unnamed = :unnamed", item{":unnamed": millis(m.CA.Unnamed)}
	}
	if m.Forget {
		return types.TransactWriteItem{Delete: &types.Delete{
			TableName:                 &s.registry,
			Key:                       key(edge, edgeKey(m.CA.DER)),
			ConditionExpression:       &condition,
			ExpressionAttributeValues: values,
		}}
	}
	next := m.CA
	next.Unnamed = m.Unnamed
	return types.TransactWriteItem{Put: &types.Put{
		TableName:                 &s.registry,
		Item:                      encodeEdgeCA(next),
		ConditionExpression:       &condition,
		ExpressionAttributeValues: values,
	}}
}
