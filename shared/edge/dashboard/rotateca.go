package dashboard

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

const rotateCAPath = "/proxy/pki/rotate-ca"

// rotateCAView is the choice between a minted and an uploaded CA.
type rotateCAView struct {
	pkiView
	Mint    formView
	Upload  formView
	Problem string
}

func (d *Dashboard) rotateCAPage(w http.ResponseWriter, r *http.Request) error {
	return d.showRotateCA(w, r, http.StatusOK, rotateCAView{})
}

func (d *Dashboard) showRotateCA(w http.ResponseWriter, r *http.Request, status int, v rotateCAView) error {
	var err error
	if v.pkiView, err = d.present(r); err != nil {
		return err
	}
	v.Mint = fresh(rotateCAPath, nil)
	if v.Upload.Action == "" {
		v.Upload = fresh(rotateCAPath, nil)
	}
	d.render(w, r, status, page{Name: "rotateca", Section: "pki", Title: "Rotate the Org CA", Content: v})
	return nil
}

// stage makes sure that there is a CA to commit, and leads to its pre-flight.
func (d *Dashboard) stage(w http.ResponseWriter, r *http.Request) error {
	if isUpload(r) {
		return d.upload(w, r)
	}
	if _, err := d.form(w, r); err != nil {
		return err
	}
	return d.staged(w, r, d.order(r, rotateca.Request{Mode: rotateca.Stage}))
}

func (d *Dashboard) staged(w http.ResponseWriter, r *http.Request, req rotateca.Request) error {
	result, err := d.rotate(r, req)
	if err != nil {
		p := d.problem(r, err)
		if !busy(p) {
			return err
		}
		retryAfter(w, p)
		return d.showRotateCA(w, r, p.Status, rotateCAView{Problem: sentences(p)})
	}
	http.Redirect(w, r, preflightURL(result.Fingerprint), http.StatusSeeOther)
	return nil
}

// busy reports a problem after which the same form can simply be sent again.
func busy(p *problem.Problem) bool {
	return p.Code == "rotation_in_progress" || p.Code == "rotation_lock_lost"
}

// rotate has the function rotateca carry out a request of this session.
func (d *Dashboard) rotate(r *http.Request, req rotateca.Request) (rotateca.Result, error) {
	return d.RotateCA(r.Context(), visitOf(r.Context()).token, req)
}

// order fills in where a request comes from, and, for the log, who sends it.
func (d *Dashboard) order(r *http.Request, req rotateca.Request) rotateca.Request {
	req.By = d.by(r)
	return req
}

func preflightURL(fingerprint string) string {
	return rotateCAPath + "/preflight?" + url.Values{"fingerprint": {fingerprint}}.Encode()
}

// preflightView is what an operator sees before a commit.
type preflightView struct {
	pkiView // of the present
	Next    rotateca.Result
	NextCA  []link
	Form    formView
	Reasons []motive
	Problem string
	// between which instants the form takes a date
	Earliest, Latest string
	Choices          []overlapChoice
	Counted          bool // Choices say whom they cut off
	Again            *again
}

// Choice is the overlap that the form has: the safe one, unless nothing may live on.
func (v preflightView) Choice() string {
	if v.Bound() {
		return "0"
	}
	if chosen := v.Form.Values.Get("overlap"); chosen != "" {
		return chosen
	}
	return v.Choices[0].Value
}

// motive is a reason that a form offers.
type motive struct {
	Value reason.Code
	Text  string
}

// reasons are RFC 5280's words with ours.
var reasons = []motive{
	{reason.Unspecified, "No particular reason"}, {reason.Superseded, "Scheduled, or demanded by compliance"},
	{reason.KeyCompromise, "The key of the present Org CA may be in wrong hands"},
	{reason.CACompromise, "The key of a CA above it may be in wrong hands"},
	{reason.AffiliationChanged, "The organisation's name changed"},
	{reason.CessationOfOperation, "The present Org CA is given up"},
	{reason.PrivilegeWithdrawn, "The present Org CA lost its privileges"},
}

