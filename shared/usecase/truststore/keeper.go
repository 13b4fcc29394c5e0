package truststore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/registry"
)

// Records is what a Keeper needs of the registry.
type Records interface {
	Store
	Apply(ctx context.Context, c registry.Change) error
}

// lastRead remembers the organisation that a Store read last.
type lastRead struct {
	Store
	org registry.Org
}

// Org reads the organisation.
func (l *lastRead) Org(ctx context.Context) (org registry.Org, err error) {
	l.org, err = l.Store.Org(ctx)
	return l.org, err
}

// Config is what a Keeper is made of; all fields are required.
type Config struct {
	Objects Objects
	Domain  Domain // NoDomain where there is none
	Store   Records
	Now     func() time.Time
	NewID   func() string // unique, at most 36 characters
	Log     *slog.Logger
}

// Keeper keeps the object equal to the generations, and the domain at the object. It keeps a record of both in the
// registry, so that no other caller has to ask the domain, whose quotas are small. It is safe for concurrent use,
// across processes too.
type Keeper struct{ Config }

// NewKeeper returns a Keeper.
func NewKeeper(cfg Config) *Keeper { return &Keeper{cfg} }

// domainTimeout bounds what the domain can cost a rotation that had to write the object.
const domainTimeout = 5 * time.Second

// Reconcile brings the object and the domain up to date and returns the object's version. Repeating it is harmless. Two
// runs at once are harmless too, though the domain may then stay behind until the next run. Reconcile notes an error of
// the domain and does not fail: a rotation never depends on the edge, because the pins judge every certificate that the
// edge lets in.
func (k *Keeper) Reconcile(ctx context.Context) (version string, err error) {
	read := lastRead{Store: k.Store}
	if version, err = Sync(ctx, k.Objects, &read); err != nil {
		return "", err
	}
	before := read.org.Truststore
	next := before
	cause := k.follow(ctx, version, &next)
	next.Since = since(before, next.Status, k.Now())
	if same(before, next) {
		return version, nil
	}
	k.report(ctx, next, cause)
	err = registry.Settle(ctx, k.Store.Apply, registry.Change{ID: k.NewID(), Truststore: &next})
	if err != nil && !errors.Is(err, registry.ErrConflict) { // after a conflict another run has just taken note
		return "", fmt.Errorf("take note of the truststore: %w", err)
	}
	return version, nil
}

// Follow brings object and domain up to date as Reconcile does, and returns how the domain stands. It takes no note: it
// is for a function that must not write the organisation's records, and the standby job notes what its next run sees.
// Where the last note says that the domain serves this very version, the domain is not asked.
//
// An error is one of the object's; the domain is left behind until the standby job runs.
func (k *Keeper) Follow(ctx context.Context) (registry.TruststoreStatus, error) {
	read := lastRead{Store: k.Store}
	version, err := Sync(ctx, k.Objects, &read)
	if err != nil {
		return registry.TruststorePending, err
	}
	noted := read.org.Truststore
	if noted.Object == version && noted.Status == registry.TruststoreCurrent {
		return noted.Status, nil
	}
	next := noted
	cause := k.follow(ctx, version, &next)
	k.report(ctx, next, cause)
	return next.Status, nil
}

// follow points the domain at the version, unless it is there already, and notes how it stands. An error is the reason
// why it does not follow.
func (k *Keeper) follow(ctx context.Context, version string, t *registry.Truststore) error {
	ctx, cancel := context.WithTimeout(ctx, domainTimeout)
	defer cancel()
	t.Object = version
	s, err := k.Domain.Present(ctx)
	if err != nil {
		t.Status = refused(err)
		return err
	}
	note(t, s)
	if s.Status == Absent || s.Status == Updating || s.Version == version && s.Status != Failed {
		return nil
	}
	if s, err = k.point(ctx, version); err != nil {
		t.Status = refused(err)
		return err
	}
	note(t, s)
	return nil
}

// refused is the status of a domain that did not answer as asked: one that is busy, or asked too often, is pointed
// later.
func refused(err error) registry.TruststoreStatus {
	if errors.Is(err, ErrBusy) {
		return registry.TruststorePending
	}
	return registry.TruststoreFailed
}

// point looks at the object once more before it moves the domain: who was overtaken must not take it back. Behind it,
// it looks at the domain once more, which may be through already.
func (k *Keeper) point(ctx context.Context, version string) (DomainState, error) {
	present, err := k.Objects.Read(ctx)
	if err != nil {
		return DomainState{}, err
	}
	if present.Version != version {
		return DomainState{}, fmt.Errorf("%w: the object is of version %s by now", ErrBusy, present.Version)
	}
	s, err := k.Domain.Point(ctx, version)
	if err != nil || s.Status != Updating {
		return s, err
	}
	if later, err := k.Domain.Present(ctx); err == nil {
		return later, nil
	}
	return s, nil
}

// note reads a record's fields out of the domain's state.
func note(t *registry.Truststore, s DomainState) {
	t.Domain, t.Warnings = s.Version, s.Warnings
	switch {
	case s.Status == Absent:
		t.Status = registry.TruststoreCurrent
	case s.Status == Failed:
		t.Status = registry.TruststoreFailed
	case s.Version != t.Object:
		t.Status = registry.TruststorePending
	case s.Status == Available:
		t.Status = registry.TruststoreCurrent
	default:
		t.Status = registry.TruststoreUpdating
	}
}

// since keeps the beginning of a time in which the domain did not serve the object, whatever the object was in it.
func since(before registry.Truststore, status registry.TruststoreStatus, now time.Time) time.Time {
	switch {
	case status == registry.TruststoreCurrent:
		return time.Time{}
	case before.Since.IsZero():
		return now
	default:
		return before.Since
	}
}

func same(a, b registry.Truststore) bool {
	return a.Object == b.Object && a.Domain == b.Domain && a.Status == b.Status && slices.Equal(a.Warnings, b.Warnings) &&
		a.Since.Equal(b.Since)
}

// report logs what has changed. Warnings and a domain that does not follow get a level that an operator sees.
func (k *Keeper) report(ctx context.Context, t registry.Truststore, cause error) {
	level := slog.LevelInfo
	attributes := []slog.Attr{slog.String("object", t.Object), slog.String("domain", t.Domain),
		slog.String("status", string(t.Status))}
	if len(t.Warnings) > 0 || t.Status == registry.TruststoreFailed {
		level = slog.LevelWarn
		attributes = append(attributes, slog.Any("warnings", t.Warnings))
	}
	if cause != nil {
		attributes = append(attributes, slog.String("cause", cause.Error()))
	}
	k.Log.LogAttrs(ctx, level, "pki.rotate.truststore", attributes...)
}
