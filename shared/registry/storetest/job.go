package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

func fullJob(id string) registry.Job {
	return registry.Job{
		ID: id,
		Filter: registry.Filter{
			Name:       "kyc",
			Among:      "acme::kyc acme::pay ",
			Method:     agent.Minted,
			Status:     agent.Active,
			Owner:      "Team A",
			Generation: 3,
			Not:        2,
			DueAt:      noon.Add(time.Hour),
		},
		Actor:     "admin:1",
		Began:     noon,
		Ended:     noon.Add(time.Minute),
		Cursor:    "place",
		Total:     registry.Uncountable,
		JobCounts: registry.JobCounts{Reissued: 1, Notified: 2, Failed: 3},
	}
}

// A job is written under its version, and the last ten are found.
func jobs(t *testing.T, f fixture) {
	mustBeFull(t, fullJob("a").Filter)
	none, err := f.Job(t.Context(), "none")
	if err != nil || none != nil {
		t.Errorf("job that there is not: %+v, %v", none, err)
	}
	found, err := f.Jobs(t.Context())
	if err != nil || len(found) != 0 {
		t.Errorf("no jobs: %+v, %v", found, err)
	}
	var want []registry.Job
	for n := range registry.JobsKept + 2 {
		j := fullJob(fmt.Sprintf("job-%02d", n))
		f.apply(registry.Change{ID: newID(), Job: &j})
		j.Version++
		want = append([]registry.Job{j}, want...)
	}
	found, err = f.Jobs(t.Context())
	f.fails("jobs", err, nil)
	f.same("jobs", found, want[:registry.JobsKept])
	next := want[0]
	next.Ended, next.Cursor, next.Reissued = time.Time{}, "", 9
	for name, version := range map[string]int64{"that must not exist": 0, "of another version": 2} {
		other := next
		other.Version = version
		f.fails("job "+name, f.Apply(t.Context(), registry.Change{ID: newID(), Job: &other}), registry.ErrConflict)
	}
	f.apply(registry.Change{ID: newID(), Job: &next})
	next.Version++
	got, err := f.Job(t.Context(), next.ID)
	f.fails("job", err, nil)
	f.same("job", got, &next)
}
