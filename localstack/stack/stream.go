package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/schema"
)

// How often a stream is looked at, and how long a batch that a function failed with waits to be offered again.
const (
	pollEvery  = 250 * time.Millisecond
	offerAgain = time.Second
	batchSize  = 100
)

// follower does for one function what an event source mapping does. It reads the audit table's stream from its
// beginning, one shard after the other. It delivers the records in their order, each until the function succeeds.
type follower struct {
	stack    *Stack
	function string
	client   *dynamodbstreams.Client
	arn      string
	shards   []string          // in their order
	at       map[string]string // iterator of each; empty: it is closed and read
}

// follow runs what the stream reaches until Close.
func (s *Stack) follow(ctx context.Context) error {
	table, err := s.Clients.DynamoDB.DescribeTable(ctx,
		&awsdynamodb.DescribeTableInput{TableName: aws.String(s.tables + schema.Audit)})
	if err != nil {
		return fmt.Errorf("find the audit table's stream: %w", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var followers sync.WaitGroup
	s.onClose(func() error { cancel(); followers.Wait(); return nil })
	for _, name := range routes.Streamed() {
		f := &follower{
			stack:    s,
			function: name,
			client:   s.streams(),
			arn:      aws.ToString(table.Table.LatestStreamArn),
			at:       map[string]string{},
		}
		followers.Go(func() { f.run(ctx) })
	}
	return nil
}

func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := f.look(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintf(f.stack.out, "stream of function %s: %v\n", f.function, err)
		}
		wait(ctx, pollEvery)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// look finds new shards and reads on in each.
func (f *follower) look(ctx context.Context) error {
	if err := f.find(ctx); err != nil {
		return err
	}
	for _, shard := range f.shards {
		if f.at[shard] == "" {
			continue
		}
		out, err := f.client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{
			ShardIterator: aws.String(f.at[shard]),
			Limit:         aws.Int32(batchSize),
		})
		if err != nil {
			return err
		}
		if err := f.offer(ctx, out.Records); err != nil {
			return err
		}
		f.at[shard] = aws.ToString(out.NextShardIterator)
	}
	return nil
}

func (f *follower) find(ctx context.Context) error {
	in := &dynamodbstreams.DescribeStreamInput{StreamArn: &f.arn}
	for {
		out, err := f.client.DescribeStream(ctx, in)
		if err != nil {
			return err
		}
		for _, s := range out.StreamDescription.Shards {
			id := aws.ToString(s.ShardId)
			if _, known := f.at[id]; known {
				continue
			}
			it, err := f.client.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
				StreamArn:         &f.arn,
				ShardId:           &id,
				ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
			})
			if err != nil {
				return err
			}
			f.shards, f.at[id] = append(f.shards, id), aws.ToString(it.ShardIterator)
		}
		if in.ExclusiveStartShardId = out.StreamDescription.LastEvaluatedShardId; in.ExclusiveStartShardId == nil {
			return nil
		}
	}
}

// offer retries records without a limit, until the function has processed all of them. AWS halves a batch that fails,
// and sends what is left to a queue.
func (f *follower) offer(ctx context.Context, records []types.Record) error {
	for len(records) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		payload, err := json.Marshal(f.event(records))
		if err != nil {
			return err
		}
		r, err := f.stack.Lambda.Invoke(ctx, f.function, payload)
		if err != nil {
			return err
		}
		if r.FunctionError == "" {
			if records = left(records, r.Payload); len(records) == 0 {
				return nil
			}
		}
		wait(ctx, offerAgain)
	}
	return nil
}

// left are the records from the first one on that the function names as failed.
func left(records []types.Record, answer []byte) []types.Record {
	var out events.DynamoDBEventResponse
	if json.Unmarshal(answer, &out) != nil {
		return records
	}
	for i, r := range records {
		for _, failed := range out.BatchItemFailures {
			if failed.ItemIdentifier == aws.ToString(r.Dynamodb.SequenceNumber) {
				return records[i:]
			}
		}
	}
	return nil
}

func (f *follower) event(records []types.Record) events.DynamoDBEvent {
	var e events.DynamoDBEvent
	for _, r := range records {
		e.Records = append(e.Records, events.DynamoDBEventRecord{
			AWSRegion:      region,
			EventID:        aws.ToString(r.EventID),
			EventName:      string(r.EventName),
			EventSource:    "aws:dynamodb",
			EventVersion:   aws.ToString(r.EventVersion),
			EventSourceArn: f.arn,
			Change: events.DynamoDBStreamRecord{
				ApproximateCreationDateTime: events.SecondsEpochTime{Time: aws.ToTime(r.Dynamodb.ApproximateCreationDateTime)},
				Keys:                        image(r.Dynamodb.Keys),
				NewImage:                    image(r.Dynamodb.NewImage),
				SequenceNumber:              aws.ToString(r.Dynamodb.SequenceNumber),
				SizeBytes:                   aws.ToInt64(r.Dynamodb.SizeBytes),
				StreamViewType:              string(r.Dynamodb.StreamViewType),
			},
		})
	}
	return e
}

// image is an item in Lambda's form. The audit table holds texts and nothing else.
func image(item map[string]types.AttributeValue) map[string]events.DynamoDBAttributeValue {
	values := map[string]events.DynamoDBAttributeValue{}
	for name, v := range item {
		if text, ok := v.(*types.AttributeValueMemberS); ok {
			values[name] = events.NewStringAttribute(text.Value)
		}
	}
	return values
}
