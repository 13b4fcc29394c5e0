package dashboard

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
)

// loginView is the sign-in page.
type loginView struct {
	Next    string
	Ended   bool   // a session was there, and is over
	Out     bool   // the operator has just signed out
	Problem string // what was wrong with the secret
}

func (d *Dashboard) loginPage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	d.showLogin(w, r, http.StatusOK, loginView{
		Next:  q.Get("next"),
		Ended: q.Get("ended") == "1",
		Out:   q.Get("out") == "1",
	})
	return nil
}

func (d *Dashboard) showLogin(w http.ResponseWriter, r *http.Request, status int, v loginView) {
	if !local(v.Next) {
		v.Next = ""
	}
	d.render(w, r, status, page{Name: "login", Title: "Sign in", Content: v})
}

func (d *Dashboard) login(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	pass, err := d.Door.SignIn(r.Context(), signin.Attempt{
		Secret: f.Get("secret"),
		Device: cookie(r, deviceCookie),
		By:     d.Caller(r.Context()),
	})
	if errors.Is(err, session.ErrSecret) || errors.Is(err, session.ErrLocked) {
		p := d.problem(r, err)
		retryAfter(w, p)
		d.showLogin(w, r, p.Status, loginView{Next: f.Get("next"), Problem: sentences(p)})
		return nil
	}
	if err != nil {
		return err
	}
	setCookie(w, sessionCookie, pass.Token, session.TTL)
	setCookie(w, deviceCookie, pass.Device, session.DeviceTTL)
	next := f.Get("next")
	if !local(next) {
		next = "/proxy/overview"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (d *Dashboard) logout(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	end := d.Door.SignOut
	if f.Get("everywhere") == "1" {
		if err := visitOf(r.Context()).Admin.Role.Permit(admin.CAOfficer); err != nil { // it ends the sessions of others
			return err
		}
		end = d.Door.SignOutEverywhere
		setCookie(w, deviceCookie, "", 0)
	}
	if err := end(r.Context(), visitOf(r.Context()).Session); err != nil {
		return err
	}
	setCookie(w, sessionCookie, "", 0)
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	http.Redirect(w, r, "/proxy/login?"+url.Values{"out": {"1"}}.Encode(), http.StatusSeeOther)
	return nil
}
