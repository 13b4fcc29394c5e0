package boot

import (
	"context"
	"fmt"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/dashboard"
	"github.com/mastio-aws/mastio/shared/edge/delegate"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/edge/secrets"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/rotatecert"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
	"github.com/mastio-aws/mastio/shared/usecase/trail"
)

// Dashboard is the function dashboard. Under a legacy Org CA it stays open even if strict PKI shuts all other
// functions, because an operator remedies the CA there. Its forms that give an agent a certificate are shut.
func Dashboard(p *parts) (any, error) {
	if p.RotateCAFunction == "" {
		return nil, fmt.Errorf("%w: MASTIO_ROTATECA_FUNCTION is not set", ErrConfig)
	}
	admin := p.secret()
	d := dashboard.New(dashboard.Config{
		OrgID:      p.OrgID,
		Door:       p.door(admin),
		Registry:   p.db,
		Enroll:     p.enroller(),
		RotateCert: rotatecert.New(rotatecert.Config{Store: p.db, Issuer: p.issuer(), Log: p.log}),
		RotateCA:   &delegate.Client{API: delegate.NewClient(p.aws), Function: p.RotateCAFunction},
		Progress:   &rotateca.Observer{Store: p.db, Now: p.now, Log: p.log},
		Health:     &health.Checker{Store: p.db, Objects: p.objects(), Noted: p.keys().Noted, Schedule: p.Schedule, Secret: admin.Shortest, Now: p.now},
		Trail:      trail.New(trail.Config{Store: p.db, Archive: p.archive(), Key: p.auditKey(), OrgID: p.OrgID, Now: p.now, MaxBundle: dashboard.MaxBundle}),
		Rows:       httpapi.WriteRows,
		Gate:       p.gate(), Caller: Caller, Mount: Mount, Now: p.now,
	})
	mux, err := httpapi.New(httpapi.Config{Handlers: Pages(d), Session: d.Admit, Log: p.log, Now: p.now})
	if err != nil {
		return nil, err
	}
	return httpapi.Lambda(mux), nil
}

// door lets operators in. The function rotateca has one too, to know by a session who gives an order.
func (p *parts) door(admin *secrets.Admin) *signin.Door {
	return signin.New(signin.Config{
		Store: p.db, Refused: p.refusals().Record, Now: p.now, Log: p.log,
		Check: func(ctx context.Context, shown string) (string, bool, error) {
			version, ok, err := admin.Check(ctx, shown)
			return version, ok, told(err)
		},
		Accepted: func(ctx context.Context) ([]string, error) {
			versions, err := admin.Accepted(ctx)
			return versions, told(err)
		},
	})
}

// told wraps an error of the secret store in the API's public error.
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

// Caller gives the dashboard what the edge says about a request.
func Caller(ctx context.Context) audit.By { return httpapi.CallOf(ctx).By }

// Mount gives it the stage's part of the path.
func Mount(ctx context.Context) string { return httpapi.CallOf(ctx).Mount }
