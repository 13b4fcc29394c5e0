// Package apigateway points the agents' custom domain in Amazon API Gateway (REST, v1) at versions of the truststore
// object.
package apigateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// NewClient returns a client that never retries: an account has one update in 30 s, so an early retry would fail, and
// the caller runs again on its schedule.
func NewClient(cfg aws.Config) *apigateway.Client {
	return apigateway.NewFromConfig(cfg, func(o *apigateway.Options) { o.Retryer = aws.NopRetryer{} })
}

// Domain is a custom domain with mutual TLS. It is safe for concurrent use.
//
// Its caller needs apigateway:GET, apigateway:PATCH and apigateway:AddCertificateToDomain on
// arn:aws:apigateway:{region}::/domainnames/{domain}, and s3:GetObject and s3:GetObjectVersion on the truststore
// object: API Gateway reads the object with the rights of the caller that points the domain at it.
type Domain struct {
	API  *apigateway.Client
	Name string
}

// Present asks how the domain stands.
func (d *Domain) Present(ctx context.Context) (truststore.DomainState, error) {
	out, err := d.API.GetDomainName(ctx, &apigateway.GetDomainNameInput{DomainName: &d.Name})
	if busy(err) {
		return truststore.DomainState{}, fmt.Errorf("look at domain %s: %w: %w", d.Name, truststore.ErrBusy, err)
	}
	if err != nil {
		return truststore.DomainState{}, fmt.Errorf("look at domain %s: %w", d.Name, err)
	}
	return state(out.DomainNameStatus, out.MutualTlsAuthentication), nil
}

// Point has the domain serve a version of the object. The object's place is the deployment's to say, not the product's.
func (d *Domain) Point(ctx context.Context, version string) (truststore.DomainState, error) {
	out, err := d.API.UpdateDomainName(ctx, &apigateway.UpdateDomainNameInput{
		DomainName: &d.Name,
		PatchOperations: []types.PatchOperation{{
			Op:    types.OpReplace,
			Path:  aws.String("/mutualTlsAuthentication/truststoreVersion"),
			Value: &version,
		}},
	})
	if busy(err) {
		return truststore.DomainState{},
			fmt.Errorf("point domain %s at version %s: %w: %w", d.Name, version, truststore.ErrBusy, err)
	}
	if err != nil {
		return truststore.DomainState{}, fmt.Errorf("point domain %s at version %s: %w", d.Name, version, err)
	}
	return state(out.DomainNameStatus, out.MutualTlsAuthentication), nil
}

// busy reports whether a refusal is temporary: one update of a domain in 30 s is API Gateway's quota of an account.
func busy(err error) bool {
	_, many := errors.AsType[*types.TooManyRequestsException](err)
	_, conflict := errors.AsType[*types.ConflictException](err)
	return many || conflict
}

func state(status types.DomainNameStatus, mutual *types.MutualTlsAuthentication) truststore.DomainState {
	s := truststore.DomainState{Status: truststore.Updating}
	switch status {
	case types.DomainNameStatusAvailable:
		s.Status = truststore.Available
	case types.DomainNameStatusFailed:
		s.Status = truststore.Failed
	default: // updating, or waiting for something that only its owner can do
	}
	if mutual != nil {
		s.Version, s.Warnings = aws.ToString(mutual.TruststoreVersion), mutual.TruststoreWarnings
	}
	return s
}
