package dashboard

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki/dn"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// pkiView is the page of the Org CA.
type pkiView struct {
	rotateca.Status
	Warnings []warnings.Row
	Missing  bool
	Expires  chip
	// ChainEnds is the earliest end in the chain.
	ChainEnds time.Time
	Moved     progressBar
	Chain     []link // of the current generation, issuing CA first
	Back      *rotateca.Previous
	Overlap   bool
	Accepted  []rotateca.Entry // earlier Org CAs in an overlap
	States    map[string]chip
	Older     string   // address of the next page of the history
	Cancel    formView // ends the scheduled rotation, or the warning about it
	Steps     formView // of a re-issue
	Timeline  timeline
}

// link is a certificate of a chain.
type link struct {
	Role, Subject, Fingerprint, Algorithm string
	NotBefore, NotAfter                   time.Time
}

func (d *Dashboard) pki(w http.ResponseWriter, r *http.Request) error {
	state, err := d.Health.Check(r.Context())
	if err != nil {
		return err
	}
	v, err := d.present(r)
	if err != nil {
		return err
	}
	if v.History, v.Older, err = olderThan(v.History, r.URL.Query()); err != nil {
		http.Redirect(w, r, pkiPath, http.StatusSeeOther)
		return nil //nolint:nilerr // the newest page is the answer
	}
	v.Warnings, v.Cancel = explained(state), fresh(cancelPath, nil)
	d.render(w, r, http.StatusOK, page{Name: "pki", Section: "pki", Title: "PKI", Content: v})
	return nil
}

const (
	pkiPath    = "/proxy/pki"
	historyMax = 40 // rows on a page
)

// olderThan is one page of the history, newest first, from below a generation on, and the address of the next one.
func olderThan(history []rotateca.Entry, query url.Values) (rows []rotateca.Entry, older string, err error) {
	if query.Has("before") {
		before, err := strconv.ParseInt(query.Get("before"), 10, 64)
		if err != nil {
			return nil, "", err
		}
		history = slices.DeleteFunc(history, func(e rotateca.Entry) bool { return e.Generation >= before })
	}
	if len(history) <= historyMax {
		return history, "", nil
	}
	rows = history[:historyMax]
	return rows, pkiPath + "?" + url.Values{"before": {strconv.FormatInt(rows[historyMax-1].Generation, 10)}}.Encode() +
		"#history", nil
}

// present reads the present state of the Org CA, and what can be done about it.
func (d *Dashboard) present(r *http.Request) (pkiView, error) {
	org, err := d.Registry.Org(r.Context())
	if err != nil {
		return pkiView{}, err
	}
	return d.presentOf(r, org, d.Progress.Of)
}

// presentOf is the state that look sees in what was read.
func (d *Dashboard) presentOf(
	r *http.Request, org registry.Org, look func(context.Context, registry.Org) (rotateca.Status, error),
) (v pkiView, err error) {
	v = pkiView{Missing: org.Pointer == nil, States: states}
	if v.Status, err = look(r.Context(), org); err != nil {
		return pkiView{}, err
	}
	v.Moved = movedOf(v.Progress)
	if org.Pointer != nil {
		v.ChainEnds = org.Pointer.Validity().Until
		v.Expires = expiry(v.ChainEnds, d.Now())
	}
	v.Overlap, v.Accepted = v.OverlapUntil != nil, accepted(v.History)
	if g, ok := org.Generation(v.Generation); ok {
		v.Chain = links(g.Chain())
	}
	v.Back, v.Steps, v.Timeline = back(org), fresh("/proxy/pki/reissue", nil), timelineOf(org, d.Now())
	return v, nil
}

// back is the generation that a rollback would make current.
func back(org registry.Org) *rotateca.Previous {
	if org.Pointer == nil || org.Pointer.Previous == 0 {
		return nil
	}
	g, ok := org.Generation(org.Pointer.Previous)
	if !ok || g.State != orgca.Superseded {
		return nil
	}
	return &rotateca.Previous{Generation: g.Number, Fingerprint: g.Fingerprint(), Status: g.State}
}

