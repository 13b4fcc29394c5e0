package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/usecase/token"
)

func (t tokens) challenge(w http.ResponseWriter, r *http.Request) error {
	if err := bare(r); err != nil {
		return err
	}
	c, err := t.Challenge(r.Context(), CallOf(r.Context()).CertificatePEM)
	CallOf(r.Context()).Agent = c.Agent
	if err != nil {
		return err
	}
	offer(w, c.Nonce)
	write(w, http.StatusOK, "application/json", struct {
		Nonce     string `json:"nonce"`
		ExpiresIn int64  `json:"expires_in"` // seconds
	}{c.Value, int64(c.ExpiresIn / time.Second)})
	return nil
}

func (t tokens) endorse(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Assertion *string `json:"client_assertion"`
		Nonce     *string `json:"nonce"`
	}
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	if err := decode(r, &body, false); err != nil {
		return err
	}
	if body.Assertion == nil || body.Nonce == nil {
		return fmt.Errorf("%w: want the members client_assertion and nonce", ErrJSON)
	}
	a, err := t.Endorse(r.Context(), CallOf(r.Context()).CertificatePEM, *body.Assertion, *body.Nonce)
	CallOf(r.Context()).Agent = a.Agent
	if err != nil {
		return err
	}
	return writeAssertion(w, a)
}

func (t tokens) assert(w http.ResponseWriter, r *http.Request) error {
	if err := bare(r); err != nil {
		return err
	}
	a, err := t.Assert(r.Context(), CallOf(r.Context()).CertificatePEM)
	CallOf(r.Context()).Agent = a.Agent
	if err != nil {
		return err
	}
	return writeAssertion(w, a)
}

func writeAssertion(w http.ResponseWriter, a token.Assertion) error {
	offer(w, a.Nonce)
	write(w, http.StatusOK, "application/json", struct {
		Assertion string  `json:"client_assertion"`
		AgentID   string  `json:"agent_id"`
		Signature *string `json:"mastio_signature"` // of a broker's protocol; the SDK wants the member, and takes null
	}{a.Compact, string(a.Agent), nil})
	return nil
}

// bare refuses a request with parameters or with a body; a Content-Type alone says nothing.
func bare(r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	data, err := read(r)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(data)) > 0 {
		return ErrBody
	}
	return nil
}
