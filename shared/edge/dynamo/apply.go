package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// DynamoDB's limits of a transaction.
const (
	maxWrites = 100
	maxToken  = 36
)

// Apply carries out a change in one transaction, even a change of one record. With the token of a transaction a
// repeated attempt succeeds, while a single write would fail at its own condition.
func (s *Store) Apply(ctx context.Context, c registry.Change) error {
	doing := "apply change " + c.ID
	writes, err := s.writes(c)
	if err != nil {
		return unavailable(doing, err)
	}
	var a attempts
	_, err = s.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
		ClientRequestToken: &c.ID,
		TransactItems:      writes,
	}, a.watch)
	if err != nil {
		return a.transacted(doing, err)
	}
	return nil
}

// writes translates a change. A change that DynamoDB would refuse for its form is refused here, in words that name the
// mistake.
func (s *Store) writes(c registry.Change) ([]types.TransactWriteItem, error) {
	list := s.records(c)
	for _, row := range c.Rows {
		encoded, err := encodeRow(row)
		if err != nil {
			return nil, fmt.Errorf("row %d of %s: %w", row.Seq, row.Subject, err)
		}
		list = append(list, absent(s.audit, "subject", encoded))
	}
	list = append(list, s.lookups(c)...)
	for _, l := range leavesOf(c.Rows) {
		list = append(list, s.move(l))
	}
	if c.Checkpoint != nil {
		encoded, err := encodeCheckpoint(*c.Checkpoint)
		if err != nil {
			return nil, fmt.Errorf("checkpoint: %w", err)
		}
		list = append(list, s.versioned(encoded, c.Checkpoint.Version))
	}
	if c.Release != nil {
		list = append(list, s.release(*c.Release))
	}
	if c.Answer != nil {
		if len(c.Answer.Result) > registry.MaxAnswer {
			return nil, fmt.Errorf("answer of %d octets: want at most %d", len(c.Answer.Result), registry.MaxAnswer)
		}
		list = append(list, s.answer(*c.Answer))
	}
	switch {
	case c.ID == "" || len(c.ID) > maxToken:
		return nil, fmt.Errorf("id of %d octets: want 1 to %d", len(c.ID), maxToken)
	case len(list) == 0 || len(list) > maxWrites:
		return nil, fmt.Errorf("change of %d items: want 1 to %d", len(list), maxWrites)
	}
	return list, nil
}

// records translates the records that have versions.
func (s *Store) records(c registry.Change) (list []types.TransactWriteItem) {
	if c.Pointer != nil {
		for n := range orgca.Copies {
			list = append(list, s.versioned(encodePointer(*c.Pointer, n), c.Pointer.Version))
		}
	}
	for _, g := range c.Generations {
		list = append(list, s.versioned(encodeGeneration(g), g.Version))
	}
	if c.Truststore != nil {
		list = append(list, s.versioned(encodeTruststore(*c.Truststore), c.Truststore.Version))
	}
	if c.Plan != nil {
		list = append(list, s.versioned(encodePlan(*c.Plan), c.Plan.Version))
	}
	if c.Reissue != nil {
		list = append(list, s.versioned(encodeReissue(*c.Reissue), c.Reissue.Version))
	}
	if c.Agent != nil {
		list = append(list, s.versioned(encodeAgent(*c.Agent), c.Agent.Version))
		list = append(list, s.entry(c)...)
	}
	if c.Suspect != nil {
		list = append(list, s.suspect(c))
	}
	if c.Deaths != nil {
		list = append(list, s.buried(*c.Deaths))
	}
	if c.Keys != nil {
		list = append(list, s.versioned(encodeKeys(*c.Keys), c.Keys.Version))
	}
	if c.Job != nil {
		list = append(list, s.versioned(encodeJob(*c.Job), c.Job.Version))
	}
	if c.Head != nil {
		list = append(list, s.versioned(encodeHead(*c.Head), c.Head.Version))
	}
	return list
}

// lookups translates what leads to agents, and what the edge is to accept.
func (s *Store) lookups(c registry.Change) (list []types.TransactWriteItem) {
	for _, a := range c.Aliases {
		list = append(list, s.alias(a))
	}
	for _, a := range c.Forget {
		list = append(list, s.forget(a))
	}
	for _, ca := range c.EdgeCAs {
		list = append(list, types.TransactWriteItem{Put: &types.Put{TableName: &s.registry, Item: encodeEdgeCA(ca)}})
	}
	if c.Naming != nil {
		list = append(list, s.naming(*c.Naming)...)
	}
	if c.Mark != nil {
		list = append(list, s.mark(*c.Mark))
	}
	return list
}

