package truststore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// domain is the agents' domain. An update is through when the test says so.
type domain struct {
	state             truststore.DomainState
	after             truststore.DomainStatus // of a Point; empty: Updating
	presentErr        error
	pointErr          error
	block             bool // nothing is ever answered
	presents, pointed int
	meddle            func() // before each look
}

func (d *domain) Present(ctx context.Context) (truststore.DomainState, error) {
	d.presents++
	if d.block {
		<-ctx.Done()
		return truststore.DomainState{}, ctx.Err()
	}
	if d.meddle != nil {
		d.meddle()
	}
	return d.state, d.presentErr
}

func (d *domain) Point(_ context.Context, version string) (truststore.DomainState, error) {
	d.pointed++
	if d.pointErr != nil {
		return truststore.DomainState{}, d.pointErr
	}
	d.state = truststore.DomainState{Version: version, Status: truststore.Updating, Warnings: d.state.Warnings}
	answer := d.state
	if d.after != "" {
		d.state.Status = d.after
	}
	return answer, nil
}

// fixture is a Keeper with everything that it works on.
type fixture struct {
	*truststore.Keeper
	t      *testing.T
	shelf  *shelf
	domain *domain
	store  *memstore.Store
	fault  func(op string) memstore.Fault
	now    time.Time
	log    bytes.Buffer
	ids    int
}

func keep(t *testing.T, d truststore.Domain) *fixture {
	k := &fixture{t: t, shelf: &shelf{}, now: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)}
	k.domain, _ = d.(*domain)
	k.store = memstore.New(memstore.Config{Fault: func(op string) memstore.Fault {
		if k.fault != nil {
			return k.fault(op)
		}
		return memstore.None
	}})
	k.Keeper = truststore.NewKeeper(truststore.Config{
		Objects: k.shelf,
		Domain:  d,
		Store:   k.store,
		Now:     func() time.Time { return k.now },
		NewID:   func() string { k.ids++; return fmt.Sprint("id-", k.ids) },
		Log:     slog.New(slog.NewTextHandler(&k.log, nil)),
	})
	return k
}

func (k *fixture) stage(number int64) {
	k.t.Helper()
	if err := k.store.Apply(k.t.Context(), registry.Change{
		ID:          fmt.Sprint("stage-", number),
		Generations: []orgca.Generation{generation(number, orgca.Staged)},
	}); err != nil {
		k.t.Fatal(err)
	}
}

