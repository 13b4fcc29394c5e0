package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// mostNamed is the longest part of a name that can be asked for: a whole name.
const mostNamed = 64

// notCurrent stands for every generation but the current one.
const notCurrent = "not_current"

// listingQuery reads the parameters of a listing, and remembers every one that is wrong.
type listingQuery struct {
	values url.Values
	now    time.Time
	wrong  []string
}

// value is a parameter; ok: it is there. An empty one is wrong: its sender wants a filter.
func (q *listingQuery) value(name, takes string, valid func(string) bool) (string, bool) {
	if !q.values.Has(name) {
		return "", false
	}
	v := q.values.Get(name)
	if v == "" || !valid(v) {
		q.wrong = append(q.wrong, name+" takes "+takes)
		return "", false
	}
	return v, true
}

func (q *listingQuery) number(name, takes string, low, high int64) (int64, bool) {
	v, ok := q.value(name, takes, func(v string) bool {
		n, err := strconv.ParseInt(v, 10, 64)
		return err == nil && n >= low && n <= high
	})
	n, _ := strconv.ParseInt(v, 10, 64)
	return n, ok
}

func oneOf[T ~string](all []T) func(string) bool {
	return func(v string) bool { return slices.Contains(all, T(v)) }
}

const (
	mostDays       = int64(agent.Foresight / (24 * time.Hour))
	mostGeneration = 999_999
)

// filter reads what a listing and a job have in common.
func (q *listingQuery) filter() (l enroll.Selection) {
	l.Name, _ = q.value("q", fmt.Sprintf("1 to %d characters of a name", mostNamed),
		func(v string) bool { return len(v) <= mostNamed })
	method, _ := q.value("method", "minted, byoca or spiffe", oneOf(agent.Methods()))
	status, _ := q.value("status", "active or deactivated", oneOf([]agent.Status{agent.Active, agent.Deactivated}))
	l.Method, l.Status = agent.Method(method), agent.Status(status)
	l.Owner, _ = q.value("owner", "an owner of 1 to 200 characters",
		func(v string) bool { return (agent.Profile{Owner: v}).Check() == nil })
	if days, ok := q.number("due", fmt.Sprintf("0 to %d days", mostDays), 0, mostDays); ok {
		l.DueAt = q.now.Add(time.Duration(days) * 24 * time.Hour)
	}
	if l.NotCurrent = q.values.Get("generation") == notCurrent; !l.NotCurrent {
		l.Generation, _ = q.number("generation", "a number from 1 on or "+notCurrent, 1, mostGeneration)
	}
	return l
}

// listing reads all of them. Error: ErrQuery, which names all that are wrong; enroll.ErrLimit if the limit alone is.
func (q *listingQuery) listing() (enroll.Selection, error) {
	l := q.filter()
	l.Limit, l.Cursor = enroll.DefaultLimit, q.values.Get("cursor")
	if n, ok := q.number("limit", "1 to 1000", 1, enroll.MaxLimit); ok {
		l.Limit = int(n)
	}
	orders := []registry.Sort{registry.ByName, registry.ByDue, enroll.BySeen}
	sort, _ := q.value("sort", "name, due or last_seen", oneOf(orders))
	l.Sort = registry.Sort(sort)
	switch {
	case len(q.wrong) == 0:
		return l, nil
	case len(q.wrong) == 1 && strings.HasPrefix(q.wrong[0], "limit "):
		return l, enroll.ErrLimit
	}
	return l, fmt.Errorf("%w: %s", ErrQuery, strings.Join(q.wrong, "; "))
}

func (h agents) list(w http.ResponseWriter, r *http.Request) error {
	values, err := onlyQuery(r, "limit", "cursor", "q", "method", "status", "due", "owner", "generation", "sort")
	if err != nil {
		return err
	}
	l, err := (&listingQuery{values: values, now: h.Now()}).listing()
	if err != nil {
		return err
	}
	page, total, err := h.Select(r.Context(), l)
	if err != nil {
		return err
	}
	seen, err := h.LastSeen(r.Context(), page.Agents...)
	if err != nil {
		return err
	}
	found := make([]agentAnswer, len(page.Agents))
	for i, a := range page.Agents {
		found[i] = describe(a, seen)
	}
	write(w, http.StatusOK, "application/json", struct {
		Agents []agentAnswer `json:"agents"`
		Next   string        `json:"next_cursor,omitempty"`
		Total  *int64        `json:"total,omitempty"`
	}{found, page.Next, total})
	return nil
}
