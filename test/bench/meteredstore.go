package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
)

// meteredClient is a DynamoDB client that asks with each call what it consumed, and adds it up. It is used by one
// request at a time, whose reads may be side by side.
type meteredClient struct {
	dynamo.API
	add func(reads, writes float64)
	// added is the part of it that the hashes of an agent's keys have, and what says which tokens are dead.
	added func(reads, writes float64)
}

// keysKey is the sort key of the item that holds the hashes of an agent's keys, and deadKey the partition of those that
// say which tokens are dead: shared/edge/dynamo.
const keysKey, deadKey = "KEYS", "DEAD"

func isAdded(i item) bool {
	pk, _ := i["pk"].(*types.AttributeValueMemberS)
	sk, _ := i["sk"].(*types.AttributeValueMemberS)
	return sk != nil && sk.Value == keysKey || pk != nil && pk.Value == deadKey
}

// size is an item's, in octets as DynamoDB counts them ("DynamoDB item sizes and formats", Developer Guide).
func size(i item) (octets int) {
	for name, v := range i {
		octets += len(name) + sizeOf(v)
	}
	return octets
}

func sizeOf(v types.AttributeValue) int {
	const container, element = 3, 1
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return (len(v.Value)+1)/2 + 1
	case *types.AttributeValueMemberL:
		octets := container
		for _, e := range v.Value {
			octets += element + sizeOf(e)
		}
		return octets
	case *types.AttributeValueMemberM:
		return container + element*len(v.Value) + size(v.Value)
	default: // a flag
		return 1
	}
}

// kilobyte is what a write unit holds; a write within a transaction costs two of them.
const kilobyte, inTransaction = 1024, 2

func unitsOf(i item) float64 { return inTransaction * float64((size(i)+kilobyte-1)/kilobyte) }

const consumed = types.ReturnConsumedCapacityTotal

func units(all ...types.ConsumedCapacity) (sum float64) {
	for _, c := range all {
		sum += aws.ToFloat64(c.CapacityUnits)
	}
	return sum
}

func one(c *types.ConsumedCapacity) float64 {
	if c == nil {
		return 0
	}
	return units(*c)
}

// BatchGetItem passes the call on.
func (m meteredClient) BatchGetItem(
	ctx context.Context, in *awsdynamodb.BatchGetItemInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.BatchGetItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.BatchGetItem(ctx, in, o...)
	if err == nil {
		m.add(units(out.ConsumedCapacity...), 0)
		for table, keys := range in.RequestItems {
			if !aws.ToBool(keys.ConsistentRead) { // half a unit for one that is not there too: DynamoDB Local counts none
				m.add(float64(len(keys.Keys)-len(out.Responses[table]))/2, 0)
			}
			for _, k := range keys.Keys {
				if isAdded(k) {
					m.added(1, 0) // of up to 4 KB; one that is not there costs the same
				}
			}
		}
	}
	return out, err
}

// GetItem passes the call on.
func (m meteredClient) GetItem(
	ctx context.Context, in *awsdynamodb.GetItemInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.GetItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.GetItem(ctx, in, o...)
	if err == nil {
		m.add(one(out.ConsumedCapacity), 0)
		if isAdded(in.Key) {
			m.added(one(out.ConsumedCapacity), 0)
		}
	}
	return out, err
}

// Query passes the call on. One that finds nothing has the least price of a read ("Read consistency", Developer Guide);
// DynamoDB Local says 0.
func (m meteredClient) Query(
	ctx context.Context, in *awsdynamodb.QueryInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.QueryOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.Query(ctx, in, o...)
	if err == nil {
		least := 0.5
		if aws.ToBool(in.ConsistentRead) {
			least = 1
		}
		m.add(max(least, one(out.ConsumedCapacity)), 0)
	}
	return out, err
}

// PutItem passes the call on.
func (m meteredClient) PutItem(
	ctx context.Context, in *awsdynamodb.PutItemInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.PutItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.PutItem(ctx, in, o...)
	if err == nil {
		m.add(0, one(out.ConsumedCapacity))
	}
	return out, err
}

// UpdateItem passes the call on.
func (m meteredClient) UpdateItem(
	ctx context.Context, in *awsdynamodb.UpdateItemInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.UpdateItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.UpdateItem(ctx, in, o...)
	if err == nil {
		m.add(0, one(out.ConsumedCapacity))
	}
	return out, err
}

// DeleteItem passes the call on.
func (m meteredClient) DeleteItem(
	ctx context.Context, in *awsdynamodb.DeleteItemInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.DeleteItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.DeleteItem(ctx, in, o...)
	if err == nil {
		m.add(0, one(out.ConsumedCapacity))
	}
	return out, err
}

// TransactWriteItems passes the call on. DynamoDB Local counts of several items that cost the same only one
// (amazon-dynamodb-local-samples, issue 31), and doubles what indexes cost. DynamoDB counts every item, and an index in
// a transaction as outside. So the items are counted here, and of the answer the indexes alone.
func (m meteredClient) TransactWriteItems(
	ctx context.Context, in *awsdynamodb.TransactWriteItemsInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.TransactWriteItemsOutput, error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityIndexes
	out, err := m.API.TransactWriteItems(ctx, in, o...)
	if err != nil {
		return out, err
	}
	for _, w := range in.TransactItems {
		if w.Put == nil { // a mark, the lease: far below a kilobyte
			m.add(0, inTransaction)
			continue
		}
		m.add(0, unitsOf(w.Put.Item))
		if isAdded(w.Put.Item) {
			m.added(0, unitsOf(w.Put.Item))
		}
	}
	for _, c := range out.ConsumedCapacity {
		for _, index := range c.GlobalSecondaryIndexes {
			m.add(0, aws.ToFloat64(index.CapacityUnits)/inTransaction)
		}
	}
	return out, nil
}
