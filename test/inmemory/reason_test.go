package inmemory_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// A compromise that was declared when the CA was staged binds every swap that takes it: no overlap, no way back.
func TestReasonOfAStageBindsTheSwap(t *testing.T) {
	for name, stage := range map[string]func(*testing.T, *inmemory.Mastio) rotateca.Result{
		"of the standby": func(t *testing.T, m *inmemory.Mastio) rotateca.Result {
			return m.Do(t, rotateca.Request{Mode: rotateca.Stage, Reason: "KEYCOMPROMISE"})
		},
		"of an upload": func(t *testing.T, m *inmemory.Mastio) rotateca.Result {
			return m.Do(t, rotateca.Request{
				Mode:   rotateca.Stage,
				Upload: files(t, below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), m.Now())),
				Reason: "keyCompromise",
			})
		},
		"staged twice, the second time without a reason": func(t *testing.T, m *inmemory.Mastio) rotateca.Result {
			m.Do(t, rotateca.Request{Mode: rotateca.Stage, Reason: "keyCompromise"})
			return m.Do(t, rotateca.Request{Mode: rotateca.Stage})
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			stolen := admit(t, m, "kyc").Certificate.CertPEM
			seen := stage(t, m)
			if seen.Reason != "keyCompromise" {
				t.Errorf("the pre-flight says reason %q", seen.Reason)
			}
			for _, dry := range []bool{true, false} {
				for _, reason := range []string{"", "superseded"} {
					req := rotateca.Request{
						Mode:        rotateca.Commit,
						Fingerprint: seen.Fingerprint,
						Overlap:     time.Hour,
						DryRun:      dry,
						Reason:      reason,
						By:          audit.By{Actor: "test"},
					}
					if _, err := m.RotateCA.Do(t.Context(), req); !errors.Is(err, orgca.ErrCompromised) {
						t.Errorf("commit with an overlap, dry run %v, reason %q: err = %v", dry, reason, err)
					}
				}
			}
			done := m.Do(t, rotateca.Request{Mode: rotateca.Commit, Fingerprint: seen.Fingerprint, Reason: "superseded"})
			if done.Reason != "keyCompromise" || done.Fingerprint != seen.Fingerprint {
				t.Errorf("committed %+v", done)
			}
			counts(t, m, "certificate of the compromised CA", stolen, false)
			if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
				Mode: rotateca.Rollback,
				By:   audit.By{Actor: "test"},
			}); !errors.Is(err, orgca.ErrNoRollback) {
				t.Errorf("rollback: err = %v", err)
			}
			rows := must[[]audit.Row](t)(m.Store.Rows(t.Context(), inmemory.OrgID, 0, 100))
			last := rows[len(rows)-1]
			if last.EventType != audit.OrgCARotated || last.Details["reason"] != "keyCompromise" {
				t.Errorf("row of the swap = %s %v", last.EventType, last.Details)
			}
		})
	}
}

// mint takes the standby that an operator has staged for a compromise, and is bound by that as well.
func TestReasonOfAStageBindsMint(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	m.Do(t, rotateca.Request{Mode: rotateca.Stage, Reason: "cACompromise"})
	for _, dry := range []bool{true, false} {
		if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
			Mode:    rotateca.Mint,
			Overlap: time.Hour,
			DryRun:  dry,
			By:      audit.By{Actor: "test"},
		}); !errors.Is(err, orgca.ErrCompromised) {
			t.Errorf("mint with an overlap, dry run %v: err = %v", dry, err)
		}
	}
	if done := m.Do(t, rotateca.Request{Mode: rotateca.Mint}); done.Reason != "cACompromise" {
		t.Errorf("minted for %q", done.Reason)
	}
}

// What stages says is committed with the end of its lease, or not at all.
func TestReasonOfAStageUnderFaults(t *testing.T) {
	for name, fault := range map[string]memstore.Fault{"lost": memstore.Lose, "half acknowledged": memstore.HalfAck,
		"late": memstore.Late, "refused": memstore.Refuse} {
		t.Run(name, func(t *testing.T) {
			troubled := false
			m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
				if troubled && op == "Apply" {
					troubled = false
					return fault
				}
				return memstore.None
			}})
			troubled = true
			_, err := m.RotateCA.Do(t.Context(), rotateca.Request{
				Mode:   rotateca.Stage,
				Reason: "keyCompromise",
				By:     audit.By{Actor: "test"},
			})
			m.Store.Deliver()
			standby, _ := m.Org(t).Standby(m.Now())
			if (standby.Reason == "keyCompromise") != (err == nil) {
				t.Errorf("stage: err = %v, and the standby's reason is %q", err, standby.Reason)
			}
			if l := m.Org(t).Lease; l.Held(m.Now()) {
				t.Errorf("the lease is still held: %+v", l)
			}
		})
	}
}

// A CA that was superseded for a compromise leaves the trust bundle of the verifiers.
func TestCompromisedCALeavesTheBundleWithTheSwap(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	old := m.Org(t).Pointer.Chain
	published := func() []byte { return must[[]byte](t)(m.Discovery.Bundle(t.Context())) }
	holds := func(bundle []byte, der []byte) bool {
		return bytes.Contains(bundle, pki.EncodeCertificates(must[*x509.Certificate](t)(x509.ParseCertificate(der))))
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	for _, der := range old {
		if !holds(published(), der) {
			t.Error("a superseded CA that a rollback can restore is not in the bundle")
		}
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Reason: "keyCompromise"})
	for _, g := range m.Org(t).Generations {
		if g.State != orgca.Superseded {
			continue
		}
		for _, der := range g.Chain() {
			if holds(published(), der) {
				t.Errorf("a certificate of generation %d is in the bundle after a compromise", g.Number)
			}
		}
	}
	for _, der := range m.Org(t).Pointer.Chain {
		if !holds(published(), der) {
			t.Error("the current CA is not in the bundle")
		}
	}
}

// A comment is for people: the trail keeps it, and it is no reason.
func TestCommentOfARotation(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Reason: "Superseded", Comment: "keyCompromise drill, ticket 12"})
	rows := must[[]audit.Row](t)(m.Store.Rows(t.Context(), inmemory.OrgID, 0, 100))
	if last := rows[len(rows)-1]; last.Details["comment"] != "keyCompromise drill, ticket 12" ||
		last.Details["reason"] != "superseded" {
		t.Errorf("row = %+v", last.Details)
	}
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:    rotateca.Mint,
		Comment: strings.Repeat("a", 501),
		By:      audit.By{Actor: "test"},
	}); !errors.Is(err, reason.ErrComment) {
		t.Errorf("a comment of 501 characters: err = %v", err)
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Reason: "privilegewithdrawn"})
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode: rotateca.Rollback,
		By:   audit.By{Actor: "test"},
	}); !errors.Is(err, orgca.ErrNoRollback) {
		t.Errorf("rollback of a withdrawn CA: err = %v", err)
	}
}
