package inmemory_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

func admit(t *testing.T, m *inmemory.Mastio, name string) enroll.Result {
	t.Helper()
	result, err := m.Admit(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// counts checks whether a certificate authenticates.
func counts(t *testing.T, m *inmemory.Mastio, what string, certPEM []byte, want bool) {
	t.Helper()
	_, err := m.TokenFor(t.Context(), certPEM)
	if (err == nil) != want || err != nil && !errors.Is(err, agent.ErrRevoked) {
		t.Errorf("%s: err = %v, want a token %v", what, err, want)
	}
}

func TestOverlapEndsToTheMillisecond(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	old := admit(t, m, "kyc").Certificate.CertPEM
	result := m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	if want := m.Now().Add(time.Hour); result.OverlapUntil == nil || !result.OverlapUntil.Equal(want) {
		t.Errorf("overlap until %v, want %s", result.OverlapUntil, want)
	}
	m.Advance(time.Hour - time.Millisecond)
	counts(t, m, "a millisecond before the end", old, true)
	m.Advance(time.Millisecond)
	counts(t, m, "at the end", old, false)
}

// An agent that re-enrols in an overlap has left its old certificate: that is dead at once, overlap or not.
func TestRotatedInAnOverlapIsDeadAtOnce(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	first := admit(t, m, "kyc")
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	counts(t, m, "in the overlap", first.Certificate.CertPEM, true)
	second, err := m.Rotate(t.Context(), first.Agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !second.PreviousUntil.Equal(m.Now()) {
		t.Errorf("the old certificate counts until %s, want now: %s", second.PreviousUntil, m.Now())
	}
	counts(t, m, "old certificate after the rotation", first.Certificate.CertPEM, false)
	counts(t, m, "new certificate", second.Certificate.CertPEM, true)
}

func TestRollbackRestoresExactlyTheOldPins(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	idle, moved, twice, stolen := admit(t, m, "idle"), admit(t, m, "moved"), admit(t, m, "twice"), admit(t, m, "stolen")
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	newer, err := m.Rotate(t.Context(), moved.Agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := m.Rotate(t.Context(), twice.Agent.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
		Agent:  stolen.Agent.ID,
		Reason: reason.Statement{Code: reason.KeyCompromise},
		By:     audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}

	result := m.Do(t, rotateca.Request{Mode: rotateca.Rollback})
	if result.Generation != 1 || result.Previous.Generation != 2 || result.Previous.Status != orgca.Superseded {
		t.Errorf("result = %+v", result)
	}
	counts(t, m, "agent that did not move", idle.Certificate.CertPEM, true)
	counts(t, m, "agent that had re-enrolled", moved.Certificate.CertPEM, true)
	counts(t, m, "its certificate of the generation that was undone", newer.Certificate.CertPEM, false)
	counts(t, m, "agent that was rotated once more", twice.Certificate.CertPEM, false)
	counts(t, m, "agent whose key was stolen", stolen.Certificate.CertPEM, false)

	_, err = m.RotateCA.Do(t.Context(), rotateca.Request{Mode: rotateca.Rollback, By: audit.By{Actor: "test"}})
	if !errors.Is(err, orgca.ErrNoRollback) {
		t.Errorf("a second rollback: err = %v", err)
	}
	want := []audit.Event{audit.OrgCAStaged, audit.OrgCACreated, audit.OrgCAStaged, audit.OrgCARotated,
		audit.OrgCARolledBack}
	if diff := cmp.Diff(want, events(t, m, inmemory.OrgID)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if next := m.Do(t, rotateca.Request{Mode: rotateca.Mint}); next.Generation != 3 {
		t.Errorf("the rotation after a rollback makes generation %d current, want 3: numbers never repeat", next.Generation)
	}
}

func TestRollbackIsRefused(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, m *inmemory.Mastio){
		"before any rotation": func(*testing.T, *inmemory.Mastio) {},
		"once finalised": func(t *testing.T, m *inmemory.Mastio) {
			m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
			m.Do(t, rotateca.Request{Mode: rotateca.Finalise})
		},
		"after a compromise": func(t *testing.T, m *inmemory.Mastio) {
			m.Do(t, rotateca.Request{Mode: rotateca.Mint, Reason: "keyCompromise"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			prepare(t, m)
			before := must[any](t)(state(m))
			_, err := m.RotateCA.Do(t.Context(), rotateca.Request{Mode: rotateca.Rollback, By: audit.By{Actor: "test"}})
			if !errors.Is(err, orgca.ErrNoRollback) {
				t.Errorf("err = %v, want ErrNoRollback", err)
			}
			after := must[any](t)(state(m))
			if diff := cmp.Diff(before, after, ignoreFence); diff != "" {
				t.Errorf("a refused rollback changed (-before +after):\n%s", diff)
			}
		})
	}
}

// Every acquisition of the lease raises its fence, also one that ends in a refusal.
var ignoreFence = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Fence" }, cmp.Ignore())

func TestFinaliseEndsTheOverlap(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	old := admit(t, m, "kyc").Certificate.CertPEM
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	counts(t, m, "in the overlap", old, true)
	result := m.Do(t, rotateca.Request{Mode: rotateca.Finalise})
	if result.Generation != 2 || result.OverlapUntil != nil || result.Audit == nil {
		t.Errorf("result = %+v", result)
	}
	counts(t, m, "once finalised", old, false)
	if all := events(t, m, inmemory.OrgID); all[len(all)-1] != audit.OverlapEnded {
		t.Errorf("last event is %s", all[len(all)-1])
	}
}

// A second rotation with an overlap does not cut off those who are still on the way from the first.
func TestOverlapsAddUp(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	first := admit(t, m, "slow").Certificate.CertPEM
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	second := admit(t, m, "quick").Certificate.CertPEM
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 2 * time.Hour})
	counts(t, m, "first generation", first, true)
	counts(t, m, "second generation", second, true)
	m.Advance(time.Hour)
	counts(t, m, "first generation after its overlap", first, false)
	counts(t, m, "second generation in its overlap", second, true)
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	counts(t, m, "second generation after a rotation without an overlap", second, false)
}

func TestStageThenCommitWhatWasSeen(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	agent := admit(t, m, "kyc").Certificate.CertPEM
	seen := m.Do(t, rotateca.Request{Mode: rotateca.Stage})
	if seen.Status != orgca.Staged || seen.Generation != 2 || len(seen.Chain) != 2 {
		t.Errorf("pre-flight = %+v", seen)
	}
	counts(t, m, "after the pre-flight", agent, true)

	other := seen.Fingerprint[1:] + "0"
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:        rotateca.Commit,
		Fingerprint: other,
		By:          audit.By{Actor: "test"},
	}); !errors.Is(err, rotateca.ErrNotStaged) {
		t.Errorf("committing another fingerprint: err = %v", err)
	}
	counts(t, m, "after a commit of another fingerprint", agent, true)
	done := m.Do(t, rotateca.Request{Mode: rotateca.Commit, Fingerprint: seen.Fingerprint})
	if done.Fingerprint != seen.Fingerprint || done.Generation != seen.Generation {
		t.Errorf("committed %+v, pre-flight was %+v", done, seen)
	}
	counts(t, m, "after the commit", agent, false)
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:        rotateca.Commit,
		Fingerprint: seen.Fingerprint,
		By:          audit.By{Actor: "test"},
	}); !errors.Is(err, rotateca.ErrNotStaged) {
		t.Errorf("committing it again: err = %v", err)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	before := must[any](t)(state(m))
	result := m.Do(t, rotateca.Request{Mode: rotateca.Mint, DryRun: true, Overlap: time.Hour})
	if !result.DryRun || result.Generation != 2 || result.Fingerprint == "" || result.Audit != nil {
		t.Errorf("result = %+v", result)
	}
	if e := result.Effect; e == nil || *e.Agents != 0 || e.AtOnce || !e.StopAt.Equal(m.Now().Add(time.Hour)) ||
		len(e.Overlaps) != 0 {
		t.Errorf("effect on nobody, in an hour: %+v", e)
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Commit, DryRun: true, Fingerprint: result.Fingerprint})
	if diff := cmp.Diff(before, must[any](t)(state(m))); diff != "" {
		t.Errorf("a dry run changed (-before +after):\n%s", diff)
	}
}

