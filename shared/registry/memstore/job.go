package memstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/mastio-aws/mastio/shared/registry"
)

// Job reads a job.
func (s *Store) Job(ctx context.Context, id string) (found *registry.Job, err error) {
	err = s.read(ctx, "Job", "read a job", func() {
		if j, ok := s.jobs[id]; ok {
			found = &j
		}
	})
	return found, err
}

// Jobs reads the last jobs.
func (s *Store) Jobs(ctx context.Context) (found []registry.Job, err error) {
	err = s.read(ctx, "Jobs", "read the last jobs", func() {
		for _, j := range s.jobs {
			found = append(found, j)
		}
	})
	slices.SortFunc(found, func(a, b registry.Job) int {
		return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(b.ID, a.ID)) // ids of tests are not in order
	})
	return found[:min(len(found), registry.JobsKept)], err
}

func cloneJob(j registry.Job) registry.Job {
	j.Began, j.Ended, j.Filter.DueAt = stamp(j.Began), stamp(j.Ended), stamp(j.Filter.DueAt)
	return j
}