// putVersioned writes one record outside of a transaction, under the condition of versioned. A repeated attempt can
// meet what the attempt before it stored: also ErrConflict.
func (s *Store) putVersioned(ctx context.Context, doing, table string, i item, version int64) error {
	put := s.versioned(i, version).Put
	put.TableName = &table
	return s.put(ctx, doing, put)
}

// put carries out one conditional write of its own. Error: ErrConflict if the condition does not hold.
func (s *Store) put(ctx context.Context, doing string, put *types.Put) error {
	var a attempts
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                 put.TableName,
		Item:                      put.Item,
		ConditionExpression:       put.ConditionExpression,
		ExpressionAttributeNames:  put.ExpressionAttributeNames,
		ExpressionAttributeValues: put.ExpressionAttributeValues,
	}, a.watch)
	if _, ok := conditionFailed(err); ok {
		return fmt.Errorf("%s: %w", doing, registry.ErrConflict)
	}
	if err != nil {
		return a.failed(doing, err)
	}
	return nil
}

// versioned writes a record iff it still has the version that it was read with; zero: iff there is none.
func (s *Store) versioned(i item, version int64) types.TransactWriteItem {
	if version == 0 {
		return absent(s.registry, "pk", i)
	}
	return types.TransactWriteItem{Put: &types.Put{
		TableName:                 &s.registry,
		Item:                      i,
		ConditionExpression:       aws.String("#version = :version"),
		ExpressionAttributeNames:  map[string]string{"#version": "version"},
		ExpressionAttributeValues: item{":version": number(version)},
	}}
}

// absent writes an item iff no item has its key. The named attribute is a part of the key.
func absent(table, key string, i item) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{
		TableName:                &table,
		Item:                     i,
		ConditionExpression:      aws.String("attribute_not_exists(#key)"),
		ExpressionAttributeNames: map[string]string{"#key": key},
	}}
}

const freeOrOwn = "attribute_not_exists(pk) OR #agent = :agent"

// alias takes a name that leads nowhere, or to the same agent.
func (s *Store) alias(a registry.Alias) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{
		TableName:                 &s.registry,
		Item:                      encodeAlias(a),
		ConditionExpression:       aws.String(freeOrOwn),
		ExpressionAttributeNames:  map[string]string{"#agent": "agent"},
		ExpressionAttributeValues: item{":agent": text(string(a.Agent))},
	}}
}

func (s *Store) forget(a registry.Alias) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{
		TableName:                 &s.registry,
		Key:                       key(aliasKey(a.Name), single),
		ConditionExpression:       aws.String(freeOrOwn),
		ExpressionAttributeNames:  map[string]string{"#agent": "agent"},
		ExpressionAttributeValues: item{":agent": text(string(a.Agent))},
	}}
}

// answer takes a free key. A change knows no clock, but its answer expires AnswerTTL from now. A record that has
// expired, or is not believed, does not block the change, although DynamoDB may take days to delete it. A record of
// the same owner does not block it either. An answer that has none is written without that attribute, which no value
// equals.
func (s *Store) answer(a registry.Answer) types.TransactWriteItem {
	now := a.Expires.Add(-registry.AnswerTTL)
	return types.TransactWriteItem{Put: &types.Put{
		TableName:                &s.registry,
		Item:                     encodeAnswer(a),
		ConditionExpression:      aws.String("attribute_not_exists(pk) OR #ttl <= :now OR #ttl > :latest OR #owner = :owner"),
		ExpressionAttributeNames: map[string]string{"#ttl": "ttl", "#owner": "owner"},
		ExpressionAttributeValues: item{
			":now": number(now.Unix()), ":latest": number(registry.LatestAnswer(now).Unix()), ":owner": text(a.Owner),
		},
	}}
}

// release frees the lease and leaves the fence. A free lease has no holder to compare with: refused too.
func (s *Store) release(l orgca.Lease) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName:                 &s.registry,
		Key:                       key(org, leaseKey),
		UpdateExpression:          aws.String(releaseUpdate),
		ConditionExpression:       aws.String(stillHeld),
		ExpressionAttributeNames:  leaseNames("#holder", "#operation", "#phase", "#expires", "#fence"),
		ExpressionAttributeValues: item{":holder": text(l.Holder), ":fence": number(l.Fence)},
	}}
}
