package auditlog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

var subjects = []string{org, "orga/admin.login_refused", "orga::a", "orga::b", "orga::c"}

func TestBundleOfAHistory(t *testing.T) {
	w := open(memstore.Config{})
	empty := verified(bundle.VerifierConfig{}, w.whole(t).TarGz)
	if !empty.OK || empty.Rows != 0 {
		t.Fatalf("of nothing: %+v", empty)
	}
	if r := w.seal(t); r.Made != 0 || r.Number != 0 {
		t.Errorf("checkpoint of nothing: %+v", r)
	}
	w.grow(t, subjects...)
	unsealed := verified(bundle.VerifierConfig{}, w.whole(t).TarGz)
	if !unsealed.OK || unsealed.Unsealed != 5 || unsealed.Checkpoints != 0 {
		t.Fatalf("without checkpoints: %+v", unsealed)
	}
	first := w.seal(t)
	if first.Made != 1 || first.Number != 1 || first.Rows != 5 {
		t.Errorf("first checkpoint: %+v", first)
	}
	if again := w.seal(t); again.Made != 0 || again.Number != 1 || again.Hash != first.Hash {
		t.Errorf("nothing moved but by the checkpoint itself: %+v", again)
	}
	w.grow(t, "orga::a", "orga::a", "orga::d")
	if second := w.seal(t); second.Made != 1 || second.Number != 2 || second.Rows != 4 {
		t.Errorf("second checkpoint: %+v", second)
	}
	w.grow(t, "orga::b")
	packed := w.whole(t)
	r := verified(bundle.VerifierConfig{Key: w.key.Fingerprint, Checkpoint: first.Hash}, packed.TarGz)
	// The last checkpoint's own row and one of orga::b are not sealed.
	if !r.OK || r.Rows != 11 || r.Sealed != 9 || r.Unsealed != 2 || r.Chains != 6 || r.Checkpoints != 2 || !r.Complete {
		t.Errorf("report %+v, %v", r, r.Break)
	}
	if m := packed.Manifest; m.First != 1 || m.Last != 2 || m.Rows != 11 || m.OrgID != org {
		t.Errorf("manifest %+v", m)
	}
}

func (w *world) inParts(ctx context.Context) (files [][]byte, err error) {
	for next := int64(1); next != 0; {
		p, err := w.trail.Bundle(ctx, auditlog.Parts{From: next})
		if err != nil {
			return nil, err
		}
		if files, next = append(files, p.TarGz), p.Next; len(files) > 1000 {
			return nil, errors.New("parts without end")
		}
	}
	return files, nil
}

func TestBundleInParts(t *testing.T) {
	w := open(memstore.Config{})
	w.job.Most = 7
	for n := range 60 {
		w.grow(t, org, "orga::a", fmt.Sprintf("orga::x%02d", n))
	}
	w.grow(t, strings.Split(strings.Repeat("orga::long ", 20)+"orga::long", " ")...) // more than a checkpoint covers
	if r := w.seal(t); r.Made < 29 || r.Rows < 201 {
		t.Errorf("%+v", r)
	}
	w.grow(t, "orga::a", "orga::b")
	whole := verified(bundle.VerifierConfig{}, w.whole(t).TarGz)
	for _, most := range []int64{4_000, 9_000, 15_000} {
		w.trail.MaxBundle = most
		files, err := w.inParts(t.Context())
		if err != nil {
			t.Fatalf("%d octets: %v", most, err)
		}
		r := verified(bundle.VerifierConfig{}, files...)
		if !r.OK || r.Rows != whole.Rows || r.LastHash != whole.LastHash || r.Chains != whole.Chains ||
			r.Unsealed != whole.Unsealed || len(files) < 2 {
			t.Errorf("%d octets, %d parts: %+v, %v; whole %+v", most, len(files), r, r.Break, whole)
		}
		for _, f := range files {
			if int64(len(f)) > most+3_500 { // the heads of the archive, the manifest, the page for a reader and the key
				t.Errorf("a part of %d octets, at most %d fit", len(f), most)
			}
		}
		if r := verified(bundle.VerifierConfig{}, append(files[:1:1], files[2:]...)...); r.OK && len(files) > 2 {
			t.Error("a part is missing, and it verifies")
		}
		if _, err := w.trail.Bundle(t.Context(), auditlog.Parts{}); !errors.Is(err, auditlog.ErrTooLarge) {
			t.Errorf("all at once: %v, want ErrTooLarge", err)
		}
	}
	w.trail.MaxBundle = 500
	if _, err := w.inParts(t.Context()); !errors.Is(err, auditlog.ErrTooLarge) {
		t.Errorf("where no checkpoint fits: %v, want ErrTooLarge", err)
	}
}

