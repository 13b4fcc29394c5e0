package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// The functions as Lambda runs them count wrong secrets for their address, and put them on the record.
func TestFunctionsCountAndRecordWrongSecrets(t *testing.T) {
	w := open(t, memstore.Config{})
	guess := event("GET", "/v1/admin/agents", header("X-Admin-Secret", "guess"))
	for range session.PerSource.Free {
		wantProblem(t, w.send(t, guess), http.StatusForbidden, "admin_secret_invalid")
	}
	wantProblem(t, w.send(t, guess), http.StatusTooManyRequests, "too_many_attempts")
	rows, err := w.Store.Rows(t.Context(), auditlog.RefusalSubject(inmemory.OrgID, audit.AdminLoginRefused), 0, 10)
	if err != nil || len(rows) != 1 || rows[0].Actor != "api" || rows[0].Details["source_ip"] != "192.0.2.7" {
		t.Errorf("rows = %+v, %v", rows, err)
	}
}
