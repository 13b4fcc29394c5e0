package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

const (
	bulkPath = "/proxy/rotate"
	jobPath  = "/proxy/jobs/"
)

// bulkView is an order for many agents before it is given: for those that were selected, or for all of a list.
type bulkView struct {
	Back     string // the list
	Selected []agent.ID
	Filter   agentFilter
	Outlook  outlook
	Job      *registry.Job // the one that runs; nil: none does
	Form     formView
}

// Fields are the parameters of the list, for the form.
func (v bulkView) Fields() map[string]string { return v.Filter.fields() }

// outlook is what an order would do.
type outlook struct {
	Total           int64 // negative: not known
	Exact           bool  // the two below are known
	Reissue, Notify int64
}

// outlookMost is how many agents are looked at for it.
const outlookMost = 200

func (d *Dashboard) outlook(r *http.Request, o enroll.Order, sort registry.Sort) (outlook, error) {
	found, total, err := d.Enroll.Select(r.Context(), enroll.Selection{
		Filter:     o.Filter,
		NotCurrent: o.NotCurrent,
		Sort:       sort,
		Limit:      outlookMost,
		Untold:     o.Filter.Among != "",
	})
	if err != nil {
		return outlook{}, err
	}
	v := outlook{Total: uncounted, Exact: found.Next == ""}
	for _, a := range found.Agents {
		switch {
		case a.Status != agent.Active:
		case a.Delivers():
			v.Reissue++
		default:
			v.Notify++
		}
	}
	if v.Exact {
		v.Total = v.Reissue + v.Notify
	} else if total != nil {
		v.Total = *total
	}
	return v, nil
}

// orderOf reads an order out of an address or a form: the ids that were selected, else what the list is narrowed to.
func (d *Dashboard) orderOf(values url.Values) (v bulkView, o enroll.Order, err error) {
	v.Filter = readListing(values)
	v.Filter.Sort, v.Filter.Beginning = "", false
	v.Back = v.Filter.url("")
	if values.Has("selected") {
		for _, text := range values["id"] {
			id, err := agent.ParseID(text)
			if err != nil {
				return v, o, err
			}
			v.Selected = append(v.Selected, id)
		}
		o.Filter.Among = registry.Among(v.Selected...)
		return v, o, nil
	}
	if !v.Filter.orderable() {
		return v, o, errPage
	}
	s := d.selection(v.Filter)
	s.Filter.Status = agent.Active
	o = enroll.Order{Filter: s.Filter, NotCurrent: s.NotCurrent, All: v.Filter.Whole()}
	return v, o, nil
}

var (
	errNoneSelected = errors.New("no agent is selected")
	errTooMany      = errors.New("too many agents are selected")
)

// bulkPage shows what the order would do.
func (d *Dashboard) bulkPage(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	v, o, err := d.orderOf(values)
	if err != nil {
		return err
	}
	return d.showBulk(w, r, v, o, values)
}

// checkSelection returns what is wrong with a selection.
func checkSelection(v bulkView, values url.Values) error {
	switch {
	case !values.Has("selected"):
		return nil
	case len(v.Selected) == 0:
		return errNoneSelected
	case len(v.Selected) > pageSize:
		return errTooMany
	}
	return nil
}

func (d *Dashboard) showBulk(
	w http.ResponseWriter, r *http.Request, v bulkView, o enroll.Order, values url.Values, problems ...field,
) error {
	if wrong := checkSelection(v, values); wrong != nil {
		problems = append(problems, field{"", "Select 1 to 50 agents in the list first."})
	} else {
		sort := registry.ByName
		if !values.Has("selected") {
			sort = d.selection(v.Filter).Sort
		}
		var err error
		if v.Outlook, err = d.outlook(r, o, sort); err != nil {
			return err
		}
	}
	running, err := d.Enroll.Running(r.Context())
	if err != nil {
		return err
	}
	v.Job, v.Form = running, fresh(bulkPath, values, problems...)
	d.render(w, r, v.Form.Status, page{Name: "bulk", Section: "agents", Title: "Rotate many agents", Content: v})
	return nil
}

// bulk gives the order.
func (d *Dashboard) bulk(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	v, o, err := d.orderOf(f)
	if err != nil {
		return err
	}
	if checkSelection(v, f) != nil {
		return d.showBulk(w, r, v, o, f)
	}
	if d.Strict != nil {
		if err := d.Strict(r.Context()); err != nil {
			return err
		}
	}
	s := visitOf(r.Context()).Session
	if err := d.Door.Once(r.Context(), s, "rotate many "+f.Get("number")); err != nil {
		return err
	}
	o.By = d.by(r)
	job, err := d.Enroll.RotateMany(r.Context(), o)
	if errors.Is(err, enroll.ErrJobRunning) {
		return d.showBulk(w, r, v, o, f, field{"", "Another order is being carried out. Only one is at a time."})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, jobPath+job.ID, http.StatusSeeOther)
	return nil
}

// jobView is an order that was given.
type jobView struct {
	registry.Job
	Percent int64
	Text    string
}

func jobOf(j registry.Job) jobView {
	v, done := jobView{Job: j}, j.Reissued+j.Notified+j.Failed
	v.Text = plural(int(done), "agent") + " dealt with"
	if j.Total >= 0 {
		v.Text = fmt.Sprintf("%s of %s dealt with", count(int(done)), plural(int(j.Total), "agent"))
	}
	switch {
	case !j.Open():
		v.Percent = 100
	case j.Total > 0:
		v.Percent = min(99, 100*done/j.Total)
	}
	return v
}

// job shows how far an order is; to a script as JSON.
func (d *Dashboard) job(w http.ResponseWriter, r *http.Request) error {
	j, err := d.Enroll.Job(r.Context(), r.PathValue("job_id"))
	if err != nil {
		return err
	}
	v := jobOf(j)
	if strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(map[string]any{"open": j.Open(), "percent": v.Percent, "text": v.Text,
			"reissued": count(int(j.Reissued)), "notified": count(int(j.Notified)), "failed": count(int(j.Failed))})
	}
	d.render(w, r, http.StatusOK, page{Name: "job", Section: "agents", Title: "Order for many agents", Content: v})
	return nil
}
