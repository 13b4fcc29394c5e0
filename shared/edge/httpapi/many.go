package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// manyBody orders new certificates for many agents. Its filter has the parameters of the list that take away agents.
type manyBody struct {
	Filter struct {
		Q          *string         `json:"q"`
		Method     *string         `json:"method"`
		Status     *string         `json:"status"`
		Due        *int64          `json:"due"`
		Owner      *string         `json:"owner"`
		Generation json.RawMessage `json:"generation"`
	} `json:"filter"`
	DryRun bool `json:"dry_run"`
	All    bool `json:"all"`
}

// order reads the filter as the list reads its parameters. Error: ErrJSON, which names all that are wrong.
func (b manyBody) order(now time.Time) (enroll.Order, error) {
	values := url.Values{}
	for name, v := range map[string]*string{
		"q":      b.Filter.Q,
		"method": b.Filter.Method,
		"status": b.Filter.Status,
		"owner":  b.Filter.Owner,
	} {
		if v != nil {
			values.Set(name, *v)
		}
	}
	if b.Filter.Due != nil {
		values.Set("due", strconv.FormatInt(*b.Filter.Due, 10))
	}
	q := &listingQuery{values: values, now: now}
	switch raw := string(b.Filter.Generation); {
	case raw == "", raw == "null":
	case raw == strconv.Quote(notCurrent):
		values.Set("generation", notCurrent)
	case strings.HasPrefix(raw, `"`):
		q.wrong = append(q.wrong, fmt.Sprintf("generation takes a number without quotes, or %q", notCurrent))
	default:
		values.Set("generation", raw)
	}
	l := q.filter()
	if l.Status == agent.Deactivated {
		q.wrong = append(q.wrong, "status takes active: a deactivated agent has no certificate")
	}
	if len(q.wrong) > 0 {
		return enroll.Order{}, fmt.Errorf("%w: filter: %s", ErrJSON, strings.Join(q.wrong, "; "))
	}
	return enroll.Order{Filter: l.Filter, NotCurrent: l.NotCurrent, All: b.All}, nil
}

func (h agents) rotateMany(w http.ResponseWriter, r *http.Request) error {
	var body manyBody
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	if err := decode(r, &body, false); err != nil {
		return err
	}
	order, err := body.order(h.Now())
	if err != nil {
		return err
	}
	order.By = CallOf(r.Context()).By
	if order.Once, err = named(r, body, begun); err != nil {
		return err
	}
	if body.DryRun {
		found, err := h.Forecast(r.Context(), order)
		if err != nil {
			return err
		}
		write(w, http.StatusOK, "application/json", forecastAnswer(found))
		return nil
	}
	job, err := h.RotateMany(r.Context(), order)
	if err != nil {
		return err
	}
	located(w, job.ID)
	begun(job).write(w)
	return nil
}

// forecastAnswer says what a job would be for.
type forecastAnswer struct {
	Methods  map[agent.Method]int64 `json:"agents"` // by method
	Reissue  int64                  `json:"reissue"`
	Notify   int64                  `json:"notify"`
	Complete bool                   `json:"complete"`
}

// maxJobID is more than any job's id has.
const maxJobID = 64

func located(w http.ResponseWriter, id string) { w.Header().Set("Location", "/v1/admin/jobs/"+id) }

func begun(job registry.Job) answer { return answer{http.StatusAccepted, describeJob(job)} }

// jobAnswer is a job and how far it is.
type jobAnswer struct {
	ID      string     `json:"job_id"`
	State   string     `json:"state"` // running or finished
	BeganAt time.Time  `json:"began_at"`
	EndedAt *time.Time `json:"ended_at"` // null: it goes on
	By      string     `json:"ordered_by"`
	Total   *int64     `json:"total"` // agents that it was for when it began; null: too many to count
	registry.JobCounts
}

func describeJob(j registry.Job) jobAnswer {
	d := jobAnswer{
		ID:        j.ID,
		State:     "running",
		BeganAt:   stored(j.Began),
		By:        j.Actor,
		JobCounts: j.JobCounts,
	}
	if j.Total >= 0 {
		d.Total = &j.Total
	}
	if !j.Open() {
		d.State, d.EndedAt = "finished", instant(j.Ended)
	}
	return d
}

func (h agents) job(w http.ResponseWriter, r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	id := r.PathValue("job_id")
	if len(id) > maxJobID {
		return enroll.ErrNoJob
	}
	job, err := h.Job(r.Context(), id)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, "application/json", describeJob(job))
	return nil
}
