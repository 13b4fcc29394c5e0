package dynamo_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// upkeep is hygiene over DynamoDB; keys and secrets are in memory.
type upkeep struct {
	*counter
	store   *dynamo.Store
	secrets *inmemory.Secrets
	over    func() bool
	due     []agent.ID
	size    int
}

var today = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

// newUpkeep returns a table with agents. The first ones are due, every other one for delivery.
func newUpkeep(t *testing.T, size, due int) (*upkeep, *hygiene.Job) {
	t.Helper()
	client, prefix := tables(t)
	u := &upkeep{
		counter: &counter{API: client},
		secrets: &inmemory.Secrets{},
		over:    func() bool { return false },
		size:    size,
	}
	u.store = dynamo.New(dynamo.Config{Client: u.counter, Prefix: prefix})
	now, newID, log, keys := func() time.Time { return today }, rand.Text, slog.New(slog.DiscardHandler),
		inmemory.NewKeys()
	makes := rotateca.NewCeremony(rotateca.CeremonyConfig{
		Store:       u.store,
		Keys:        keys,
		OrgID:       "orga",
		TrustDomain: "mastio.test",
		Now:         now,
		NewID:       newID,
		Log:         log,
	})
	rotator := rotateca.New(rotateca.Config{
		Store:    u.store,
		Ceremony: makes,
		OrgID:    "orga",
		Now:      now,
		NewID:    newID,
		Log:      log,
		Trust:    func(context.Context) (string, error) { return "1", nil },
	})
	if _, err := rotator.Do(t.Context(), rotateca.Request{
		Mode:       rotateca.Mint,
		SkipBackup: true,
		By:         audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	u.populate(t, client, prefix, due)
	u.counter.calls = nil
	return u, hygiene.New(hygiene.Config{
		Store:   u.store,
		Secrets: u.secrets,
		Over:    func(context.Context) bool { return u.over() },
		Now:     now,
		NewID:   newID,
		Log:     log,
		Issuer: agentcert.Issuer{
			Store:       u.store,
			Keys:        keys,
			OrgID:       "orga",
			TrustDomain: "mastio.test",
			Now:         now,
			NewID:       newID,
		},
	})
}

func (u *upkeep) populate(t *testing.T, client *awsdynamodb.Client, prefix string, due int) {
	t.Helper()
	var batch []types.WriteRequest
	for n := range u.size {
		begin := today
		a := agent.Agent{ID: agent.ID(fmt.Sprintf("orga::agent-%05d", n)), Method: agent.Minted, Status: agent.Active}
		if n < due {
			begin = today.AddDate(0, 0, -340)
			u.due = append(u.due, a.ID)
		}
		if n%2 == 1 {
			a.Hygiene.Deliver = agent.SecretsManager
		}
		a.Pins = []agent.Pin{{
			Thumbprint: fmt.Sprintf("%064x", n),
			Generation: 1,
			NotBefore:  begin,
			NotAfter:   begin.AddDate(1, 0, 0),
		}}
		batch = append(batch, types.WriteRequest{PutRequest: &types.PutRequest{Item: dynamo.AgentItem(a)}})
		if len(batch) == 25 || n == u.size-1 {
			if _, err := client.BatchWriteItem(t.Context(),
				&awsdynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{prefix +
					schema.Registry: batch}}); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
	// An index may lag behind.
	for n := int64(-1); n != int64(due); {
		var err error
		if n, err = u.store.CountDue(t.Context(), registry.DueQuery{At: today}); err != nil || t.Context().Err() != nil {
			t.Fatalf("%d are due, %v; want %d", n, err, due)
		}
	}
}

// settled: interrupted is how many agents a kill may have hit between the staging of a version and its row, so that
// another version was staged for them.
func (u *upkeep) settled(t *testing.T, interrupted int64) {
	t.Helper()
	for n, id := range u.due {
		rows, err := u.store.Rows(t.Context(), string(id), 0, 10)
		want := audit.AgentCertDue
		if n%2 == 1 {
			want = audit.AgentCertRotated
		}
		if err != nil || len(rows) != 1 || rows[0].EventType != want {
			t.Errorf("rows of %s: %v, %v; want one of %s", id, rows, err, want)
		}
	}
	if got, want := u.secrets.Calls()["Stage"], len(u.due)/2; got < want || got > want+int(interrupted) {
		t.Errorf("%d versions staged, want %d and at most %d more", got, want, interrupted)
	}
}

// scaled is a tenth of n with -short.
func scaled(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// Of 10,000 agents 300 are due, with -short 30 of 1,000. The first run's context ends in the middle of it, wherever its
// calls are; the second one finishes what it finds.
func TestHygieneKilledAndResumed(t *testing.T) {
	u, job := newUpkeep(t, scaled(10_000), scaled(300))
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	var begun atomic.Int64
	u.secrets.Fault = func(op string, after bool) error {
		if op == "Stage" && after && begun.Add(1) == int64(scaled(60)) {
			kill()
		}
		return nil
	}
	u.over = func() bool { return ctx.Err() != nil }
	first, err := job.Run(ctx)
	if err == nil {
		t.Fatalf("the first run was not killed: %+v", first)
	}
	u.over = func() bool { return false }
	u.secrets.Fault = nil
	second, err := job.Run(t.Context())
	if err != nil || second.Failed != 0 {
		t.Fatalf("runs: %+v, then %+v, %v", first, second, err)
	}
	t.Logf("killed: %+v; resumed: %+v", first, second)
	u.settled(t, first.Failed)
	last, err := job.Run(t.Context())
	if err != nil || last != (hygiene.Report{}) {
		t.Errorf("last run: %+v, %v", last, err)
	}
}

// What a run asks of DynamoDB is the same among 100 agents and among 10,000, with -short 1,000.
func TestHygieneCostsWhatIsDue(t *testing.T) {
	cost := func(size int) map[string]int {
		u, job := newUpkeep(t, size, 30)
		r, err := job.Run(t.Context())
		if err != nil || r != (hygiene.Report{Due: 30, Rotated: 15, Notified: 15}) {
			t.Fatalf("run: %+v, %v", r, err)
		}
		spent := maps.Clone(u.counter.calls)
		u.settled(t, 0)
		t.Logf("%d agents, 30 due: %+v, calls to DynamoDB %v, to Secrets Manager %v", size, r, spent, u.secrets.Calls())
		return spent
	}
	if diff := cmp.Diff(cost(100), cost(scaled(10_000))); diff != "" {
		t.Errorf("calls (-100 agents +many):\n%s", diff)
	}
}

func TestExpiringAsksEachShardOnce(t *testing.T) {
	u, _ := newUpkeep(t, 100, 30)
	if found, err := u.store.Expiring(t.Context(), today, today); err != nil || !found {
		t.Errorf("expiring: %t, %v", found, err)
	}
	if diff := cmp.Diff(map[string]int{"Query": schema.Shards}, u.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