// However many rows there are, and however few a checkpoint covers: a run leaves one row unsealed, which announces its
// last checkpoint, and the next run has nothing to do.
func TestARunSealsAllButItsLastRow(t *testing.T) {
	stride := 1
	if testing.Short() {
		stride = 3 // a third of the lengths; of each, every place within a checkpoint
	}
	for most := int64(2); most <= 4; most++ {
		for rows := int(most) % stride; rows < 14; rows += stride {
			for _, others := range [][]string{nil, {"orga::a"}, {"orga::a", "orga::b", "orga::b"}} {
				w := open(memstore.Config{})
				w.job.Most = most
				for range rows {
					w.grow(t, org)
				}
				w.grow(t, others...)
				made := w.seal(t).Made
				r := verified(bundle.VerifierConfig{}, w.whole(t).TarGz)
				if want := int64(min(rows+len(others), 1)); !r.OK || r.Unsealed != want {
					t.Errorf("%d rows of the organisation, %d others, %d in a checkpoint: %d unsealed after %d checkpoints, "+
						"want %d; %v",
						rows, len(others), most, r.Unsealed, made, want, r.Break)
				}
				if again := w.seal(t); again.Made != 0 {
					t.Errorf("%d rows of the organisation, %d others, %d in a checkpoint: %d more at once", rows, len(others), most,
						again.Made)
				}
			}
		}
	}
}

func TestPartsThatAreNone(t *testing.T) {
	w := open(memstore.Config{})
	for range 3 {
		w.grow(t, "orga::a")
		w.seal(t)
	}
	for _, p := range []auditlog.Parts{{From: -1}, {To: -1}, {From: 5}, {
		From: 1,
		To:   4,
	}, {From: 3, To: 2}, {From: 4, To: 3}} {
		if _, err := w.trail.Bundle(t.Context(), p); !errors.Is(err, auditlog.ErrParts) {
			t.Errorf("%+v: %v, want ErrParts", p, err)
		}
	}
	for _, c := range []struct {
		parts auditlog.Parts
		rows  int64
	}{{auditlog.Parts{
		From: 1,
		To:   1,
	}, 2}, {auditlog.Parts{
		From: 2,
		To:   2,
	}, 3}, {auditlog.Parts{From: 2}, 5}, {auditlog.Parts{From: 4}, 1}, {auditlog.Parts{To: 3}, 6}} {
		p, err := w.trail.Bundle(t.Context(), c.parts)
		if err != nil || p.Manifest.Rows != c.rows || p.Next != 0 {
			t.Errorf("%+v: %+v, %v; want %d rows", c.parts, p.Manifest, err, c.rows)
			continue
		}
		if r := verified(bundle.VerifierConfig{Partial: true}, p.TarGz); c.parts.From != 4 && !r.OK {
			t.Errorf("%+v: %v", c.parts, r.Break)
		}
	}
}

// hidingStore is a store without some rows.
type hidingStore struct {
	*memstore.Store
	gone func(audit.Row) bool
}

func (h hidingStore) Covered(ctx context.Context, leaves ...audit.Leaf) ([]audit.Row, error) {
	rows, err := h.Store.Covered(ctx, leaves...)
	var left []audit.Row
	for _, r := range rows {
		if !h.gone(r) {
			left = append(left, r)
		}
	}
	return left, err
}

