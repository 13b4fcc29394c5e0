package dashboard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// The two halves of an upload, as fields of the form. Each can be pasted, or chosen as a file in a field of its own.
const (
	certField  = "ca_cert"
	keyField   = "ca_key"
	fileSuffix = "_file"
)

func isUpload(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "multipart/form-data"
}

// upload stages the operator's own CA, and leads to its pre-flight. The page shows all defects at once, each next to
// its half of the upload. It never sends the key back, so the operator has to choose the key again.
func (d *Dashboard) upload(w http.ResponseWriter, r *http.Request) error {
	form, err := d.uploadForm(w, r)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return d.showRefused(w, r, http.StatusRequestEntityTooLarge, url.Values{},
			[]field{{certField, "Certificate and key together take at most 64 KB."}})
	}
	if err != nil {
		return err
	}
	files, problems := halves(form)
	if len(problems) > 0 {
		return d.showRefused(w, r, http.StatusUnprocessableEntity, form, problems)
	}
	result, err := d.rotate(r, d.order(r, rotateca.Request{Mode: rotateca.Stage, Upload: files}))
	if err == nil {
		http.Redirect(w, r, preflightURL(result.Fingerprint), http.StatusSeeOther)
		return nil
	}
	p := d.problem(r, err)
	switch {
	case len(p.Errors) > 0:
		return d.showRefused(w, r, p.Status, form, halfErrors(p.Errors))
	case busy(p):
		retryAfter(w, p)
		return d.showRefused(w, r, p.Status, form, []field{{"", sentences(p)}})
	}
	return err
}

// halfErrors assigns each defect to its half of the upload, certificate or key.
func halfErrors(defects []problem.Defect) []field {
	var all []field
	for _, f := range defects {
		name := certField
		if strings.HasPrefix(string(f.Code), "ca_key_") && f.Code != "ca_key_usage" {
			name = keyField
		}
		all = append(all, field{name, string(f.Code) + ": " + f.Detail})
	}
	return all
}

// uploadForm reads the form into memory, file fields as texts. Error: session.ErrForged.
func (d *Dashboard) uploadForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if !sameOrigin(r) {
		return nil, session.ErrForged
	}
	_, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, errForm
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return nil, unreadable(err)
	}
	defer clear(body) // the key is in it
	if !rotateca.FormClosed(body, parameters["boundary"]) {
		return nil, errForm
	}
	form := url.Values{}
	parts := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, unreadable(err)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, unreadable(err)
		}
		if form.Has(part.FormName()) {
			return nil, errForm
		}
		form.Set(part.FormName(), string(data))
	}
	return form, session.CheckForm(visitOf(r.Context()).token, form.Get("form_token"))
}

func unreadable(err error) error { return fmt.Errorf("%w: %w", errForm, err) }

// halves takes each half from where it was given.
func halves(form url.Values) (*rotateca.Files, []field) {
	var problems []field
	half := func(name, what string) []byte {
		pasted, chosen := strings.TrimSpace(form.Get(name)), form.Get(name+fileSuffix)
		switch {
		case pasted == "" && chosen == "":
			problems = append(problems, field{name, "Paste the " + what + ", or choose its file."})
		case pasted != "" && chosen != "":
			problems = append(problems, field{name, "The " + what + " is both pasted and chosen as a file. Give it once."})
		case chosen != "":
			return []byte(chosen)
		}
		return []byte(pasted + "\n")
	}
	files := &rotateca.Files{Certificates: half(certField, "certificate"), Key: half(keyField, "private key")}
	return files, problems
}

// showRefused shows the form once more. Of what was sent only the certificates come back: they are public.
func (d *Dashboard) showRefused(
	w http.ResponseWriter, r *http.Request, status int, form url.Values, problems []field,
) error {
	shown := form.Get(certField)
	if chosen := form.Get(certField + fileSuffix); strings.TrimSpace(shown) == "" && utf8.ValidString(chosen) &&
		!bytes.Contains([]byte(chosen), []byte("PRIVATE KEY")) {
		shown = chosen
	}
	if strings.Contains(shown, "PRIVATE KEY") { // pasted into the wrong field
		shown = ""
	}
	v := rotateCAView{Upload: fresh(rotateCAPath, url.Values{certField: {shown}}, problems...)}
	v.Problem = v.Upload.Wrong("")
	return d.showRotateCA(w, r, status, v)
}
