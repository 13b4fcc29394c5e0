package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

// jobText is what a job does.
const jobText = "A job is for many agents: those with deliver=secretsmanager get a new certificate in their\n" +
	"secret, and every other one is named to its owner."

// many is a selection of agents whose certificates are rotated by one job.
type many struct {
	agentFilter
	all bool
}

func (m *many) options(a *app, cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&m.all, "all", false, "a job for every active agent")
	f.StringVar(&m.q, "q", "", "a job for the agents with this `part` in their names")
	f.StringVar(&m.method, "method", "", "a job for agents that are minted, byoca or spiffe")
	f.StringVar(&m.owner, "owner", "", "a job for the agents of this owner")
	f.StringVar(&m.generation, "generation", "",
		"a job for agents under the Org CA of this `number`, or not_current")
	f.StringVar(&m.due, "due", "", "a job for certificates that are due within so many `days`: 30d")
	f.BoolVarP(&m.watch, "watch", "w", false, "then watch the job until it ends")
	f.BoolVarP(&a.yes, "yes", "y", false, "do not ask before a job begins")
}

// chosen reports whether an option asks for a job.
func (m *many) chosen() bool { return m.all || len(m.query()) > 1 } // the query has limit in any case

// wanted reports whether the command is for a job. It is not for one agent and for many.
func (m *many) wanted(cmd *cobra.Command, args []string) (bool, error) {
	if !m.chosen() {
		if len(args) == 0 || !cmd.Flags().Changed("out") {
			return false, errors.New("say NAME and --out for one agent; or --all, --q, --method, --owner, --generation " +
				"or --due for a job")
		}
		if m.watch {
			return false, errors.New("--watch is for a job; one agent's certificate is there at once")
		}
		return false, nil
	}
	if len(args) > 0 {
		return false, errors.New("NAME is one agent, and the other options ask for a job for many: say one of the two")
	}
	for _, name := range []string{"out", "replace", "grace", "validity-days", "reason", "comment"} {
		if cmd.Flags().Changed(name) {
			return false, fmt.Errorf("--%s is for one agent: a job takes no such thing", name)
		}
	}
	return true, nil
}

// body is the request. The API takes the numbers of a filter as numbers.
func (m *many) body(dryRun bool) ([]byte, error) {
	filter := map[string]any{}
	q := m.query()
	for _, name := range []string{"q", "method", "owner", "generation", "due"} {
		value := q.Get(name)
		if value == "" {
			continue
		}
		filter[name] = value
		if name != "due" && (name != "generation" || value == "not_current") {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("--%s takes a number, not %q", name, value)
		}
		filter[name] = n
	}
	return json.MarshalIndent(map[string]any{"filter": filter, "all": m.all, "dry_run": dryRun}, "", "  ")
}

// rotateMany begins a job, or asks the Mastio what a job would be for. It begins none after an error in the options.
func (a *app) rotateMany(ctx context.Context, m *many, misuse error) error {
	if misuse != nil {
		return misuse
	}
	body, err := m.body(a.dryRun)
	if err != nil {
		return err
	}
	r := api.Request{Method: http.MethodPost, Path: agentsPath + ":rotate", Body: body}
	if a.dryRun {
		return a.forecast(ctx, r)
	}
	if err := a.confirm("This begins a job. " + jobText + "\n--dry-run says how many."); err != nil {
		return err
	}
	answer, err := a.do(ctx, r, true)
	if err != nil {
		return err
	}
	var j job
	if err := decode(answer, &j); err != nil {
		return err
	}
	if m.watch && a.form == string(screen.TableForm) {
		return a.watchJob(ctx, j, interval)
	}
	if err := a.printJob(j, answer.Body); err != nil || !m.watch {
		return err
	}
	return a.watchJob(ctx, j, interval)
}

// forecast shows the answer of the Mastio to a dry run, which changes nothing.
func (a *app) forecast(ctx context.Context, r api.Request) error {
	c, err := a.operators(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	answer, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	var out struct {
		Agents   map[string]int64 `json:"agents"`
		Reissue  int64            `json:"reissue"`
		Notify   int64            `json:"notify"`
		Complete bool             `json:"complete"`
	}
	if err := decode(answer, &out); err != nil {
		return err
	}
	rows := [][]string{
		{"new certificate", fmt.Sprintf("%d agents, in their secrets", out.Reissue)},
		{"notice", fmt.Sprintf("%d agents, to their owners", out.Notify)},
	}
	for _, method := range []string{"minted", "byoca", "spiffe"} {
		rows = append(rows, []string{method, strconv.FormatInt(out.Agents[method], 10)})
	}
	if !out.Complete {
		rows = append(rows, []string{"", "there are more agents than one request can count"})
	}
	rows = append(rows, []string{"", "dry run: nothing was changed"})
	return a.screen().Write(screen.Result{Table: screen.Table{Rows: rows}, Whole: json.RawMessage(answer.Body)})
}

// job is a rotation of many agents, as the API answers it.
type job struct {
	ID       string    `json:"job_id"`
	State    string    `json:"state"`
	Began    time.Time `json:"began_at"`
	Ended    *instant  `json:"ended_at"`
	Total    *int64    `json:"total"`
	Reissued int64     `json:"reissued"`
	Notified int64     `json:"notified"`
	Failed   int64     `json:"failed"`
}

func (a *app) printJob(j job, body json.RawMessage) error {
	total := "an unknown number of agents"
	if j.Total != nil {
		total = fmt.Sprintf("%d agents", *j.Total)
	}
	rows := [][]string{
		{"job", j.ID},
		{"state", j.State},
		{"for", total},
		{"so far", fmt.Sprintf("%d with a new certificate, %d named to their owners, %d failed", j.Reissued, j.Notified,
			j.Failed)},
	}
	return a.screen().Write(screen.Result{
		Table: screen.Table{Rows: rows},
		Whole: body,
		Names: []string{j.ID},
	})
}

// watchJob looks at a job until it ends.
func (a *app) watchJob(ctx context.Context, j job, every time.Duration) error {
	path, last := "/v1/admin/jobs/"+url.PathEscape(j.ID), ""
	for {
		raw, err := a.read(ctx, api.Request{Path: path}, &j)
		if err != nil {
			return err
		}
		line := a.jobLine(j)
		if err := a.tick(raw, line, last); err != nil {
			return err
		}
		last = line
		if j.State == "finished" && j.Failed > 0 {
			return a.close("", &verdict{refused, fmt.Sprintf("%d agents got no certificate; hygiene tries them again",
				j.Failed)})
		}
		if j.State == "finished" {
			return a.close("The job has ended.", nil)
		}
		if a.client.Wait(ctx, every) != nil {
			return a.close("", nil)
		}
	}
}

// jobLine is the state of a job in one line.
func (a *app) jobLine(j job) string {
	done := j.Reissued + j.Notified + j.Failed
	parts := []string{fmt.Sprintf("job %s: %d with a new certificate, %d named to their owners", j.ID, j.Reissued,
		j.Notified)}
	if j.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", j.Failed))
	}
	if j.Total != nil {
		parts[0] = screen.Bar(done, *j.Total) + "  " + parts[0]
		if left, ok := screen.Remaining(done, 0, *j.Total, a.now().Sub(j.Began)); ok && left > 0 {
			parts = append(parts, "about "+screen.Span(left)+" to go")
		}
	}
	return strings.Join(parts, ", ")
}
