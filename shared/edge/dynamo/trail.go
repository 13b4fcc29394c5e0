package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

const (
	batchSize = 100 // DynamoDB's limit of a batch of reads
	batches   = 8   // read at once
)

// Covered reads the rows that leaves cover: their numbers have no gaps, so their keys are known, and a hundred are read
// in a call, strongly consistent. Rows that do not exist are left out.
func (s *Store) Covered(ctx context.Context, leaves ...audit.Leaf) ([]audit.Row, error) {
	const doing = "read the rows of chains"
	var keys []item
	for _, l := range leaves {
		for seq := l.FromSeq + 1; seq <= l.Seq; seq++ {
			keys = append(keys, item{"subject": text(l.Subject), "seq": text(seqKey(seq))})
		}
	}
	chunks := slices.Collect(slices.Chunk(keys, batchSize))
	parts, errs := make([][]audit.Row, len(chunks)), make([]error, len(chunks))
	gate := make(chan struct{}, batches)
	var wg sync.WaitGroup
	for n, chunk := range chunks {
		gate <- struct{}{}
		wg.Go(func() {
			parts[n], errs[n] = s.rowsAt(ctx, chunk)
			<-gate
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, unavailable(doing, err)
	}
	return slices.Concat(parts...), nil
}

// rowsAt reads rows by their keys, in the order of the keys.
func (s *Store) rowsAt(ctx context.Context, keys []item) ([]audit.Row, error) {
	items, err := s.batch(ctx, s.audit, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[string]item, len(items))
	for _, i := range items {
		found[placeOf(i)] = i
	}
	var rows []audit.Row
	for _, k := range keys {
		i, ok := found[placeOf(k)]
		if !ok {
			continue
		}
		row, err := decodeRow(i)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func placeOf(i item) string {
	r := reader{item: i}
	return r.text("seq") + r.text("subject") // all numbers are of one length
}

// LastRow reads the end of a chain.
func (s *Store) LastRow(ctx context.Context, subject string) (*audit.Row, error) {
	doing := "read the end of the chain of " + subject
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.audit,
		ConsistentRead:            aws.Bool(true),
		ScanIndexForward:          aws.Bool(false),
		KeyConditionExpression:    aws.String("#subject = :subject"),
		ExpressionAttributeNames:  map[string]string{"#subject": "subject"},
		ExpressionAttributeValues: item{":subject": text(subject)},
	}, 1)
	if err != nil || len(items) == 0 {
		return nil, wrap(doing, err)
	}
	row, err := decodeRow(items[0])
	if err != nil {
		return nil, unavailable(doing, err)
	}
	return &row, nil
}

// RowsOfDay reads rows of one day from the index.
func (s *Store) RowsOfDay(ctx context.Context, day, after, before string, limit int) ([]audit.Row, error) {
	return s.rowsOf(ctx, day, after, before, limit, false)
}

// LatestRows reads the last rows of one day from the index, newest first.
func (s *Store) LatestRows(ctx context.Context, day, after, before string, limit int) ([]audit.Row, error) {
	return s.rowsOf(ctx, day, after, before, limit, true)
}

func (s *Store) rowsOf(ctx context.Context, day, after, before string, limit int, back bool) ([]audit.Row, error) {
	doing := "read the rows of " + day
	if after >= before || limit < 1 {
		return nil, nil
	}
	// Ids are of one length and alphabet: what follows one directly is the same with a blank after it.
	m := s.newMerge(shardedIndex{s.audit, schema.AuditByDay, "day", "id", day + "#"}, after+" ", before, limit)
	m.back = back
	var rows []audit.Row
	for len(rows) < limit {
		if err := m.fill(ctx); err != nil {
			return nil, unavailable(doing, err)
		}
		first := m.first()
		if first == nil {
			break
		}
		row, err := decodeRow(first.next().item)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		if row.ID != before {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func encodeCheckpoint(c registry.LastCheckpoint) (item, error) {
	sealed, err := json.Marshal(c.Sealed)
	if err != nil {
		return nil, err
	}
	w := writer{key(checkpointKey, single)}
	w.text("sealed", string(sealed))
	w.flag("done", c.Done)
	w.number("set_back", c.SetBack)
	w.number("version", c.Version+1)
	return w.item, nil
}

func decodeCheckpoint(i item) (registry.LastCheckpoint, error) {
	r := reader{item: i}
	c := registry.LastCheckpoint{Done: r.flag("done"), SetBack: r.number("set_back"), Version: r.number("version")}
	sealed := r.text("sealed")
	if r.err != nil {
		return c, r.err
	}
	if err := json.Unmarshal([]byte(sealed), &c.Sealed); err != nil {
		return c, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return c, nil
}
