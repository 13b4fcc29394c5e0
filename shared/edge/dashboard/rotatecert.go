package dashboard

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
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
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
)

func (d *Dashboard) rotateCertPage(w http.ResponseWriter, r *http.Request) error {
	v, err := d.rotatable(r)
	if err != nil {
		return err
	}
	d.showRotateCert(w, r, v, fresh(v.Path()+"/rotate-cert", nil))
	return nil
}

// rotatable reads the agent, and fails at once if its certificate is not rotated here.
func (d *Dashboard) rotatable(r *http.Request) (agentView, error) {
	v, err := d.look(r)
	switch {
	case err != nil:
		return v, err
	case v.Status != agent.Active:
		return v, agent.ErrDeactivated
	case v.Method != agent.Minted:
		return v, agent.ErrRotateAtYourCA
	}
	return v, nil
}

func (d *Dashboard) showRotateCert(w http.ResponseWriter, r *http.Request, v agentView, f formView) {
	v.Form = f
	d.render(w, r, f.Status, page{
		Name:    "rotatecert",
		Section: "agents",
		Title:   "Rotate the certificate of " + v.ID.Name(),
		Content: v,
	})
}

// rotateCert rotates, and answers with the page that has the keys. The keys are on that page only. A second click, a
// reload or the back button sends a used form, which rotates nothing.
func (d *Dashboard) rotateCert(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	v, err := d.rotatable(r)
	if err != nil {
		return err
	}
	req, problems := rotation(v.ID, f)
	if len(problems) > 0 {
		d.showRotateCert(w, r, v, fresh(v.Path()+"/rotate-cert", f, problems...))
		return nil
	}
	if d.Strict != nil {
		if err := d.Strict(r.Context()); err != nil {
			return err
		}
	}
	s := visitOf(r.Context()).Session
	err = d.Door.Once(r.Context(), s, "rotate "+string(v.ID)+" "+f.Get("number"))
	if errors.Is(err, session.ErrUsed) {
		return d.sentAgain(w, r, v.ID, audit.AgentCertRotated)
	}
	if err != nil {
		return err
	}
	req.By = d.by(r)
	out, err := d.RotateCert.Rotate(r.Context(), req)
	if name := fieldOf(err); name != "" {
		d.showRotateCert(w, r, v, fresh(v.Path()+"/rotate-cert", f, field{name, d.problem(r, err).Detail}))
		return nil
	}
	if err != nil {
		return err
	}
	h := handout(out.Agent, out.Material, out.Certificate, d.Now())
	h.Previous, h.PreviousUntil, h.Grace = out.Previous, out.PreviousUntil, req.Grace > 0
	d.render(w, r, http.StatusOK, page{Name: "rotated", Section: "agents", Title: "Certificate rotated", Content: h})
	return nil
}

// sentAgain answers the repetition of a form whose first answer had the keys of an agent. If the agent's last event is
// of this session, the first one was carried out, and the way on leads to new keys.
func (d *Dashboard) sentAgain(w http.ResponseWriter, r *http.Request, id agent.ID, did audit.Event) error {
	v := d.failure(r, session.ErrUsed)
	last, err := d.Trail.Last(r.Context(), string(id))
	if err != nil {
		return err
	}
	if last != nil && last.EventType == did && last.Actor == d.by(r).Actor {
		path := agentsPath + "/" + string(id)
		v.Title = eventTitle(did) + " already"
		v.Text = "This form was sent before and was carried out on " + momentOf(last.Timestamp) + ". Nothing was done a " +
			"second time. The private keys were on the page that answered it, and are stored nowhere. If you did not save " +
			"them, rotate the certificate again."
		v.Ways = []way{{"Rotate again", path + "/rotate-cert"}, {"Show the agent", path}}
	}
	d.showFailure(w, r, v)
	return nil
}

