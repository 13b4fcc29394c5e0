package signin_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
)

const secret, named, wrong = "the-right-secret", "alice:her-secret", "a-wrong-guess"

// door is a Door with a clock that stands still until it is moved.
type door struct {
	*signin.Door
	store *memstore.Store
	now   time.Time
	looks atomic.Int64 // how often a secret was looked at
	log   bytes.Buffer

	accepted []string // versions of the secret
	named    admin.Admin
}

func open(fault func(string) memstore.Fault) *door {
	d := &door{
		store:    memstore.New(memstore.Config{Fault: fault}),
		accepted: []string{"AWSCURRENT"},
		named:    admin.Admin{Name: "alice", Version: "a1", Role: admin.Operator},
		now:      time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC),
	}
	d.Door = signin.New(signin.Config{
		Store:   d.store,
		Refused: recorder(d).Record,
		Now:     func() time.Time { return d.now },
		Log:     slog.New(slog.NewJSONHandler(&d.log, nil)),
		Still: func(_ context.Context, name, version string) (admin.Admin, bool, error) {
			if name != "" {
				return d.named, name == d.named.Name && version == d.named.Version, nil
			}
			return admin.Holder(version), slices.Contains(d.accepted, version), nil
		},
		Check: func(_ context.Context, shown string) (admin.Admin, bool, error) {
			d.looks.Add(1)
			if shown == named {
				return d.named, true, nil
			}
			return admin.Holder("AWSCURRENT"), shown == secret, nil
		},
	})
	return d
}

func recorder(d *door) *auditlog.Recorder {
	return auditlog.NewRecorder(auditlog.RecorderConfig{
		Store: d.store,
		OrgID: "orga",
		Now:   func() time.Time { return d.now },
		NewID: rand.Text,
		Log:   slog.New(slog.DiscardHandler),
	})
}

func (d *door) try(t testing.TB, secret, from, device string) (signin.Pass, error) {
	t.Helper()
	return d.SignIn(t.Context(), signin.Attempt{Secret: secret, By: audit.By{SourceIP: from}, Device: device})
}

func (d *door) signIn(t testing.TB, from, device string) signin.Pass {
	t.Helper()
	p, err := d.try(t, secret, from, device)
	if err != nil {
		t.Fatalf("sign in from %s: %v", from, err)
	}
	return p
}

func TestASessionLivesUntilItsEnd(t *testing.T) {
	d := open(nil)
	p := d.signIn(t, "192.0.2.1", "")
	s, err := d.Open(t.Context(), p.Token)
	if err != nil || s.Session != p.Session || s.Admin.Role != admin.CAOfficer ||
		!strings.HasPrefix(s.Actor, "dashboard:AWSCURRENT/") {
		t.Fatalf("open: %+v, %v, want %+v", s, err, p.Session)
	}
	for name, token := range map[string]string{"none": "", "another": session.NewToken(), "the device's": p.Device,
		"the id": s.ID} {
		if _, err := d.Open(t.Context(), token); !errors.Is(err, session.ErrNone) {
			t.Errorf("token %s: %v", name, err)
		}
	}
	d.now = d.now.Add(session.TTL)
	if _, err := d.Open(t.Context(), p.Token); !errors.Is(err, session.ErrNone) {
		t.Errorf("after its end: %v", err)
	}
}

// A secret that is rotated away takes the sessions with it that it opened.
func TestASessionEndsWithItsSecret(t *testing.T) {
	d := open(nil)
	p := d.signIn(t, "192.0.2.1", "")
	d.accepted = []string{"the next one", "AWSCURRENT"}
	if _, err := d.Open(t.Context(), p.Token); err != nil {
		t.Errorf("while it is the previous one: %v", err)
	}
	d.accepted = []string{"the one after", "the next one"}
	if _, err := d.Open(t.Context(), p.Token); !errors.Is(err, session.ErrNone) {
		t.Errorf("once it is gone: %v", err)
	}
}

