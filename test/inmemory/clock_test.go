package inmemory_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	agents "github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/warnings"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// A process dies in a rotation while the clock is ahead; with the clock put right nothing is locked, and GET and
// healthz say so.
func TestLeaseOfAClockThatWasAheadLocksNothing(t *testing.T) {
	for _, ahead := range []time.Duration{time.Minute, 48 * time.Hour, 14 * 365 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			dead := false
			m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
				if dead && op != "Acquire" {
					return memstore.Refuse
				}
				return memstore.None
			}})
			m.Advance(ahead)
			dead = true
			if _, err := m.Mint(t.Context()); err == nil {
				t.Fatal("a rotation without a store succeeded")
			}
			dead = false
			if l := m.Org(t).Lease; !l.Held(m.Now()) {
				t.Fatalf("nothing was left: %+v", l)
			}
			m.Advance(-ahead)
			status := must[rotateca.Status](t)(m.RotateCA.Status(t.Context()))
			if status.Rotation.InProgress {
				t.Errorf("GET shows %+v", status.Rotation)
			}
			if state := must[health.State](t)(m.Health.Check(t.Context())); len(state.Warnings) != 1 ||
				state.Warnings[0] != warnings.RotationLockStuck {
				t.Errorf("warnings = %v", state.Warnings)
			}
			if _, err := m.Mint(t.Context()); err != nil {
				t.Errorf("rotation with the clock put right: %v", err)
			}
			if state := must[health.State](t)(m.Health.Check(t.Context())); len(state.Warnings) > 0 &&
				state.Warnings[0] == warnings.RotationLockStuck {
				t.Errorf("warnings after a rotation = %v", state.Warnings)
			}
		})
	}
}

// year is a year of certificates' lives, more or less.
const year = 365 * 24 * time.Hour

func warned(t *testing.T, m *inmemory.Mastio) []warnings.Warning {
	t.Helper()
	return must[health.State](t)(m.Health.Check(t.Context())).Warnings
}

// works checks that the current Org CA is valid, and issues.
func works(t *testing.T, m *inmemory.Mastio, what string) {
	t.Helper()
	if v := m.Org(t).Pointer.Validity(); !v.At(m.Now()) {
		t.Errorf("%s: the current Org CA is valid from %s to %s, now is %s", what, v.From, v.Until, m.Now())
	}
	if _, err := m.Admit(t.Context(), "after-"+m.NewID()); err != nil {
		t.Errorf("%s: enrolment: %v", what, err)
	}
}

// An organisation that has not rotated its Org CA for five years is warned in time, is given a code and a remedy when
// it is too late, and the first mint helps.
func TestOrgCAThatIsFiveYearsOld(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	agent := admit(t, m, "kyc").Agent.ID
	until := m.Org(t).Pointer.Validity().Until
	m.Advance(until.Sub(m.Now()) - health.ExpiringWithin(agents.Annually))
	if w := warned(t, m); slices.Contains(w, warnings.OrgCAExpiring) {
		t.Errorf("%s before the end of the chain: %v", until.Sub(m.Now()), w)
	}
	m.Advance(time.Second)
	if w := warned(t, m); !slices.Contains(w, warnings.OrgCAExpiring) {
		t.Errorf("%s before the end of the chain: %v", until.Sub(m.Now()), w)
	}
	whole := must[agentcert.RotateResult](t)(m.Rotate(t.Context(), agent)).Certificate.Pin
	if whole.NotAfter.Sub(m.Now()) < year {
		t.Errorf("when it is warned of the Org CA's end, a certificate is cut short already: it ends %s", whole.NotAfter)
	}

	m.Advance(2 * year) // the standby is as old as the CA
	for name, issue := range map[string]func() error{
		"rotate-cert": func() error { _, err := m.Rotate(t.Context(), agent); return err },
		"enrolment":   func() error { _, err := m.Admit(t.Context(), "late"); return err },
	} {
		if err := issue(); !errors.Is(err, orgca.ErrNotValid) {
			t.Errorf("%s under a CA that is over: err = %v", name, err)
		}
	}
	old := m.Org(t).Pointer.Current
	dry := m.Do(t, rotateca.Request{Mode: rotateca.Mint, DryRun: true})
	if dry.Generation == old+1 {
		t.Errorf("a dry run would take the standby, which is over: %+v", dry)
	}
	done := must[rotateca.Result](t)(m.Mint(t.Context()))
	if done.Generation == old+1 {
		t.Error("mint took the standby, which is over")
	}
	works(t, m, "after one mint")
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode: rotateca.Rollback,
		By:   audit.By{Actor: "test"},
	}); !errors.Is(err, orgca.ErrUnfit) {
		t.Errorf("rollback to the CA that is over: err = %v", err)
	}
	works(t, m, "after the refused rollback")
}

