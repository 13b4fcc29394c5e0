package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

const enrolPath = "/proxy/enrol"

// enrolView is the form of one way to enrol.
type enrolView struct {
	Form    formView
	Method  agent.Method
	Command string // makes the possession proof for what the form holds; empty: it does not hold enough
	Exists  string // address of the agent that has the name already
}

// Methods are the ways to enrol.
func (enrolView) Methods() []agent.Method { return agent.Methods() }

// Link is the address of another way.
func (enrolView) Link(m agent.Method) string {
	if m == agent.Minted {
		return enrolPath
	}
	return enrolPath + "?" + url.Values{"method": {string(m)}}.Encode()
}

// Reasons are the choices for an update.
func (enrolView) Reasons() []motive { return certReasons }

// methodOf reads the way to enrol; an unknown one is the Mastio's own.
func methodOf(values url.Values) agent.Method {
	switch m := agent.Method(values.Get("method")); m {
	case agent.BYOCA, agent.SPIFFE:
		return m
	case agent.Minted:
	}
	return agent.Minted
}

func (d *Dashboard) enrolPage(w http.ResponseWriter, r *http.Request) error {
	d.showEnrol(w, r, methodOf(r.URL.Query()), fresh(enrolPath, nil))
	return nil
}

func (d *Dashboard) showEnrol(w http.ResponseWriter, r *http.Request, m agent.Method, f formView) {
	v := enrolView{Form: f, Method: m, Command: d.proofCommand(m, f.Values)}
	if id, err := agent.NewID(d.OrgID, f.Value("name")); err == nil && f.Wrong("name") != "" {
		v.Exists = agentsPath + "/" + string(id)
	}
	d.render(w, r, f.Status, page{Name: "enrol", Section: "agents", Title: "Enrol an agent", Content: v})
}

// refuseEnrol shows the form once more, with each problem at its field. It reports false for an error that is not
// the form's.
func (d *Dashboard) refuseEnrol(w http.ResponseWriter, r *http.Request, m agent.Method, f url.Values, err error) bool {
	name, about := enrolField(err)
	if !about {
		return false
	}
	v := d.failure(r, err)
	if errors.Is(err, agent.ErrID) { // which says how a name has to be
		v.Text = sentences(v.Problem)
	}
	d.showEnrol(w, r, m, fresh(enrolPath, f, field{name, v.Text}))
	return true
}

// enrol admits an agent. Where the Mastio makes its keys, the answer is the page that has them; see rotateCert.
func (d *Dashboard) enrol(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	if d.Strict != nil {
		if err := d.Strict(r.Context()); err != nil {
			return err
		}
	}
	m := methodOf(f)
	if m != agent.Minted && f.Get("proof") == "" {
		d.showEnrol(w, r, m, fresh(enrolPath, f, field{"proof", "Paste a signature by the certificate's key."}))
		return nil
	}
	s := visitOf(r.Context()).Session
	err = d.Door.Once(r.Context(), s, "enrol "+f.Get("number"))
	id, wrong := agent.NewID(d.OrgID, strings.TrimSpace(f.Get("name")))
	if errors.Is(err, session.ErrUsed) && wrong == nil && m == agent.Minted {
		return d.sentAgain(w, r, id, audit.AgentEnrolled)
	}
	if err != nil {
		return err
	}
	if m != agent.Minted {
		return d.admit(w, r, m, f)
	}
	return d.mint(w, r, f)
}

func (d *Dashboard) mint(w http.ResponseWriter, r *http.Request, f url.Values) error {
	req := enrolment(f)
	req.By, req.Limit = d.by(r), visitOf(r.Context()).Admin.Limit()
	out, err := d.Enroll.Enroll(r.Context(), req)
	if err != nil {
		if d.refuseEnrol(w, r, agent.Minted, f, err) {
			return nil
		}
		return err
	}
	v := handout(out.Agent, out.Material, out.Certificate, d.Now())
	v.Enrolled = true
	d.render(w, r, http.StatusOK, page{Name: "rotated", Section: "agents", Title: "Agent enrolled", Content: v})
	return nil
}

func enrolment(f url.Values) enroll.Request {
	req := enroll.Request{
		Name:    strings.TrimSpace(f.Get("name")),
		Profile: agent.ReadProfile(f.Get),
		Deliver: agent.Delivery(f.Get("deliver")),
	}
	if csr := strings.TrimSpace(f.Get("csr")); csr != "" {
		req.Material = agentcert.KeyRequest{CSR: []byte(csr + "\n")}
	}
	return req
}

// enrolFields are the fields that refused enrolments are about.
var enrolFields = []struct {
	err  error
	name string
}{
	{agent.ErrID, "name"}, {agent.ErrAlreadyEnrolled, "name"}, {enroll.ErrMethod, "name"},
	{agent.ErrDelivery, "deliver"},
	{pki.ErrCSR, "csr"},
	{enroll.ErrProof, "proof"}, {pki.ErrPossession, "proof"},
	{enroll.ErrBundlePEM, "bundle"}, {enroll.ErrOwnCA, "bundle"}, {enroll.ErrEdgeFull, "bundle"},
	{enroll.ErrCertificatePEM, "cert"}, {enroll.ErrNotUnderOrgCA, "cert"}, {enroll.ErrNotUnderBundle, "cert"},
	{enroll.ErrTrustDomain, "cert"}, {enroll.ErrNamesAnother, "cert"}, {enroll.ErrTaken, "cert"},
	{enroll.ErrIssuedHere, "cert"}, {agent.ErrKeyUsed, "cert"}, {agent.ErrOutlive, "cert"},
	{agentcert.ErrDPoPJWK, "dpop"}, {agent.ErrProofBound, "dpop"}, {agent.ErrProofKeyUsed, "dpop"},
}

// enrolField names the field that a refused enrolment is about; empty: the form as a whole. about: it is about the
// form.
func enrolField(err error) (name string, about bool) {
	if errors.Is(err, agent.ErrProfile) {
		return agent.ProfileField(err), true
	}
	for _, f := range enrolFields {
		if errors.Is(err, f.err) {
			return f.name, true
		}
	}
	return "", errors.Is(err, enroll.ErrCapabilities) || errors.Is(err, enroll.ErrBinding)
}
