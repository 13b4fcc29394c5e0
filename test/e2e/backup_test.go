package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/schema"
)

// forgetful gives the function rotateca a new instance, which asks for backups again, and one more when the test is
// over.
func (m *target) forgetful(t *testing.T) {
	t.Helper()
	needsFaults(t)
	m.Lambda.Kill("rotateca")
	t.Cleanup(func() { m.Lambda.Kill("rotateca") })
}

// DynamoDB Local has no backups: the rotation says so, and its row too.
func TestRotationWhereThereAreNoBackups(t *testing.T) {
	m := borrow(t)
	m.forgetful(t)
	m.standby(t)
	var result map[string]any
	first := m.faults.count(func() { result = m.rotateCA(t) })
	if diff := cmp.Diff(any(map[string]any{"status": "unsupported", "arns": []any{}}), result["backup"]); diff != "" {
		t.Errorf("backup (-want +got):\n%s", diff)
	}
	if first["dynamodb.CreateBackup"] != 2 {
		t.Errorf("calls of the first rotation: %v, want a request for each of two tables", first)
	}
	rows := m.chain(t, "orga")
	if diff := cmp.Diff(result["backup"], rows[len(rows)-1].Details["backup"]); diff != "" {
		t.Errorf("answer and row differ:\n%s", diff)
	}
	skipped := m.operator().must(t, 200, "POST", "/pki/rotate-ca?mode=mint&backup=skip", m.admin(), nil).decode(t)
	if diff := cmp.Diff(any(map[string]any{"status": "skipped", "arns": []any{}}), skipped["backup"]); diff != "" {
		t.Errorf("backup (-want +got):\n%s", diff)
	}
	m.operator().must(t, 400, "POST", "/pki/rotate-ca?mode=mint&backup=no", m.admin(), nil)
	m.operator().must(t, 400, "POST", "/pki/rotate-ca?mode=finalise&backup=skip", m.admin(), nil)
}

func TestRotationIsPrecededByBackups(t *testing.T) {
	m := borrow(t)
	m.forgetful(t)
	m.standby(t)
	var mu sync.Mutex
	var asked []string
	m.faults.stand(t, "dynamodb.CreateBackup", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ TableName, BackupName string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, in.TableName+" "+in.BackupName)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		fmt.Fprintf(w,
			`{"BackupDetails":{"BackupArn":"arn:aws:dynamodb:us-east-1:000000000000:table/%s/backup/01","BackupName":%q,
			"BackupStatus":"CREATING","BackupType":"USER","BackupCreationDateTime":%d}}`, in.TableName, in.BackupName, time.Now().Unix())
	})
	result := m.rotateCA(t)
	arn := func(table string) any {
		return "arn:aws:dynamodb:us-east-1:000000000000:table/" + m.TablePrefix() + table + "/backup/01"
	}
	want := map[string]any{"status": "requested", "arns": []any{arn(schema.Registry), arn(schema.Audit)}}
	if diff := cmp.Diff(any(want), result["backup"]); diff != "" {
		t.Errorf("backup (-want +got):\n%s", diff)
	}
	slices.Sort(asked)
	if len(asked) != 2 ||
		!regexp.MustCompile(`^`+m.TablePrefix()+`audit mastio-orga-before-mint-f[0-9]+-[0-9A-Z]{26}$`).MatchString(asked[0]) {
		t.Errorf("asked for %q", asked)
	}
}

// A backup that DynamoDB refuses refuses the rotation, and nothing has changed; the answer says how to do without.
func TestRotationWithoutItsBackupIsRefused(t *testing.T) {
	m := borrow(t)
	m.forgetful(t)
	m.standby(t)
	agent := m.enrol(t, fresh("backup"))
	before := m.state(t)
	m.faults.stand(t, "dynamodb.CreateBackup", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w,
			`{"__type":"com.amazon.coral.service#AccessDeniedException","message":"arn:aws:iam::000000000000:role/x may not"}`)
	})
	a := m.operator().must(t, 503, "POST", "/pki/rotate-ca?mode=mint", m.admin(), nil)
	problem := a.decode(t)
	if problem["code"] != "backup_failed" || a.header.Get("Retry-After") == "" ||
		!regexp.MustCompile(`backup=skip`).MatchString(fmt.Sprint(problem["detail"])) {
		t.Errorf("answer: %s, Retry-After %q", a.body, a.header.Get("Retry-After"))
	}
	if regexp.MustCompile(`arn:|AccessDenied`).Match(a.body) {
		t.Errorf("the answer tells the cause: %s", a.body)
	}
	after := m.state(t)
	if after.Lease.Holder != "" {
		t.Errorf("the lease is still held: %+v", after.Lease)
	}
	before.Lease, after.Lease = orgca.Lease{}, orgca.Lease{} // its fence has moved
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("a refused rotation changed (-before +after):\n%s", diff)
	}
	m.newClient(agent.certificate(t)).must(t, 200, "POST", tokenPath, nil, nil)
	m.operator().must(t, 200, "POST", "/pki/rotate-ca?mode=mint&backup=skip", m.admin(), nil)
	m.newClient(agent.certificate(t)).must(t, 401, "POST", tokenPath, nil, nil)
}