// What was made while a clock was ahead does not become current once it is right; what became current meanwhile is
// warned of, and one mint remedies it.
func TestClockThatWasAhead(t *testing.T) {
	for _, ahead := range []time.Duration{48 * time.Hour, 5*year + 48*time.Hour, 14 * year} {
		t.Run(ahead.String(), func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			admit(t, m, "kyc")
			m.Advance(ahead)
			must[rotateca.Result](t)(m.Mint(t.Context()))
			must[standby.Report](t)(m.Standby.Run(t.Context()))
			must[rotateca.Result](t)(m.Mint(t.Context())) // takes what was made by that clock
			must[standby.Report](t)(m.Standby.Run(t.Context()))
			works(t, m, "ahead")
			m.Advance(-ahead)
			if _, err := m.Admit(t.Context(), "early"); !errors.Is(err, orgca.ErrNotValid) {
				t.Errorf("enrolment under a CA that is not valid yet: err = %v", err)
			}
			if w := warned(t, m); !slices.Contains(w, warnings.OrgCANotYetValid) {
				t.Errorf("warnings = %v", w)
			}
			stale := must[rotateca.Status](t)(m.RotateCA.Status(t.Context()))
			if stale.Staged != nil {
				t.Errorf("GET shows a standby that is not valid: %+v", stale.Staged)
			}
			must[rotateca.Result](t)(m.RotateCA.Do(t.Context(), rotateca.Request{
				Mode:    rotateca.Mint,
				Overlap: time.Minute,
				By:      audit.By{Actor: "test"},
			}))
			works(t, m, "after one mint")
			report := must[standby.Report](t)(m.Standby.Run(t.Context()))
			if next, ok := m.Org(t).Standby(m.Now()); !ok || report.Standby != next.Number {
				t.Errorf("the standby job left %+v, reports %+v", next, report)
			}
			must[rotateca.Result](t)(m.Mint(t.Context()))
			works(t, m, "after another mint")
			if w := warned(t, m); slices.Contains(w, warnings.OrgCANotYetValid) || slices.Contains(w, warnings.OrgCAExpiring) {
				t.Errorf("warnings = %v", w)
			}
		})
	}
}

// A standby that has waited so long that it does not last for the longest certificate is replaced before a rotation
// needs it.
func TestStandbyThatIsTooOldIsReplaced(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	old, _ := m.Org(t).Standby(m.Now())
	m.Advance(old.Validity().Until.Sub(m.Now()) - orgca.LongestAgent)
	if report := must[standby.Report](t)(m.Standby.Run(t.Context())); report.Standby != old.Number {
		t.Errorf("a standby that lasts just long enough was replaced: %+v", report)
	}
	m.Advance(time.Second)
	report := must[standby.Report](t)(m.Standby.Run(t.Context()))
	if report.Standby == old.Number || report.Standby == 0 || report.Discarded != 1 {
		t.Errorf("a standby that is too old was kept: %+v", report)
	}
	if g, _ := m.Org(t).Generation(old.Number); g.State != orgca.Failed {
		t.Errorf("the old standby is %s", g.State)
	}
}

// What an operator's PKI dates shortly is taken, with a warning before the commit and one afterwards.
func TestShortLivedUpload(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	key := ecKey(t, elliptic.P256())
	template := pkitest.CATemplate("Short Root", 1, m.Now())
	template.NotAfter = m.Now().Add(100 * 24 * time.Hour)
	ca := pki.Authority{
		Chain: []*x509.Certificate{pkitest.Sign(t, template, pki.Authority{Key: key}, key.Public())},
		Key:   key,
	}
	seen := m.Do(t, rotateca.Request{Mode: rotateca.Stage, Upload: files(t, ca)})
	check := seen.Checks[len(seen.Checks)-1]
	if check.Name != "validity" || check.Result != "warning" {
		t.Errorf("pre-flight: %+v", seen.Checks)
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Commit, Fingerprint: seen.Fingerprint})
	works(t, m, "short-lived upload")
	if w := warned(t, m); !slices.Contains(w, warnings.OrgCAExpiring) {
		t.Errorf("warnings = %v", w)
	}
	other := m.Do(t, rotateca.Request{
		Mode:   rotateca.Stage,
		Upload: files(t, below(t, nil, "Late Root", 1, ecKey(t, elliptic.P256()), m.Now())),
	})
	m.Advance(-2 * time.Hour) // of a process whose clock is behind
	for _, dry := range []bool{true, false} {
		req := rotateca.Request{
			Mode:        rotateca.Commit,
			Fingerprint: other.Fingerprint,
			DryRun:      dry,
			By:          audit.By{Actor: "test"},
		}
		if _, err := m.RotateCA.Do(t.Context(), req); !errors.Is(err, orgca.ErrUnfit) {
			t.Errorf("commit of a CA that is not valid yet, dry run %v: err = %v", dry, err)
		}
	}
}

