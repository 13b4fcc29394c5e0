// Package signin signs operators in to the dashboard: sign-in by the admin secret, sessions, and forms that work
// once.
package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

// Store is what sign-ins need of the registry.
type Store interface {
	Session(ctx context.Context, id string) (*session.Session, int64, error)
	PutSession(ctx context.Context, s session.Session) error
	DropSession(ctx context.Context, id string) error
	EndSessions(ctx context.Context) error
	GateStore
	UseProof(ctx context.Context, jkt, jti string, until, now time.Time) error
}

// Config is what a Door is made of; all fields are required.
type Config struct {
	Store Store
	// Check returns the admin whose secret was shown; ok is false if none was.
	Check func(ctx context.Context, shown string) (who admin.Admin, ok bool, err error)
	// Still returns the admin whose secret has this version; ok is false once it was changed or deleted. An empty name is
	// that of the installation's one secret.
	Still func(ctx context.Context, name, version string) (who admin.Admin, ok bool, err error)
	// Refused is called for each wrong secret, for the audit trail.
	Refused func(ctx context.Context, f auditlog.Refusal)
	Now     func() time.Time
	Log     *slog.Logger
}

// Door lets operators in. It is safe for concurrent use; all state is in the store.
type Door struct{ Config }

// New returns a Door.
func New(cfg Config) *Door { return &Door{cfg} }

// Attempt asks for a session.
type Attempt struct {
	audit.By // without an actor: the session that is opened says who that is
	Secret   string
	Device   string // token that an earlier sign-in gave this browser; may be empty, or anything
}

// Pass holds the tokens of a sign-in. Only the browser ever has them.
type Pass struct {
	Token   string // of the session
	Device  string // of the browser
	Session session.Session
}

// SignIn opens a session. The attempt is counted for its address, or its browser, before the secret is checked, so
// that concurrent attempts are counted one by one; a right secret within the wait is refused like a wrong one. Wrong
// secrets are also counted for all addresses together, and beyond the limit refused for a while from every address. A
// right secret is accepted meanwhile, so that a flood locks no operator out.
//
// Errors: session.ErrSecret, session.ErrLocked; registry.ErrUnknown, after which no session was handed out.
func (d *Door) SignIn(ctx context.Context, a Attempt) (Pass, error) {
	// A strongly random secret cannot be guessed and needs no limit; a weak one has no real protection here. The limit
	// reduces noise and buys time where an operator chose a weak secret.
	device, epoch, err := d.device(ctx, a.Device)
	if err != nil {
		return Pass{}, err
	}
	counted, err := d.count(ctx, a, device)
	if err != nil {
		return Pass{}, d.refused(ctx, a, err)
	}
	who, ok, err := d.Check(ctx, a.Secret)
	if errors.Is(err, session.ErrLocked) {
		return Pass{}, d.refused(ctx, a, err)
	}
	if err != nil {
		return Pass{}, err
	}
	if !ok {
		a.Actor = "dashboard"
		d.Refused(ctx, auditlog.Refusal{Event: audit.AdminLoginRefused, By: a.By, Reason: "wrong secret"})
		return Pass{}, d.refused(ctx, a, d.wrong(ctx, device))
	}
	d.passed(ctx, counted)
	return d.open(ctx, a, who, device, epoch)
}

func (d *Door) refused(ctx context.Context, a Attempt, err error) error {
	d.Log.WarnContext(ctx, "dashboard.sign_in_refused", "cause", err.Error(), "source_ip", a.SourceIP, "request_id",
		a.RequestID)
	return err
}

// device returns the browser's record; nil for a stranger's.
func (d *Door) device(ctx context.Context, token string) (*session.Session, int64, error) {
	if token == "" {
		token = session.NewToken() // the epoch is needed all the same
	}
	known, epoch, err := d.Store.Session(ctx, session.DeviceID(token))
	if err != nil {
		return nil, 0, err
	}
	if known.Check(epoch, d.Now()) != nil {
		known = nil
	}
	return known, epoch, nil
}

// wrong is the answer to a wrong secret, counted for everyone unless the browser is a known one.
func (d *Door) wrong(ctx context.Context, device *session.Session) error {
	if device != nil {
		return session.ErrSecret
	}
	if _, err := d.gates().try(ctx, everyone, session.Everyone); err != nil {
		return err
	}
	return session.ErrSecret
}

func (d *Door) gates() *Gates { return &Gates{Store: d.Store, Now: d.Now} }

