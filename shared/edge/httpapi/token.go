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

// Token returns the handler of the function token.
func Token(issuer *token.Issuer) Handlers {
	return Handlers{"POST /v1/auth/token": func(w http.ResponseWriter, r *http.Request) error { return issueToken(issuer, w, r) }}
}

// tokenForm is a token request's parameters, in a form or in JSON.
type tokenForm struct {
	GrantType string `json:"grant_type"`
	ClientID  string `json:"client_id"`
	Scope     string `json:"scope"`
	Resource  string `json:"resource"`
	Chain     string `json:"svid_chain_pem"` // beyond RFC 6749: what stands between an SVID and its bundle
}

func issueToken(issuer *token.Issuer, w http.ResponseWriter, r *http.Request) error {
	form, err := tokenRequest(r)
	if err != nil {
		return err
	}
	t, err := issuer.Issue(r.Context(), token.Request{
		CertificatePEM: CallOf(r.Context()).CertificatePEM, GrantType: form.GrantType, ClientID: form.ClientID,
		Scope: form.Scope, Resource: form.Resource, ChainPEM: form.Chain, Proofs: r.Header.Values("DPoP"),
	})
	var nonce *token.NonceError
	if errors.As(err, &nonce) {
		w.Header().Set("DPoP-Nonce", nonce.Nonce)
	}
	if err != nil {
		return err
	}
	renewAfter := ""
	if !t.RenewAfter.IsZero() {
		renewAfter = stamp(t.RenewAfter)
	}
	secret(w)
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
	values, err := url.ParseQuery(string(data))
	if err != nil {
		return tokenForm{}, fmt.Errorf("%w: it is not form-urlencoded", ErrForm)
	}
	for name, v := range values {
		if len(v) > 1 {
			return tokenForm{}, fmt.Errorf("%w: %.64q is given %d times", ErrForm, name, len(v))
		}
	}
	return tokenForm{
		GrantType: values.Get("grant_type"), ClientID: values.Get("client_id"), Scope: values.Get("scope"), Resource: values.Get("resource"),
		Chain: values.Get("svid_chain_pem"),
	}, nil
}