func (k *fixture) record() registry.Truststore {
	k.t.Helper()
	org, err := k.store.Org(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	return org.Truststore
}

// reconciles runs it and compares the record, whose version counts how often it was written.
func (k *fixture) reconciles(what string, want registry.Truststore) {
	k.t.Helper()
	version, err := k.Reconcile(k.t.Context())
	if err != nil || version != want.Object {
		k.t.Errorf("%s: version %q, %v; want %q", what, version, err, want.Object)
	}
	if diff := cmp.Diff(want, k.record()); diff != "" {
		k.t.Errorf("%s: record (-want +got):\n%s", what, diff)
	}
}

func TestDomainFollowsTheObject(t *testing.T) {
	d := &domain{state: truststore.DomainState{Status: truststore.Available}}
	k := keep(t, d)
	begun := k.now
	k.stage(1)
	k.reconciles("first object", registry.Truststore{
		Object:  "v1",
		Domain:  "v1",
		Status:  registry.TruststoreUpdating,
		Since:   begun,
		Version: 1,
	})
	k.now = k.now.Add(time.Minute)
	k.reconciles("still updating: nothing to write", registry.Truststore{
		Object:  "v1",
		Domain:  "v1",
		Status:  registry.TruststoreUpdating,
		Since:   begun,
		Version: 1,
	})
	k.stage(2)
	k.reconciles("another object meanwhile", registry.Truststore{
		Object:  "v2",
		Domain:  "v1",
		Status:  registry.TruststorePending,
		Since:   begun,
		Version: 2,
	})
	if d.pointed != 1 {
		t.Errorf("a domain that is updating was pointed elsewhere: %d times", d.pointed)
	}
	d.state.Status, d.after = truststore.Available, truststore.Available
	k.reconciles("its turn", registry.Truststore{
		Object:  "v2",
		Domain:  "v2",
		Status:  registry.TruststoreCurrent,
		Version: 3,
	})
	presents := d.presents
	k.reconciles("nothing to do", registry.Truststore{
		Object:  "v2",
		Domain:  "v2",
		Status:  registry.TruststoreCurrent,
		Version: 3,
	})
	if d.pointed != 2 || d.presents != presents+1 {
		t.Errorf("pointed %d times, looked %d times at an up-to-date domain; want 2 and 1", d.pointed, d.presents-presents)
	}
}

// What an operator did by hand, or another deployment, is put right.
func TestDomainIsPutRight(t *testing.T) {
	for _, c := range []struct {
		name  string
		state truststore.DomainState
	}{
		{"at another version", truststore.DomainState{Version: "v0", Status: truststore.Available}},
		{"at none", truststore.DomainState{Status: truststore.Available}},
		{"failed at this version", truststore.DomainState{Version: "v1", Status: truststore.Failed}},
		{"failed at another", truststore.DomainState{Version: "v0", Status: truststore.Failed}},
	} {
		d := &domain{state: c.state, after: truststore.Available}
		k := keep(t, d)
		k.stage(1)
		k.reconciles(c.name, registry.Truststore{Object: "v1", Domain: "v1", Status: registry.TruststoreCurrent, Version: 1})
		if d.pointed != 1 {
			t.Errorf("%s: pointed %d times", c.name, d.pointed)
		}
	}
}

// Nothing that the domain does fails a rotation; all of it is recorded, with the time since when, and logged.
func TestDomainThatDoesNotFollow(t *testing.T) {
	refused := errors.New("arn:aws:iam::1:role/x may not")
	available := truststore.DomainState{Version: "v0", Status: truststore.Available}
	for _, c := range []struct {
		name  string
		d     *domain
		want  registry.Truststore
		level string
	}{
		{"not to be seen", &domain{presentErr: refused}, registry.Truststore{Status: registry.TruststoreFailed}, "WARN"},
		{"asked too often", &domain{presentErr: fmt.Errorf("slow down: %w", truststore.ErrBusy)},
			registry.Truststore{Status: registry.TruststorePending}, "INFO"},
		{"refuses", &domain{
			state:    available,
			pointErr: refused,
		}, registry.Truststore{Domain: "v0", Status: registry.TruststoreFailed}, "WARN"},
		{"busy", &domain{
			state:    available,
			pointErr: fmt.Errorf("later: %w", truststore.ErrBusy),
		}, registry.Truststore{Domain: "v0", Status: registry.TruststorePending}, "INFO"},
		{"fails", &domain{
			state: available,
			after: truststore.Failed,
		}, registry.Truststore{Domain: "v1", Status: registry.TruststoreFailed}, "WARN"},
		{"warns", &domain{state: truststore.DomainState{
			Version:  "v1",
			Status:   truststore.Available,
			Warnings: []string{"certificate 2"},
		}}, registry.Truststore{
			Domain:   "v1",
			Status:   registry.TruststoreCurrent,
			Warnings: []string{"certificate 2"},
		}, "WARN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := keep(t, c.d)
			k.stage(1)
			c.want.Object, c.want.Version = "v1", 1
			if c.want.Status != registry.TruststoreCurrent {
				c.want.Since = k.now
			}
			k.reconciles("once", c.want)
			k.now = k.now.Add(time.Hour)
			k.reconciles("an hour later", c.want)
			log := k.log.String()
			if strings.Count(log, "msg=pki.rotate.truststore") != 1 || !strings.Contains(log, "level="+c.level) {
				t.Errorf("log, want one line of level %s:\n%s", c.level, log)
			}
			for _, cause := range []error{c.d.presentErr, c.d.pointErr} {
				if cause != nil && !strings.Contains(log, cause.Error()) {
					t.Errorf("log without the cause %q:\n%s", cause, log)
				}
			}
		})
	}
}

