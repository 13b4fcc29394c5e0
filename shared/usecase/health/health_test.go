package health_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/shared/warnings"
)

var now = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

// world is what a check reads, all of it in good order until a test spoils it.
type world struct {
	others  []registry.EdgeCA
	org     registry.Org
	orgErr  error
	object  truststore.Object
	readErr error
	reads   int
	noted   map[string]int64
	noteErr error
	asked   int

	suspects   []agent.ID
	suspectErr error
	searched   int

	expiring    bool
	expiringErr error
	looked      int

	checkpoint *registry.LastCheckpoint
	forgotten  bool
	forgotErr  error
}

// Checkpoint returns the last checkpoint.
func (w *world) Checkpoint(context.Context) (*registry.LastCheckpoint, error) {
	return w.checkpoint, nil
}

// Forgotten reports whether the archive knows more.
func (w *world) Forgotten(context.Context) (bool, error) { return w.forgotten, w.forgotErr }

// Left reports keys; there are none.
func (w *world) Left(context.Context) ([]rotateca.KeySpec, error) { return nil, nil }

// Noted returns what is noted on a key.
func (w *world) Noted(_ context.Context, key string) (int64, error) {
	w.asked++
	return w.noted[key], w.noteErr
}

// Suspects returns suspect agents.
func (w *world) Suspects(_ context.Context, limit int) ([]agent.ID, error) {
	w.searched++
	return w.suspects[:min(len(w.suspects), limit)], w.suspectErr
}

// Expiring reports certificates that end.
func (w *world) Expiring(_ context.Context, now, overdue time.Time) (bool, error) {
	w.looked++
	if now.Sub(overdue) != 48*time.Hour {
		panic("health: certificates are overdue after two days")
	}
	return w.expiring, w.expiringErr
}

// Org returns the organisation.
func (w *world) Org(context.Context) (registry.Org, error) { return w.org, w.orgErr }

// EdgeCAs returns those that agents have SVIDs under.
func (w *world) EdgeCAs(context.Context) ([]registry.EdgeCA, error) { return w.others, nil }

// let has the edge let in n CAs of bundles, each with a tail.
func (w *world) let(n int, tail ...byte) {
	for i := range n {
		w.others = append(w.others, registry.EdgeCA{DER: append([]byte{byte(i)}, tail...)})
	}
	w.object.PEM = truststore.PEM(w.org.Generations, w.others...)
}

// Read returns the truststore.
func (w *world) Read(context.Context) (truststore.Object, error) {
	w.reads++
	return w.object, w.readErr
}

// Replace is never called by a check.
func (w *world) Replace(context.Context, []byte, string) (string, error) {
	panic("health: a check does not write")
}

func good() *world {
	w := &world{org: registry.Org{
		Pointer: &orgca.Pointer{
			Current:     1,
			Fingerprint: "f1",
			Fence:       7,
			SigningKey:  "k1",
			NotAfter:    now.AddDate(10, 0, 0),
			RotatedAt:   now.Add(-time.Hour),
			Version:     1,
		},
		Generations: []orgca.Generation{
			{Number: 1, State: orgca.Current, Root: []byte("r1"), Issuing: []byte("i1"), Truststore: "v1"},
			{Number: 2, State: orgca.Staged, Source: orgca.Mint, Root: []byte("r2"), Issuing: []byte("i2"), Truststore: "v1"},
		},
	}}
	w.object.PEM = truststore.PEM(w.org.Generations)
	return w
}