// The session of a named admin acts as the admin, has the admin's present role, and ends with the secret.
func TestASessionOfANamedAdmin(t *testing.T) {
	d := open(nil)
	p, err := d.try(t, named, "192.0.2.1", "")
	if err != nil || p.Session.Actor != "admin:alice" || p.Session.Admin != "alice" {
		t.Fatalf("%+v, %v", p.Session, err)
	}
	d.named.Role = admin.Viewer
	if s, err := d.Open(t.Context(), p.Token); err != nil || s.Admin.Role != admin.Viewer {
		t.Errorf("with another role: %+v, %v", s, err)
	}
	d.named.Version = "a2"
	if _, err := d.Open(t.Context(), p.Token); !errors.Is(err, session.ErrNone) {
		t.Errorf("with another secret: %v", err)
	}
}

func TestSigningOut(t *testing.T) {
	d := open(nil)
	a, b := d.signIn(t, "192.0.2.1", ""), d.signIn(t, "192.0.2.2", "")
	if err := d.SignOut(t.Context(), a.Session); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(t.Context(), a.Token); !errors.Is(err, session.ErrNone) {
		t.Errorf("after signing out: %v", err)
	}
	if _, err := d.Open(t.Context(), b.Token); err != nil {
		t.Errorf("the other session: %v", err)
	}
	if err := d.SignOutEverywhere(t.Context(), b.Session); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(t.Context(), b.Token); !errors.Is(err, session.ErrNone) {
		t.Errorf("after signing out everywhere: %v", err)
	}
	c := d.signIn(t, "192.0.2.1", a.Device)
	if _, err := d.Open(t.Context(), c.Token); err != nil || c.Device == a.Device {
		t.Errorf("a new session: %v; the browser that was signed out everywhere is still known: %t", err,
			c.Device == a.Device)
	}
}

func TestGuessingIsHeldUp(t *testing.T) {
	d := open(nil)
	for n := range session.PerSource.Free {
		if _, err := d.try(t, wrong, "192.0.2.1", ""); !errors.Is(err, session.ErrSecret) {
			t.Fatalf("attempt %d: %v", n+1, err)
		}
	}
	looks := d.looks.Load()
	if _, err := d.try(t, secret, "192.0.2.1", ""); !errors.Is(err, session.ErrLocked) ||
		problem.Of(err).RetryIn != session.PerSource.First {
		t.Errorf("the right secret within the wait: %v", err)
	}
	if d.looks.Load() != looks {
		t.Error("a secret was looked at within the wait")
	}
	d.signIn(t, "192.0.2.2", "")
	d.now = d.now.Add(session.PerSource.First)
	d.signIn(t, "192.0.2.1", "")
	rows, err := d.store.Rows(t.Context(), auditlog.RefusalSubject("orga", audit.AdminLoginRefused), 0, 10)
	if err != nil || len(rows) != 1 || rows[0].EventType != audit.AdminLoginRefused ||
		rows[0].Details["source_ip"] != "192.0.2.1" {
		t.Errorf("on the record: %+v, %v, want one row", rows, err)
	}
	if strings.Contains(d.log.String(), wrong) || strings.Contains(d.log.String(), secret) {
		t.Errorf("a secret is in the log: %s", d.log.String())
	}
}

// Of many guesses at once, no more are looked at than one after the other would be.
func TestManyGuessesAtOnce(t *testing.T) {
	d := open(nil)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { _, _ = d.try(t, wrong, "192.0.2.1", "") })
	}
	wg.Wait()
	if n := d.looks.Load(); n < 1 || n > int64(session.PerSource.Free) {
		t.Errorf("%d guesses were looked at, want 1 to %d", n, session.PerSource.Free)
	}
}

