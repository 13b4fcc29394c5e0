package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

const enrolPath = "/proxy/enrol"

func (d *Dashboard) enrolPage(w http.ResponseWriter, r *http.Request) error {
	d.showEnrol(w, r, fresh(enrolPath, nil))
	return nil
}

func (d *Dashboard) showEnrol(w http.ResponseWriter, r *http.Request, f formView) {
	d.render(w, r, f.Status, page{Name: "enrol", Section: "agents", Title: "Enrol an agent", Content: f})
}

// enrol admits an agent, and answers with the page that has its keys; see rotateCert.
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
	s := visitOf(r.Context()).Session
	if err := d.Door.Once(r.Context(), s, "enrol "+f.Get("number")); err != nil {
		return err
	}
	req := enrolment(f)
	req.By, req.Limit = d.by(r), visitOf(r.Context()).Admin.Limit()
	out, err := d.Enroll.Enroll(r.Context(), req)
	if name := enrolField(err); name != "" {
		d.showEnrol(w, r, fresh(enrolPath, f, field{name, d.problem(r, err).Detail}))
		return nil
	}
	if err != nil {
		return err
	}
	v := handout(out.Agent, out.Material, out.Certificate, d.Now())
	v.Enrolled = true
	d.render(w, r, http.StatusOK, page{Name: "rotated", Section: "agents", Title: "Agent enrolled", Content: v})
	return nil
}

func enrolment(f url.Values) enroll.Request {
	req := enroll.Request{Name: strings.TrimSpace(f.Get("name")), Profile: agent.ReadProfile(f.Get)}
	if csr := strings.TrimSpace(f.Get("csr")); csr != "" {
		req.Material = agentcert.KeyRequest{CSR: []byte(csr + "\n")}
	}
	return req
}

// enrolField names the field that a refused enrolment is about.
func enrolField(err error) string {
	switch {
	case errors.Is(err, agent.ErrID), errors.Is(err, agent.ErrAlreadyEnrolled):
		return "name"
	case errors.Is(err, agent.ErrProfile):
		return agent.ProfileField(err)
	case errors.Is(err, pki.ErrCSR), errors.Is(err, pki.ErrKey):
		return "csr"
	}
	return ""
}
