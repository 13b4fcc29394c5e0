package httpapi

import "context"

// Call is what the edge, not the client, says about a request.
type Call struct {
	RequestID      string
	SourceIP       string
	CertificatePEM string // requestContext.identity.clientCert; never from a header, which anyone can write
	actor          string
}

// Actor is who asks, as the audit trail names it.
func (c *Call) Actor() string { return c.actor }

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
