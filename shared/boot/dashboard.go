package boot

import (
	"context"
	"errors"
	"fmt"

	"github.com/mastio-aws/mastio/shared/edge/dashboard"
	"github.com/mastio-aws/mastio/shared/edge/delegate"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/rotatecert"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
	"github.com/mastio-aws/mastio/shared/usecase/trail"
)

// Dashboard is the function dashboard. Under a legacy Org CA it stays open even where strict PKI shuts all others, because
// it is where an operator remedies that; what gives an agent a certificate is shut in it.
func Dashboard(p *parts) (any, error) {
	if p.RotateCAFunction == "" {
		return nil, fmt.Errorf("%w: MASTIO_ROTATECA_FUNCTION is not set", ErrConfig)
	}
	admin := p.secret()
	d := dashboard.New(dashboard.Config{
		OrgID: p.OrgID,
		Door: signin.New(signin.Config{
			Store: p.db, Refused: p.refusals().Record, Now: p.now, Log: p.log,
			Check: func(ctx context.Context, shown string) (string, bool, error) {
				version, ok, err := admin.Check(ctx, shown)
				return version, ok, told(err)
			},
			Accepted: func(ctx context.Context) ([]string, error) {
				versions, err := admin.Accepted(ctx)
				return versions, told(err)
			},
		}),
		Registry:   p.db,
		Enroll:     p.enroller(),
		RotateCert: rotatecert.New(rotatecert.Config{Store: p.db, Issuer: p.issuer(), Log: p.log}),
		RotateCA:   Rotations(&delegate.Client{API: delegate.NewClient(p.aws), Function: p.RotateCAFunction}),
		Progress:   &rotateca.Observer{Store: p.db, Now: p.now, Log: p.log},
		Health:     &health.Checker{Store: p.db, Objects: p.objects(), Noted: p.keys().Noted, Schedule: p.Schedule, Now: p.now},
		Trail:      trail.New(trail.Config{Store: p.db, Archive: p.archive(), Key: p.auditKey(), OrgID: p.OrgID, Now: p.now, MaxBundle: dashboard.MaxBundle}),
		Rows:       httpapi.WriteRows,
		Gate:       p.gate(), Explain: Explain, Caller: Caller, Now: p.now,
	})
	mux, err := httpapi.New(httpapi.Config{Handlers: Pages(d), Session: d.Admit, Log: p.log, Now: p.now})
	if err != nil {
		return nil, err
	}
	return httpapi.Lambda(mux), nil
}

// Rotations are those of the function rotateca. It explains an error itself, and the dashboard passes that on.
func Rotations(c *delegate.Client) dashboard.RotateCA { return rotations{c} }

type rotations struct{ *delegate.Client }

// Do has the function rotateca carry out a request.
func (r rotations) Do(ctx context.Context, req rotateca.Request) (rotateca.Result, error) {
	result, err := r.Client.Do(ctx, req)
	if refusal, ok := errors.AsType[*delegate.Refusal](err); ok {
		if err = httpapi.Told(refusal.Document, refusal.RetryIn); errors.Is(err, httpapi.ErrProblem) {
			err = fmt.Errorf("%w: %w", registry.ErrUnknown, err)
		}
	}
	return result, err
}

// told gives a secret store that fails the words that the API has for it.
func told(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", httpapi.ErrAdminUnavailable, err)
}

// Pages are the dashboard's handlers as the mux takes them.
func Pages(d *dashboard.Dashboard) httpapi.Handlers {
	all := httpapi.Handlers{}
	for route, h := range d.Handlers() {
		all[route] = h
	}
	return all
}

// Explain gives the dashboard the words of the API.
func Explain(err error, requestID string) dashboard.Problem {
	p := httpapi.Explain(err, requestID)
	told := dashboard.Problem{Status: p.Status, Title: p.Title, Code: p.Code, Detail: p.Detail, RequestID: p.RequestID, RetryIn: p.RetryIn}
	for _, d := range p.Errors {
		told.Defects = append(told.Defects, dashboard.Defect{Code: string(d.Code), Detail: d.Detail})
	}
	return told
}

// Caller gives the dashboard what the edge says about a request.
func Caller(ctx context.Context) dashboard.Caller {
	c := httpapi.CallOf(ctx)
	return dashboard.Caller{RequestID: c.RequestID, SourceIP: c.SourceIP}
}
