package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// The deaths are one partition: a status document takes one query. Their sort keys begin with the time, so that what
// DynamoDB has not deleted yet costs no read. An item is written once, and by one change.
const (
	deadRecords = "DEAD"
	statusNote  = "STATUS" // a partition of its own: the function that writes it writes nothing else
)

// IsStatusNote reports whether an item of the registry is the note of the last status document, which no restore
// brings back: the number of a status document only rises.
func IsStatusNote(i map[string]types.AttributeValue) bool {
	r := reader{item: i}
	return r.text("pk") == statusNote
}

func deathsKey(at time.Time) string { return fmt.Sprintf("%013d", max(at.UnixMilli(), 0)) }

// buried writes which tokens die with a change. No condition is needed: the change's id is in the key.
func (s *Store) buried(e registry.Deaths) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: &s.registry, Item: encodeDeaths(e)}}
}

func encodeDeaths(e registry.Deaths) item {
	w := writer{key(deadRecords, deathsKey(e.At)+"#"+e.Change)}
	w.text("change", e.Change)
	w.time("at", e.At)
	w.list("dead", len(e.Dead), func(n int) types.AttributeValue { return encodeDeath(e.Dead[n]) })
	w.item["ttl"] = expiry(e.Expires())
	return w.item
}

func encodeDeath(d agent.Death) types.AttributeValue {
	w := writer{make(item, 2)}
	w.digest("x", d.Thumbprint)
	w.handle("h", d.Handle)
	w.time("b", d.Before)
	return &types.AttributeValueMemberM{Value: w.item}
}

func decodeDeaths(i item) (registry.Deaths, error) {
	r := reader{item: i}
	e := registry.Deaths{Change: r.text("change"), At: r.time("at")}
	e.Dead = elements(&r, "dead", func(v *types.AttributeValueMemberM) agent.Death {
		one := reader{item: v.Value, err: r.err}
		d := agent.Death{Thumbprint: one.digest("x"), Handle: one.handle("h"), Before: one.time("b")}
		r.err = one.err
		return d
	})
	return e, r.err
}

// Status reads what a status document is made of, in three calls: the note first.
func (s *Store) Status(ctx context.Context, since time.Time) (st registry.Status, err error) {
	const doing = "read the status"
	note, err := s.get(ctx, s.registry, key(statusNote, single))
	if err != nil {
		return registry.Status{}, wrap(doing, err)
	}
	if note != nil {
		r := reader{item: note}
		if st.Note = (registry.StatusNote{Seq: r.number("seq"), Digest: r.text("digest")}); r.err != nil {
			return registry.Status{}, unavailable(doing, r.err)
		}
	}
	var pointerErr error
	var reading sync.WaitGroup
	at := rand.IntN(orgca.Copies) //nolint:gosec // pollers share the copies with the agents
	reading.Go(func() { st.Pointer, pointerErr = s.pointer(ctx, pointerKey(at)) })
	st.Deaths, err = s.deaths(ctx, since)
	reading.Wait()
	if err = errors.Join(err, pointerErr); err != nil {
		return registry.Status{}, unavailable(doing, err)
	}
	return st, nil
}

func (s *Store) deaths(ctx context.Context, since time.Time) (deaths []registry.Deaths, err error) {
	items, err := s.query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.registry,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND sk > :since"),
		ExpressionAttributeValues: item{":pk": text(deadRecords), ":since": text(deathsKey(since) + "$")}, // $ follows #
	}, 0)
	for _, i := range items {
		if err != nil {
			break
		}
		var e registry.Deaths
		e, err = decodeDeaths(i)
		deaths = append(deaths, e)
	}
	return deaths, err
}

// PutStatusNote stores the note iff the stored one has the number that was read.
func (s *Store) PutStatusNote(ctx context.Context, n registry.StatusNote, was int64) error {
	w := writer{key(statusNote, single)}
	w.number("seq", n.Seq)
	w.text("digest", n.Digest)
	put := absent(s.registry, "pk", w.item).Put
	if was != 0 {
		put.ConditionExpression = aws.String("#seq = :was")
		put.ExpressionAttributeNames = map[string]string{"#seq": "seq"}
		put.ExpressionAttributeValues = item{":was": number(was)}
	}
	return s.put(ctx, "store the note of a status document", put)
}
