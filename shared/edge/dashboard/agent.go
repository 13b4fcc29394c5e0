package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// activity is how many events of a chain a page shows.
const activity = 15

// agentView is one agent.
type agentView struct {
	agentRow
	Counts    bool
	Rotatable bool // its certificate is issued here
	Pins      []agent.Pin
	Events    []event
	Earlier   int64 // events that are not shown
	Done      string
	Form      formView
}

// Path is the address of the agent's page.
func (v agentView) Path() string { return "/proxy/agents/" + string(v.ID) }

func (d *Dashboard) agent(w http.ResponseWriter, r *http.Request) error {
	v, err := d.look(r)
	if err != nil {
		return err
	}
	if v.Events, v.Earlier, err = d.events(r.Context(), string(v.ID), v.Head.Seq); err != nil {
		return err
	}
	v.Done = v.done(r.URL.Query().Get("done"))
	d.render(w, r, http.StatusOK, page{Name: "agent", Section: "agents", Title: v.ID.Name(), Content: v})
	return nil
}

// done says what a form has just done, as far as the agent shows it.
func (v agentView) done(what string) string {
	active := v.Status == agent.Active
	switch {
	case what == "deactivated" && !active:
		return "Deactivated. None of its certificates gets a token any more."
	case what == "saved" && active:
		return "Saved."
	case what == "enrolled" && active:
		return "Enrolled. The agent gets tokens with its certificate."
	case what == "awaited" && active:
		return "Enrolled. The agents' domain is learning the agent's CA; until then, for some minutes, it answers 403."
	}
	return ""
}

// look reads the agent that a request is about.
func (d *Dashboard) look(r *http.Request) (agentView, error) {
	id, err := agent.ParseID(r.PathValue("agent_id"))
	if err != nil {
		return agentView{}, err
	}
	a, counts, err := d.Enroll.Agent(r.Context(), id)
	if err != nil {
		return agentView{}, err
	}
	org, err := d.Registry.Org(r.Context())
	if err != nil {
		return agentView{}, err
	}
	seen, err := d.Enroll.LastSeen(r.Context(), a)
	if err != nil {
		return agentView{}, err
	}
	v := agentView{agentRow: d.row(a, org, seen), Counts: counts, Pins: a.Pins}
	v.Rotatable = a.Method == agent.Minted && a.Status == agent.Active
	return v, nil
}

// event is a row of a chain in words.
type event struct {
	audit.Row
	Title string
	Kind  string
	When  string
	About []pair
}

type pair struct {
	Name, Value string
	Hex         bool
	Small       string // where there is little room: "aside" is not shown, "bare" has no name
}

// Who is the short name of the actor; the whole name links to the actor's rows of that day.
func (e event) Who() string { return shortActor(e.Actor) }

// WhoURL is where everything stands that the actor did on the day of the event.
func (e event) WhoURL() string {
	q := url.Values{"actor": {e.Actor}}
	if len(e.Timestamp) > len(time.DateOnly) {
		q.Set("start", e.Timestamp[:len(time.DateOnly)])
		q.Set("end", q.Get("start"))
	}
	return auditPath + "?" + q.Encode()
}

// Name is what the event is about, without the organisation where that is clear.
func (e event) Name() string {
	if id, err := agent.ParseID(e.Subject); err == nil {
		return id.Name()
	}
	return e.Subject
}

// At is when the event happened; the zero time if its row does not say it.
func (e event) At() time.Time { return rowAt(e.Row) }

// Clock is When in a column whose head says that it is UTC.
func (e event) Clock() string { return strings.TrimSuffix(e.When, " UTC") }

// events reads the end of a chain, newest first: one query.
func (d *Dashboard) events(ctx context.Context, subject string, last int64) ([]event, int64, error) {
	earlier := max(last-activity, 0)
	rows, err := d.Registry.Rows(ctx, subject, earlier, 2*activity) // some may have come since
	if err != nil {
		return nil, 0, err
	}
	all := make([]event, len(rows))
	for n, row := range rows {
		all[n] = describe(row)
	}
	slices.Reverse(all)
	return all, earlier, nil
}

func (d *Dashboard) deactivatePage(w http.ResponseWriter, r *http.Request) error {
	v, err := d.look(r)
	if err != nil {
		return err
	}
	d.showDeactivate(w, r, v, fresh(v.Path()+"/deactivate", nil))
	return nil
}

func (d *Dashboard) showDeactivate(w http.ResponseWriter, r *http.Request, v agentView, f formView) {
	v.Form = f
	d.render(w, r, f.Status, page{Name: "deactivate", Section: "agents", Title: "Deactivate " + v.ID.Name(), Content: v})
}