func check(t *testing.T, w *world) health.State {
	t.Helper()
	s, err := (&health.Checker{
		Store:   w,
		Objects: w,
		Noted:   w.Noted,
		Now:     func() time.Time { return now },
	}).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGoodHealth(t *testing.T) {
	want := health.State{
		Generation:  1,
		Fingerprint: "f1",
		Standby:     true,
		CANotAfter:  now.AddDate(10, 0, 0),
		Warnings:    []warnings.Warning{},
	}
	if diff := cmp.Diff(want, check(t, good())); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestWarnings(t *testing.T) {
	const day = 24 * time.Hour
	held := func(expires time.Duration) func(*world) {
		return func(w *world) {
			w.org.Lease = orgca.Lease{Holder: "h", Expires: now.Add(expires)}
		}
	}
	alone := func(rotated time.Duration) func(*world) {
		return func(w *world) {
			w.org.Generations = w.org.Generations[:1]
			w.org.Pointer.RotatedAt = now.Add(-rotated)
		}
	}
	// to is 1 for a re-issue to the current generation; wave is the present one of two
	reissue := func(state orgca.ReissueState, to int64, wave int) func(*world) {
		return func(w *world) {
			w.org.Reissue = &orgca.Reissue{
				Generation: w.org.Pointer.Current - 1 + to,
				State:      state,
				Waves:      []int{10, 100},
				Wave:       wave,
			}
		}
	}
	ends := func(in time.Duration) func(*world) { return func(w *world) { w.org.Pointer.NotAfter = now.Add(in) } }
	for _, c := range []struct {
		name  string
		spoil func(*world)
		want  []warnings.Warning
	}{
		{"legacy", func(w *world) { w.org.Pointer.Legacy = true }, []warnings.Warning{warnings.LegacyPathLenZero}},
		{"a year and the lead of hygiene left", ends(395 * day), nil},
		{"a moment less left", ends(395*day - 1), []warnings.Warning{warnings.OrgCAExpiring}},
		{"over", ends(-day), []warnings.Warning{warnings.OrgCAExpiring}},
		{"standby not there yet", alone(10 * time.Minute), nil},
		{"standby missing", alone(10*time.Minute + 1), []warnings.Warning{warnings.StandbyMissing}},
		{"standby missing since a clock was ahead", alone(-10*time.Minute - 1), []warnings.Warning{warnings.StandbyMissing}},
		{"lease in use", held(orgca.LeaseTTL), nil},
		{"lease just expired", held(-5 * time.Minute), nil},
		{"lease stuck", held(-5*time.Minute - 1), []warnings.Warning{warnings.RotationLockStuck}},
		{"lease of a clock that is a little ahead", held(orgca.LeaseTTL + orgca.ClockSkew), nil},
		{"lease of a clock that was ahead", held(orgca.LeaseTTL + orgca.ClockSkew + 1),
			[]warnings.Warning{warnings.RotationLockStuck}},
		{"lease of a clock that was two days ahead", held(48 * time.Hour), []warnings.Warning{warnings.RotationLockStuck}},
		{"re-issue running", reissue(orgca.Running, 1, 1), nil},
		{"re-issue halted", reissue(orgca.Halted, 1, 1), []warnings.Warning{warnings.ReissueHalted}},
		{"re-issue of an earlier rotation halted", reissue(orgca.Halted, 0, 1), nil},
		{"waves that do not fit", reissue(orgca.Running, 1, 0), []warnings.Warning{warnings.ReissueLate}},
		{"lease free since long", func(w *world) { w.org.Lease = orgca.Lease{Fence: 9} }, nil},
		{"trail set back", func(w *world) { w.checkpoint = &registry.LastCheckpoint{SetBack: 7} },
			[]warnings.Warning{warnings.AuditSetBack}},
		{"trail sealed", func(w *world) { w.checkpoint = &registry.LastCheckpoint{Done: true} }, nil},
		{"an agent is suspect", func(w *world) { w.suspects = []agent.ID{"acme::a", "acme::b"} },
			[]warnings.Warning{warnings.CredentialSuspect}},
		{"nobody knows whether an agent is suspect",
			func(w *world) { w.suspects, w.suspectErr = []agent.ID{"acme::a"}, registry.ErrUnavailable }, nil},
		{"certificates end", func(w *world) { w.expiring = true }, []warnings.Warning{warnings.CertsExpiring}},
		{"nobody knows whether certificates end",
			func(w *world) { w.expiring, w.expiringErr = true, registry.ErrUnavailable }, nil},
		{"key superseded by a later swap", func(w *world) { w.noted = map[string]int64{"k1": 8} },
			[]warnings.Warning{warnings.RegistryRestored}},
		{"key superseded, then rolled back to", func(w *world) { w.noted = map[string]int64{"k1": 7} }, nil},
		{"another key superseded", func(w *world) { w.noted = map[string]int64{"k0": 8} }, nil},
		{"key that cannot be read", func(w *world) { w.noteErr = errors.New("denied") }, nil},
		{"truststore empty", func(w *world) { w.object = truststore.Object{} },
			[]warnings.Warning{warnings.TruststoreOutOfDate}},
		{"domain behind for half an hour", func(w *world) { w.org.Truststore.Since = now.Add(-30 * time.Minute) }, nil},
		{"domain behind for longer", func(w *world) { w.org.Truststore.Since = now.Add(-30*time.Minute - 1) },
			[]warnings.Warning{warnings.TruststoreOutOfDate}},
		{"domain behind since a clock was ahead", func(w *world) { w.org.Truststore.Since = now.Add(30*time.Minute + 1) },
			[]warnings.Warning{warnings.TruststoreOutOfDate}},
		{"truststore unreadable", func(w *world) { w.readErr = errors.New("denied") },
			[]warnings.Warning{warnings.TruststoreOutOfDate}},
		{"truststore without a CA that SVIDs are under",
			func(w *world) { w.others = []registry.EdgeCA{{DER: []byte("SPIRE")}} },
			[]warnings.Warning{warnings.TruststoreOutOfDate}},
		{"truststore with one", func(w *world) {
			w.others = []registry.EdgeCA{{DER: []byte("SPIRE")}}
			w.object.PEM = truststore.PEM(w.org.Generations, w.others...)
		}, nil},
		{"room for the CAs of bundles, still", func(w *world) { w.let(79) }, nil},
		{"little room for the CAs of bundles", func(w *world) { w.let(80) },
			[]warnings.Warning{warnings.TrustBundlesFilling}},
		{"little room for large CAs of bundles", func(w *world) { w.let(20, make([]byte, 8000)...) },
			[]warnings.Warning{warnings.TrustBundlesFilling}},
		{"truststore without the standby", func(w *world) { w.object.PEM = truststore.PEM(w.org.Generations[:1]) },
			[]warnings.Warning{warnings.TruststoreOutOfDate}},
		{"truststore without a standby that was not reported to it", func(w *world) {
			w.object.PEM = truststore.PEM(w.org.Generations[:1])
			w.org.Generations[1].Truststore = ""
		}, nil},
		{"truststore without a superseded one", func(w *world) {
			w.org.Generations = append(w.org.Generations, orgca.Generation{
				Number: 3,
				State:  orgca.Superseded,
				Root:   []byte("r3"),
			})
		}, []warnings.Warning{warnings.TruststoreOutOfDate}},
		{"truststore need not hold these", func(w *world) {
			w.org.Generations = append(w.org.Generations, orgca.Generation{Number: 4, State: orgca.Retired, Root: []byte("r4")},
				orgca.Generation{
					Number: 5,
					State:  orgca.Preparing,
				}, orgca.Generation{Number: 6, State: orgca.Failed, Root: []byte("r6")})
		}, nil},
		{"truststore with more than it needs",
			func(w *world) { w.object.PEM = append([]byte("# a comment\n"), w.object.PEM...) }, nil},
		{"everything", func(w *world) {
			w.org.Pointer.Legacy, w.object.PEM = true, nil
			ends(0)(w)
			alone(time.Hour)(w)
			held(-time.Hour)(w)
		}, []warnings.Warning{warnings.LegacyPathLenZero, warnings.OrgCAExpiring, warnings.StandbyMissing,
			warnings.TruststoreOutOfDate, warnings.RotationLockStuck}},
	} {
		w := good()
		c.spoil(w)
		if diff := cmp.Diff(append([]warnings.Warning{}, c.want...), check(t, w).Warnings); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if w.reads != 1 {
			t.Errorf("%s: %d reads of the truststore", c.name, w.reads)
		}
	}
}

func TestBeforeTheFirstCA(t *testing.T) {
	w := &world{}
	want := health.State{Warnings: []warnings.Warning{warnings.OrgCAMissing}}
	if diff := cmp.Diff(want, check(t, w)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

// An archive that knows more than a registry without an Org CA proves as much as a key that the registry does not
// know.
func TestArchiveTellsOfAnEmptiedRegistry(t *testing.T) {
	for name, c := range map[string]struct {
		w    *world
		want []warnings.Warning
	}{
		"forgotten":  {&world{forgotten: true}, []warnings.Warning{warnings.OrgCAMissing, warnings.RegistryRestored}},
		"new":        {&world{}, []warnings.Warning{warnings.OrgCAMissing}},
		"unreadable": {&world{forgotten: true, forgotErr: errors.New("denied")}, []warnings.Warning{warnings.OrgCAMissing}},
	} {
		checker := &health.Checker{
			Store:     c.w,
			Objects:   c.w,
			Noted:     c.w.Noted,
			Left:      c.w.Left,
			Forgotten: c.w.Forgotten,
			Now:       func() time.Time { return now },
		}
		s, err := checker.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, s.Warnings); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestUnreadableRegistryIsAnError(t *testing.T) {
	w := &world{orgErr: registry.ErrUnavailable}
	s, err := (&health.Checker{
		Store:   w,
		Objects: w,
		Noted:   w.Noted,
		Now:     func() time.Time { return now },
	}).Check(t.Context())
	if !errors.Is(err, registry.ErrUnavailable) || s.Generation != 0 {
		t.Errorf("state %+v, %v; want ErrUnavailable", s, err)
	}
}

// Everybody may ask for the state of health; KMS is asked once a minute, and at once when the current key is another.
func TestNoteIsRemembered(t *testing.T) {
	w, at := good(), now
	c := &health.Checker{Store: w, Objects: w, Noted: w.Noted, Now: func() time.Time { return at }}
	for i, step := range []struct {
		after time.Duration
		key   string
		asked int
	}{{0, "k1", 1}, {59 * time.Second, "k1", 1}, {time.Second, "k1", 2}, {0, "k2", 3}, {0, "k2", 3},
		{-48 * time.Hour, "k2", 4}} {
		at, w.org.Pointer.SigningKey = at.Add(step.after), step.key
		if _, err := c.Check(t.Context()); err != nil || w.asked != step.asked {
			t.Errorf("step %d: asked %d times, %v; want %d", i, w.asked, err, step.asked)
		}
	}
}

func TestDueIndexIsReadOnceAMinute(t *testing.T) {
	w, at := good(), now
	c := &health.Checker{Store: w, Objects: w, Noted: w.Noted, Now: func() time.Time { return at }}
	for i, step := range []struct {
		after  time.Duration
		looked int
	}{{0, 1}, {59 * time.Second, 1}, {time.Second, 2}, {-48 * time.Hour, 3}} {
		at = at.Add(step.after)
		if _, err := c.Check(t.Context()); err != nil || w.looked != step.looked {
			t.Errorf("step %d: read %d times, %v; want %d", i, w.looked, err, step.looked)
		}
	}
}
