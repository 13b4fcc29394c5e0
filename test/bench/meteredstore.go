package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
)

// metered is a DynamoDB client that asks with each call what it consumed, and adds it up. It is used by one request at a
// time, whose reads may be side by side.
type metered struct {
	dynamo.API
	add func(reads, writes float64)
	// hashes is the part of it that the hashes of an agent's keys have.
	hashes func(reads, writes float64)
}

// keysKey is the sort key of the item that holds the hashes of an agent's keys: shared/edge/dynamo.
const keysKey = "KEYS"

func isKeys(i item) bool {
	sk, _ := i["sk"].(*types.AttributeValueMemberS)
	return sk != nil && sk.Value == keysKey
}

// size is an item's, in octets as DynamoDB counts those that hashes are made of: names and values.
func size(i item) (octets int) {
	for name, v := range i {
		octets += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			octets += len(v.Value)
		case *types.AttributeValueMemberB:
			octets += len(v.Value)
		case *types.AttributeValueMemberN:
			octets += len(v.Value)/2 + 2
		default: // a list of a few times
			octets += 100
		}
	}
	return octets
}

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
func (m metered) BatchGetItem(ctx context.Context, in *awsdynamodb.BatchGetItemInput, o ...func(*awsdynamodb.Options)) (*awsdynamodb.BatchGetItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.BatchGetItem(ctx, in, o...)
	if err == nil {
		m.add(units(out.ConsumedCapacity...), 0)
	}
	return out, err
}

// GetItem passes the call on.
func (m metered) GetItem(ctx context.Context, in *awsdynamodb.GetItemInput, o ...func(*awsdynamodb.Options)) (*awsdynamodb.GetItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.GetItem(ctx, in, o...)
	if err == nil {
		m.add(one(out.ConsumedCapacity), 0)
		if isKeys(in.Key) {
			m.hashes(one(out.ConsumedCapacity), 0)
		}
	}
	return out, err
}

// Query passes the call on.
func (m metered) Query(ctx context.Context, in *awsdynamodb.QueryInput, o ...func(*awsdynamodb.Options)) (*awsdynamodb.QueryOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.Query(ctx, in, o...)
	if err == nil {
		m.add(one(out.ConsumedCapacity), 0)
	}
	return out, err
}

// PutItem passes the call on.
func (m metered) PutItem(ctx context.Context, in *awsdynamodb.PutItemInput, o ...func(*awsdynamodb.Options)) (*awsdynamodb.PutItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.PutItem(ctx, in, o...)
	if err == nil {
		m.add(0, one(out.ConsumedCapacity))
	}
	return out, err
}

// UpdateItem passes the call on.
func (m metered) UpdateItem(ctx context.Context, in *awsdynamodb.UpdateItemInput, o ...func(*awsdynamodb.Options)) (*awsdynamodb.UpdateItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.UpdateItem(ctx, in, o...)
	if err == nil {
		m.add(0, one(out.ConsumedCapacity))
	}
	return out, err
}

// DeleteItem passes the call on.
func (m metered) DeleteItem(ctx context.Context, in *awsdynamodb.DeleteItemInput, o ...func(*awsdynamodb.Options)) (*awsdynamodb.DeleteItemOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.DeleteItem(ctx, in, o...)
	if err == nil {
		m.add(0, one(out.ConsumedCapacity))
	}
	return out, err
}

// TransactWriteItems passes the call on.
func (m metered) TransactWriteItems(ctx context.Context, in *awsdynamodb.TransactWriteItemsInput, o ...func(*awsdynamodb.Options)) (*awsdynamodb.TransactWriteItemsOutput, error) {
	in.ReturnConsumedCapacity = consumed
	out, err := m.API.TransactWriteItems(ctx, in, o...)
	if err == nil {
		m.add(0, units(out.ConsumedCapacity...))
		for _, w := range in.TransactItems {
			if w.Put != nil && isKeys(w.Put.Item) { // a transaction's write is two units for each KB
				m.hashes(0, 2*float64((size(w.Put.Item)+1023)/1024))
			}
		}
	}
	return out, err
}
