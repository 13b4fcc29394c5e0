package dynamo_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/registry"
)

// vault takes backups as DynamoDB does, or answers with an error for a table.
type vault struct {
	errs map[string]error
	bare bool // answers without an ARN

	mu    sync.Mutex
	calls []string
}

func (v *vault) CreateBackup(
	_ context.Context, in *awsdynamodb.CreateBackupInput, _ ...func(*awsdynamodb.Options),
) (*awsdynamodb.CreateBackupOutput, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, *in.TableName+" "+*in.BackupName)
	if err := v.errs[*in.TableName]; err != nil {
		return nil, err
	}
	if v.bare {
		return &awsdynamodb.CreateBackupOutput{}, nil
	}
	return &awsdynamodb.CreateBackupOutput{BackupDetails: &types.BackupDetails{BackupArn: aws.String("arn:" +
		*in.TableName)}}, nil
}

func TestBackup(t *testing.T) {
	v := &vault{}
	got, err := dynamo.NewBackups(v, "p-").Backup(t.Context(), "name")
	if diff := cmp.Diff([]string{"arn:p-registry", "arn:p-audit"}, got); err != nil || diff != "" {
		t.Errorf("%v, ARNs (-want +got):\n%s", err, diff)
	}
	slices.Sort(v.calls)
	if diff := cmp.Diff([]string{"p-audit name", "p-registry name"}, v.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestBackupThatFails(t *testing.T) {
	for name, err := range map[string]error{
		"throttled": &types.LimitExceededException{}, "being backed up": &types.BackupInUseException{},
		"no point in time recovery": &types.ContinuousBackupsUnavailableException{},
		"unheard of":                errors.New("reset by peer"),
	} {
		for _, table := range []string{"registry", "audit"} {
			v := &vault{errs: map[string]error{table: err}}
			b := dynamo.NewBackups(v, "")
			got, failed := b.Backup(t.Context(), "name")
			if !errors.Is(failed, err) || errors.Is(failed, registry.ErrUnsupported) || got != nil {
				t.Errorf("%s, table %s: %v, %v; want the cause and no ARN", name, table, got, failed)
			}
			v.errs = nil
			if _, err := b.Backup(t.Context(), "name"); err != nil {
				t.Errorf("%s: a failure was remembered: %v", name, err)
			}
		}
	}
	if got, err := dynamo.NewBackups(&vault{bare: true}, "").Backup(t.Context(), "name"); err == nil {
		t.Errorf("an answer without an ARN was taken for a backup: %v", got)
	}
}

// Endpoints without backups are asked once. The test uses the real client, because the client separates the kinds of
// refusals.
func TestEndpointsWithoutBackups(t *testing.T) {
	for _, c := range []struct {
		name        string
		status      int
		body        string
		unsupported bool
	}{
		{"DynamoDB Local", 400,
			`{"__type":"com.amazonaws.dynamodb.v20120810#UnknownOperationException","message":"An unknown operation was requested."}`, true},
		{"LocalStack", 501, `{"__type":"InternalFailure","message":"not yet implemented"}`, true},
		{"denied", 400, `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not authorized"}`, false},
		{"broken", 400, `{"__type":"com.amazonaws.dynamodb.v20120810#TableNotFoundException","message":"none"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			asked := 0
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				asked++
				if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".CreateBackup") {
					t.Errorf("asked for %s", r.Header.Get("X-Amz-Target"))
				}
				w.WriteHeader(c.status)
				w.Write([]byte(c.body))
			}))
			defer web.Close()
			b := dynamo.NewBackups(dynamo.NewClient(config(web.URL)), "")
			for range 2 {
				if _, err := b.Backup(t.Context(), "name"); errors.Is(err, registry.ErrUnsupported) != c.unsupported || err == nil {
					t.Errorf("%v, want unsupported: %v", err, c.unsupported)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if want := map[bool]int{true: 2, false: 4}[c.unsupported]; asked != want {
				t.Errorf("%d requests in two backups of two tables, want %d", asked, want)
			}
		})
	}
}

// What DynamoDB Local says is what the code above takes for its words.
func TestBackupOnTheDatabaseOfTheTests(t *testing.T) {
	client, prefix := tables(t)
	arns, err := dynamo.NewBackups(client, prefix).Backup(t.Context(), "mastio-test")
	if given == "" && !errors.Is(err, registry.ErrUnsupported) {
		t.Errorf("DynamoDB Local: %v, %v; want ErrUnsupported", arns, err)
	}
	if err == nil && len(arns) != 2 {
		t.Errorf("ARNs %v, want two", arns)
	}
}
