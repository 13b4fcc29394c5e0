package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/mastio-aws/mastio/shared/usecase/token"
)

// Token returns the handlers of the function token.
func Token(issuer *token.Issuer) Handlers {
	t := tokens{issuer}
	return Handlers{
		"POST /v1/auth/token":                     t.token,
		"POST /v1/auth/login-challenge":           t.challenge,
		"POST /v1/auth/sign-challenged-assertion": t.endorse,
		"POST /v1/auth/sign-assertion":            t.assert,
	}
}

type tokens struct{ *token.Issuer }

// tokenForm is a token request's parameters, in a form or in JSON.
type tokenForm struct {
	GrantType     string  `json:"grant_type"`
	ClientID      string  `json:"client_id"`
	Scope         string  `json:"scope"`
	Resource      string  `json:"resource"`
	Chain         string  `json:"svid_chain_pem"` // beyond RFC 6749: what stands between an SVID and its bundle
	Assertion     *string `json:"client_assertion"`
	AssertionType *string `json:"client_assertion_type"`
}

// jwtBearer is the one client_assertion_type there is (RFC 7523 section 2.2).
const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" //nolint:gosec // a name, no credential

// checkAssertion holds the two members of an assertion together. In JSON, which no RFC describes, the type is
// optional: the agents' SDK leaves it out.
func (f tokenForm) checkAssertion(typed bool) error {
	switch {
	case f.Assertion == nil && f.AssertionType != nil:
		return fmt.Errorf("%w: client_assertion_type comes without client_assertion", ErrForm)
	case f.Assertion != nil && f.AssertionType == nil && typed:
		return fmt.Errorf("%w: client_assertion needs client_assertion_type=%s", ErrForm, jwtBearer)
	case f.AssertionType != nil && *f.AssertionType != jwtBearer:
		return fmt.Errorf("%w: client_assertion_type is not %s", ErrForm, jwtBearer)
	}
	return nil
}

func (t tokens) token(w http.ResponseWriter, r *http.Request) error {
	form, err := tokenRequest(r)
	if err != nil {
		return err
	}
	issued, err := t.Issue(r.Context(), token.Request{
		By:             CallOf(r.Context()).By,
		CertificatePEM: CallOf(r.Context()).CertificatePEM,
		GrantType:      form.GrantType,
		ClientID:       form.ClientID,
		Scope:          form.Scope,
		Resource:       form.Resource,
		ChainPEM:       form.Chain,
		Proofs:         r.Header.Values("DPoP"),
		Assertion:      form.Assertion,
	})
	CallOf(r.Context()).Agent = issued.Agent
	var nonce *token.NonceError
	if errors.As(err, &nonce) {
		w.Header().Set("DPoP-Nonce", nonce.Nonce)
	}
	if err != nil {
		return err
	}
	return writeToken(w, issued)
}

// offer gives the client a nonce for its next proof (RFC 9449 section 8.2), and lets nothing keep the answer.
func offer(w http.ResponseWriter, nonce string) {
	w.Header().Set("DPoP-Nonce", nonce)
	secret(w)
}

func writeToken(w http.ResponseWriter, t token.Token) error {
	renewAfter := ""
	if !t.RenewAfter.IsZero() {
		renewAfter = stamp(t.RenewAfter)
	}
	offer(w, t.Nonce)
	write(w, http.StatusOK, "application/json", struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"`
		Scope       string `json:"scope"`
		RenewAfter  string `json:"renew_after,omitempty"` // RFC 6749 section 5.1: clients ignore what they do not know
	}{t.AccessToken, t.Type, int64(t.ExpiresIn / time.Second), t.Scope, renewAfter})
	return nil
}

// tokenRequest reads the parameters. Unlike elsewhere, unknown ones are ignored: RFC 6749 section 3.2 asks for that.
func tokenRequest(r *http.Request) (tokenForm, error) {
	data, err := read(r)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return tokenForm{}, err
	}
	if err := mediaType(r, "application/x-www-form-urlencoded", "application/json"); err != nil {
		return tokenForm{}, err
	}
	if mediaType(r, "application/json") == nil {
		return tokenJSON(data)
	}
	form, err := tokenValues(data)
	if err != nil {
		return form, err
	}
	return form, form.checkAssertion(true)
}

func tokenValues(data []byte) (form tokenForm, err error) {
	values, err := onceEach(data)
	if err != nil {
		return form, err
	}
	given := func(name string) *string {
		if v, ok := values[name]; ok {
			return &v[0]
		}
		return nil
	}
	return tokenForm{
		GrantType:     values.Get("grant_type"),
		ClientID:      values.Get("client_id"),
		Scope:         values.Get("scope"),
		Resource:      values.Get("resource"),
		Chain:         values.Get("svid_chain_pem"),
		Assertion:     given("client_assertion"),
		AssertionType: given("client_assertion_type"),
	}, nil
}

// onceEach reads a form that gives each parameter once (RFC 6749 section 3.2).
func onceEach(data []byte) (url.Values, error) {
	values, err := url.ParseQuery(string(data))
	if err != nil {
		return nil, fmt.Errorf("%w: it is not form-urlencoded", ErrForm)
	}
	for name, v := range values {
		if len(v) > 1 {
			return nil, fmt.Errorf("%w: %.64q is given %d times", ErrForm, name, len(v))
		}
	}
	return values, nil
}