// A dry run says what an operator asks of it: who stops, when, and what becomes of an overlap. What is not known is
// absent.
func TestDryRunTellsItsEffect(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	admit(t, m, "kyc")
	admit(t, m, "screener")
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: 2 * time.Hour})
	until := m.Now().Add(2 * time.Hour)
	for _, c := range []struct {
		overlap time.Duration
		ends    bool
	}{{0, true}, {time.Hour, false}} {
		result := m.Do(t, rotateca.Request{Mode: rotateca.Mint, DryRun: true, Overlap: c.overlap}) // there is no standby yet
		agents := int64(2)
		want := &rotateca.Effect{
			Agents:    &agents,
			PerMethod: map[agent.Method]int64{agent.Minted: 2, agent.BYOCA: 0},
			AtOnce:    c.ends,
			Overlaps:  []rotateca.OverlappingGeneration{{Generation: 1, Until: until, EndsAtOnce: c.ends}},
		}
		if !c.ends {
			stop := m.Now().Add(c.overlap)
			want.StopAt = &stop
		}
		if diff := cmp.Diff(want, result.Effect); diff != "" {
			t.Errorf("effect with an overlap of %v (-want +got):\n%s", c.overlap, diff)
		}
		text, err := json.Marshal(result)
		if err != nil || strings.Contains(string(text), "0001-01-01") || strings.Contains(string(text), `"fingerprint":""`) ||
			strings.Contains(string(text), `"subject":""`) {
			t.Errorf("it tells what it does not know (%v): %s", err, text)
		}
	}
}

