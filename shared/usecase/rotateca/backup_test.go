package rotateca_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// shelf takes backups, or fails to.
type shelf struct {
	err  error
	hold chan struct{} // if set, a request is answered once it is closed, or its context is over

	mu    sync.Mutex
	names []string
	over  int // requests whose context ended first
}

func (s *shelf) Backup(ctx context.Context, name string) ([]string, error) {
	s.mu.Lock()
	s.names = append(s.names, name)
	s.mu.Unlock()
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			s.over++
			return nil, ctx.Err()
		}
	}
	return []string{"arn:registry/" + name, "arn:audit/" + name}, s.err
}

func (s *shelf) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.names)
}

// over returns the Mastio's rotator with backups of its own.
func over(m *inmemory.Mastio, s rotateca.Backups) *rotateca.Rotator {
	cfg := m.RotateCA.Config
	cfg.Backups = s
	return rotateca.New(cfg)
}

func lastRow(t *testing.T, m *inmemory.Mastio) audit.Row {
	t.Helper()
	rows, err := m.Store.Rows(t.Context(), inmemory.OrgID, 0, 1000)
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Error(err)
	}
	return rows[len(rows)-1]
}

func TestEverySwapIsPrecededByABackup(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	s := &shelf{}
	r := over(m, s)
	staged, err := r.Do(t.Context(), rotateca.Request{Mode: rotateca.Stage, By: audit.By{Actor: "test"}})
	if err != nil || s.requests() != 0 || staged.Backup != nil {
		t.Fatalf("stage: %v, %d backups", err, s.requests())
	}
	for n, req := range []rotateca.Request{
		{Mode: rotateca.Commit, Fingerprint: staged.Fingerprint},
		{Mode: rotateca.Rollback},
		{Mode: rotateca.Mint}, // without a standby: the generation is made, and then the backup is long there
	} {
		req.Actor = "test"
		result, err := r.Do(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", req.Mode, err)
		}
		if s.requests() != n+1 {
			t.Fatalf("%s: %d backups so far, want %d", req.Mode, s.requests(), n+1)
		}
		name := s.names[n]
		if !regexp.MustCompile(`^mastio-orga-before-` + string(req.Mode) + `-f[0-9]+-id-[0-9]+$`).MatchString(name) {
			t.Errorf("%s: backup %q", req.Mode, name)
		}
		want := &rotateca.Backup{
			Status: rotateca.BackupRequested,
			ARNs:   []string{"arn:registry/" + name, "arn:audit/" + name},
		}
		if diff := cmp.Diff(want, result.Backup); diff != "" {
			t.Errorf("%s: answer (-want +got):\n%s", req.Mode, diff)
		}
		row := lastRow(t, m)
		if diff := cmp.Diff(any(map[string]any{"status": "requested",
			"arns": []any{"arn:registry/" + name, "arn:audit/" + name}}), row.Details["backup"]); diff != "" {
			t.Errorf("%s: row (-want +got):\n%s", req.Mode, diff)
		}
		if fence := fmt.Sprintf("-f%v-", row.Details["fence"]); !strings.Contains(name, fence) {
			t.Errorf("%s: backup %q does not name the fence of its row, %s", req.Mode, name, fence)
		}
	}
	if _, err := r.Do(t.Context(), rotateca.Request{
		Mode: rotateca.Finalise,
		By:   audit.By{Actor: "test"},
	}); err != nil || s.requests() != 3 {
		t.Errorf("finalise: %v, %d backups so far, want 3", err, s.requests())
	}
	if _, err := r.Do(t.Context(), rotateca.Request{
		Mode:   rotateca.Mint,
		DryRun: true,
		By:     audit.By{Actor: "test"},
	}); err != nil || s.requests() != 3 {
		t.Errorf("dry run: %v, %d backups so far, want 3", err, s.requests())
	}
}