// Bound reports whether the CA was staged for a reason that binds the commit: nothing of the present Org CA lives on.
func (v preflightView) Bound() bool { return orgca.AtOnce(v.Next.Reason) }

// SPIFFE is how many agents the Org CA does not concern.
func (v preflightView) SPIFFE() int64 {
	if v.Progress == nil {
		return 0
	}
	return v.Progress.PerMethod[agent.SPIFFE].Agents
}

// Reasons are the choices for going back, or for giving up the way back.
func (confirmView) Reasons() []motive { return reasons }

// Confirm is the text to type: the operator must look at the fingerprint of a CA before its commit.
func (v preflightView) Confirm() string { return short(v.Next.Fingerprint) }

func (d *Dashboard) preflightPage(w http.ResponseWriter, r *http.Request) error {
	fingerprint := r.URL.Query().Get("fingerprint")
	return d.showPreflight(w, r, fresh(preflightURL(fingerprint), nil), "")
}

// showPreflight describes a staged CA by rehearsing its commit: what the page says is what the commit would do.
func (d *Dashboard) showPreflight(w http.ResponseWriter, r *http.Request, f formView, problem string) error {
	fingerprint := r.URL.Query().Get("fingerprint")
	next, err := d.rotate(r, d.order(r, rotateca.Request{Mode: rotateca.Commit, Fingerprint: fingerprint, DryRun: true}))
	if err != nil {
		return err
	}
	if !f.Values.Has("reason") {
		f.Values = url.Values{"reason": {next.Reason}}
	}
	v := preflightView{Next: next, NextCA: links(decode(next.Chain)), Form: f, Reasons: reasons, Problem: problem}
	v.Earliest, v.Latest = dates(d.Now())
	org, err := d.Registry.Org(r.Context())
	if err != nil {
		return err
	}
	if v.pkiView, err = d.presentOf(r, org, d.Progress.Of); err != nil {
		return err
	}
	all, err := d.letIn(r.Context(), org, v.Progress)
	v.Counted = err == nil && v.Progress != nil // an emergency does not wait for a count
	v.Choices, v.Again = choicesFor(all, d.Now()), againOf(org, all, v.Progress)
	d.render(w, r, f.Status, page{Name: "preflight", Section: "pki", Title: "Pre-flight check", Content: v})
	return nil
}

// commit makes the staged CA current. The form's number is the idempotency key: a second click gets the result of the
// first.
func (d *Dashboard) commit(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	fingerprint := r.URL.Query().Get("fingerprint")
	req := d.order(r, rotateca.Request{
		Mode:           rotateca.Commit,
		Fingerprint:    fingerprint,
		Reason:         f.Get("reason"),
		Comment:        f.Get("comment"),
		IdempotencyKey: d.key(r, f),
	})
	given, problems := why(f)
	req.Comment = given.Comment
	if confirmed(f, short(fingerprint)) != nil {
		problems = append(problems, field{"confirm", fmt.Sprintf("Type %s, the first eight digits of the new CA's "+
			"fingerprint.", short(fingerprint))})
	}
	if req.Overlap, err = overlap(f.Get("overlap")); err != nil {
		problems = append(problems, field{"overlap", "Choose how long the present certificates live on."})
	}
	if req.Moves, err = wavesOf(f.Get("waves")); err != nil || req.Moves.InWaves() && req.Overlap == 0 {
		problems = append(problems, field{"waves", "Waves need an overlap: choose how long the present certificates " +
			"live on."})
	}
	if req.At, err = dateOf(f.Get("at")); err != nil {
		problems = append(problems, field{"at", dateWrong})
	}
	if req.Overlap > 0 && orgca.AtOnce(req.Reason) {
		problems = append(problems, field{"overlap", "After a compromise, or when a privilege was withdrawn, nothing of " +
			"the present Org CA may live on: choose that its certificates stop at once."})
	}
	if len(problems) > 0 {
		return d.showPreflight(w, r, fresh(preflightURL(fingerprint), f, problems...), "")
	}
	result, err := d.rotate(r, req)
	if err != nil {
		return d.uncommitted(w, r, f, err)
	}
	if result.Scheduled != nil {
		http.Redirect(w, r, pkiPath+"#scheduled", http.StatusSeeOther)
		return nil
	}
	http.Redirect(w, r, resultURL("rotated", result.Generation), http.StatusSeeOther)
	return nil
}