func TestRowsThatAreGoneShow(t *testing.T) {
	w := open(memstore.Config{})
	w.grow(t, subjects...)
	w.grow(t, subjects...)
	w.seal(t)
	for name, gone := range map[string]func(audit.Row) bool{
		"a row in the middle": func(r audit.Row) bool { return r.Subject == "orga::b" && r.Seq == 1 },
		"the end of a chain":  func(r audit.Row) bool { return r.Subject == "orga::b" && r.Seq == 2 },
		"a chain":             func(r audit.Row) bool { return r.Subject == "orga::b" },
		"the last chain":      func(r audit.Row) bool { return r.Subject == "orga::c" },
		"the announcement":    func(r audit.Row) bool { return r.EventType == audit.CheckpointMade },
		"everything":          func(audit.Row) bool { return true },
	} {
		w.trail.Store = hidingStore{w.store, gone}
		if r := verified(bundle.VerifierConfig{}, w.whole(t).TarGz); r.OK {
			t.Errorf("%s: it verifies: %+v", name, r)
		}
	}
}

// A store that was set back to an earlier state is found out by the archive, and the checkpoints go on.
func TestStoreSetBack(t *testing.T) {
	w := open(memstore.Config{})
	w.grow(t, "orga::a", "orga::b")
	w.seal(t)
	w.grow(t, "orga::a")
	w.seal(t)
	before := w.whole(t)
	restored := open(memstore.Config{})
	restored.archive, restored.job.Archive, restored.trail.Archive = w.archive, w.archive, w.archive
	restored.key = w.key
	restored.grow(t, "orga::a", "orga::b")
	if r := verified(bundle.VerifierConfig{}, restored.whole(t).TarGz); r.OK {
		t.Errorf("the state of before verifies: %+v", r)
	}
	if r := restored.seal(t); r.Made != 1 || r.Number != 3 || r.SetBack != 2 {
		t.Errorf("the next checkpoint: %+v, want number 3, and that the trail was set back behind 2", r)
	}
	if r := restored.seal(t); r.Made != 0 || r.SetBack != 2 {
		t.Errorf("a run after it: %+v, want the note to stay", r)
	}
	operator := audit.By{Actor: "admin:v1"}
	for _, want := range []int64{0, 0} {
		if r, err := restored.job.Run(t.Context(), operator); err != nil || r.SetBack != want {
			t.Errorf("an operator's run: %+v, %v, want the note taken back", r, err)
		}
	}
	if r := verified(bundle.VerifierConfig{}, restored.whole(t).TarGz); r.OK {
		t.Errorf("the state of before, sealed anew, verifies: %+v", r)
	}
	if r := verified(bundle.VerifierConfig{}, before.TarGz); !r.OK {
		t.Errorf("the bundle of before: %v", r.Break)
	}
}

// A run on an operator's request that detects it does not end the warning: no operator has looked yet. The row says
// what was set back.
func TestStoreSetBackIsFoundOutByAnOperator(t *testing.T) {
	w := open(memstore.Config{})
	w.grow(t, "orga::a")
	w.seal(t)
	restored := open(memstore.Config{})
	restored.archive, restored.job.Archive, restored.trail.Archive, restored.key = w.archive, w.archive, w.archive, w.key
	for run, want := range []int64{1, 0} {
		restored.grow(t, "orga::b")
		if r, err := restored.job.Run(t.Context(), audit.By{Actor: "admin:v1"}); err != nil || r.SetBack != want {
			t.Errorf("run %d: %+v, %v, want set_back %d", run, r, err, want)
		}
	}
	rows, err := restored.store.Rows(t.Context(), "orga", 0, 10)
	if err != nil || len(rows) != 2 || fmt.Sprint(rows[0].Details["set_back"]) != "1" ||
		rows[1].Details["set_back"] != nil {
		t.Errorf("rows %+v, %v", rows, err)
	}
}

