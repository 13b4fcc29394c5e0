package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/verifier"
)

// MePath is the Mastio's own resource. It refuses like a resource server (RFC 6750 section 3, RFC 9449 section 7.1).
const MePath = "/v1/agent/me"

// Me returns the handler of the resource, which the function token serves too.
func Me(resource *token.Resource) Handlers {
	return Handlers{"GET /v1/agent/me": func(w http.ResponseWriter, r *http.Request) error { return me(resource, w, r) }}
}

func me(resource *token.Resource, w http.ResponseWriter, r *http.Request) error {
	if _, err := onlyQuery(r); err != nil {
		return err
	}
	a, err := resource.Ask(r.Context(), token.ResourceRequest{
		CertificatePEM: CallOf(r.Context()).CertificatePEM,
		Authorization:  r.Header.Values("Authorization"),
		Proofs:         r.Header.Values("DPoP"),
		Method:         r.Method,
	})
	if a.Nonce != "" {
		offer(w, a.Nonce)
	}
	if err != nil {
		return err
	}
	CallOf(r.Context()).Agent = agent.ID(a.Claims.Subject)
	write(w, http.StatusOK, "application/json", struct {
		AgentID      string   `json:"agent_id"`
		Capabilities []string `json:"capabilities"`
		Scope        string   `json:"scope"`
		Generation   int64    `json:"generation"`
		Thumbprint   string   `json:"cert_thumbprint"`
		JKT          string   `json:"dpop_jkt,omitempty"`
		TokenType    string   `json:"token_type"`
		Expires      string   `json:"expires_at"`
		ExpiresIn    int64    `json:"expires_in"`
	}{
		a.Claims.Subject, a.Claims.Capabilities, a.Claims.Scope, a.Claims.Generation, a.Thumbprint, a.Claims.JKT, a.Scheme,
		stamp(a.Claims.Expires), int64(a.Left / time.Second),
	})
	return nil
}

// challengeBearer says at a resource how to authenticate. API Gateway renames this header
// (x-amzn-Remapped-WWW-Authenticate), so the body says it too.
func challengeBearer(w http.ResponseWriter, err error) {
	refusal := verifier.ErrToken // also of a certificate that does not count
	_ = errors.As(err, &refusal)
	w.Header().Set("WWW-Authenticate", refusal.Challenge())
}