// uncommitted answers a commit that was refused. The form shows errors that a new input can mend; other errors have a
// page of their own.
func (d *Dashboard) uncommitted(w http.ResponseWriter, r *http.Request, f url.Values, err error) error {
	p, action := d.problem(r, err), preflightURL(r.URL.Query().Get("fingerprint"))
	again, top := fresh(action, f), sentences(p)
	switch {
	case p.Code == "overlap_invalid", p.Code == "overlaps_exhausted": // it was staged for a compromise, say
		again, top = fresh(action, f, field{"overlap", sentences(p)}), ""
	case p.Code == "at_invalid", p.Code == "already_scheduled", p.Code == "scheduled_rotation_stale":
		again, top = fresh(action, f, field{"at", sentences(p)}), ""
	case !busy(p):
		return err
	}
	retryAfter(w, p)
	again.Status = p.Status
	return d.showPreflight(w, r, again, top)
}

// key makes an idempotency key of a form's number. It belongs to the session, so that no other session finds its
// answer.
func (d *Dashboard) key(r *http.Request, f url.Values) string {
	sum := sha256.Sum256([]byte(visitOf(r.Context()).ID + "\x00" + f.Get("number")))
	return "dashboard-" + hex.EncodeToString(sum[:16])
}

func overlap(seconds string) (time.Duration, error) {
	n, err := strconv.ParseUint(seconds, 10, 32)
	if err != nil || time.Duration(n)*time.Second > orgca.MaxOverlap {
		return 0, orgca.ErrOverlap
	}
	return time.Duration(n) * time.Second, nil
}

func resultURL(what string, generation int64) string {
	return rotateCAPath + "/result?" + url.Values{"did": {what},
		"generation": {strconv.FormatInt(generation, 10)}}.Encode()
}

// resultView says what a rotation did, computed from the state: the page stays true, whenever it is loaded.
type resultView struct {
	pkiView
	Did     string // rotated, rolledback or finalised
	Holds   bool   // it is still so
	Compare int64  // the generation that the address names
}

func (d *Dashboard) result(w http.ResponseWriter, r *http.Request) error {
	v := resultView{Did: r.URL.Query().Get("did")}
	if !slices.Contains([]string{"rotated", "rolledback", "finalised"}, v.Did) {
		http.Redirect(w, r, "/proxy/pki", http.StatusSeeOther)
		return nil
	}
	var err error
	if v.pkiView, err = d.present(r); err != nil {
		return err
	}
	v.Compare, _ = strconv.ParseInt(r.URL.Query().Get("generation"), 10, 64)
	v.Holds = v.Compare == v.Generation && (v.Did != "finalised" || !v.Overlap)
	d.render(w, r, http.StatusOK, page{Name: "result", Section: "pki", Title: "Org CA", Content: v})
	return nil
}

// confirmView is a page that asks before it goes back to the previous CA, or gives up the way back.
type confirmView struct {
	pkiView
	Form     formView
	Expected string // fingerprint of the CA that is current afterwards
	Kind     string // rollback or finalise
	Problem  string
	Cut      *rotateca.CutOff // what a finalise ends; nil: could not be looked up
	Remain   *problem.Remain  // agents that stood in the way: the form asks once more
}

// Confirm is what has to be typed.
func (v confirmView) Confirm() string { return short(v.Expected) }

func (d *Dashboard) rollbackPage(w http.ResponseWriter, r *http.Request) error {
	return d.showConfirm(w, r, confirmView{Kind: "rollback", Form: fresh("/proxy/pki/rollback", nil)})
}

func (d *Dashboard) finalisePage(w http.ResponseWriter, r *http.Request) error {
	return d.showConfirm(w, r, confirmView{Kind: "finalise", Form: fresh("/proxy/pki/finalise", nil)})
}

