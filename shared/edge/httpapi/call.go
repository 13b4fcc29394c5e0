package httpapi

import (
	"context"

	"github.com/mastio-aws/mastio/shared/admin"
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
	Host  routes.Host  // the API that passed the request on, if it says so; empty: either
	Admin *admin.Admin // whose admin secret the Mux has checked; nil: none was shown
	Agent agent.ID     // the agent that the certificate authenticated; empty until a use case sets it
}

// limit is what the caller may enrol: nothing without an admin.
func (c *Call) limit() *admin.Limit {
	if c.Admin == nil {
		return &admin.Limit{}
	}
	return c.Admin.Limit()
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
