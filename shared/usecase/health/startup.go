package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// Errors that fail a deployment. So do rotateca.ErrLost and, under strict PKI, orgca.ErrLegacy.
var (
	ErrRegistry = problem.Internal("the registry cannot be read")
	ErrNoOrgCA  = problem.Internal("there is no Org CA: the function standby makes the first one, and its log says " +
		"what keeps it from that")
	ErrTruststore = problem.Internal("the truststore object is missing: the function standby writes it, and its log " +
		"says what keeps it from that")
	ErrDomain = problem.Internal("the agents' domain cannot be made before there is an Org CA to trust: deploy " +
		"without agentsDomain, upload the CA (POST /pki/rotate-ca?mode=upload), then deploy with it")
	ErrUnread   = problem.Internal("the truststore object cannot be read")
	ErrSecret   = problem.Internal("the admin secret cannot be read, or is empty")
	ErrTokenKey = problem.Internal("the token signing key cannot be used")
)

// OrgStore is what a check needs of the registry.
type OrgStore interface {
	Org(ctx context.Context) (registry.Org, error)
}

// Check looks at everything that a request will need, and changes nothing. All fields but Strict, Adopt and Domain are
// required.
type Check struct {
	Store   OrgStore
	Objects interface {
		Read(ctx context.Context) (truststore.Object, error)
	}
	Secret func(ctx context.Context) error                // reads the admin secret
	Tokens func(ctx context.Context, now time.Time) error // opens the key that tokens are signed with
	// Left finds the keys of the organisation's Org CAs; it is asked while the registry has none.
	Left func(ctx context.Context) ([]rotateca.KeySpec, error)
	// Forgotten reports whether the archive has checkpoints that the registry does not know; nil: it is not asked.
	Forgotten func(ctx context.Context) (bool, error)
	Strict    bool // refuse a legacy Org CA
	Adopt     bool // an organisation without an Org CA waits for its operator's
	Domain    bool // agents have a domain of their own, which reads the truststore
	Now       func() time.Time
}

// Run returns every reason not to take traffic, one a line, so that one deployment shows all there is to mend.
func (c *Check) Run(ctx context.Context) error {
	return errors.Join(c.orgCA(ctx), because(ErrSecret, c.Secret(ctx)), because(ErrTokenKey, c.Tokens(ctx, c.Now())))
}

func (c *Check) orgCA(ctx context.Context) error {
	org, err := c.Store.Org(ctx)
	if err != nil { // without it nothing can be said of the truststore either
		return because(ErrRegistry, err)
	}
	if org.Pointer == nil {
		if err := (rotateca.Traces{Org: c.Store.Org, Keys: c.Left, Forgotten: c.Forgotten}).Lost(ctx); err != nil {
			return err
		}
		if c.Adopt && c.Domain {
			return ErrDomain
		}
		if c.Adopt { // its upload makes the object
			return nil
		}
		return errors.Join(ErrNoOrgCA, c.truststore(ctx))
	}
	if c.Strict && org.Pointer.Legacy {
		return errors.Join(orgca.ErrLegacy, c.truststore(ctx))
	}
	return c.truststore(ctx)
}

// truststore checks that the object exists, not its content: /healthz reports a bundle that is out of date, and the
// standby job updates it while traffic flows.
func (c *Check) truststore(ctx context.Context) error {
	object, err := c.Objects.Read(ctx)
	if err != nil {
		return because(ErrUnread, err)
	}
	if len(object.PEM) == 0 {
		return ErrTruststore
	}
	return nil
}

func because(reason, cause error) error {
	if cause == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", reason, cause)
}
