package boot

import (
	"context"
	"fmt"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/dashboard"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/edge/remoteca"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// Dashboard is the function dashboard. Under a legacy Org CA it stays open even where strict PKI shuts all others,
// because it is where an operator remedies that; what gives an agent a certificate is shut in it.
func Dashboard(p *Parts) (any, error) {
	if p.RotateCAFunction == "" {
		return nil, fmt.Errorf("%w: MASTIO_ROTATECA_FUNCTION is not set", ErrConfig)
	}
	admin := p.secret()
	checker := p.Checker()
	// the pages list neither keys nor checkpoints
	checker.Secret, checker.Left, checker.Forgotten = admin.Shortest, nil, nil
	d := dashboard.New(dashboard.Config{
		OrgID:      p.OrgID,
		Door:       p.Door(admin),
		Registry:   p.store(),
		Enroll:     p.Enroller(),
		RotateCert: p.CertRotator(),
		RotateCA:   (&remoteca.Client{API: p.functions(), Function: p.RotateCAFunction}).Do,
		Progress:   &rotateca.Observer{Store: p.store(), Now: p.Now, Log: p.Log},
		Health:     checker,
		Trail:      p.Trail(dashboard.MaxBundle),
		Rows:       httpapi.WriteRows,
		Strict:     p.strict(),
		Caller:     func(ctx context.Context) audit.By { return httpapi.CallOf(ctx).By },
		Mount:      func(ctx context.Context) string { return httpapi.CallOf(ctx).Mount },
		Now:        p.Now,
	})
	pages := httpapi.Handlers{}
	for route, h := range d.Handlers() {
		pages[route] = h
	}
	mux, err := httpapi.New(httpapi.Config{
		Handlers: pages,
		Session:  d.Admit,
		Refusal:  d.Refuse,
		Log:      p.Log,
		Now:      p.Now,
	})
	if err != nil {
		return nil, err
	}
	return httpapi.Lambda(mux), nil
}