func TestRotationWithoutABackup(t *testing.T) {
	for _, c := range []struct {
		name     string
		backups  rotateca.Backups
		skip     bool
		want     rotateca.BackupStatus
		requests int
	}{
		{"skipped", &shelf{}, true, rotateca.BackupSkipped, 0},
		{"skipped where none would be had", &shelf{err: registry.ErrUnsupported}, true, rotateca.BackupSkipped, 0},
		{"unsupported", &shelf{err: fmt.Errorf("asked: %w", registry.ErrUnsupported)}, false, rotateca.BackupUnsupported, 1},
		{"no backups at all", nil, false, rotateca.BackupUnsupported, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			result, err := over(m, c.backups).Do(t.Context(), rotateca.Request{
				Mode:       rotateca.Mint,
				SkipBackup: c.skip,
				By:         audit.By{Actor: "test"},
			})
			if err != nil || result.Generation != 2 {
				t.Fatalf("generation %d, %v", result.Generation, err)
			}
			if diff := cmp.Diff(&rotateca.Backup{Status: c.want, ARNs: []string{}}, result.Backup); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(any(map[string]any{"status": string(c.want), "arns": []any{}}),
				lastRow(t, m).Details["backup"]); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
			if s, ok := c.backups.(*shelf); ok && s.requests() != c.requests {
				t.Errorf("%d backups requested, want %d", s.requests(), c.requests)
			}
		})
	}
}

// A backup that cannot be had refuses the rotation before anything is changed, also where a generation had to be made.
func TestRefusedBackupRefusesTheRotation(t *testing.T) {
	for _, withStandby := range []bool{true, false} {
		t.Run(fmt.Sprint("with a standby: ", withStandby), func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			if !withStandby {
				m.Do(t, rotateca.Request{Mode: rotateca.Mint}) // takes it
			}
			before, keys, rows := m.Org(t), len(m.Keys.All()), lastRow(t, m)
			s := &shelf{err: errors.New("throttled")}
			for _, mode := range []rotateca.Mode{rotateca.Mint, rotateca.Rollback} {
				if mode == rotateca.Rollback && withStandby {
					continue // nothing to roll back to
				}
				if _, err := over(m, s).Do(t.Context(), rotateca.Request{
					Mode:           mode,
					By:             audit.By{Actor: "test"},
					IdempotencyKey: "k",
				}); !errors.Is(err, rotateca.ErrBackup) {
					t.Errorf("%s: %v, want ErrBackup", mode, err)
				}
			}
			after := m.Org(t)
			if after.Lease.Holder != "" {
				t.Errorf("the lease is still held: %+v", after.Lease)
			}
			before.Lease, after.Lease = orgca.Lease{}, orgca.Lease{} // its fence has moved
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("a refused rotation changed (-before +after):\n%s", diff)
			}
			if len(m.Keys.All()) != keys || lastRow(t, m).Seq != rows.Seq {
				t.Errorf("%d keys and last row %d, want %d and %d", len(m.Keys.All()), lastRow(t, m).Seq, keys, rows.Seq)
			}
			s.err = nil // the same key, for nothing was answered under it
			if _, err := over(m, s).Do(t.Context(), rotateca.Request{
				Mode:           rotateca.Mint,
				By:             audit.By{Actor: "test"},
				IdempotencyKey: "k",
			}); err != nil {
				t.Errorf("the way on: %v", err)
			}
		})
	}
}

