package httpapi

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
)

// CertsOnly writes certificates, whose DER encodings are joined, as a PKCS #7 without signature or content (RFC 5272
// section 4.1). Only EST answers so: the functions that do get it from their main, and no other function links it.
type CertsOnly func(certs []byte) ([]byte, error)

// Renew returns the handlers of the function renew.
func Renew(r *agentcert.Renewer, encode CertsOnly) Handlers {
	h := renewals{r, encode}
	return Handlers{
		"POST /v1/agent/renew":                 h.json,
		"GET /v1/agent/renewal-info":           h.info,
		"POST /.well-known/est/simplereenroll": h.est,
	}
}

type renewals struct {
	*agentcert.Renewer
	encode CertsOnly
}

func (h renewals) renew(r *http.Request, csr []byte) (agentcert.RenewResult, error) {
	call := CallOf(r.Context())
	return h.Renew(r.Context(), agentcert.RenewRequest{CertificatePEM: call.CertificatePEM, CSR: csr, By: call.By})
}

func (h renewals) json(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		CSR string `json:"csr_pem"`
	}
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	if err := decode(r, &body, false); err != nil {
		return err
	}
	csr, err := pki.UnwrapCSR([]byte(body.CSR))
	if err != nil {
		return err
	}
	out, err := h.renew(r, csr)
	if err != nil {
		return err
	}
	secret(w)
	write(w, http.StatusOK, "application/json", struct {
		certificateAnswer
		Previous      string    `json:"previous_thumbprint"`
		PreviousUntil time.Time `json:"previous_valid_until"` // or until the new certificate is used for the first time
	}{issuedOf(out.Agent.ID, agentcert.Material{}, out.Certificate), out.Previous.Thumbprint, out.Previous.Until})
	return nil
}

func (h renewals) info(w http.ResponseWriter, r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	window, poll, err := h.Info(r.Context(), CallOf(r.Context()).CertificatePEM)
	if err != nil {
		return err
	}
	type span struct {
		Start string `json:"start"`
		End   string `json:"end"`
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(poll/time.Second)))
	w.Header().Set("Cache-Control", "no-store")
	write(w, http.StatusOK, "application/json", struct {
		SuggestedWindow span `json:"suggestedWindow"`
	}{span{stamp(window.Start), stamp(window.End)}})
	return nil
}

// stamp renders a time to the second (RFC 3339), as RFC 9773 does.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// est answers simplereenroll (RFC 7030 section 4.2.2): the PKCS #10 in base64, and the certificate alone in a PKCS #7.
func (h renewals) est(w http.ResponseWriter, r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	csr, err := estRequest(r)
	if err != nil {
		return err
	}
	out, err := h.renew(r, csr)
	if err != nil {
		return err
	}
	certs, err := pki.ParseCertificates(out.Certificate.CertPEM)
	if err != nil {
		return err
	}
	secret(w)
	return h.encode.write(w, certs[0].Raw)
}

// estRequest reads the body. RFC 8951 section 3.1: a Content-Transfer-Encoding is ignored, the base64 may or may not be
// broken into lines.
func estRequest(r *http.Request) ([]byte, error) {
	data, err := read(r)
	if err != nil {
		return nil, err
	}
	if err := mediaType(r, "application/pkcs10"); err != nil {
		return nil, err
	}
	text := bytes.Join(bytes.FieldsFunc(data,
		func(c rune) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }), nil)
	der, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(der) == 0 {
		return nil, fmt.Errorf("%w: %s; EST wants the base64 of the request's DER, without the BEGIN and END lines (RFC "+
			"7030 section 4.2.1): "+
			"openssl req -in CSR -outform DER | openssl base64", pki.ErrCSR, notBase64(data))
	}
	return der, nil
}

// notBase64 says what was sent to EST instead.
func notBase64(body []byte) string {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return "the body is empty"
	case bytes.Contains(body, []byte("-----BEGIN ")):
		return "the body is PEM"
	case body[0] == 0x30 && !utf8.Valid(body):
		return "the body is raw DER"
	}
	return "the body is not base64"
}

// write answers with certificates, DER.
func (encode CertsOnly) write(w http.ResponseWriter, ders ...[]byte) error {
	message, err := encode(slices.Concat(ders...))
	if err != nil {
		return fmt.Errorf("encode certificates as PKCS #7: %w", err)
	}
	w.Header().Set("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
	w.Header().Set("Content-Transfer-Encoding", "base64")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(lines(base64.StdEncoding.EncodeToString(message))))
	return nil
}

// lines breaks base64 into lines of 64 characters, as older EST clients and OpenSSL want them. They end in LF:
// coreutils' base64 refuses a CR.
func lines(text string) string {
	var out strings.Builder
	for chunk := range slices.Chunk([]byte(text), 64) {
		out.Write(chunk)
		out.WriteByte('\n')
	}
	return out.String()
}