// Where the operator is to bring the first Org CA, none is made by mistake; the upload is taken, and then all goes on.
func TestAdoptionIsNotEndedByMistake(t *testing.T) {
	m := inmemory.New(memstore.Config{})
	m.RotateCA.Awaits, m.Standby.Adopt = true, true
	for _, req := range []rotateca.Request{{Mode: rotateca.Mint}, {
		Mode:   rotateca.Mint,
		DryRun: true,
	}, {Mode: rotateca.Stage}} {
		req.Actor = "test"
		if _, err := m.RotateCA.Do(t.Context(), req); !errors.Is(err, rotateca.ErrAwaited) {
			t.Errorf("%s (dry run %v): err = %v, want %v", req.Mode, req.DryRun, err, rotateca.ErrAwaited)
		}
	}
	adopted := m.Do(t, rotateca.Request{
		Mode:   rotateca.Upload,
		Upload: files(t, pkitest.Legacy(t, "acme", inmemory.Start)),
	})
	if minted := m.Do(t, rotateca.Request{Mode: rotateca.Mint}); adopted.Generation != 1 || minted.Generation != 2 {
		t.Errorf("adopted %d, minted %d", adopted.Generation, minted.Generation)
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	print := strings.Repeat("a3", 32)
	for name, c := range map[string]struct {
		req  rotateca.Request
		want error
	}{
		"no mode":          {rotateca.Request{}, rotateca.ErrMode},
		"unknown mode":     {rotateca.Request{Mode: "rotate"}, rotateca.ErrMode},
		"negative overlap": {rotateca.Request{Mode: rotateca.Mint, Overlap: -1}, orgca.ErrOverlap},
		"endless overlap": {rotateca.Request{
			Mode:    rotateca.Mint,
			Overlap: orgca.MaxOverlap + 1,
		}, orgca.ErrOverlap},
		"overlap of a rollback":       {rotateca.Request{Mode: rotateca.Rollback, Overlap: 1}, orgca.ErrOverlap},
		"dry run of a rollback":       {rotateca.Request{Mode: rotateca.Rollback, DryRun: true}, rotateca.ErrDryRun},
		"commit of nothing":           {rotateca.Request{Mode: rotateca.Commit}, rotateca.ErrFingerprint},
		"commit of no fingerprint":    {rotateca.Request{Mode: rotateca.Commit, Fingerprint: "G2"}, rotateca.ErrFingerprint},
		"fingerprint to mint":         {rotateca.Request{Mode: rotateca.Mint, Fingerprint: print}, rotateca.ErrFingerprint},
		"reason of one's own":         {rotateca.Request{Mode: rotateca.Mint, Reason: "because"}, reason.ErrCode},
		"commit of what is not there": {rotateca.Request{Mode: rotateca.Commit, Fingerprint: print}, rotateca.ErrNotStaged},
	} {
		c.req.Actor = "test"
		if _, err := m.RotateCA.Do(t.Context(), c.req); !errors.Is(err, c.want) {
			t.Errorf("%s: err = %v, want %v", name, err, c.want)
		}
	}
}
