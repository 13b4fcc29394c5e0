package model

import (
	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// order has hygiene name every agent to its owner.
func (m *machine) order(t *rapid.T) {
	over := m.troubled(t)
	_, _ = m.Enroll.RotateMany(m.ctx, enroll.Order{By: audit.By{Actor: "test"}, All: true})
	over()
}

func (m *machine) hygiene(t *rapid.T) {
	m.keeping(t, func() { _, _ = m.Hygiene.Run(m.ctx) })
}

// checkJobs: no agent has two rows of one job, and each row is counted, once its page is.
func (m *machine) checkJobs(t *rapid.T) {
	page, err := m.Store.Agents(m.ctx, registry.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[any]int64{}
	for _, a := range page.Agents {
		chain, err := m.Store.Rows(m.ctx, string(a.ID), 0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		own := map[any]bool{}
		for _, r := range chain {
			id, ok := r.Details["job_id"]
			if !ok {
				continue
			}
			if own[id] {
				t.Fatalf("%s has two rows of job %v", a.ID, id)
			}
			own[id] = true
			rows[id]++
		}
	}
	jobs, err := m.Store.Jobs(m.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		// A delivery that failed behind its row has one.
		if n, done := rows[j.ID], j.Reissued+j.Notified; done > n || !j.Open() && n > done+j.Failed {
			t.Fatalf("job %+v has %d rows", j, n)
		}
	}
}

// jobsEnd: with the trouble over, a run for each job that was begun ends them all.
func (m *machine) jobsEnd(t *rapid.T) {
	for range registry.JobsKept {
		if _, err := m.Hygiene.Run(m.ctx); err != nil {
			t.Fatalf("hygiene after the trouble: %v", err)
		}
	}
	jobs, err := m.Store.Jobs(m.ctx)
	if open := registry.OpenJob(jobs); err != nil || open != nil {
		t.Fatalf("after the trouble, job %+v goes on: %v", open, err)
	}
	m.checkJobs(t)
}