// rotation reads the form.
func rotation(id agent.ID, f url.Values) (agentcert.RotateRequest, []field) {
	req := agentcert.RotateRequest{Agent: id}
	given, problems := why(f)
	req.Reason = given
	grace, err := strconv.ParseInt(f.Get("grace"), 10, 32)
	if err != nil || grace < 0 || grace > int64(agentcert.MaxGrace/time.Second) {
		problems = append(problems, field{"grace", "Choose how long the old certificate lives on."})
	}
	req.Grace = time.Duration(grace) * time.Second
	if given.Code.AtOnce() && grace > 0 {
		problems = append(problems, field{"grace", "With this reason there is no grace: choose that the old certificate " +
			"stops at once."})
	}
	if days := strings.TrimSpace(f.Get("days")); days != "" {
		if req.Material.ValidityDays, err = strconv.Atoi(days); err != nil || req.Material.ValidityDays < 1 ||
			req.Material.ValidityDays > agentcert.MaxDays {
			problems = append(problems, field{"days",
				fmt.Sprintf("A certificate is valid for 1 to %d days.", agentcert.MaxDays)})
		}
	}
	if csr := strings.TrimSpace(f.Get("csr")); csr != "" {
		req.Material.CSR = []byte(csr + "\n")
	}
	return req, problems
}

// certReasons are the choices for an agent's certificate.
var certReasons = []motive{
	{reason.Unspecified, "No particular reason"}, {reason.Superseded, "Scheduled, or moved to another host"},
	{reason.KeyCompromise, "The agent's key may be in wrong hands"},
	{reason.PrivilegeWithdrawn, "The agent lost its privileges"},
	{reason.AffiliationChanged, "The agent has another owner now"},
	{reason.CessationOfOperation, "The agent is not used any more"},
	{reason.CACompromise, "The key of the Org CA may be in wrong hands"},
}

// Reasons are the choices of the forms about one agent.
func (agentView) Reasons() []motive { return certReasons }

// why reads the fields reason and comment.
func why(f url.Values) (given reason.Statement, problems []field) {
	code, err := reason.Parse(f.Get("reason"))
	if err != nil {
		problems = append(problems, field{"reason", "Choose one of the reasons."})
	}
	given = reason.Statement{Code: code, Comment: strings.TrimSpace(f.Get("comment"))}
	if _, err := given.Check(); errors.Is(err, reason.ErrComment) {
		problems = append(problems, field{"comment", fmt.Sprintf("A comment has at most %d characters.", reason.MaxComment)})
	}
	return given, problems
}

// fieldOf names the field that a refused rotation is about.
func fieldOf(err error) string {
	switch {
	case errors.Is(err, pki.ErrCSR), errors.Is(err, pki.ErrKey):
		return "csr"
	}
	return ""
}

// file is one file of an agent's identity, as a link that needs no server: the browser saves what the page holds.
type file struct {
	Name, Text, About string
	Link              template.URL
}

// handoutView is the page with an agent's new keys.
type handoutView struct {
	agent.Agent
	Enrolled      bool // with its first certificate, not the next one
	Certificate   agentcert.Certificate
	Previous      agent.Pin
	PreviousUntil time.Time
	Grace         bool
	Files         []file
	Zip           file
	KeyAtHome     bool // with a CSR, the private key never left the host
}

// Path is the address of the agent's page.
func (h handoutView) Path() string { return "/proxy/agents/" + string(h.ID) }

func handout(a agent.Agent, m agentcert.Material, c agentcert.Certificate, now time.Time) handoutView {
	h := handoutView{Agent: a, Certificate: c, KeyAtHome: m.KeyPEM == nil}
	for _, f := range []file{
		{Name: "cert.pem", Text: string(c.CertPEM), About: "the certificate and the CA that issued it"},
		{Name: "agent-key.pem", Text: string(m.KeyPEM), About: "its private key"},
		{Name: "dpop.jwk", Text: string(m.DPoPJWK), About: "the private key for DPoP proofs"},
	} {
		if f.Text != "" {
			f.Link = dataURL("application/octet-stream", []byte(f.Text))
			h.Files = append(h.Files, f)
		}
	}
	h.Zip = file{Name: a.ID.Name() + ".zip", Link: dataURL("application/zip", archive(h.Files, now))}
	return h
}

func dataURL(mediaType string, data []byte) template.URL {
	encoded := base64.StdEncoding.EncodeToString(data)
	return template.URL("data:" + mediaType + ";base64," + encoded) //nolint:gosec // base64 has nothing to escape
}

// archive packs files that only their owner may read.
func archive(files []file, now time.Time) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: now}
		h.SetMode(0o600)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write([]byte(f.Text))
		}
		if err != nil {
			panic(err) // memory takes everything
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