// states are the states of a generation, as chips.
var states = map[string]chip{
	"current":    {"good", "current", "signs new certificates"},
	"staged":     {"info", "staged", "ready to become current; nothing is issued under it"},
	"superseded": {"off", "superseded", "signs nothing more; kept so that what it signed can be verified"},
	"retired":    {"off", "retired", "no certificate of it counts, nor can any again"},
	"preparing":  {"info", "preparing", "is being made"},
}

func links(chain [][]byte) []link {
	var all []link
	for n, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil { // it was verified before it was stored
			continue
		}
		role := "issues agents' certificates"
		if n > 0 {
			role = "signed the one above"
		}
		all = append(all, link{
			Role:        role,
			Subject:     dn.String(c.RawSubject),
			Fingerprint: fingerprint(der),
			Algorithm:   algorithm(c),
			NotBefore:   c.NotBefore,
			NotAfter:    c.NotAfter,
		})
	}
	return all
}

// progressBar is how far the fleet has come, for a bar.
type progressBar struct {
	Known   bool
	Done    int64
	All     int64
	Left    int64
	Percent int64
	Methods []movedMethod
}

type movedMethod struct {
	Method    agent.Method
	Done, All int64
	Remedy    string
}

// Text is how many have moved, of how many.
func (m movedMethod) Text() string { return count(int(m.Done)) + " / " + count(int(m.All)) }

func movedOf(p *rotateca.Progress) progressBar {
	if p == nil {
		return progressBar{}
	}
	m := progressBar{Known: true, Done: p.ReEnrolled, All: p.Agents, Left: p.Remaining, Percent: 100}
	if p.Agents > 0 {
		m.Percent = p.ReEnrolled * 100 / p.Agents // rounded down: 100 means all
	}
	for _, method := range agent.Methods() {
		if of := p.PerMethod[method]; of.Agents > 0 {
			m.Methods = append(m.Methods, movedMethod{method, of.ReEnrolled, of.Agents, fleetRemedy(method)})
		}
	}
	return m
}

// fleetRemedy says how the agents of a method come to a certificate of a new Org CA.
func fleetRemedy(m agent.Method) string {
	switch m {
	case agent.Minted:
		return "Rotate each agent's certificate, here or with POST /registry/agents/{agent_id}/rotate-cert."
	case agent.BYOCA:
		return "Re-issue their certificates at your CA under the new Org CA, then enrol them again with update_existing."
	case agent.SPIFFE:
		return "Nothing to do: they depend on their trust bundle, not on the Org CA."
	}
	return ""
}

// progress is what the bar of the PKI page asks for, where scripts run.
func (d *Dashboard) progress(w http.ResponseWriter, r *http.Request) error {
	org, err := d.Registry.Org(r.Context())
	if err != nil {
		return err
	}
	status, err := d.Progress.Of(r.Context(), org)
	if err != nil {
		return err
	}
	m := movedOf(status.Progress)
	methods := map[agent.Method]string{}
	for _, of := range m.Methods {
		methods[of.Method] = of.Text()
	}
	body, err := json.Marshal(map[string]any{
		"known": m.Known, "done": m.Done, "all": m.All, "left": m.Left, "percent": m.Percent, "generation": status.Generation,
		"text": m.Text(), "methods": methods,
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(body)
	return err
}

// AllText is how many agents there are.
func (m progressBar) AllText() string { return count(int(m.All)) }

// Text is the progress in words.
func (m progressBar) Text() string {
	switch {
	case !m.Known:
		return "The fleet cannot be counted at the moment."
	case m.All == 0:
		return "No agent is enrolled yet."
	case m.Left == 0 && m.All == 1:
		return "The only agent has a certificate of the current Org CA."
	case m.Left == 0:
		return "All " + count(int(m.All)) + " agents have a certificate of the current Org CA."
	}
	return count(int(m.Done)) + " of " + count(int(m.All)) + " agents moved, " + count(int(m.Left)) + " to go."
}