// A flood from many addresses refuses wrong secrets for a while and locks no operator out: not in an unknown browser,
// and not after "sign out everywhere", which makes all browsers unknown.
func TestAFloodLocksNobodyOut(t *testing.T) {
	d := open(nil)
	known := d.signIn(t, "192.0.2.1", "")
	flood := func() {
		for n := range 5000 {
			_, _ = d.try(t, wrong, fmt.Sprintf("198.51.%d.%d", n/250, n%250), "")
			d.now = d.now.Add(time.Second / 10)
		}
	}
	flood()
	if _, err := d.try(t, wrong, "203.0.113.8", ""); !errors.Is(err, session.ErrLocked) ||
		problem.Of(err).RetryIn > session.Everyone.Most {
		t.Errorf("another guess: %v, want a wait of at most %v", err, session.Everyone.Most)
	}
	d.signIn(t, "203.0.113.9", "")
	d.signIn(t, "203.0.113.10", session.NewToken())
	p := d.signIn(t, "203.0.113.9", known.Device)
	if p.Device != known.Device {
		t.Error("the browser got a new token")
	}
	if err := d.SignOutEverywhere(t.Context(), p.Session); err != nil {
		t.Fatal(err)
	}
	flood()
	d.signIn(t, "203.0.113.9", known.Device)
	d.signIn(t, "203.0.113.11", "")
}

// A wrong secret at the API counts for the dashboard, and the other way round.
func TestTheGatesAreOfTheAddress(t *testing.T) {
	d := open(nil)
	gates := &signin.Gates{Store: d.store, Now: func() time.Time { return d.now }}
	if err := gates.Locked(t.Context(), "192.0.2.1"); err != nil {
		t.Errorf("before any guess: %v", err)
	}
	for n := range session.PerSource.Free {
		if err := gates.Wrong(t.Context(), "192.0.2.1"); err != nil {
			t.Fatalf("guess %d: %v", n+1, err)
		}
	}
	if err := gates.Wrong(t.Context(), "192.0.2.1"); !errors.Is(err, session.ErrLocked) {
		t.Errorf("one guess more: %v", err)
	}
	if err := gates.Locked(t.Context(), "192.0.2.1"); !errors.Is(err, session.ErrLocked) {
		t.Errorf("looked at: %v", err)
	}
	if _, err := d.try(t, secret, "192.0.2.1", ""); !errors.Is(err, session.ErrLocked) {
		t.Errorf("at the dashboard: %v", err)
	}
	if err := gates.Locked(t.Context(), "192.0.2.2"); err != nil {
		t.Errorf("another address: %v", err)
	}
}

func TestFormsWorkOnce(t *testing.T) {
	d := open(nil)
	a, b := d.signIn(t, "192.0.2.1", ""), d.signIn(t, "192.0.2.1", "")
	for _, c := range []struct {
		s      session.Session
		number string
		want   error
	}{
		{a.Session, "1", nil}, {a.Session, "1", session.ErrUsed}, {a.Session, "2", nil}, {b.Session, "1", nil},
		{b.Session, "1", session.ErrUsed},
	} {
		if err := d.Once(t.Context(), c.s, c.number); !errors.Is(err, c.want) {
			t.Errorf("form %s of %s: %v, want %v", c.number, c.s.Actor, err, c.want)
		}
	}
}

// Whatever the store does, there is a session or an error, and never a form that counts as unused when it may be used.
func TestAStoreThatFails(t *testing.T) {
	for _, op := range []string{"Session", "PutSession", "Gates", "PutGate"} {
		for _, fault := range []memstore.Fault{memstore.Lose, memstore.HalfAck, memstore.Refuse, memstore.Late} {
			d := open(func(o string) memstore.Fault {
				if o == op {
					return fault
				}
				return memstore.None
			})
			p, err := d.try(t, secret, "192.0.2.1", "")
			if err == nil || p.Token != "" {
				t.Errorf("%s, fault %d: got a session", op, fault)
			}
		}
	}
	for _, fault := range []memstore.Fault{memstore.Lose, memstore.HalfAck, memstore.Refuse, memstore.Late} {
		d := open(func(o string) memstore.Fault {
			if o == "UseProof" {
				return fault
			}
			return memstore.None
		})
		p := d.signIn(t, "192.0.2.1", "")
		if err := d.Once(t.Context(), p.Session, "1"); !errors.Is(err, registry.ErrUnknown) &&
			!errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("form, fault %d: %v", fault, err)
		}
	}
}
