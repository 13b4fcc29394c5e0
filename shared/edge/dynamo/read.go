package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// View reads an agent and a copy of the pointer in one call.
func (s *Store) View(ctx context.Context, id agent.ID) (registry.View, error) {
	return s.view(ctx, registry.View{}, key(agentKey(id), single), key(org, pointerFor(id)))
}

// ViewKeys reads an agent, its keys and a copy of the pointer in one call.
func (s *Store) ViewKeys(ctx context.Context, id agent.ID) (registry.View, error) {
	none := registry.View{Keys: &agent.Keys{Agent: id}}
	return s.view(ctx, none, key(agentKey(id), single), key(agentKey(id), keysKey), key(org, pointerFor(id)))
}

// ViewSeen reads an agent, when it was last seen, and a copy of the pointer in one call.
func (s *Store) ViewSeen(ctx context.Context, id agent.ID) (registry.View, error) {
	none := registry.View{Seen: &registry.Sighting{}}
	return s.view(ctx, none, key(agentKey(id), single), key(org, pointerFor(id)), key(seenKey(id), single))
}

// ViewBoth reads two agents and the first one's copy of the pointer in one call.
func (s *Store) ViewBoth(ctx context.Context, id, other agent.ID) (v registry.View, err error) {
	doing := "read agents " + string(id) + " and " + string(other)
	keys := []item{key(agentKey(id), single), key(org, pointerFor(id))}
	if other != id { // a batch names no item twice
		keys = append(keys, key(agentKey(other), single))
	}
	items, err := s.batch(ctx, s.registry, keys)
	for _, i := range items {
		if err == nil {
			err = addEither(&v, i, id, other)
		}
	}
	if err != nil {
		return registry.View{}, unavailable(doing, err)
	}
	return v, nil
}

func addEither(v *registry.View, i item, id, other agent.ID) error {
	r := reader{item: i}
	pk := r.text("pk")
	if pk != agentKey(other) {
		return addToView(v, i)
	}
	a, err := decodeAgent(i)
	v.Other = &a
	if err == nil && id == other {
		return addToView(v, i) // decoded once more: the two share no memory
	}
	return err
}

// view reads the items with these keys, the agent's first, and adds them to what stands where there are none.
func (s *Store) view(ctx context.Context, v registry.View, keys ...item) (registry.View, error) {
	r := reader{item: keys[0]}
	doing := "read agent " + strings.TrimPrefix(r.text("pk"), agentKey(""))
	items, err := s.batchSparing(ctx, s.registry, keys, isSeen)
	if err != nil {
		return registry.View{}, unavailable(doing, err)
	}
	for _, i := range items {
		if err := addToView(&v, i); err != nil {
			return registry.View{}, unavailable(doing, err)
		}
	}
	return v, nil
}

func addToView(v *registry.View, i item) error {
	r := reader{item: i}
	switch pk, sk := r.text("pk"), r.text("sk"); {
	case pk == org:
		p, err := decodePointer(i)
		v.Pointer = &p
		return err
	case isSeen(i):
		if seen, err := decodeSighting(i); err == nil {
			v.Seen = &seen
		}
		return nil // one that cannot be read is replaced, and fails nothing
	case sk == keysKey:
		k, err := decodeKeys(i)
		k.Agent = v.Keys.Agent
		v.Keys = &k
		return err
	}
	a, err := decodeAgent(i)
	v.Agent = &a
	return err
}

// Pointer reads the copy of the pointer that an agent's requests use.
func (s *Store) Pointer(ctx context.Context, id agent.ID) (*orgca.Pointer, error) {
	return s.pointer(ctx, pointerFor(id))
}

// pointer reads one copy of the pointer.
func (s *Store) pointer(ctx context.Context, copyKey string) (*orgca.Pointer, error) {
	const doing = "read the pointer"
	i, err := s.get(ctx, s.registry, key(org, copyKey))
	if err != nil || i == nil {
		return nil, wrap(doing, err)
	}
	p, err := decodePointer(i)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	return &p, nil
}

// Org reads everything about the organisation's CA: a query, of more pages than one only beyond 1 MB, and the end of
// the organisation's chain, side by side. A decision on a head and records of two instants does not commit: a change is
// conditional on the version of each record that it replaces.
func (s *Store) Org(ctx context.Context) (registry.Org, error) {
	const doing = "read the organisation"
	var o registry.Org
	var apartErr error
	var reading sync.WaitGroup
	reading.Go(func() { apartErr = s.addApart(ctx, &o) })
	items, err := s.orgRecords(ctx)
	reading.Wait()
	if err = errors.Join(err, apartErr); err != nil {
		return registry.Org{}, unavailable(doing, err)
	}
	for _, i := range items {
		if err := addToOrg(&o, i); err != nil {
			return registry.Org{}, unavailable(doing, err)
		}
	}
	return o, nil
}

// addApart reads what has partitions of its own: other functions may write it.
func (s *Store) addApart(ctx context.Context, o *registry.Org) error {
	items, err := s.batch(ctx, s.registry, []item{key(headRecord, single), key(fleetRecord, single)})
	for _, i := range items {
		if err != nil {
			break
		}
		r := reader{item: i}
		if r.text("pk") == headRecord {
			o.Head, err = decodeHead(i)
			continue
		}
		var f orgca.Reissue
		f, err = decodeReissue(i)
		o.Reissue = &f
	}
	return err
}

