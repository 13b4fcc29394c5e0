// Package discovery answers what verifiers and clients look up: keys, metadata, and the Org CA's certificates.
//
// Its tests need the whole Mastio around it: shared/edge/httpapi/token_test.go and
// shared/edge/httpapi/golden_test.go.
package discovery

import (
	"context"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// Store is what discovery needs of the registry.
type Store interface {
	Org(ctx context.Context) (registry.Org, error)
}

// Keys gives the public token keys that a verifier may need at now.
type Keys interface {
	Published(ctx context.Context, now time.Time) ([]accesstoken.PublicKey, error)
}

// Directory answers look-ups. It is safe for concurrent use.
type Directory struct {
	Store    Store
	Keys     Keys
	Issuer   string // issuer identifier: the agents' base URL
	Endpoint string // the token endpoint's URL
	Now      func() time.Time
}

// JWKS returns the token keys as a JWK Set (RFC 7517).
func (d *Directory) JWKS(ctx context.Context) ([]byte, error) {
	keys, err := d.Keys.Published(ctx, d.Now())
	if err != nil {
		return nil, err
	}
	return accesstoken.JWKS(keys)
}

// Metadata describes the token endpoint and the introspection endpoint (RFC 8414, RFC 8705 sections 3.3 and 5, RFC 9449
// section 5.1).
type Metadata struct {
	Issuer                 string            `json:"issuer"`
	TokenEndpoint          string            `json:"token_endpoint"`
	JWKSURI                string            `json:"jwks_uri"`
	StatusURI              string            `json:"mastio_status_uri"`
	GrantTypes             []string          `json:"grant_types_supported"`
	ResponseTypes          []string          `json:"response_types_supported"`
	AuthMethods            []string          `json:"token_endpoint_auth_methods_supported"`
	ProofAlgorithms        []string          `json:"dpop_signing_alg_values_supported"`
	Introspection          string            `json:"introspection_endpoint"`
	IntrospectionAuth      []string          `json:"introspection_endpoint_auth_methods_supported"`
	CertificateBoundTokens bool              `json:"tls_client_certificate_bound_access_tokens"`
	MutualTLSEndpointAlias map[string]string `json:"mtls_endpoint_aliases"`
}

// Metadata returns the authorization server's metadata.
func (d *Directory) Metadata() Metadata {
	introspection := d.Issuer + "/v1/auth/introspect"
	return Metadata{
		Issuer:                 d.Issuer,
		TokenEndpoint:          d.Endpoint,
		JWKSURI:                d.Issuer + "/.well-known/jwks.json",
		StatusURI:              d.Issuer + verifier.StatusPath,
		GrantTypes:             []string{"client_credentials"},
		ResponseTypes:          []string{"none"}, // required, and an empty list is forbidden (RFC 8414 sections 2 and 3.2)
		AuthMethods:            []string{"tls_client_auth"},
		ProofAlgorithms:        []string{"ES256"},
		Introspection:          introspection,
		IntrospectionAuth:      []string{"tls_client_auth"},
		CertificateBoundTokens: true,
		MutualTLSEndpointAlias: map[string]string{"token_endpoint": d.Endpoint, "introspection_endpoint": introspection},
	}
}

// Root returns the current Org CA's certificate, PEM, and after it those above an uploaded one. Error:
// orgca.ErrMissing.
func (d *Directory) Root(ctx context.Context) ([]byte, error) {
	org, err := d.org(ctx)
	if err != nil {
		return nil, err
	}
	return truststore.Encode(org.Pointer.CA()), nil
}

// Chain returns the certificates, DER, from the one that issues agents' certificates up to the root. Error:
// orgca.ErrMissing.
func (d *Directory) Chain(ctx context.Context) ([][]byte, error) {
	org, err := d.Store.Org(ctx)
	if err != nil {
		return nil, err
	}
	if org.Pointer == nil {
		return nil, orgca.ErrMissing
	}
	return org.Pointer.Chain, nil
}

// Bundle returns every trusted certificate, PEM: no longer those of a generation that a compromise has ended. Error:
// orgca.ErrMissing.
func (d *Directory) Bundle(ctx context.Context) ([]byte, error) {
	org, err := d.org(ctx)
	if err != nil {
		return nil, err
	}
	return truststore.Encode(orgca.Published(org.Generations, *org.Pointer, d.Now())), nil
}

func (d *Directory) org(ctx context.Context) (registry.Org, error) {
	org, err := d.Store.Org(ctx)
	if err == nil && org.Pointer == nil {
		err = orgca.ErrMissing
	}
	return org, err
}
