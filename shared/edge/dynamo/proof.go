package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/registry"
)

// UseProof notes that a proof was used. A repeated attempt that finds the record of the attempt before it returns
// ErrReplayed: the client can make a new proof. The opposite error would accept a proof twice.
func (s *Store) UseProof(ctx context.Context, jkt, jti string, until, now time.Time) error {
	const doing = "use a proof"
	until = ceilMillis(until)
	if !now.Before(until) { // would leave no trace, and be as good as new the next time
		return fmt.Errorf("%s: %w: its time is over", doing, registry.ErrReplayed)
	}
	var a attempts
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                 &s.replay,
		Item:                      item{"pk": text(proofKey(jkt, jti)), "until": millis(until), "ttl": expiry(until)},
		ConditionExpression:       aws.String("attribute_not_exists(pk) OR #until <= :now"),
		ExpressionAttributeNames:  map[string]string{"#until": "until"},
		ExpressionAttributeValues: item{":now": millis(now)},
	}, a.watch)
	if _, ok := conditionFailed(err); ok {
		return fmt.Errorf("%s: %w", doing, registry.ErrReplayed)
	}
	if err != nil {
		return a.failed(doing, err)
	}
	return nil
}

// ceilMillis rounds up, so that a proof is never forgotten before its time.
func ceilMillis(t time.Time) time.Time {
	return t.Add(time.Millisecond - time.Nanosecond).Truncate(time.Millisecond)
}
