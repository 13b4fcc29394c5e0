package httpapi

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// Introspect returns the handler of token introspection (RFC 7662), which the function token serves too: it makes the
// same calls.
func Introspect(n *token.Introspector) Handlers {
	return Handlers{"POST /v1/auth/introspect": func(w http.ResponseWriter, r *http.Request) error {
		return introspect(n, w, r)
	}}
}

func introspect(n *token.Introspector, w http.ResponseWriter, r *http.Request) error {
	if _, err := onlyQuery(r); err != nil { // a token in a URL ends up in logs
		return err
	}
	values, err := introspectionForm(r)
	if err != nil {
		return err
	}
	found, err := n.Introspect(r.Context(), token.IntrospectionRequest{
		CertificatePEM: CallOf(r.Context()).CertificatePEM,
		ChainPEM:       values.Get("svid_chain_pem"),
		ClientID:       values.Get("client_id"),
		Token:          values.Get("token"),
	})
	CallOf(r.Context()).Agent = found.Caller
	if err != nil {
		return err
	}
	secret(w)
	if !found.Active {
		write(w, http.StatusOK, "application/json", struct {
			Active bool `json:"active"`
		}{})
		return nil
	}
	write(w, http.StatusOK, "application/json", introspectionOf(found.Claims))
	return nil
}

// introspectionForm reads the parameters (RFC 7662 section 2.1). Unknown ones, token_type_hint among them, are ignored.
func introspectionForm(r *http.Request) (url.Values, error) {
	data, err := read(r)
	if err != nil {
		return nil, err
	}
	if err := mediaType(r, "application/x-www-form-urlencoded"); err != nil {
		return nil, err
	}
	values, err := onceEach(data)
	if err == nil && values.Get("token") == "" {
		err = fmt.Errorf("%w: want the parameter token", ErrForm)
	}
	return values, err
}

// introspection is an active token (RFC 7662 section 2.2, RFC 8705 section 3.2, RFC 9449 section 6.2).
type introspection struct {
	Active    bool         `json:"active"`
	Subject   string       `json:"sub"`
	ClientID  string       `json:"client_id"`
	Scope     string       `json:"scope,omitempty"`
	Audience  []string     `json:"aud"`
	Issuer    string       `json:"iss"`
	IssuedAt  int64        `json:"iat"`
	Expires   int64        `json:"exp"`
	JTI       string       `json:"jti"`
	Cnf       confirmation `json:"cnf"`
	TokenType string       `json:"token_type"`
}

type confirmation struct {
	X5T string `json:"x5t#S256"`
	JKT string `json:"jkt,omitempty"`
}

func introspectionOf(c accesstoken.Claims) introspection {
	kind := verifier.Bearer
	if c.JKT != "" {
		kind = verifier.DPoP
	}
	return introspection{
		Active:    true,
		Subject:   c.Subject,
		ClientID:  c.ClientID,
		Scope:     c.Scope,
		Audience:  c.Audience,
		Issuer:    c.Issuer,
		IssuedAt:  c.IssuedAt.Unix(),
		Expires:   c.Expires.Unix(),
		JTI:       c.JTI,
		Cnf:       confirmation{c.X5T, c.JKT},
		TokenType: kind,
	}
}
