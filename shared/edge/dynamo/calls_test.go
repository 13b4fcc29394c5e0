package dynamo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

// counter counts calls and notes those reads that are not strongly consistent.
type counter struct {
	dynamo.API
	mu    sync.Mutex
	calls map[string]int
	stale []string
}

func (c *counter) note(op string, consistent *bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[op]++
	if consistent != nil && !*consistent {
		c.stale = append(c.stale, op)
	}
}

func (c *counter) BatchGetItem(
	ctx context.Context, in *awsdynamodb.BatchGetItemInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.BatchGetItemOutput, error) {
	for _, keys := range in.RequestItems {
		c.note("BatchGetItem", aws.Bool(aws.ToBool(keys.ConsistentRead)))
	}
	return c.API.BatchGetItem(ctx, in, o...)
}

func (c *counter) GetItem(
	ctx context.Context, in *awsdynamodb.GetItemInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.GetItemOutput, error) {
	c.note("GetItem", aws.Bool(aws.ToBool(in.ConsistentRead)))
	return c.API.GetItem(ctx, in, o...)
}

func (c *counter) PutItem(
	ctx context.Context, in *awsdynamodb.PutItemInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.PutItemOutput, error) {
	c.note("PutItem", nil)
	return c.API.PutItem(ctx, in, o...)
}

func (c *counter) Query(
	ctx context.Context, in *awsdynamodb.QueryInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.QueryOutput, error) {
	c.note("Query", aws.Bool(aws.ToBool(in.ConsistentRead)))
	return c.API.Query(ctx, in, o...)
}

func (c *counter) TransactWriteItems(
	ctx context.Context, in *awsdynamodb.TransactWriteItemsInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.TransactWriteItemsOutput, error) {
	c.note("TransactWriteItems", nil)
	return c.API.TransactWriteItems(ctx, in, o...)
}

func (c *counter) UpdateItem(
	ctx context.Context, in *awsdynamodb.UpdateItemInput, o ...func(*awsdynamodb.Options),
) (*awsdynamodb.UpdateItemOutput, error) {
	c.note("UpdateItem", nil)
	return c.API.UpdateItem(ctx, in, o...)
}

func TestCalls(t *testing.T) {
	client, prefix := tables(t)
	calls := map[string]string{
		"View": "BatchGetItem", "ViewKeys": "BatchGetItem", "ViewSeen": "BatchGetItem",
		"ViewBoth": "BatchGetItem",
		"SeenAt":   "BatchGetItem", "Seen": "PutItem", "Pointer": "GetItem", "Org": "Query", "Answer": "GetItem",
		"TokenKey":  "GetItem",
		"TokenKeys": "BatchGetItem", "Rows": "Query", "Apply": "TransactWriteItems", "Acquire": "UpdateItem",
		"Extend": "UpdateItem", "Release": "UpdateItem", "UseProof": "PutItem", "PutTokenKey": "PutItem",
		"LastRow": "Query", "Covered": "BatchGetItem", "Checkpoint": "GetItem",
		"Suspects": "Query",
	}
	for _, name := range []string{
		"Apply", "Acquire", "Extend", "Release", "UseProof", "PutTokenKey", "View", "ViewKeys", "ViewSeen", "ViewBoth",
		"SeenAt", "Seen", "Pointer", "Org", "Answer", "TokenKey",
		"TokenKeys", "Rows", "LastRow", "Covered", "Checkpoint", "Suspects",
	} {
		call := writeCalls[name]
		if call == nil {
			call = readCalls[name]
		}
		c := &counter{API: client}
		if err := call(t.Context(), dynamo.New(dynamo.Config{Client: c, Prefix: prefix}), prefix); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := map[string]int{calls[name]: 1}
		if name == "Org" {
			want["BatchGetItem"] = 1 // what has partitions of its own, side by side with the rest
		}
		if diff := cmp.Diff(want, c.calls); diff != "" {
			t.Errorf("calls of %s (-want +got):\n%s", name, diff)
		}
		if len(c.stale) > 0 {
			t.Errorf("%s reads without strong consistency: %v", name, c.stale)
		}
	}
}

