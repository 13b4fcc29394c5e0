package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

const (
	progressBudget = 3 * time.Second // for a million agents
	counts         = 3               // runs of each fleet; the fastest is reported
)

// countFleet measures how long it takes to count the fleet by generation and method: on DynamoDB Local with as many
// agents as it can be filled with in a minute, and with a million on a model of the service. The former says that the
// counts are right; how long they take there says little, for DynamoDB Local does not know that an index's entries are
// short.
func (b *bench) countFleet(ctx context.Context) error {
	const section = "progress: counting the fleet"
	system, err := b.stack(ctx)
	if err != nil {
		return err
	}
	for _, size := range fleetSizes {
		prefix, err := b.load(ctx, size)
		if err != nil {
			return err
		}
		cfg := databaseConfig(system)
		// on a busy machine, DynamoDB Local is slower than DynamoDB may be
		cfg.HTTPClient = &http.Client{Timeout: time.Minute}
		s := dynamo.New(dynamo.Config{Client: dynamo.NewClient(cfg), Prefix: prefix})
		took, err := counted(ctx, s, int64(size))
		if err != nil {
			return err
		}
		b.report.add(section, figure{Name: fmt.Sprintf("%d agents, DynamoDB Local", size), Value: ms(took), Unit: millis}.
			remark("it reads whole items, one query after the other"))
	}
	for _, name := range []struct{ what, tail string }{{"", ""},
		{", names of 64 and 64 letters", strings.Repeat("x", 111)}} {
		const million = 1_000_000
		b.say("progress: a million agents%s, modelled", name.what)
		m := newModel(million, name.tail)
		took, err := counted(ctx, dynamo.New(dynamo.Config{Client: m}), million)
		if err != nil {
			return err
		}
		b.report.add(section, figure{
			Name:  "1,000,000 agents, modelled" + name.what,
			Value: ms(took),
			Unit:  millis,
		}.within(ms(progressBudget)).
			remark("%d and %d octets an entry, %d calls, %d full pages, %.0f read units; without burst",
				m.entries[schema.ActiveAgents].octets, m.entries[schema.AgentsByGeneration].octets, m.calls.Load()/counts,
				m.full.Load()/counts, m.units()))
	}
	return nil
}

// counted returns the time of the fastest of some counts. Each count must be exact.
func counted(ctx context.Context, s *dynamo.Store, size int64) (time.Duration, error) {
	var best time.Duration
	for range counts {
		began := time.Now()
		census, err := s.Census(ctx, 2, 2)
		took := time.Since(began)
		if err != nil {
			return 0, err
		}
		if t := census[agent.Minted]; len(census) != len(agent.Methods()) || t.Older+t.Current != size || t.Newer != 0 {
			return 0, fmt.Errorf("census of %d agents: %+v", size, census)
		}
		if best == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

// The model's assumptions about DynamoDB: a page is 1 MB and takes 100 ms, an empty answer 5 ms; an index of
// this size has four partitions. Each partition serves 3,000 read units a second and has no burst capacity.
const (
	pageOctets     = 1 << 20
	pageLatency    = 100 * time.Millisecond
	emptyLatency   = 5 * time.Millisecond
	partitions     = 4
	unitsPerSecond = 3000
	octetsPerUnit  = 8 << 10 // eventually consistent
)

// model answers the counts of a fleet of minted agents. Every second agent has re-enrolled under generation 2.
type model struct {
	dynamo.API
	entries map[string]entries // by index
	calls   atomic.Int64
	full    atomic.Int64
	octets  atomic.Int64
	mu      sync.Mutex
	busyTil map[string]*[partitions]time.Time // by index
}

// entries are those of one index.
type entries struct {
	octets int            // of each
	agents map[string]int // by partition key of the index
}

func newModel(size int, tail string) *model {
	m := &model{entries: map[string]entries{}, busyTil: map[string]*[partitions]time.Time{}}
	for index, keys := range map[string][]string{
		schema.ActiveAgents:       {"c", "pk", "sk"},
		schema.AgentsByGeneration: {"gen_pk", "gen_sk", "pk", "sk"},
	} {
		e := entries{agents: map[string]int{}}
		for n := range size {
			i := dynamo.EntryItem(agent.Agent{ID: fleetAgent(n).ID + agent.ID(tail), Method: agent.Minted, Status: agent.Active})
			e.agents[i[keys[0]].(*types.AttributeValueMemberS).Value]++
			if n == 0 {
				for _, name := range keys {
					e.octets += len(name) + len(i[name].(*types.AttributeValueMemberS).Value)
				}
			}
		}
		m.entries[index], m.busyTil[index] = e, new([partitions]time.Time)
	}
	return m
}

func (m *model) units() float64 { return float64(m.octets.Load()) / octetsPerUnit / counts } // of one count

// Query implements dynamo.API. The cursor holds how many entries were counted before.
func (m *model) Query(
	ctx context.Context, in *awsdynamodb.QueryInput, _ ...func(*awsdynamodb.Options),
) (*awsdynamodb.QueryOutput, error) {
	m.calls.Add(1)
	value := func(name string) string {
		return in.ExpressionAttributeValues[name].(*types.AttributeValueMemberS).Value
	}
	e, known := m.entries[*in.IndexName]
	if !known || in.Select != types.SelectCount {
		return nil, fmt.Errorf("model: %w", registry.ErrUnsupported)
	}
	partition := value(":partition")
	there := e.agents[partition]
	if *in.IndexName == schema.AgentsByGeneration {
		if there /= 2; value(":low") != "000002#minted#" {
			there = 0
		}
	}
	before := 0
	if c, ok := in.ExclusiveStartKey["n"].(*types.AttributeValueMemberN); ok {
		fmt.Sscan(c.Value, &before) //nolint:errcheck // it is the model's own
	}
	page := min(there-before, pageOctets/e.octets)
	if err := m.take(ctx, *in.IndexName, partition, page*e.octets); err != nil {
		return nil, err
	}
	out := &awsdynamodb.QueryOutput{Count: int32(page)}
	if before+page < there {
		m.full.Add(1)
		out.LastEvaluatedKey = item{"n": &types.AttributeValueMemberN{Value: fmt.Sprint(before + page)}}
	}
	return out, nil
}

// take waits as long as a page of so many octets takes, and until its partition has the units for it.
func (m *model) take(ctx context.Context, index, partition string, octets int) error {
	m.octets.Add(int64(octets))
	h := fnv.New32a()
	h.Write([]byte(partition))
	p := h.Sum32() % partitions
	now := time.Now()
	m.mu.Lock()
	busy := m.busyTil[index]
	from := busy[p]
	if from.Before(now) {
		from = now
	}
	busy[p] = from.Add(time.Duration(float64(octets) / octetsPerUnit / unitsPerSecond * float64(time.Second)))
	free := busy[p]
	m.mu.Unlock()
	end := now.Add(emptyLatency + time.Duration(float64(pageLatency)*float64(octets)/pageOctets))
	if free.After(end) {
		end = free
	}
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
