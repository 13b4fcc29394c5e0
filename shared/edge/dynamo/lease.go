package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

const (
	stillHeld     = "#holder = :holder AND #fence = :fence"
	releaseUpdate = "REMOVE #holder, #operation, #phase, #expires"
)

// leaseNames spells attributes that are reserved words, or may become some.
func leaseNames(placeholders ...string) map[string]string {
	names := make(map[string]string, len(placeholders))
	for _, p := range placeholders {
		names[p] = p[1:]
	}
	return names
}

// Acquire takes the lease, also a lease with an implausible end (orgca.LatestLease). If want.Holder already holds the
// lease, the answer to an earlier attempt was lost, in this call or before it, and Acquire returns the lease of that
// attempt.
func (s *Store) Acquire(ctx context.Context, want orgca.Lease, now time.Time) (orgca.Lease, error) {
	const doing = "acquire the lease"
	var a attempts
	out, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.registry,
		Key:       key(org, leaseKey),
		UpdateExpression: aws.String("SET #holder = :holder, #operation = :operation, #phase = :phase, #expires = " +
			":expires ADD #fence :one"),
		ConditionExpression:      aws.String("attribute_not_exists(#holder) OR #expires <= :now OR #expires > :latest"),
		ExpressionAttributeNames: leaseNames("#holder", "#operation", "#phase", "#expires", "#fence"),
		ExpressionAttributeValues: item{
			":holder": text(want.Holder), ":operation": text(want.Operation), ":phase": text(want.Phase),
			":expires": millis(want.Expires), ":now": millis(now), ":latest": millis(orgca.LatestLease(now)), ":one": number(1),
		},
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}, a.watch)
	if refusal, ok := conditionFailed(err); ok {
		return occupied(doing, refusal.Item, want, now)
	}
	if err != nil {
		return orgca.Lease{}, a.failed(doing, err)
	}
	l, err := decodeLease(out.Attributes)
	if err != nil { // taken, but under which fence is not known
		return orgca.Lease{}, fmt.Errorf("%s: %w: %w", doing, registry.ErrUnknown, err)
	}
	return l, nil
}

func occupied(doing string, present item, want orgca.Lease, now time.Time) (orgca.Lease, error) {
	l, err := decodeLease(present)
	if err != nil {
		return orgca.Lease{}, unavailable(doing, err)
	}
	if l.Holder == want.Holder {
		return l, nil
	}
	return orgca.Lease{}, fmt.Errorf("%s: %w", doing, orgca.LeaseHeld(l, now))
}

// Extend sets phase and expiry. Doing so twice is doing so once, so an attempt repeated needs no care.
func (s *Store) Extend(ctx context.Context, l orgca.Lease) error {
	const doing = "extend the lease"
	var a attempts
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &s.registry,
		Key:                      key(org, leaseKey),
		UpdateExpression:         aws.String("SET #phase = :phase, #expires = :expires"),
		ConditionExpression:      aws.String(stillHeld),
		ExpressionAttributeNames: leaseNames("#holder", "#phase", "#expires", "#fence"),
		ExpressionAttributeValues: item{
			":holder": text(l.Holder), ":fence": number(l.Fence), ":phase": text(l.Phase), ":expires": millis(l.Expires),
		},
	}, a.watch)
	if _, ok := conditionFailed(err); ok {
		return fmt.Errorf("%s: %w", doing, orgca.ErrLeaseLost)
	}
	if err != nil {
		return a.failed(doing, err)
	}
	return nil
}

// Release frees the lease. A repeated attempt that finds the lease free cannot know whether the attempt before it
// freed the lease, or a commit under the same fence that was still in flight. A caller may rely on a success as the
// proof that no such commit will land, so this case is ErrUnknown.
func (s *Store) Release(ctx context.Context, l orgca.Lease) error {
	const doing = "release the lease"
	var a attempts
	w := s.release(l).Update
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 w.TableName,
		Key:                       w.Key,
		UpdateExpression:          w.UpdateExpression,
		ConditionExpression:       w.ConditionExpression,
		ExpressionAttributeNames:  w.ExpressionAttributeNames,
		ExpressionAttributeValues: w.ExpressionAttributeValues,
	}, a.watch)
	if _, ok := conditionFailed(err); ok && !a.maybeDone(err) {
		return fmt.Errorf("%s: %w: not held by it any more", doing, registry.ErrConflict)
	}
	if err != nil {
		return a.failed(doing, err)
	}
	return nil
}