func (s *Store) orgRecords(ctx context.Context) ([]item, error) {
	return s.query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.registry,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND sk < :end"),
		ExpressionAttributeValues: item{":pk": text(org), ":end": text(endOfOrg)},
	}, 0)
}

// addToOrg leaves out what it does not know: a newer version of the program may keep more here.
func addToOrg(o *registry.Org, i item) (err error) {
	r := reader{item: i}
	switch sk := r.text("sk"); {
	case sk == domainKey:
		o.Truststore, err = decodeTruststore(i)
	case sk == planKey:
		o.Plan, err = decodePlan(i)
	case sk == leaseKey:
		o.Lease, err = decodeLease(i)
	case sk == firstCopy:
		var p orgca.Pointer
		p, err = decodePointer(i)
		o.Pointer = &p
	case strings.HasPrefix(sk, caPrefix):
		var g orgca.Generation
		g, err = decodeGeneration(i)
		o.Generations = append(o.Generations, g)
	}
	return err
}

// Rows reads up to limit rows of a chain, those with numbers above after.
func (s *Store) Rows(ctx context.Context, subject string, after int64, limit int) ([]audit.Row, error) {
	doing := "read the chain of " + subject
	if subject == "" || limit < 1 { // no chain has that name; a query without a key is refused
		return nil, nil
	}
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.audit,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("#subject = :subject AND #seq > :after"),
		ExpressionAttributeNames:  map[string]string{"#subject": "subject", "#seq": "seq"},
		ExpressionAttributeValues: item{":subject": text(subject), ":after": text(seqKey(max(after, 0)))},
	}, limit)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	var rows []audit.Row
	for _, i := range items {
		row, err := decodeRow(i)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Answer reads what was kept for an idempotency key. Expired items stay until DynamoDB deletes them, hence the look at
// the clock.
func (s *Store) Answer(ctx context.Context, idempotencyKey string, now time.Time) (*registry.Answer, error) {
	const doing = "read the answer to an idempotency key"
	i, err := s.get(ctx, s.registry, key(answerKey(idempotencyKey), single))
	if err != nil || i == nil {
		return nil, wrap(doing, err)
	}
	a, err := decodeAnswer(idempotencyKey, i)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	if !a.Kept(now) {
		return nil, nil
	}
	return &a, nil
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return unavailable(doing, err)
}

// get reads one item, strongly consistent; nil if there is none.
func (s *Store) get(ctx context.Context, table string, key item) (item, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// query reads all pages, or as many as limit items take; zero: no limit.
func (s *Store) query(ctx context.Context, in *dynamodb.QueryInput, limit int) ([]item, error) {
	var items []item
	for {
		if limit > 0 {
			in.Limit = aws.Int32(int32(min(limit-len(items), 1000)))
		}
		out, err := s.client.Query(ctx, in)
		if err != nil {
			return nil, err
		}
		items = append(items, out.Items...)
		if len(out.LastEvaluatedKey) == 0 || limit > 0 && len(items) >= limit {
			return items, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// DynamoDB hands keys of a batch back when a partition is busy or the answer too large, and asks for patience.
const (
	batchTries = 5
	batchPause = 20 * time.Millisecond // doubled each time, and half of it random
)

// batch reads up to 100 items, strongly consistent, in no order; missing ones are left out.
func (s *Store) batch(ctx context.Context, table string, keys []item) ([]item, error) {
	return s.batchSparing(ctx, table, keys, func(item) bool { return false })
}

// batchAll is batch for any number of keys: a call for each hundred, side by side.
func (s *Store) batchAll(ctx context.Context, table string, keys []item) ([]item, error) {
	chunks := slices.Collect(slices.Chunk(keys, maxFound))
	parts, errs := make([][]item, len(chunks)), make([]error, len(chunks))
	var reading sync.WaitGroup
	for n, chunk := range chunks {
		reading.Go(func() { parts[n], errs[n] = s.batch(ctx, table, chunk) })
	}
	reading.Wait()
	return slices.Concat(parts...), errors.Join(errs...)
}

// batchSparing is batch, and leaves out an item that DynamoDB does not read at first if spare says so of its key: the
// item is worth no wait.
func (s *Store) batchSparing(
	ctx context.Context, table string, keys []item, spare func(key item) bool,
) ([]item, error) {
	var items []item
	request := map[string]types.KeysAndAttributes{table: {Keys: keys, ConsistentRead: aws.Bool(true)}}
	for try := range batchTries {
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
		out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: request})
		if err != nil {
			return nil, err
		}
		items = append(items, out.Responses[table]...)
		left := out.UnprocessedKeys[table]
		if left.Keys = slices.DeleteFunc(left.Keys, spare); len(left.Keys) == 0 {
			return items, nil
		}
		request[table] = left
	}
	return nil, fmt.Errorf("%d keys not read after %d attempts", len(request[table].Keys), batchTries)
}

func pause(ctx context.Context, try int) error {
	if try == 0 {
		return nil
	}
	most := batchPause << (try - 1)
	timer := time.NewTimer(most/2 + rand.N(most/2)) //nolint:gosec // spreads retries; guessing it gains nothing
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
