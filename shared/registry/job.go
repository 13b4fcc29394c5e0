package registry

import (
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
)

// Job is an operator's order to replace the certificates of many agents. It goes through the agents in the order of
// their ids, a page at a time; each page is one write of the job.
type Job struct {
	ID     string    // ULID
	Filter Filter    // as it was when the job began: DueAt and Not are of that time
	Actor  string    // who ordered it
	Began  time.Time // no two jobs have the same millisecond: agents are marked with it
	Ended  time.Time // zero: it goes on
	Cursor string    // of the last page; empty: it begins, or has ended
	Total  int64     // agents that the filter left when the job began; Uncountable: too many for one request
	JobCounts
	Version int64
}

// JobCounts is what became of the agents of a job's pages.
type JobCounts struct {
	Reissued int64 `json:"reissued"` // got a new certificate, in their secret
	Notified int64 `json:"notified"` // have a row agent.cert_due
	Failed   int64 `json:"failed"`   // got none; hygiene tries them again
}

// Uncountable is the Total of a job for more agents than a request can look at.
const Uncountable = -1

// JobsKept is how many jobs Store.Jobs returns at the most.
const JobsKept = 10

// JobTTL is how long a job can be read after its end. A store may keep it longer.
const JobTTL = 90 * 24 * time.Hour

// Open reports whether the job goes on.
func (j Job) Open() bool { return j.Ended.IsZero() }

// Add returns the counts of both.
func (c JobCounts) Add(more JobCounts) JobCounts {
	return JobCounts{c.Reissued + more.Reissued, c.Notified + more.Notified, c.Failed + more.Failed}
}

// Selection asks for the next page of a job's agents. It has agents that the filter leaves out: what a certificate
// changes must not change the page, or a job that is resumed would count fewer agents.
func (j Job) Selection(limit int) Selection {
	return Selection{
		Filter:  Filter{Name: j.Filter.Name, Method: j.Filter.Method, Among: j.Filter.Among},
		Sort:    ByName,
		Limit:   limit,
		Cursor:  j.Cursor,
		Keys:    100 * limit,
		Records: limit,
	}
}

// Dealt reports whether this job has replaced the agent's certificate, or named the agent to its owner.
func (j Job) Dealt(a agent.Agent) bool {
	return !a.Hygiene.Job.IsZero() && a.Hygiene.Job.UnixMilli() == j.Began.UnixMilli()
}

// Wants reports whether the job is for the agent.
func (j Job) Wants(a agent.Agent) bool { return a.Status == agent.Active && j.Filter.Matches(a) }

// OpenJob returns the job that is running; nil: none is. Two requests at once may begin two jobs; then it is the one
// that began last, so a late write of one request does not come between the pages of the other job.
func OpenJob(jobs []Job) (open *Job) {
	for n, j := range jobs {
		if j.Open() && (open == nil || j.Began.After(open.Began)) {
			open = &jobs[n]
		}
	}
	return open
}
