package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// editView is the forms that change an agent without a new certificate.
type editView struct {
	agentView
	Hygiene formView
	Was     string // the profile that the form shows: see version
}

// version stands for a profile. A form that was opened before another operator changed the profile must not undo that.
func version(p agent.Profile) string {
	encoded, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings alone
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}

// editable reads the agent; a deactivated one has nothing to change.
func (d *Dashboard) editable(r *http.Request) (agentView, error) {
	v, err := d.look(r)
	if err == nil && v.Status != agent.Active {
		err = agent.ErrDeactivated
	}
	return v, err
}

func (d *Dashboard) editPage(w http.ResponseWriter, r *http.Request) error {
	v, err := d.editable(r)
	if err != nil {
		return err
	}
	d.showEdit(w, r, v, fresh(v.Path()+"/edit", profileForm(v.Profile)))
	return nil
}

// profileForm is what the form shows of a profile.
func profileForm(p agent.Profile) url.Values {
	f := url.Values{}
	for name, value := range p.Fields() {
		f.Set(name, value)
	}
	return f
}

func (d *Dashboard) showEdit(w http.ResponseWriter, r *http.Request, v agentView, f formView) {
	v.Form = f
	e := editView{v, fresh(v.Path()+"/hygiene", nil), version(v.Profile)}
	d.render(w, r, f.Status, page{Name: "edit", Section: "agents", Title: "Edit " + v.ID.Name(), Content: e})
}

// edit changes the profile. Setting the same values changes nothing, so the form needs no number.
func (d *Dashboard) edit(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	v, err := d.editable(r)
	if err != nil {
		return err
	}
	action := v.Path() + "/edit"
	if f.Get("was") != version(v.Profile) {
		d.showEdit(w, r, v, fresh(action, profileForm(v.Profile), field{"", "The profile was changed after you had opened " +
			"this page, and your changes were not saved. These are the present values."}))
		return nil
	}
	_, _, err = d.Enroll.Amend(r.Context(), enroll.Amendment{
		By:    d.by(r),
		Agent: v.ID,
		Patch: agent.PatchOf(agent.ReadProfile(f.Get)),
	})
	if errors.Is(err, agent.ErrProfile) {
		d.showEdit(w, r, v, fresh(action, f, field{agent.ProfileField(err), d.problem(r, err).Detail}))
		return nil
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, v.Path()+"?done=saved", http.StatusSeeOther)
	return nil
}

// setHygiene changes what is done when the agent's certificate is due.
func (d *Dashboard) setHygiene(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	v, err := d.editable(r)
	if err != nil {
		return err
	}
	deliver, err := agent.ParseDelivery(f.Get("deliver"))
	if err != nil {
		return err
	}
	if _, err := d.Enroll.SetHygiene(r.Context(), enroll.Policy{By: d.by(r), Agent: v.ID, Deliver: deliver}); err != nil {
		return err
	}
	http.Redirect(w, r, v.Path()+"?done=saved", http.StatusSeeOther)
	return nil
}
