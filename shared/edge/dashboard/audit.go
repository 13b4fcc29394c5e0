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

// auditView is the audit trail, as far as a filter lets it through.
type auditView struct {
	Form   formView // the filter
	Rows   []auditRow
	Events []audit.Event // to choose from
	Next   string        // address of the next page
	CSV    string        // addresses of the same rows as files
	NDJSON string
	Head   *auditlog.Head // nil: unknown at the moment
	Seal   formView       // the forms that verify and pack
	Days   []pair         // ready-made periods
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
	v := auditView{Form: f, Events: knownEvents, Seal: fresh(auditPath+"/verify", nil), Days: d.days()}
	if head, err := d.Trail.Head(r.Context(), ""); err == nil {
		v.Head = &head
	}
	if len(f.Errors) == 0 {
		q.Limit, q.Live = auditPage, true
		found, err := d.Trail.Export(r.Context(), q)
		if name := filterField(err); name != "" {
			v.Form = fresh(auditPath, f.Values, field{name, d.problem(r, err).Detail})
		} else if err != nil {
			return err
		}
		for _, row := range found.Rows {
			_, err := agent.ParseID(row.Subject)
			v.Rows = append(v.Rows, auditRow{describe(row), err == nil})
		}
		if found.Next != "" {
			v.Next = filterURL(auditPath, f.Values, "cursor", found.Next)
		}
	}
	v.CSV, v.NDJSON = filterURL(auditPath+"/export", f.Values, "format", "csv"),
		filterURL(auditPath+"/export", f.Values, "format", "ndjson")
	d.render(w, r, v.Form.Status, page{Name: "audit", Section: "audit", Title: "Audit trail", Content: v})
	return nil
}

// days are periods to choose with one click.
func (d *Dashboard) days() []pair {
	today := d.Now().UTC()
	var all []pair
	for _, p := range []struct {
		name string
		days int
	}{{"Today", 0}, {"7 days", 6}, {"30 days", 29}} {
		all = append(all, pair{
			Name:  p.name,
			Value: auditPath + "?" + url.Values{"start": {today.AddDate(0, 0, -p.days).Format(time.DateOnly)}}.Encode(),
		})
	}
	return all
}

// filter reads the filter. Without a period it is today and yesterday: a trail of years is too long for a default.
func (d *Dashboard) filter(values url.Values) (auditlog.Query, formView) {
	f := url.Values{}
	for _, name := range []string{"start", "end", "subject", "event_type", "actor"} {
		f.Set(name, strings.TrimSpace(values.Get(name)))
	}
	if f.Get("start") == "" && f.Get("end") == "" && f.Get("subject") == "" {
		f.Set("start", d.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly))
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

func filterURL(path string, f url.Values, name, value string) string {
	q := url.Values{name: {value}}
	for n := range f {
		if v := f.Get(n); v != "" {
			q.Set(n, v)
		}
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
