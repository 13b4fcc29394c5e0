package inmemory_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// The run of each minute works on a job, not only that of each day.
func TestJobIsDoneWithinAMinute(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	admit(t, m, "a")
	job := must[registry.Job](t)(m.Enroll.RotateMany(t.Context(), enroll.Order{By: audit.By{Actor: "test"}, All: true}))
	m.Parts.AgentSecretsKey = "key"
	hygiene := lambda.NewHandler(must[any](t)(boot.Hygiene(m.Parts)))
	for range 2 {
		if _, err := hygiene.Invoke(t.Context(), []byte(`{"reissue":true}`)); err != nil {
			t.Fatal(err)
		}
		job = must[registry.Job](t)(m.Enroll.Job(t.Context(), job.ID))
		if want := (registry.JobCounts{Notified: 1}); job.Open() || job.JobCounts != want {
			t.Errorf("job %+v, want it ended with %+v", job, want)
		}
	}
}