func (d *Door) count(ctx context.Context, a Attempt, device *session.Session) (limitedGate, error) {
	if device != nil {
		return d.gates().try(ctx, "device "+device.ID, session.PerDevice)
	}
	return d.gates().try(ctx, source(a.SourceIP), session.PerSource)
}

// passed takes the count back. That is a courtesy: what stays counted is forgotten in time.
func (d *Door) passed(ctx context.Context, g limitedGate) {
	if err := d.Store.PutGate(ctx, g.Passed(), g.Expires(g.limit)); err != nil {
		d.Log.WarnContext(ctx, "dashboard.gate", "cause", err.Error())
	}
}

// open stores the session, and the browser if it is not known yet.
func (d *Door) open(
	ctx context.Context, a Attempt, who admin.Admin, device *session.Session, epoch int64,
) (Pass, error) {
	now := d.Now()
	p := Pass{Token: session.NewToken(), Device: a.Device}
	id := session.ID(p.Token)
	p.Session = session.Session{
		ID:      id,
		Actor:   actor(who, id),
		Admin:   who.Name,
		Epoch:   epoch,
		Created: now,
		Expires: now.Add(session.TTL),
		Version: who.Version,
	}
	if device == nil {
		p.Device = session.NewToken()
		known := session.Session{
			ID:      session.DeviceID(p.Device),
			Epoch:   epoch,
			Created: now,
			Expires: now.Add(session.DeviceTTL),
		}
		if err := d.Store.PutSession(ctx, known); err != nil {
			return Pass{}, err
		}
	}
	if err := d.Store.PutSession(ctx, p.Session); err != nil {
		return Pass{}, err
	}
	d.Log.InfoContext(ctx, "dashboard.signed_in", "actor", p.Session.Actor, "source_ip", a.SourceIP, "request_id",
		a.RequestID)
	return p, nil
}

// actor is an admin in the audit trail, where a session acts for the admin. Eight digits of the session's hash separate
// two operators with the one secret and reveal nothing about the token.
func actor(who admin.Admin, id string) string {
	if who.Name != "" {
		return who.Actor()
	}
	return fmt.Sprintf("dashboard:%s/%s", who.Version, id[:8])
}

// Visit is a session that counts, and its admin with the role that the admin has now.
type Visit struct {
	session.Session
	Admin admin.Admin
}

// Open returns the session of a token: one read. A session ends before its time with all others, and with the version
// of the secret that opened it. Error: session.ErrNone.
func (d *Door) Open(ctx context.Context, token string) (Visit, error) {
	if token == "" {
		return Visit{}, session.ErrNone
	}
	s, epoch, err := d.Store.Session(ctx, session.ID(token))
	if err != nil {
		return Visit{}, err
	}
	if err := s.Check(epoch, d.Now()); err != nil {
		return Visit{}, err
	}
	who, ok, err := d.Still(ctx, s.Admin, s.Version)
	if err != nil {
		return Visit{}, err
	}
	if !ok {
		return Visit{}, session.ErrNone
	}
	return Visit{*s, who}, nil
}

// RefusedRole records that the admin of a session asked for what the role may not do.
func (d *Door) RefusedRole(ctx context.Context, by audit.By) {
	d.Refused(ctx, auditlog.Refusal{Event: audit.AdminLoginRefused, By: by, Reason: "role"})
}

// SignOut ends a session.
func (d *Door) SignOut(ctx context.Context, s session.Session) error {
	err := d.Store.DropSession(ctx, s.ID)
	if errors.Is(err, registry.ErrUnknown) { // may be repeated, and must not be left open
		err = d.Store.DropSession(ctx, s.ID)
	}
	if err == nil {
		d.Log.InfoContext(ctx, "dashboard.signed_out", "actor", s.Actor)
	}
	return err
}

// SignOutEverywhere ends every session, and makes a stranger of every browser.
func (d *Door) SignOutEverywhere(ctx context.Context, s session.Session) error {
	err := d.Store.EndSessions(ctx)
	if errors.Is(err, registry.ErrUnknown) {
		err = d.Store.EndSessions(ctx)
	}
	if err == nil {
		d.Log.InfoContext(ctx, "dashboard.signed_out_everywhere", "actor", s.Actor)
	}
	return err
}

// Once takes a form's number, which works once in its session. After any error what the form asks for must not be done:
// it may have been done already.
//
// Error: session.ErrUsed.
func (d *Door) Once(ctx context.Context, s session.Session, number string) error {
	now := d.Now()
	err := d.Store.UseProof(ctx, "form of "+s.ID, number, now.Add(session.TTL), now)
	if errors.Is(err, registry.ErrReplayed) {
		return session.ErrUsed
	}
	return err
}
