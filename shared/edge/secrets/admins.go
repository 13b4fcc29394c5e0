package secrets

import (
	"context"
	"slices"

	"github.com/mastio-aws/mastio/shared/admin"
)

// Admins checks the installation's one secret, and those of named admins. It is safe for concurrent use.
type Admins struct {
	*Secret            // the one
	Named   *Directory // nil: there are none
}

// Check returns the admin whose secret was shown: NAME:SECRET for a named one. The one secret may have a colon too, so
// each wrong secret is compared with both.
func (a *Admins) Check(ctx context.Context, shown string) (admin.Admin, bool, error) {
	name, secret, named := admin.Split(shown)
	var refused error
	if named && a.Named != nil {
		who, ok, err := a.Named.Check(ctx, name, secret)
		if ok {
			return who, true, nil
		}
		refused = err
	}
	version, ok, err := a.Secret.Check(ctx, shown)
	switch {
	case ok:
		return admin.Holder(version), true, nil
	case refused != nil:
		return admin.Admin{}, false, refused
	}
	return admin.Admin{}, false, err
}

// Still returns the admin whose secret had this version and was not changed or deleted since, as far as Check knows.
// An empty name is that of the one secret, whose previous version counts too.
func (a *Admins) Still(ctx context.Context, name, version string) (admin.Admin, bool, error) {
	if name != "" && a.Named != nil {
		return a.Named.Still(ctx, name, version)
	}
	accepted, err := a.Accepted(ctx)
	if err != nil || name != "" || version == "" || !slices.Contains(accepted, version) {
		return admin.Admin{}, false, err
	}
	return admin.Holder(version), true, nil
}
