package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/schema"
)

type item = map[string]types.AttributeValue

func databaseConfig(s *stack.Stack) aws.Config {
	cfg := s.AWSConfig()
	cfg.BaseEndpoint = aws.String(s.Endpoints[stack.DynamoDB])
	return cfg
}

// bare asks the database for what the Mastio asks it, with items of the same size and indexes, and nothing around it:
// what it does then is the floor of every rate here.
type bare struct {
	*awsdynamodb.Client
	registry, audit, replay string
	rows                    atomic.Int64
}

// bareAgents is how many agents there are to read and to overwrite: some for each of the most clients.
const bareAgents = 64

func (b *bench) bare(ctx context.Context) (*bare, error) {
	system, err := b.stack(ctx)
	if err != nil {
		return nil, err
	}
	if b.database != nil {
		return b.database, nil
	}
	const prefix = "bench-floor-"
	if err := populate(ctx, system.Clients.DynamoDB, prefix, bareAgents); err != nil {
		return nil, err
	}
	b.database = &bare{
		Client:   dynamo.NewClient(databaseConfig(system)),
		registry: prefix + schema.Registry,
		audit:    prefix + schema.Audit,
		replay:   prefix + schema.Replay,
	}
	return b.database, nil
}

func text(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func agentKey(n int) item {
	whole := dynamo.AgentItem(fleetAgent(n % bareAgents))
	return item{"pk": whole["pk"], "sk": whole["sk"]}
}

func (d *bare) get(ctx context.Context, n int) error {
	_, err := d.GetItem(ctx, &awsdynamodb.GetItemInput{
		TableName:      &d.registry,
		Key:            agentKey(n),
		ConsistentRead: aws.Bool(true),
	})
	return err
}

// getTwo is the read of a token request.
func (d *bare) getTwo(ctx context.Context, n int) error {
	_, err := d.BatchGetItem(ctx, &awsdynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		d.registry: {Keys: []item{agentKey(n), agentKey(n + 1)}, ConsistentRead: aws.Bool(true)},
	}})
	return err
}

func (d *bare) put(ctx context.Context, _ int) error {
	_, err := d.PutItem(ctx, &awsdynamodb.PutItemInput{
		TableName:           &d.replay,
		Item:                item{"pk": text(rand.Text() + rand.Text())},
		ConditionExpression: aws.String("attribute_not_exists(pk)"),
	})
	return err
}

// transact writes an agent that is there, and rows that are not.
func (d *bare) transact(ctx context.Context, agent, rows int) error {
	list := []types.TransactWriteItem{{Put: &types.Put{
		TableName:           &d.registry,
		Item:                dynamo.AgentItem(fleetAgent(agent % bareAgents)),
		ConditionExpression: aws.String("attribute_exists(pk)"),
	}}}
	for range rows {
		list = append(list, types.TransactWriteItem{Put: &types.Put{
			TableName:           &d.audit,
			Item:                d.row(agent),
			ConditionExpression: aws.String("attribute_not_exists(subject)"),
		}})
	}
	_, err := d.TransactWriteItems(ctx, &awsdynamodb.TransactWriteItemsInput{
		ClientRequestToken: aws.String(rand.Text()),
		TransactItems:      list,
	})
	return err
}

// row is the size of an agent.cert_rotated row.
func (d *bare) row(agent int) item {
	return item{
		"subject": text(string(fleetAgent(agent).ID)), "seq": text(fmt.Sprintf("%012d", d.rows.Add(1))),
		"day": text(fmt.Sprintf("2026-11-24#%02d", agent%schema.Shards)), "id": text(rand.Text()),
		"row": text(strings.Repeat("r", 780)),
	}
}

// rotation is the three calls of a certificate's rotation, one after the other.
func (d *bare) rotation(ctx context.Context, n int) error {
	if err := d.getTwo(ctx, n); err != nil {
		return err
	}
	if err := d.transact(ctx, n, 1); err != nil {
		return err
	}
	return d.get(ctx, n)
}

// load lets clients repeat a call, each on agents of its own, and leaves out a first while in which the database
// compiles.
func (d *bare) load(
	ctx context.Context, clients int, length time.Duration, call func(context.Context, int) error,
) (sample, error) {
	each := func(ctx context.Context, client, n int) error {
		return call(ctx, client+clients*(n%(bareAgents/clients)))
	}
	if _, err := closedLoop(ctx, clients, length/3, each); err != nil {
		return sample{}, err
	}
	return closedLoop(ctx, clients, length, each)
}

// swapFloor is the time of the three calls of a rotation of the Org CA: the lease's update, the read of a history half
// as long as it gets in here, and a transaction of the pointer's copies, two generations, head, row and lease.
func (b *bench) swapFloor(ctx context.Context) (sample, error) {
	d, err := b.bare(ctx)
	if err != nil {
		return sample{}, err
	}
	b.say("rotate-ca: the same three calls, bare")
	for n := range caRotations / 2 {
		if _, err := d.PutItem(ctx, &awsdynamodb.PutItemInput{
			TableName: &d.registry,
			Item:      orgItem(fmt.Sprintf("CA#%06d", n)),
		}); err != nil {
			return sample{}, err
		}
	}
	return d.load(ctx, 1, 2*time.Second, d.swap)
}

func (d *bare) swap(ctx context.Context, _ int) error {
	_, err := d.UpdateItem(ctx, &awsdynamodb.UpdateItemInput{
		TableName:                 &d.registry,
		Key:                       item{"pk": text("ORG"), "sk": text("LEASE")},
		UpdateExpression:          aws.String("SET holder = :h"),
		ExpressionAttributeValues: item{":h": text(rand.Text())},
	})
	if err != nil {
		return err
	}
	_, err = d.Query(ctx, &awsdynamodb.QueryInput{
		TableName:                 &d.registry,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND sk < :end"),
		ExpressionAttributeValues: item{":pk": text("ORG"), ":end": text("POINTER#01")},
	})
	if err != nil {
		return err
	}
	list := []types.TransactWriteItem{{Put: &types.Put{TableName: &d.audit, Item: d.row(0)}}}
	for n := range 20 {
		list = append(list, types.TransactWriteItem{Put: &types.Put{
			TableName: &d.registry,
			Item:      orgItem(fmt.Sprintf("POINTER#%02d", n)),
		}})
	}
	_, err = d.TransactWriteItems(ctx, &awsdynamodb.TransactWriteItemsInput{TransactItems: list})
	return err
}

// orgItem is the size of a pointer's copy, or of a generation: two certificates of some 600 octets and a little more.
func orgItem(sk string) item {
	return item{"pk": text("ORG"), "sk": text(sk), "chain": &types.AttributeValueMemberB{Value: make([]byte, 1200)},
		"rest": text(strings.Repeat("r", 300))}
}
