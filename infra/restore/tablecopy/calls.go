package tablecopy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// scan passes every item of a table, page by page; with names, these attributes of it only.
func (c Config) scan(ctx context.Context, table string, names []string, page func([]item) error) error {
	in := &dynamodb.ScanInput{TableName: aws.String(c.Prefix + table), ConsistentRead: aws.Bool(true)}
	for n, name := range names {
		placeholder := fmt.Sprintf("#%d", n)
		if in.ExpressionAttributeNames == nil {
			in.ExpressionAttributeNames, in.ProjectionExpression = map[string]string{}, aws.String(placeholder)
		} else {
			in.ProjectionExpression = aws.String(*in.ProjectionExpression + "," + placeholder)
		}
		in.ExpressionAttributeNames[placeholder] = name
	}
	pages := dynamodb.NewScanPaginator(c.Client, in)
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		if err := page(out.Items); err != nil {
			return err
		}
	}
	return nil
}

// DynamoDB takes 25 writes in one request, and gives back those that it had no capacity for.
// Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
const (
	batch     = 25
	mostTries = 10
	often     = 1000 // writes between two words of progress
)

var errCapacity = errors.New("DynamoDB leaves writes undone again and again")

// writer gathers writes to one table into batches.
type writer struct {
	Config
	ctx         context.Context
	table, what string
	waiting     []types.WriteRequest
	done        int
}

func (c Config) writer(ctx context.Context, table, what string) *writer {
	return &writer{Config: c, ctx: ctx, table: c.Prefix + table, what: what}
}

func (w *writer) add(r types.WriteRequest) error {
	if w.waiting = append(w.waiting, r); len(w.waiting) < batch {
		return nil
	}
	return w.send()
}

func (w *writer) send() error {
	if err := w.batch(w.ctx, w.table, w.waiting); err != nil {
		return fmt.Errorf("after %s %d: %w", w.what, w.done, err)
	}
	w.done += len(w.waiting)
	w.waiting = nil
	if w.done%often == 0 {
		w.say("%s: %s %d", w.table, w.what, w.done)
	}
	return nil
}

// flush sends the waiting writes and returns how many there were in all.
func (w *writer) flush() error {
	if len(w.waiting) > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	w.say("%s: %s %d items", w.table, w.what, w.done)
	return nil
}

func (c Config) batch(ctx context.Context, name string, requests []types.WriteRequest) error {
	pause := 50 * time.Millisecond
	for try := 0; len(requests) > 0; try++ {
		if try == mostTries {
			return errCapacity
		}
		if try > 0 {
			select {
			case <-time.After(pause):
				pause *= 2
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		out, err := c.Client.BatchWriteItem(ctx,
			&dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{name: requests}})
		if err != nil {
			return err
		}
		requests = out.UnprocessedItems[name]
	}
	return nil
}
