package httpapi

import (
	"context"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/routes"
)

// Call is what the edge, not the client, says about a request.
type Call struct {
	audit.By              // the actor is empty until the Mux has checked the admin secret
	CertificatePEM string // requestContext.identity.clientCert; never from a header, which anyone can write
	// path of the API at its own endpoint, as in /live; empty at a domain, which has the API alone
	Mount string
	Host  routes.Host // the API that passed the request on, if it says so; empty: either
	Agent agent.ID    // the agent that the certificate authenticated; empty until a use case sets it
}

type callKey struct{}

// WithCall returns a context that carries what the edge said.
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, &c)
}

// CallOf returns what the edge said; an empty Call if it said nothing.
func CallOf(ctx context.Context) *Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return c
	}
	return &Call{}
}