// If the setting is on, the standby job replaces a minted Org CA before anybody is warned of it, once. It replaces an
// Org CA of a wrong clock at once.
func TestRotationByItself(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	run := func() standby.Report { return must[standby.Report](t)(m.Standby.Run(t.Context())) }
	const overlap = 30 * 24 * time.Hour
	m.Advance(m.Org(t).Pointer.Validity().Until.Sub(m.Now()) - health.ExpiringWithin(agents.Annually) - overlap)
	run()
	m.Advance(time.Second)
	if report := run(); report.Rotated {
		t.Errorf("rotated without being asked to: %+v", report)
	}
	m.Standby.Rotate = overlap
	before := m.Org(t).Pointer.Current
	if report := run(); !report.Rotated || report.Generation == before || report.Standby == 0 {
		t.Errorf("report = %+v", report)
	}
	if p := m.Org(t).Pointer; !p.Accepts(before, m.Now().Add(overlap-time.Second)) {
		t.Errorf("no overlap: %+v", p)
	}
	if w := warned(t, m); len(w) > 0 {
		t.Errorf("warnings = %v", w)
	}
	if report := run(); report.Rotated {
		t.Errorf("rotated twice: %+v", report)
	}
	m.Advance(-10 * year)
	if report := run(); !report.Rotated {
		t.Errorf("a CA that is not valid yet was kept: %+v", report)
	}
	works(t, m, "after a clock was ahead")

	m.Do(t, rotateca.Request{
		Mode:   rotateca.Upload,
		Upload: files(t, below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), m.Now())),
	})
	m.Advance(9 * year)
	if report := run(); report.Rotated {
		t.Errorf("an operator's CA was replaced: %+v", report)
	}
}

// An overlap that was made while a clock was ahead lasts no longer than the clock was wrong and the overlap is; one
// that ends later than any could is over, for good.
func TestOverlapOfAClockThatWasAhead(t *testing.T) {
	const overlap = 10 * time.Minute
	for _, ahead := range []time.Duration{48 * time.Hour, 200 * 24 * time.Hour, 2 * year} {
		m := inmemory.Open(t, memstore.Config{})
		old := admit(t, m, "kyc").Certificate.CertPEM
		m.Advance(ahead)
		m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: overlap})
		m.Advance(-ahead)
		believed := ahead < orgca.MaxOverlap
		counts(t, m, "with the clock put right", old, believed)
		if status := must[rotateca.Status](t)(m.RotateCA.Status(t.Context())); (status.OverlapUntil != nil) != believed {
			t.Errorf("%s ahead: GET shows an overlap until %v", ahead, status.OverlapUntil)
		}
		must[standby.Report](t)(m.Standby.Run(t.Context()))
		if over := len(m.Org(t).Pointer.Accepted) == 0; over == believed {
			t.Errorf("%s ahead: the pointer has %+v", ahead, m.Org(t).Pointer.Accepted)
		}
		if m.Advance(ahead + overlap); ahead < year { // the certificate itself ends after one
			counts(t, m, "when it is over by any clock", old, false)
		}
	}
}

