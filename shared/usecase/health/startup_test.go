package health_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// store is a registry with what the test says in it.
type orgStore struct {
	org registry.Org
	err error
}

// Org returns it.
func (s orgStore) Org(context.Context) (registry.Org, error) { return s.org, s.err }

// object is a truststore object.
type object struct {
	pem string
	err error
}

// Read returns it.
func (o object) Read(context.Context) (truststore.Object, error) {
	return truststore.Object{PEM: []byte(o.pem)}, o.err
}

var errBroken = errors.New("broken")

func orgWith(legacy bool) registry.Org {
	return registry.Org{Pointer: &orgca.Pointer{Current: 1, Legacy: legacy}}
}

// good is a check that finds nothing.
func fit() *health.Check {
	return &health.Check{
		Store:   orgStore{org: orgWith(false)},
		Objects: object{pem: "x"},
		Now:     time.Now,
		Secret:  func(context.Context) error { return nil },
		Tokens:  func(context.Context, time.Time) error { return nil },
		Left:    func(context.Context) ([]rotateca.KeySpec, error) { return nil, nil },
	}
}

func TestRun(t *testing.T) {
	broken := func(context.Context) error { return errBroken }
	for name, c := range map[string]struct {
		change func(*health.Check)
		want   []error // every one of them, and no others
	}{
		"all is well": {func(*health.Check) {}, nil},
		"the registry was emptied, the keys are there": {func(c *health.Check) {
			c.Store = orgStore{}
			c.Left = func(context.Context) ([]rotateca.KeySpec, error) {
				return []rotateca.KeySpec{{Generation: 1, RotationID: "r"}}, nil
			}
		}, []error{rotateca.ErrLost}},
		"legacy, and allowed": {func(c *health.Check) { c.Store = orgStore{org: orgWith(true)} }, nil},
		"legacy, and refused": {func(c *health.Check) {
			c.Store, c.Strict = orgStore{org: orgWith(true)},
				true
		}, []error{orgca.ErrLegacy}},
		"strict, and in order": {func(c *health.Check) { c.Strict = true }, nil},
		"no object": {func(c *health.Check) { c.Objects = object{} },
			[]error{health.ErrTruststore}},
		"unreadable object": {func(c *health.Check) { c.Objects = object{err: errBroken} },
			[]error{health.ErrUnread, errBroken}},
		"no Org CA": {func(c *health.Check) { c.Store = orgStore{} },
			[]error{health.ErrNoOrgCA}},
		"no Org CA, and no object": {func(c *health.Check) { c.Store, c.Objects = orgStore{}, object{} },
			[]error{health.ErrNoOrgCA, health.ErrTruststore}},
		"an Org CA to be adopted": {func(c *health.Check) {
			c.Store, c.Objects, c.Adopt = orgStore{},
				object{}, true
		}, nil},
		"an Org CA to be adopted behind a domain": {func(c *health.Check) {
			c.Store, c.Objects, c.Adopt,
				c.Domain = orgStore{}, object{}, true, true
		}, []error{health.ErrDomain}},
		"adopted behind a domain": {func(c *health.Check) { c.Adopt, c.Domain = true, true }, nil},
		"adopted, but without object": {func(c *health.Check) { c.Objects, c.Adopt = object{}, true },
			[]error{health.ErrTruststore}},
		"adopted a legacy one": {func(c *health.Check) {
			c.Store, c.Adopt,
				c.Strict = orgStore{org: orgWith(true)}, true, true
		}, []error{orgca.ErrLegacy}},
		"unreadable registry": {func(c *health.Check) {
			c.Store, c.Adopt = orgStore{err: errBroken},
				true
		}, []error{health.ErrRegistry, errBroken}},
		"unreadable secret": {func(c *health.Check) { c.Secret = broken },
			[]error{health.ErrSecret, errBroken}},
		"token key that does not open": {func(c *health.Check) {
			c.Tokens = func(context.Context,
				time.Time) error {
				return errBroken
			}
		}, []error{health.ErrTokenKey, errBroken}},
		"everything at once is one run": {func(c *health.Check) {
			c.Store, c.Strict, c.Objects, c.Secret = orgStore{org: orgWith(true)}, true, object{}, broken
		}, []error{orgca.ErrLegacy, health.ErrTruststore, health.ErrSecret, errBroken}},
	} {
		check := fit()
		c.change(check)
		err := check.Run(t.Context())
		for _, candidate := range []error{
			orgca.ErrLegacy, health.ErrTruststore, health.ErrUnread, health.ErrNoOrgCA, health.ErrRegistry, health.ErrSecret,
			health.ErrTokenKey, health.ErrDomain, errBroken,
		} {
			wanted := slices.Contains(c.want, candidate)
			if errors.Is(err, candidate) != wanted {
				t.Errorf("%s: %q among the reasons: %t, want %t; all of them: %v", name, candidate, !wanted, wanted, err)
			}
		}
	}
}

// The words are the operator's guide's, on a line of their own.
func TestTheGuidesWords(t *testing.T) {
	c := fit()
	c.Store, c.Strict, c.Objects = orgStore{org: orgWith(true)}, true, object{}
	const want = "MCP_PROXY_STRICT_PKI=1 refuses boot on legacy Org CA. Run POST /pki/rotate-ca."
	if err := c.Run(t.Context()); err == nil || strings.Split(err.Error(), "\n")[0] != want {
		t.Errorf("reasons = %v, want %q first", err, want)
	}
}

// Over the real parts: red before the standby job has run, green after it, and nothing is written by looking.
func TestOverTheRealParts(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	c := &health.Check{
		Store:   m.Store,
		Objects: m.Objects,
		Secret:  func(context.Context) error { return nil },
		Tokens:  m.Ring.Usable,
		Left:    m.Keys.Left,
		Now:     m.Now,
	}
	err := c.Run(t.Context())
	for _, want := range []error{health.ErrNoOrgCA, health.ErrTruststore, health.ErrTokenKey} {
		if !errors.Is(err, want) {
			t.Errorf("before the standby job: %v, want %q too", err, want)
		}
	}
	if o, err := m.Store.Org(t.Context()); err != nil || o.Pointer != nil {
		t.Fatalf("the check made an Org CA: %+v, %v", o.Pointer, err)
	}
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Errorf("after the standby job: %v", err)
	}
	m.Advance(72 * time.Hour) // beyond the epochs that have keys
	if err := c.Run(t.Context()); !errors.Is(err, health.ErrTokenKey) {
		t.Errorf("without a key of this epoch: %v, want ErrTokenKey", err)
	}
}
