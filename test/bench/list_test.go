package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// listedFleet is the size of the fleet whose pages shared/OPERATING.md prices.
const listedFleet = 10_000

func clientOf(endpoint string) *dynamodb.Client {
	return dynamo.NewClient(aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

// The read units of a page of 100 at 10,000 agents, as shared/OPERATING.md has them, rounded up.
func TestPriceOfAPageOfAgents(t *testing.T) {
	if testing.Short() {
		t.Skip("puts 10,000 agents: make check does")
	}
	client := clientOf(database(t))
	s, err := openShop(t.Context(), client, "list-")
	if err != nil {
		t.Fatal(err)
	}
	for from := 0; from < listedFleet; from += batch {
		if err := putAgents(t.Context(), client, "list-", from, from+batch); err != nil {
			t.Fatal(err)
		}
	}
	filter := func(f registry.Filter, by registry.Sort) enroll.Selection {
		return enroll.Selection{Filter: f, Sort: by, Limit: 100}
	}
	for _, c := range []struct {
		name string
		l    enroll.Selection
		most float64
	}{
		{"all", filter(registry.Filter{}, registry.ByGeneration), 300},
		{"by name", filter(registry.Filter{}, registry.ByName), 300},
		{"of a generation", filter(registry.Filter{Generation: 1}, registry.ByGeneration), 300},
		{"due", filter(registry.Filter{DueAt: time.Now()}, registry.ByDue), 50},
		{"a part of a name that few have", filter(registry.Filter{Name: "00042"}, registry.ByName), 200},
		{"an owner of no agent", filter(registry.Filter{Owner: "none"}, registry.ByName), 1050},
		{"last seen", filter(registry.Filter{}, enroll.BySeen), 21_000},
	} {
		s.sum = spent{}
		page, total, err := s.enroller.Select(t.Context(), c.l)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		n := int64(-1)
		if total != nil {
			n = *total
		}
		t.Logf("%-32s %4d agents, total %6d: %8.1f read units", c.name, len(page.Agents), n, s.sum.reads)
		if s.sum.reads > c.most || s.sum.writes != 0 {
			t.Errorf("%s: %.1f read and %.1f write units, want at most %.0f and none", c.name, s.sum.reads, s.sum.writes, c.most)
		}
	}
}

// A job costs at most twelve write units an agent, whether its certificate is delivered or its owner is notified.
func TestPriceOfAJob(t *testing.T) {
	const agents, most = 8, 12
	client := clientOf(database(t))
	for _, deliver := range []agent.Delivery{agent.SecretsManager, agent.Notify} {
		s, err := openShop(t.Context(), client, "job-"+string(deliver)+"-")
		if err != nil {
			t.Fatal(err)
		}
		by := audit.By{Actor: "test"}
		for n := range agents {
			if _, err := s.enroller.Enroll(t.Context(), enroll.Request{
				Name:    "payments-reconciliation-" + strings.Repeat("i", n+1),
				Profile: agent.Profile{Capabilities: []string{"payments:read", "ledger:write"}},
				By:      by,
				Deliver: deliver,
			}); err != nil {
				t.Fatal(err)
			}
		}
		run := s.parts.HygieneJob(func(context.Context) bool { return false })
		for round := range 3 { // an entry of an index need not move at first
			s.ahead.Add(int64(24 * time.Hour))
			s.sum = spent{}
			job, err := s.enroller.RotateMany(t.Context(), enroll.Order{By: by, All: true})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := run.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if job, err = s.enroller.Job(t.Context(), job.ID); err != nil || job.Open() || job.Failed > 0 {
				t.Fatalf("%s: job %+v, %v", deliver, job, err)
			}
			reads, writes := s.sum.reads/agents, s.sum.writes/agents
			t.Logf("%s, job %d: %.1f read and %.1f write units an agent", deliver, round, reads, writes)
			if writes > most {
				t.Errorf("%s, job %d: %.1f write units an agent, want at most %d", deliver, round, writes, most)
			}
		}
	}
}
