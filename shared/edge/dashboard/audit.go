package dashboard

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

const (
	auditPath = "/proxy/audit"
	auditPage = 80 // rows of a page: a hundred come close to what a page may weigh
	// MaxBundle is how many octets a bundle may take on a page, where it is spelt in base64 and then once more in JSON.
	MaxBundle = 3_500_000
)

// auditView is the audit trail, as far as a filter lets it through, newest first.
type auditView struct {
	Form   formView // the filter
	Active []chipLink
	Days   []chipLink // ready-made periods
	Rows   []auditRow
	Count  string        // how many events match; empty: this is a later page
	Events []audit.Event // to choose from
	First  string        // addresses of the first page and of the one with earlier events
	Next   string
	CSV    string // addresses of the same rows as files
	NDJSON string
	Head   *auditlog.Head // nil: unknown at the moment
	Seal   formView       // the forms that verify and pack
}

type auditRow struct {
	event
	Agent bool // the subject has a page
}

var knownEvents = []audit.Event{
	audit.OrgCARotated, audit.OrgCARolledBack, audit.OverlapEnded, audit.OrgCACreated, audit.OrgCAStaged,
	audit.RotationScheduled, audit.RotationDropped, audit.RotationCancelled, audit.OrgCADiscarded, audit.OrgCARetired,
	audit.RotationWave, audit.RotationHalted, audit.RotationLate, audit.RotationFinished, audit.ReissuePaused,
	audit.ReissueResumed,
	audit.OrgCAUploadRefused, audit.AgentEnrolled, audit.AgentCertRotated, audit.AgentCertRenewed,
	audit.AgentCertActivated, audit.AgentCertDue, audit.AgentHygieneSet,
	audit.AgentUpdated, audit.AgentCredentialSuspect,
	audit.AgentDeactivated, audit.AdminLoginRefused, audit.CheckpointMade,
}

func (d *Dashboard) audit(w http.ResponseWriter, r *http.Request) error {
	q, f := d.filter(r.URL.Query())
	v := auditView{Form: f, Events: knownEvents, Seal: fresh(auditPath+"/verify", nil), Days: d.days(f.Values)}
	if head, err := d.Trail.Head(r.Context(), ""); err == nil {
		v.Head = &head
	}
	if len(f.Errors) == 0 {
		q.Limit = auditPage
		found, err := d.Trail.Latest(r.Context(), q)
		if name := filterField(err); name != "" {
			v.Form = fresh(auditPath, f.Values, field{name, d.problem(r, err).Detail})
		} else if err != nil {
			return err
		}
		v.show(found, q.Cursor != "")
	}
	v.Active = activeFilters(v.Form.Values)
	v.CSV, v.NDJSON = filterURL(auditPath+"/export", f.Values, "format", "csv"),
		filterURL(auditPath+"/export", f.Values, "format", "ndjson")
	d.render(w, r, v.Form.Status, page{Name: "audit", Section: "audit", Title: "Audit trail", Content: v})
	return nil
}

// show fills the page with what was found.
func (v *auditView) show(found auditlog.Latest, later bool) {
	for _, row := range found.Rows {
		_, err := agent.ParseID(row.Subject)
		v.Rows = append(v.Rows, auditRow{describe(row), err == nil})
	}
	if found.Next != "" {
		v.Next = filterURL(auditPath, v.Form.Values, "cursor", found.Next)
	}
	switch {
	case later:
		v.First = filterURL(auditPath, v.Form.Values, "", "")
	case found.AtLeast && found.Count > 0:
		v.Count = "More than " + plural(found.Count, "event")
	default:
		v.Count = plural(found.Count, "event")
	}
}

// filterNames are the fields of the filter and what each is called, in the order of the form.
var filterNames = []pair{{Name: "start", Value: "From"}, {Name: "end", Value: "To"},
	{Name: "event_type", Value: "Event"}, {Name: "subject", Value: "About"}, {Name: "actor", Value: "By"}}

// activeFilters are the fields that hold back events, each with a link that takes it away.
func activeFilters(f url.Values) []chipLink {
	var all []chipLink
	for _, name := range filterNames {
		value := f.Get(name.Name)
		if value == "" {
			continue
		}
		rest := url.Values{}
		for _, other := range filterNames {
			if other.Name != name.Name {
				rest.Set(other.Name, f.Get(other.Name))
			}
		}
		to := filterURL(auditPath, rest, "", "")
		if rest.Get("start") == "" && rest.Get("end") == "" && rest.Get("subject") == "" {
			to = filterURL(auditPath, rest, "period", "all") // or a default would take its place
		}
		all = append(all, chipLink{Text: name.Value + " " + shownFilter(name.Name, value), To: to})
	}
	return all
}

func shownFilter(name, value string) string {
	switch name {
	case "start", "end":
		if t, err := time.Parse(time.DateOnly, value); err == nil {
			return day(t)
		}
	case "event_type":
		return eventTitle(audit.Event(value))
	case "actor":
		return shortActor(value)
	}
	return value
}

// usualDays is the period of a filter that names none: with the newest events first, a week is what an operator looks
// for.
const usualDays = 7

