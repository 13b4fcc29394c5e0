package httpapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

const manyPath = "/v1/admin/agents:rotate"

type jobState struct {
	ID       string     `json:"job_id"`
	State    string     `json:"state"`
	EndedAt  *time.Time `json:"ended_at"`
	By       string     `json:"ordered_by"`
	Total    *int64     `json:"total"`
	Reissued int64      `json:"reissued"`
	Notified int64      `json:"notified"`
	Failed   int64      `json:"failed"`
}

// endedJob is the id of a job that is over.
func (w *world) endedJob() string {
	job := registry.Job{ID: w.NewID(), Actor: "test", Began: w.Now(), Ended: w.Now()}
	if err := w.Store.Apply(context.Background(), registry.Change{ID: w.NewID(), Job: &job}); err != nil {
		panic(err)
	}
	return job.ID
}

// fleet enrols two agents with deliveries, one without, one by BYOCA and one by SPIFFE.
func (w *world) fleet(t *testing.T) {
	t.Helper()
	for _, body := range []string{`{"agent_name":"a","owner":"Team A","hygiene":{"deliver":"secretsmanager"}}`,
		`{"agent_name":"b","hygiene":{"deliver":"secretsmanager"}}`, `{"agent_name":"c"}`} {
		w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(body))).into(t, 201, &holder{})
	}
	leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
	w.postBYOCA(t, byocaRequest(t, "byo", leaf)).into(t, 201, &enrolAnswer{})
	identity := svid(t, w.orgCA(t), "spiffe://mastio.test/ns/default/sa/kyc", w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "spi", identity)).into(t, 201, &enrolAnswer{})
}

func TestRotateMany(t *testing.T) {
	w := open(t, memstore.Config{})
	w.fleet(t)
	type forecast struct {
		Agents   map[string]int64 `json:"agents"`
		Reissue  int64            `json:"reissue"`
		Notify   int64            `json:"notify"`
		Complete bool             `json:"complete"`
	}
	methods := func(minted, byoca, spiffe int64) map[string]int64 {
		return map[string]int64{"minted": minted, "byoca": byoca, "spiffe": spiffe}
	}
	for filter, want := range map[string]forecast{
		`{},"all":true`:                      {methods(3, 1, 1), 2, 3, true},
		`{"q":"B"}`:                          {methods(1, 1, 0), 1, 1, true},
		`{"method":"spiffe"}`:                {methods(0, 0, 1), 0, 1, true},
		`{"owner":"team a"}`:                 {methods(1, 0, 0), 1, 0, true},
		`{"generation":1}`:                   {methods(3, 1, 0), 2, 2, true},
		`{"generation":"not_current"}`:       {methods(0, 0, 0), 0, 0, true},
		`{"due":90}`:                         {methods(0, 0, 0), 0, 0, true},
		`{"status":"active"},"all":true`:     {methods(3, 1, 1), 2, 3, true},
		`{"q":null,"generation":1,"due":90}`: {methods(0, 0, 0), 0, 0, true},
	} {
		var got forecast
		body := `{"dry_run":true,"filter":` + filter + `}`
		w.send(t, event("POST", manyPath, admin, jsonBody(body))).into(t, 200, &got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filter, diff)
		}
	}
	w.Advance(time.Hour)
	var job, again, now jobState
	begin := event("POST", manyPath, admin, jsonBody(`{"all":true}`), header("Idempotency-Key", "one"))
	first := w.send(t, begin)
	first.into(t, 202, &job)
	path := "/v1/admin/jobs/" + job.ID
	if job.State != "running" || job.EndedAt != nil || job.By == "" || first.header.Get("Location") != path {
		t.Errorf("began %+v at %q", job, first.header.Get("Location"))
	}
	repeated := w.send(t, begin)
	repeated.into(t, 202, &again)
	if diff := cmp.Diff(job, again); diff != "" || repeated.header.Get("Location") != path {
		t.Errorf("repeated: Location %q (-want +got):\n%s", repeated.header.Get("Location"), diff)
	}
	second := event("POST", manyPath, admin, jsonBody(`{"filter":{"q":"a"}}`))
	w.refuse(t, manyPath, refusal{"a second job", second, 409, "job_running"})
	if refused := w.send(t, second); !strings.Contains(string(refused.body), path) {
		t.Errorf("the refusal does not say where the running job is: %s", refused.body)
	}
	if _, err := w.Hygiene.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.send(t, event("GET", path, admin)).into(t, 200, &now)
	if now.State != "finished" || now.EndedAt == nil || now.Total == nil || *now.Total != 5 ||
		now.Reissued != 2 || now.Notified != 3 || now.Failed != 0 {
		t.Errorf("in the end: %+v", now)
	}
}

func TestRotateManyRefusals(t *testing.T) {
	w := open(t, memstore.Config{})
	for _, c := range []struct{ body, code string }{
		{`{}`, "filter_empty"},
		{`{"filter":{}}`, "filter_empty"},
		{`{"filter":{},"dry_run":true}`, "filter_empty"},
		{`{"filter":{"status":"active"}}`, "filter_empty"},
		{`{"filter":{"owner":null}}`, "filter_empty"},
		{`{"filter":{"owner":""}}`, "json_invalid"},
		{`{"filter":{"status":"deactivated"}}`, "json_invalid"},
		{`{"filter":{"method":"acme"}}`, "json_invalid"},
		{`{"filter":{"generation":"1"}}`, "json_invalid"},
		{`{"filter":{"generation":0}}`, "json_invalid"},
		{`{"filter":{"generation":1.5}}`, "json_invalid"},
		{`{"filter":{"generation":[1]}}`, "json_invalid"},
		{`{"filter":{"generation":"current"}}`, "json_invalid"},
		{`{"filter":{"due":91}}`, "json_invalid"},
		{`{"filter":{"name":"a"}}`, "json_invalid"},
		{`{"filter":{"sort":"name"}}`, "json_invalid"},
		{`{"all":"true"}`, "json_invalid"},
	} {
		w.refuse(t, manyPath, refusal{c.body, event("POST", manyPath, admin, jsonBody(c.body)), 400, c.code})
	}
	w.refuse(t, "/v1/admin/jobs/{job_id}", refusal{"no such job", event("GET", "/v1/admin/jobs/none", admin), 404,
		"job_not_found"})
}