// Generations that a clock which was ahead has dated into the future wait no longer than it was wrong.
func TestLeftBehindByAClockThatWasAhead(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	m.Advance(14 * year)
	m.Do(t, rotateca.Request{
		Mode:   rotateca.Stage,
		Upload: files(t, below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), m.Now())),
	})
	m.Keys.Fault = func(op string, _ bool) error {
		if op == "Create" {
			return errors.New("died")
		}
		return nil
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Finalise})
	_, _ = m.Mint(t.Context())
	_, _ = m.Standby.Run(t.Context())
	m.Keys.Fault = nil
	m.Advance(-14 * year)
	for range 2 {
		must[standby.Report](t)(m.Standby.Run(t.Context()))
	}
	for _, g := range m.Org(t).Generations {
		if g.State == orgca.Preparing || g.State == orgca.Staged && !g.Fit(m.Now()) {
			t.Errorf("generation %d is %s, created %s", g.Number, g.State, g.CreatedAt)
		}
	}
	if _, ok := m.Org(t).Standby(m.Now()); !ok {
		t.Error("there is no standby")
	}
}

// A grace that was given while a clock was ahead lasts no longer than the clock was wrong and the grace is; one that
// ends later than any could is over.
func TestGraceOfAClockThatWasAhead(t *testing.T) {
	const grace = time.Hour
	for ahead, believed := range map[time.Duration]bool{48 * time.Hour: true, 49 * time.Hour: false,
		300 * 24 * time.Hour: false} {
		m := inmemory.Open(t, memstore.Config{})
		first := admit(t, m, "kyc")
		m.Advance(ahead)
		if _, err := m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
			Agent: first.Agent.ID,
			Grace: grace,
			By:    audit.By{Actor: "test"},
		}); err != nil {
			t.Fatal(err)
		}
		m.Advance(-ahead)
		counts(t, m, "with the clock put right", first.Certificate.CertPEM, believed)
		m.Advance(ahead + grace)
		counts(t, m, "when the grace is over by any clock", first.Certificate.CertPEM, false)
	}
}

// A renewal while a clock was ahead leaves the agent its certificate, and the next renewal is a good one.
func TestRenewalOfAClockThatWasAhead(t *testing.T) {
	for _, ahead := range []time.Duration{time.Minute, 30 * 24 * time.Hour, 300 * 24 * time.Hour} {
		m := inmemory.Open(t, memstore.Config{})
		first := admit(t, m, "kyc")
		m.Advance(ahead)
		if _, err := renewing(t, m, first.Certificate.CertPEM, newKey(t)); err != nil {
			t.Fatal(err)
		}
		m.Advance(-ahead)
		counts(t, m, "the certificate in use, with the clock put right", first.Certificate.CertPEM, true)
		next, err := renewing(t, m, first.Certificate.CertPEM, newKey(t))
		if err != nil {
			t.Fatalf("%s ahead: renewal with the clock put right: %v", ahead, err)
		}
		counts(t, m, "the successor", next.Certificate.CertPEM, true)
		counts(t, m, "the certificate before, once the successor was used", first.Certificate.CertPEM, false)
	}
}

// A rotation is answered under its idempotency key for a day, by whichever clock; one of a clock that was further ahead
// made an Org CA that is not valid yet, and the same request makes a better one.
func TestAnswerOfAClockThatWasAhead(t *testing.T) {
	for ahead, repeated := range map[time.Duration]bool{time.Minute: true, time.Hour: true, 48 * time.Hour: false,
		14 * year: false} {
		m := inmemory.Open(t, memstore.Config{})
		req := rotateca.Request{Mode: rotateca.Mint, IdempotencyKey: "k", By: audit.By{Actor: "test"}}
		m.Advance(ahead)
		first := m.Do(t, req)
		m.Advance(-ahead)
		if again := m.Do(t, req); (again.Generation == first.Generation) != repeated {
			t.Errorf("%s ahead: generation %d, then %d", ahead, first.Generation, again.Generation)
		}
	}
}

// Checkpoints and rows are ordered by their numbers and hashes: a trail whose times fall verifies, and goes on.
func TestCheckpointsOfAClockThatWasAhead(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	for n, step := range []time.Duration{time.Hour, 300 * 24 * time.Hour, -300 * 24 * time.Hour, -time.Minute} {
		m.Advance(step)
		admit(t, m, "kyc-"+strconv.Itoa(n))
		report := must[auditlog.Report](t)(m.Checkpoint.Run(t.Context(), audit.By{Actor: "test"}))
		if report.Number != int64(n+1) {
			t.Errorf("run %d made checkpoint %d", n, report.Number)
		}
	}
	verdict := must[auditlog.Verdict](t)(m.Trail.Verify(t.Context()))
	if !verdict.OK || verdict.Checkpoints != 4 {
		t.Errorf("verdict = %+v", verdict.Report)
	}
}
