package dynamo_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/schema"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

var large = flag.Int("rows", 5_000, "rows of TestExportOfManyRows; 100,000 take a minute, without the race detector")

// Pages over a real index: every row once, in order, and every chain whole.
func TestExportOfManyRows(t *testing.T) {
	const chains, perDay = 1_000, 40_000
	client, prefix := tables(t)
	began := time.Now()
	start := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	rows := make(chan []types.WriteRequest, 64)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for batch := range rows {
				if err := put(t.Context(), client, prefix+schema.Audit, batch); err != nil {
					t.Error(err)
				}
			}
		})
	}
	heads := make([]audit.Head, chains)
	var batch []types.WriteRequest
	for n := range *large {
		subject := fmt.Sprintf("acme::%04d", n%chains)
		if n%chains == 0 {
			subject = "acme"
		}
		row, head, err := heads[n%chains].Append(audit.Entry{
			Time:    start.Add(time.Duration(n) * 24 * time.Hour / perDay),
			Event:   audit.AgentCertRotated,
			Actor:   "admin:v1",
			Subject: subject,
			Details: map[string]any{"cert_thumbprint": fmt.Sprintf("%064x", n), "generation": int64(1), "reason": "hygiene"},
		})
		if err != nil {
			t.Fatal(err)
		}
		heads[n%chains] = head
		item, err := dynamo.RowItem(row)
		if err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}}); len(batch) == 25 ||
			n == *large-1 {
			rows <- batch
			batch = nil
		}
	}
	close(rows)
	wg.Wait()
	filled := time.Since(began)

	began = time.Now()
	now := start.Add(time.Duration(*large)*24*time.Hour/perDay + time.Hour)
	export := auditlog.NewTrail(auditlog.TrailConfig{
		Store: dynamo.New(dynamo.Config{Client: client, Prefix: prefix}),
		OrgID: "acme",
		Now:   func() time.Time { return now },
	})
	v := bundle.NewVerifier(bundle.VerifierConfig{})
	pages, last := 0, ""
	for q := (auditlog.Query{Limit: 5_000}); ; pages++ {
		page, err := export.Export(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		for _, r := range page.Rows {
			if r.ID <= last {
				t.Fatalf("row %s behind %s", r.ID, last)
			}
			last = r.ID
			line, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			text.Write(append(line, '\n'))
		}
		if err := v.Events(fmt.Sprint("page ", pages), bundle.NewLines(&text)); err != nil {
			t.Fatal(err)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	r := v.Finish(nil)
	if !r.OK || r.Rows != int64(*large) || r.Chains != chains {
		t.Errorf("%+v", r)
	}
	t.Logf("%d rows: filled in %s; exported on %d pages and verified in %s", *large, filled.Round(time.Second), pages+1,
		time.Since(began).Round(time.Second))
}

func put(ctx context.Context, client *awsdynamodb.Client, table string, batch []types.WriteRequest) error {
	for len(batch) > 0 {
		out, err := client.BatchWriteItem(ctx,
			&awsdynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: batch}})
		if err != nil {
			return err
		}
		batch = out.UnprocessedItems[table]
	}
	return nil
}
