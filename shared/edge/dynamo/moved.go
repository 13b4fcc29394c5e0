package dynamo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

// A chain that moved has an item of its own until a checkpoint covers it: where it went from and to. The item is
// written with the row, in the same transaction, so no row is ever without it, whatever clocks and indexes say; and it
// is read by its key, so what was committed is seen. Finding the chains that moved by their rows' times, in the index
// by day, would be neither: a row can be committed after one with a later time, and an index lags behind.

func movedKey(subject string) item { return key(movedPrefix+shardOf(subject), subject) }

// leavesOf is how far each chain goes by these rows. The rows of a chain are in their order.
func leavesOf(rows []audit.Row) []audit.Leaf {
	var leaves []audit.Leaf
	for _, r := range rows {
		i := slices.IndexFunc(leaves, func(l audit.Leaf) bool { return l.Subject == r.Subject })
		if i < 0 {
			i, leaves = len(leaves), append(leaves, audit.Leaf{})
		}
		leaves[i] = leaves[i].Follow(r)
	}
	return leaves
}

// move records that a chain moved. The recorded start of the move stays. No condition is needed: the rows' own
// conditions let only the next row of a chain in.
func (s *Store) move(l audit.Leaf) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: &s.registry,
		Key:       movedKey(l.Subject),
		UpdateExpression: aws.String("SET #seq = :seq, #hash = :hash, #from = if_not_exists(#from, :from), #before " +
			"= if_not_exists(#before, :before)"),
		ExpressionAttributeNames: movedNames("#seq", "#hash", "#from", "#before"),
		ExpressionAttributeValues: item{
			":seq": number(l.Seq), ":hash": text(l.Hash), ":from": number(l.FromSeq), ":before": text(l.FromHash),
		},
	}}
}

func movedNames(placeholders ...string) map[string]string {
	all := map[string]string{"#seq": "seq", "#hash": "hash", "#from": "from_seq", "#before": "from_hash"}
	names := map[string]string{}
	for _, p := range placeholders {
		names[p] = all[p]
	}
	return names
}

func decodeMoved(i item) (audit.Leaf, error) {
	r := reader{item: i}
	l := audit.Leaf{
		Subject:  r.text("sk"),
		FromSeq:  r.number("from_seq"),
		FromHash: r.text("from_hash"),
		Seq:      r.number("seq"),
		Hash:     r.text("hash"),
	}
	return l, r.err
}

// Moved reads which chains moved, all shards at once, of each about its share.
func (s *Store) Moved(ctx context.Context, limit int) ([]audit.Leaf, error) {
	const doing = "read which chains moved"
	if limit < 1 {
		return nil, nil
	}
	var wg sync.WaitGroup
	parts, errs := make([][]item, schema.Shards), make([]error, schema.Shards)
	for n := range schema.Shards {
		wg.Go(func() {
			parts[n], errs[n] = s.query(ctx, &dynamodb.QueryInput{
				TableName:                 &s.registry,
				ConsistentRead:            aws.Bool(true),
				KeyConditionExpression:    aws.String("pk = :pk"),
				ExpressionAttributeValues: item{":pk": text(movedPrefix + shardKey(n))},
			}, limit/(schema.Shards/2)+schema.Shards)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, unavailable(doing, err)
	}
	var leaves []audit.Leaf
	for _, i := range slices.Concat(parts...) {
		l, err := decodeMoved(i)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		leaves = append(leaves, l)
	}
	slices.SortFunc(leaves, func(a, b audit.Leaf) int { return strings.Compare(a.Subject, b.Subject) })
	return leaves[:min(limit, len(leaves))], nil
}

// Cover deletes the record of a chain's move, or advances its start to the covered row. A single write never cancels
// the transaction of a running rotation; on a conflict this write is tried again. It is idempotent.
func (s *Store) Cover(ctx context.Context, l audit.Leaf) error {
	doing := "cover the chain of " + l.Subject
	var a attempts
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                 &s.registry,
		Key:                       movedKey(l.Subject),
		ConditionExpression:       aws.String("#seq = :seq AND #hash = :hash"),
		ExpressionAttributeNames:  movedNames("#seq", "#hash"),
		ExpressionAttributeValues: item{":seq": number(l.Seq), ":hash": text(l.Hash)},
	}, a.watch)
	if err == nil {
		return nil
	}
	if _, ok := conditionFailed(err); !ok {
		return a.failed(doing, err)
	}
	_, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.registry,
		Key:                       movedKey(l.Subject),
		UpdateExpression:          aws.String("SET #from = :seq, #before = :hash"),
		ConditionExpression:       aws.String("#from < :seq AND #seq > :seq"),
		ExpressionAttributeNames:  movedNames("#seq", "#from", "#before"),
		ExpressionAttributeValues: item{":seq": number(l.Seq), ":hash": text(l.Hash)},
	}, a.watch)
	if _, ok := conditionFailed(err); ok || err == nil { // covered before, as far as that or further
		return nil
	}
	return a.failed(doing, err)
}

// Checkpoint reads the last checkpoint.
func (s *Store) Checkpoint(ctx context.Context) (*registry.LastCheckpoint, error) {
	const doing = "read the last checkpoint"
	i, err := s.get(ctx, s.registry, key(checkpointKey, single))
	if err != nil || i == nil {
		return nil, wrap(doing, err)
	}
	c, err := decodeCheckpoint(i)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	return &c, nil
}