func TestManyCheckpointsAtOnce(t *testing.T) {
	w := open(memstore.Config{})
	w.job.Most = 10
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 10 {
				if err := w.append(t.Context(), fmt.Sprintf("orga::%d", n)); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			j := w.newJob()
			j.Most = 10
			if _, err := j.Run(t.Context(), audit.By{Actor: auditlog.Actor}); err != nil &&
				!errors.Is(err, registry.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.seal(t)
	r := verified(bundle.VerifierConfig{}, w.whole(t).TarGz)
	if !r.OK || r.Sealed < 80 || r.Unsealed != 1 {
		t.Errorf("%+v, %v", r, r.Break)
	}
}

var errDied = errors.New("the process died")

// A run that ends at any remote call, before it or right behind it, leaves a history that verifies, and that the next
// run completes.
func TestCrashAnywhere(t *testing.T) {
	for calls := 1; ; calls++ {
		left := -1
		var mu sync.Mutex // the job works on several shards at once
		dying := func() bool {
			mu.Lock()
			defer mu.Unlock()
			if left > 0 {
				left--
			}
			return left == 0
		}
		w := open(memstore.Config{Fault: func(string) memstore.Fault {
			if dying() {
				return memstore.Refuse
			}
			return memstore.None
		}})
		w.archive.Fault = func(string, bool) error {
			if dying() {
				return errDied
			}
			return nil
		}
		w.job.Most = 4
		w.grow(t, "orga::a", "orga::b", "orga::c")
		w.seal(t)
		w.grow(t, "orga::b", org, "orga::a", "orga::d", "orga::e")
		left = calls
		_, err := w.job.Run(t.Context(), audit.By{Actor: auditlog.Actor})
		survived := left > 0
		left = -1
		if err == nil && !survived {
			t.Fatalf("call %d failed, and the run did not", calls)
		}
		if r := verified(bundle.VerifierConfig{}, w.whole(t).TarGz); !r.OK {
			t.Fatalf("died at call %d: %v", calls, r.Break)
		}
		w.grow(t, "orga::b")
		w.seal(t)
		r := verified(bundle.VerifierConfig{}, w.whole(t).TarGz)
		if want := w.rows(t, org, "orga::a", "orga::b", "orga::c", "orga::d", "orga::e"); !r.OK || r.Rows != want ||
			r.Unsealed != 1 {
			t.Fatalf("died at call %d, then completed: %+v, %v; want %d rows", calls, r, r.Break, want)
		}
		if survived {
			t.Logf("a run of %d remote calls", calls-1)
			return
		}
	}
}

// Any order of rows and runs, on a store that loses writes, their answers, or carries them out late: the history always
// verifies, and nothing is missing once a run gets through.
func TestLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var fate func(op string) memstore.Fault
		w := open(memstore.Config{Fault: func(op string) memstore.Fault {
			if fate == nil {
				return memstore.None
			}
			return fate(op)
		}})
		w.job.Most = rapid.Int64Range(2, 6).Draw(t, "most")
		ctx := context.Background()
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			troubled := rapid.Bool().Draw(t, "troubled")
			fate = nil
			if troubled {
				fates := rapid.SliceOfN(rapid.SampledFrom([]memstore.Fault{
					memstore.None, memstore.None, memstore.None, memstore.Lose, memstore.HalfAck, memstore.Refuse, memstore.Late,
				}), 16, 16).Draw(t, "fates")
				var calls atomic.Int64 // the job works on several shards at once
				fate = func(string) memstore.Fault { return fates[int(calls.Add(1))%len(fates)] }
			}
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				if _, err := w.job.Run(ctx, audit.By{Actor: auditlog.Actor}); err != nil && !troubled &&
					!errors.Is(err, registry.ErrConflict) {
					t.Fatal(err)
				}
			case 1:
				w.store.Deliver()
			default:
				if err := w.append(ctx, rapid.SampledFrom(subjects).Draw(t, "subject")); err != nil && !troubled {
					t.Fatal(err)
				}
			}
			fate = nil
			p, err := w.trail.Bundle(ctx, auditlog.Parts{})
			if err != nil {
				t.Fatal(err)
			}
			if r := verified(bundle.VerifierConfig{}, p.TarGz); !r.OK {
				t.Fatalf("%v", r.Break)
			}
		}
		w.store.Deliver()
		if _, err := w.job.Run(ctx, audit.By{Actor: auditlog.Actor}); err != nil {
			t.Fatal(err)
		}
		w.store.Deliver()
		files, err := w.inParts(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var want int64
		for _, s := range subjects {
			last, err := w.store.LastRow(ctx, s)
			if err != nil {
				t.Fatal(err)
			}
			if last != nil {
				want += last.Seq
			}
		}
		if r := verified(bundle.VerifierConfig{}, files...); !r.OK || r.Rows != want || r.Unsealed > 1 {
			t.Fatalf("at the end: %+v, %v; want %d rows", r, r.Break, want)
		}
	})
}