func (d *Dashboard) showConfirm(w http.ResponseWriter, r *http.Request, v confirmView) error {
	var err error
	if v.pkiView, err = d.present(r); err != nil {
		return err
	}
	if v.Back == nil && (v.Kind == "rollback" || !v.Overlap) {
		return orgca.ErrNoRollback
	}
	if v.Kind == "finalise" {
		// Without the look-up the page still works: a failed look-up must not block an emergency.
		if ends, err := d.rotate(r, d.order(r, rotateca.Request{Mode: rotateca.Finalise, DryRun: true})); err == nil {
			v.Cut = ends.CutsOff
		}
	}
	v.Expected = v.want()
	title := map[string]string{"rollback": "Roll back the Org CA", "finalise": "Finalise the rotation"}[v.Kind]
	d.render(w, r, v.Form.Status, page{Name: "confirm", Section: "pki", Title: title, Content: v})
	return nil
}

// want is the fingerprint of the CA that is current afterwards.
func (v confirmView) want() string {
	if v.Kind == "rollback" && v.Back != nil {
		return v.Back.Fingerprint
	}
	return v.Fingerprint
}

func (d *Dashboard) rollback(w http.ResponseWriter, r *http.Request) error {
	return d.confirmed(w, r, "rollback", rotateca.Rollback, "rolledback")
}

func (d *Dashboard) finalise(w http.ResponseWriter, r *http.Request) error {
	return d.confirmed(w, r, "finalise", rotateca.Finalise, "finalised")
}

func (d *Dashboard) confirmed(
	w http.ResponseWriter, r *http.Request, kind string, mode rotateca.Mode, did string,
) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	// The typed text is compared with the text on the page, not with the present state. After a first click the state
	// has changed, and the second click must find the first click's answer. The rotation checks whether the page is
	// still up to date.
	want := f.Get("expected")
	if len(want) != 2*sha256.Size || confirmed(f, short(want)) != nil {
		wrong := field{"confirm", "Type the eight digits as they stand there."}
		return d.showConfirm(w, r, confirmView{Kind: kind, Form: fresh("/proxy/pki/"+kind, f, wrong)})
	}
	given, problems := why(f)
	if len(problems) > 0 {
		return d.showConfirm(w, r, confirmView{Kind: kind, Form: fresh("/proxy/pki/"+kind, f, problems...)})
	}
	result, err := d.rotate(r, d.order(r, rotateca.Request{
		Mode:           mode,
		Fingerprint:    want,
		IfSafe:         mode == rotateca.Finalise && f.Get("anyway") != "yes",
		Reason:         string(given.Code),
		Comment:        given.Comment,
		IdempotencyKey: d.key(r, f),
	}))
	if err != nil {
		return d.unconfirmed(w, r, kind, f, err)
	}
	http.Redirect(w, r, resultURL(did, result.Generation), http.StatusSeeOther)
	return nil
}

// unconfirmed answers a request that was refused after its confirmation. The form reports the errors that the same
// input, or one more answer, can mend; other errors have a page of their own.
func (d *Dashboard) unconfirmed(w http.ResponseWriter, r *http.Request, kind string, f url.Values, err error) error {
	p := d.problem(r, err)
	v := confirmView{Kind: kind, Form: fresh("/proxy/pki/"+kind, f), Problem: sentences(p)}
	switch {
	case errors.Is(err, rotateca.ErrRemain):
		v.Problem, v.Remain = "", p.Remain
	case !busy(p):
		return err
	}
	retryAfter(w, p)
	v.Form.Status = p.Status
	return d.showConfirm(w, r, v)
}

func decode(chainPEM []string) [][]byte {
	var ders [][]byte
	for _, text := range chainPEM {
		if block, _ := pem.Decode([]byte(text)); block != nil {
			ders = append(ders, block.Bytes)
		}
	}
	return ders
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// algorithm names a certificate's key.
func algorithm(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "EC " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return "RSA " + strconv.Itoa(k.N.BitLen())
	}
	return c.PublicKeyAlgorithm.String()
}