// A function that must not write the organisation's records points the domain too, says how it stands, and leaves the
// note to the standby job. A domain that serves the object already, says the note, is not asked.
func TestFollowTakesNoNote(t *testing.T) {
	available := truststore.DomainState{Version: "v0", Status: truststore.Available}
	for _, c := range []struct {
		name string
		d    *domain
		want registry.TruststoreStatus
	}{
		{"follows", &domain{state: available, after: truststore.Available}, registry.TruststoreCurrent},
		{"takes minutes", &domain{state: available}, registry.TruststoreUpdating},
		{"busy with another", &domain{state: truststore.DomainState{
			Version: "v0",
			Status:  truststore.Updating,
		}}, registry.TruststorePending},
		{"busy", &domain{state: available, pointErr: truststore.ErrBusy}, registry.TruststorePending},
		{"asked too often", &domain{presentErr: truststore.ErrBusy}, registry.TruststorePending},
		{"refuses", &domain{state: available, pointErr: errors.New("no")}, registry.TruststoreFailed},
		{"fails", &domain{state: available, after: truststore.Failed}, registry.TruststoreFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := keep(t, c.d)
			k.stage(1)
			k.fault = func(op string) memstore.Fault {
				if op == "Apply" {
					t.Error("a write to the registry")
				}
				return memstore.None
			}
			if got, err := k.Follow(t.Context()); err != nil || got != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
			if c.want == registry.TruststoreCurrent && c.d.state.Version != "v1" {
				t.Errorf("the domain is at %q", c.d.state.Version)
			}
		})
	}
	d := &domain{state: available, after: truststore.Available}
	k := keep(t, d)
	k.stage(1)
	if _, err := k.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := d.presents
	if got, err := k.Follow(t.Context()); err != nil || got != registry.TruststoreCurrent || d.presents != asked {
		t.Errorf("after the note: %q, %v, asked %d times more", got, err, d.presents-asked)
	}
}

func TestDomainThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, &domain{block: true})
		k.stage(1)
		began := time.Now()
		if version, err := k.Reconcile(t.Context()); err != nil || version != "v1" ||
			k.record().Status != registry.TruststoreFailed {
			t.Errorf("version %q, %v, record %+v; want v1 and failed", version, err, k.record())
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("a rotation is held up for %s, want 5s", took)
		}
	})
}

func TestWithoutADomain(t *testing.T) {
	k := keep(t, truststore.NoDomain{})
	k.stage(1)
	k.reconciles("first object", registry.Truststore{Object: "v1", Status: registry.TruststoreCurrent, Version: 1})
	k.reconciles("nothing to do", registry.Truststore{Object: "v1", Status: registry.TruststoreCurrent, Version: 1})
	k.stage(2)
	k.reconciles("second object", registry.Truststore{Object: "v2", Status: registry.TruststoreCurrent, Version: 2})
}

// Who was overtaken between writing the object and pointing the domain leaves the domain to the one that overtook it.
func TestDomainIsNeverTakenBack(t *testing.T) {
	d := &domain{state: truststore.DomainState{Version: "v0", Status: truststore.Available}}
	k := keep(t, d)
	k.stage(1)
	d.meddle = func() {
		d.meddle = nil
		k.shelf.put([]byte("newer"))
		d.state.Version = "v2"
	}
	k.reconciles("overtaken", registry.Truststore{
		Object:  "v1",
		Domain:  "v2",
		Status:  registry.TruststorePending,
		Since:   k.now,
		Version: 1,
	})
	if d.pointed != 0 || d.state.Version != "v2" {
		t.Errorf("pointed %d times, domain at %s", d.pointed, d.state.Version)
	}
}

func TestRecordThatCannotBeWritten(t *testing.T) {
	k := keep(t, truststore.NoDomain{})
	k.stage(1)
	k.fault = func(op string) memstore.Fault {
		if op == "Apply" {
			return memstore.Refuse
		}
		return memstore.None
	}
	if _, err := k.Reconcile(t.Context()); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	half := 0
	k.fault = func(op string) memstore.Fault {
		if half++; op == "Apply" && half < 3 {
			return memstore.HalfAck
		}
		return memstore.None
	}
	k.reconciles("the answer was lost", registry.Truststore{Object: "v1", Status: registry.TruststoreCurrent, Version: 1})
}

// Two at once: the one whose record comes second finds that the other has just taken note, which is no error.
func TestTwoAtOnce(t *testing.T) {
	d := &domain{state: truststore.DomainState{Version: "v1", Status: truststore.Available}}
	k := keep(t, d)
	k.stage(1)
	d.meddle = func() {
		other := registry.Truststore{Object: "v1", Domain: "v1", Status: registry.TruststoreUpdating}
		if err := k.store.Apply(t.Context(), registry.Change{ID: "other", Truststore: &other}); err != nil {
			t.Fatal(err)
		}
	}
	k.reconciles("second", registry.Truststore{
		Object:  "v1",
		Domain:  "v1",
		Status:  registry.TruststoreUpdating,
		Version: 1,
	})
	d.meddle = nil
	k.reconciles("once more", registry.Truststore{
		Object:  "v1",
		Domain:  "v1",
		Status:  registry.TruststoreCurrent,
		Version: 2,
	})
}