// The swap waits for the backup, and the read does not.
func TestBackupIsRequestedBesideTheRead(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	s := &shelf{hold: make(chan struct{})}
	m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, op)
		return memstore.None
	}})
	mu.Lock()
	seen = nil
	mu.Unlock()
	done := make(chan error)
	go func() {
		_, err := over(m, s).Do(t.Context(), rotateca.Request{Mode: rotateca.Mint, By: audit.By{Actor: "test"}})
		done <- err
	}()
	ops := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, seen...)
	}
	for deadline := time.Now().Add(10 * time.Second); len(ops()) < 2 || s.requests() < 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("operations %v, %d backups", ops(), s.requests())
		}
	}
	if diff := cmp.Diff([]string{"Acquire", "Org"}, ops()); diff != "" {
		t.Errorf("before the backup's answer (-want +got):\n%s", diff)
	}
	close(s.hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Acquire", "Org", "Apply"}, ops()); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

// A rotation that fails meanwhile does not leave the request running, and a lease that is held leaves none at all.
func TestBackupOfARotationThatIsRefused(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	s := &shelf{hold: make(chan struct{})}
	_, err := over(m, s).Do(t.Context(), rotateca.Request{
		Mode:        rotateca.Commit,
		Fingerprint: strings.Repeat("0", 64),
		By:          audit.By{Actor: "test"},
	})
	if !errors.Is(err, rotateca.ErrNotStaged) || s.requests() != s.over {
		t.Errorf("%v; %d requests, %d of them ended; want ErrNotStaged and all ended", err, s.requests(), s.over)
	}
	requests := s.requests()
	held, err := m.Store.Acquire(t.Context(), orgca.Lease{Holder: "other", Expires: m.Now().Add(orgca.LeaseTTL)}, m.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := over(m, s).Do(t.Context(), rotateca.Request{
		Mode: rotateca.Mint,
		By:   audit.By{Actor: "test"},
	}); !errors.Is(err, orgca.ErrLeaseHeld) || s.requests() != requests {
		t.Errorf("%v after %d requests, want ErrHeld and none", err, s.requests()-requests)
	}
	if err := m.Store.Release(t.Context(), held); err != nil {
		t.Fatal(err)
	}
}

// The store's answer to the commit is lost after the backup: the rotation is recorded once, with its backup, and a
// repetition under the same key is answered from the record without another one.
func TestBackupIsNotRequestedAgainForAKnownAnswer(t *testing.T) {
	lose := false
	m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if lose && op == "Apply" {
			lose = false
			return memstore.HalfAck
		}
		return memstore.None
	}})
	s := &shelf{}
	lose = true
	req := rotateca.Request{Mode: rotateca.Mint, By: audit.By{Actor: "test"}, IdempotencyKey: "k"}
	first, err := over(m, s).Do(t.Context(), req)
	if err != nil || s.requests() != 1 {
		t.Fatalf("%v, %d backups", err, s.requests())
	}
	req.SkipBackup = true
	again, err := over(m, s).Do(t.Context(), req)
	if err != nil || s.requests() != 1 {
		t.Fatalf("repeated: %v, %d backups", err, s.requests())
	}
	if !again.Replayed {
		t.Error("the repetition does not say that it is one")
	}
	again.Replayed = false
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("repeated answer (-first +again):\n%s", diff)
	}
	if got := m.Org(t).Pointer.Current; got != 2 {
		t.Errorf("generation %d, want 2", got)
	}
}

func TestBackupNamesAreOnesThatDynamoDBTakes(t *testing.T) {
	for _, orgID := range []string{"orga", strings.Repeat("o", 400), "org with spaces/ünd more", ""} {
		m := inmemory.Open(t, memstore.Config{})
		s := &shelf{}
		cfg := m.RotateCA.Config
		cfg.OrgID, cfg.Backups = orgID, s
		cfg.NewID = func() string { return "01JD0000000000000000000000" }
		if _, err := rotateca.New(cfg).Do(t.Context(), rotateca.Request{
			Mode: rotateca.Rollback,
			By:   audit.By{Actor: "test"},
		}); !errors.Is(err, orgca.ErrNoRollback) {
			t.Fatal(err)
		}
		if len(s.names) != 1 {
			t.Fatalf("organisation %q: %d backups", orgID, len(s.names))
		}
		for _, name := range s.names {
			if !regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`).MatchString(name) ||
				!strings.HasSuffix(name, "-01JD0000000000000000000000") {
				t.Errorf("organisation %q: backup %q", orgID, name)
			}
		}
	}
}