func TestPagesReadLittleMoreThanTheyHold(t *testing.T) {
	client, prefix := tables(t)
	c := &counter{API: client}
	s := dynamo.New(dynamo.Config{Client: c, Prefix: prefix})
	for n := range 200 {
		a := agent.Agent{ID: agent.ID(fmt.Sprintf("acme::%d", n)), Method: agent.Minted, Pins: []agent.Pin{{Generation: 1}}}
		if err := s.Apply(t.Context(), registry.Change{ID: fmt.Sprint(prefix, n), Agent: &a}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := s.Agents(t.Context(), registry.Query{Limit: 100})
	if err != nil || len(page.Agents) != 100 || page.Next == "" {
		t.Fatalf("got %d agents, next %q, %v, want 100 and a next page", len(page.Agents), page.Next, err)
	}
	if got := c.calls["Query"]; got < 16 || got > 24 {
		t.Errorf("got %d queries for a page, want one a shard and hardly more", got)
	}
}

// An organisation of more than 1 MB takes more than one page, and is still whole.
func TestLargeOrganisation(t *testing.T) {
	client, prefix := tables(t)
	c := &counter{API: client}
	s := dynamo.New(dynamo.Config{Client: c, Prefix: prefix})
	const roots, octets = 4, 390_000
	for number := int64(1); number <= roots; number++ {
		g := orgca.Generation{Number: number, Root: bytes.Repeat([]byte{byte(number)}, octets)}
		if err := s.Apply(t.Context(), registry.Change{
			ID:          fmt.Sprint(prefix, number),
			Generations: []orgca.Generation{g},
		}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Org(t.Context())
	if err != nil || len(got.Generations) != roots {
		t.Fatalf("got %d generations, %v, want %d", len(got.Generations), err, roots)
	}
	for n, g := range got.Generations {
		if g.Number != int64(n+1) || !bytes.Equal(g.Root, bytes.Repeat([]byte{byte(n + 1)}, octets)) {
			t.Errorf("generation %d of %d: got number %d with %d octets", n+1, roots, g.Number, len(g.Root))
		}
	}
	if c.calls["Query"] < 2 {
		t.Errorf("got %d queries, want 2 at least: the test is too small", c.calls["Query"])
	}
}

// busy hands back the keys of the first batches.
type busy struct {
	dynamo.API
	times, calls int
}

func (b *busy) BatchGetItem(
	_ context.Context, in *awsdynamodb.BatchGetItemInput, _ ...func(*awsdynamodb.Options),
) (*awsdynamodb.BatchGetItemOutput, error) {
	b.calls++
	out := &awsdynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for table, keys := range in.RequestItems {
		back := keys
		if b.calls > b.times {
			out.Responses[table] = keys.Keys // a key is an item too
			continue
		}
		// One key at a time, the rest comes back.
		out.Responses[table], back.Keys = keys.Keys[:0], keys.Keys
		if len(keys.Keys) > 1 {
			out.Responses[table], back.Keys = keys.Keys[:1], keys.Keys[1:]
		}
		out.UnprocessedKeys = map[string]types.KeysAndAttributes{table: back}
	}
	return out, nil
}

func TestKeysHandedBackAreAskedForAgain(t *testing.T) {
	b := &busy{times: 3}
	got, err := dynamo.New(dynamo.Config{Client: b}).View(t.Context(), "acme::a")
	if err != nil || got.Agent == nil || got.Pointer == nil || b.calls != 4 {
		t.Errorf("got %+v, %v after %d calls, want both records after 4", got, err, b.calls)
	}

	b = &busy{times: 1000}
	got, err = dynamo.New(dynamo.Config{Client: b}).View(t.Context(), "acme::a")
	if !errors.Is(err, registry.ErrUnavailable) || got.Agent != nil || got.Pointer != nil {
		t.Errorf("never answered: got %+v, %v, want nothing and %v", got, err, registry.ErrUnavailable)
	}

	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := dynamo.New(dynamo.Config{Client: &busy{times: 1000}}).View(ctx, "acme::a"); !errors.Is(err,
		context.Canceled) {
		t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
	}
}

// A token waits for no note: one that is handed back is not asked for again, and one that cannot be read fails nothing.
func TestNoteIsWorthNoWait(t *testing.T) {
	b := &busy{times: 1}
	got, err := dynamo.New(dynamo.Config{Client: b}).ViewSeen(t.Context(), "acme::a")
	if err != nil || got.Agent == nil || got.Pointer == nil || b.calls != 2 || *got.Seen != (registry.Sighting{}) {
		t.Errorf("handed back: got %+v, %v after %d calls, want both records after 2", got, err, b.calls)
	}

	client, prefix := tables(t)
	key := map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "SEEN#acme::a"}, "sk": &types.AttributeValueMemberS{Value: "-"},
		"hour": &types.AttributeValueMemberS{Value: "noon"},
	}
	if _, err := client.PutItem(t.Context(), &awsdynamodb.PutItemInput{
		TableName: aws.String(prefix + schema.Registry),
		Item:      key,
	}); err != nil {
		t.Fatal(err)
	}
	got, err = dynamo.New(dynamo.Config{Client: client, Prefix: prefix}).ViewSeen(t.Context(), "acme::a")
	if err != nil || *got.Seen != (registry.Sighting{}) {
		t.Errorf("garbage: got %+v, %v, want no sighting and no error", got.Seen, err)
	}
}

// noCalls fails the test when it is called.
type noCalls struct {
	dynamo.API
	t *testing.T
}

func (u noCalls) TransactWriteItems(
	context.Context, *awsdynamodb.TransactWriteItemsInput, ...func(*awsdynamodb.Options),
) (*awsdynamodb.TransactWriteItemsOutput, error) {
	u.t.Error("the change was sent")
	return nil, errors.New("unplugged")
}

func TestChangesThatCannotBeCarriedOut(t *testing.T) {
	large := registry.Change{ID: "large"}
	for number := range int64(101) {
		large.Generations = append(large.Generations, orgca.Generation{Number: number})
	}
	withID := func(id string) registry.Change { return registry.Change{ID: id, Agent: &agent.Agent{ID: "acme::a"}} }
	for name, c := range map[string]registry.Change{
		"empty": {ID: "empty"}, "too large": large, "without an id": withID(""),
		"id too long":      withID(strings.Repeat("x", 37)),
		"answer too large": {ID: "answer", Answer: &registry.Answer{Key: "k", Result: make([]byte, registry.MaxAnswer+1)}},
	} {
		err := dynamo.New(dynamo.Config{Client: noCalls{t: t}}).Apply(t.Context(), c)
		if !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("%s: got %v, want %v", name, err, registry.ErrUnavailable)
		}
	}
}