// days are periods to choose with one click. The other fields of the filter stay.
func (d *Dashboard) days(f url.Values) []chipLink {
	today := d.Now().UTC()
	var all []chipLink
	for _, p := range []struct {
		name string
		days int
	}{{"Today", 1}, {"7 days", usualDays}, {"30 days", 30}, {"All", 0}} {
		next := url.Values{}
		for _, name := range []string{"event_type", "subject", "actor"} {
			next.Set(name, f.Get(name))
		}
		c := chipLink{Text: p.name}
		if p.days == 0 {
			c.To, c.On = filterURL(auditPath, next, "period", "all"), f.Get("start") == "" && f.Get("end") == ""
		} else {
			start := today.AddDate(0, 0, 1-p.days).Format(time.DateOnly)
			c.To, c.On = filterURL(auditPath, next, "start", start), f.Get("start") == start && f.Get("end") == ""
		}
		all = append(all, c)
	}
	return all
}

// filter reads the filter. Without a period it is the last days, unless the whole trail is asked for, or one chain.
func (d *Dashboard) filter(values url.Values) (auditlog.Query, formView) {
	f := url.Values{}
	for _, name := range filterNames {
		f.Set(name.Name, strings.TrimSpace(values.Get(name.Name)))
	}
	if values.Get("period") == "all" {
		f.Set("period", "all")
	} else if f.Get("start") == "" && f.Get("end") == "" && f.Get("subject") == "" {
		f.Set("start", d.Now().UTC().AddDate(0, 0, 1-usualDays).Format(time.DateOnly))
	}
	q := auditlog.Query{
		Subject: f.Get("subject"),
		Event:   audit.Event(f.Get("event_type")),
		Actor:   f.Get("actor"),
		Cursor:  values.Get("cursor"),
	}
	var problems []field
	for name, at := range map[string]*time.Time{"start": &q.Start, "end": &q.End} {
		if f.Get(name) == "" {
			continue
		}
		var err error
		if *at, err = time.Parse(time.DateOnly, f.Get(name)); err != nil {
			problems = append(problems, field{name, "Give a day, as in 2026-11-24."})
		}
	}
	if !q.End.IsZero() {
		q.End = q.End.AddDate(0, 0, 1) // the day itself belongs to it
	}
	return q, fresh(auditPath, f, problems...)
}

// filterField names the field that a refused filter is about.
func filterField(err error) string {
	switch {
	case errors.Is(err, auditlog.ErrPeriod):
		return "start"
	case errors.Is(err, auditlog.ErrEvent):
		return "event_type"
	}
	return ""
}

// filterURL is an address with the fields of a filter, and one parameter more if it has a name.
func filterURL(path string, f url.Values, name, value string) string {
	q := url.Values{}
	if name != "" {
		q.Set(name, value)
	}
	for n := range f {
		if v := f.Get(n); v != "" {
			q.Set(n, v)
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// export hands out the rows of a filter as a file.
func (d *Dashboard) export(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	q, f := d.filter(values)
	if len(f.Errors) > 0 {
		return auditlog.ErrPeriod
	}
	found, err := d.Trail.Export(r.Context(), q)
	if err != nil {
		return err
	}
	format := values.Get("format")
	body, mediaType, err := d.Rows(format, found.Rows)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Disposition",
		fmt.Sprintf("attachment; filename=%q", "audit-"+d.OrgID+"-"+d.Now().UTC().Format("20060102-150405")+"."+format))
	_, err = w.Write(body)
	return err
}

// toAudit answers a GET of a form's address.
func (d *Dashboard) toAudit(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, auditPath, http.StatusSeeOther)
	return nil
}

// verdictView is what a verification found.
type verdictView struct {
	auditlog.Verdict
	At time.Time
}

// verify changes nothing, and what it finds is stored nowhere: the answer to the form is the only place for it.
func (d *Dashboard) verify(w http.ResponseWriter, r *http.Request) error {
	if _, err := d.form(w, r); err != nil {
		return err
	}
	verdict, err := d.Trail.Verify(r.Context())
	if err != nil {
		return err
	}
	d.render(w, r, http.StatusOK, page{
		Name:    "verdict",
		Section: "audit",
		Title:   "Audit trail verified",
		Content: verdictView{verdict, d.Now()},
	})
	return nil
}

// bundleView is a bundle to save.
type bundleView struct {
	auditlog.BundlePart
	Name string
	Link template.URL
	Form formView // for the next part
}

// bundle answers with a page that holds the bundle. As a separate file it would go through API Gateway as text,
// because a browser's Accept header begins with text.
func (d *Dashboard) bundle(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	from, err := strconv.ParseInt(f.Get("from"), 10, 64)
	if err != nil || from < 1 {
		return auditlog.ErrParts
	}
	packed, err := d.Trail.Bundle(r.Context(), auditlog.Parts{From: from})
	if err != nil {
		return err
	}
	v := bundleView{
		BundlePart: packed,
		Link:       dataURL("application/gzip", packed.TarGz),
		Form:       fresh(auditPath+"/bundle", nil),
		Name: fmt.Sprintf("audit-%s-%d-%d.tar.gz", packed.Manifest.MadeAt[:len(time.DateOnly)], packed.Manifest.First,
			packed.Manifest.Last),
	}
	d.render(w, r, http.StatusOK, page{Name: "bundle", Section: "audit", Title: "Bundle for an auditor", Content: v})
	return nil
}