func (d *Dashboard) deactivate(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	v, err := d.look(r)
	if err != nil {
		return err
	}
	given, problems := why(f)
	if confirmed(f, v.ID.Name()) != nil {
		problems = append(problems, field{"confirm", "Type the agent's name, " + v.ID.Name() + ", to deactivate it."})
	}
	if len(problems) > 0 {
		d.showDeactivate(w, r, v, fresh(v.Path()+"/deactivate", f, problems...))
		return nil
	}
	// Doing it twice is doing it once, so the form needs no number.
	err = d.Enroll.Deactivate(r.Context(), enroll.Deactivation{
		Agent:  v.ID,
		Reason: given,
		By:     d.by(r),
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, v.Path()+"?done=deactivated", http.StatusSeeOther)
	return nil
}

// titles are the events in the operator's words, each with the kind of its mark.
var titles = map[audit.Event][2]string{
	audit.AgentEnrolled:          {"Enrolled", "good"},
	audit.AgentCertRotated:       {"Certificate rotated", "info"},
	audit.AgentDeactivated:       {"Deactivated", "off"},
	audit.OrgCACreated:           {"Org CA created", "good"},
	audit.OrgCAStaged:            {"Org CA staged", "off"},
	audit.OrgCARotated:           {"Org CA rotated", "info"},
	audit.OrgCARolledBack:        {"Org CA rolled back", "warn"},
	audit.OverlapEnded:           {"Overlap ended", "info"},
	audit.RotationScheduled:      {"Rotation scheduled", "info"},
	audit.RotationDropped:        {"Scheduled rotation dropped", "bad"},
	audit.RotationCancelled:      {"Scheduled rotation cancelled", "off"},
	audit.RotationWave:           {"Next wave of a re-issue", "info"},
	audit.RotationHalted:         {"Re-issue halted", "bad"},
	audit.RotationLate:           {"Waves no longer fit the overlap", "warn"},
	audit.RotationFinished:       {"Re-issue finished", "good"},
	audit.ReissuePaused:          {"Re-issue paused", "warn"},
	audit.ReissueResumed:         {"Re-issue resumed", "info"},
	audit.OrgCADiscarded:         {"Staged Org CA discarded", "off"},
	audit.OrgCARetired:           {"Org CA retired", "off"},
	audit.OrgCAUploadRefused:     {"Upload of an Org CA refused", "bad"},
	audit.AdminLoginRefused:      {"Sign-ins refused", "bad"},
	audit.AgentCertRenewed:       {"Renewed by the agent", "info"},
	audit.AgentCertActivated:     {"Renewal in use", "off"},
	audit.AgentCredentialSuspect: {"Credential suspect", "bad"},
	audit.AgentUpdated:           {"Profile changed", "off"},
	audit.AgentHygieneSet:        {"Hygiene set", "off"},
	audit.AgentCertDue:           {"Certificate due", "warn"},
	audit.CheckpointMade:         {"Audit trail sealed", "off"},
}

// details are what is shown of an event, in this order; the rest is in the export.
var details = []struct {
	key, name, prefix string
	hex               bool
	small             string
}{
	{"generation", "Org CA", "G", false, "bare"}, {"previous_generation", "before it", "G", false, "aside"},
	{"cert_thumbprint", "certificate", "", true, "aside"},
	{"fingerprint", "fingerprint", "", true, ""}, {"previous_thumbprint", "replaced", "", true, "aside"},
	{"evidence", "evidence", "", false, "bare"}, {"other_agent", "shared with", "", false, ""},
	{"method", "method", "", false, "aside"},
	{"source", "source", "", false, "aside"}, {"codes", "because of", "", false, ""},
	{"reason", "reason", "", false, "bare"}, {"comment", "comment", "", false, "aside"},
	{"source_ip", "from", "", false, "aside"},
}

// eventTitle is an event in the operator's words.
func eventTitle(e audit.Event) string {
	if t, ok := titles[e]; ok {
		return t[0]
	}
	return string(e)
}

func describe(row audit.Row) event {
	e := event{Row: row, Title: string(row.EventType), Kind: "off", When: momentOf(row.Timestamp)}
	if t, ok := titles[row.EventType]; ok {
		e.Title, e.Kind = t[0], t[1]
	}
	for _, want := range details {
		if text := plain(row.Details[want.key]); text != "" {
			e.About = append(e.About, pair{want.name, want.prefix + text, want.hex, want.small})
		}
	}
	for _, name := range []string{"grace", "overlap"} {
		if seconds, ok := row.Details[name+"_seconds"].(float64); ok && seconds > 0 {
			e.About = append(e.About, pair{
				Name:  name,
				Value: lasting(time.Duration(seconds) * time.Second),
				Small: "aside",
			})
		}
	}
	return e
}

// plain writes a detail as text; nothing for what says nothing.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		if v == "unspecified" {
			return ""
		}
		return v
	case float64: // as encoding/json reads numbers
		if v == 0 {
			return ""
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, plain(one))
		}
		return strings.Join(all, ", ")
	}
	return ""
}
