package inmemory_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/upload"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/warnings"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// files is an operator's CA as two PEM files.
func files(t testing.TB, a pki.Authority) *rotateca.Files {
	t.Helper()
	key := a.Key
	if counting, ok := key.(*pkitest.Signer); ok {
		key = counting.Signer
	}
	encoded, err := pki.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &rotateca.Files{Certificates: pki.EncodeCertificates(a.Chain...), Key: encoded}
}

// below makes a CA under another, with a key of its own; a nil issuer makes a root.
func below(
	t testing.TB, issuer *pki.Authority, name string, pathLen int, key crypto.Signer, now time.Time,
) pki.Authority {
	t.Helper()
	template := pkitest.CATemplate(name, pathLen, now)
	if issuer == nil {
		issuer = &pki.Authority{Key: key}
	}
	cert := pkitest.Sign(t, template, *issuer, key.Public())
	return pki.Authority{Chain: append([]*x509.Certificate{cert}, issuer.Chain...), Key: key}
}

func ecKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	return must[*ecdsa.PrivateKey](t.(*testing.T))(ecdsa.GenerateKey(curve, rand.Reader))
}

// Every kind of key and chain that may be uploaded becomes the Org CA: old pins stop, new certificates verify under the
// operator's own root, and the root key rests.
func TestUploadedCABecomesCurrent(t *testing.T) {
	rsaKey := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	now := inmemory.Start
	corporate := below(t, nil, "Corporate Root", 5, ecKey(t, elliptic.P384()), now)
	middle := below(t, &corporate, "Corporate Policy CA", 3, ecKey(t, elliptic.P256()), now)
	for name, ca := range map[string]pki.Authority{
		"P-256":              below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), now),
		"P-384, no limit":    below(t, nil, "Operator Root", -1, ecKey(t, elliptic.P384()), now),
		"RSA 2048":           below(t, nil, "Operator Root", 2, rsaKey, now),
		"under a corporate":  below(t, &corporate, "Agents CA", 1, ecKey(t, elliptic.P256()), now),
		"under two of these": below(t, &middle, "Agents CA", 1, ecKey(t, elliptic.P384()), now),
	} {
		t.Run(name, func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			old := admit(t, m, "kyc").Certificate.CertPEM
			upload := files(t, ca)
			result := m.Do(t, rotateca.Request{Mode: rotateca.Upload, Upload: upload})
			fingerprint := pki.Thumbprint(ca.Chain[0].Raw)
			if result.Generation != 3 || result.Fingerprint != fingerprint || result.Source != orgca.Upload ||
				result.Previous.Generation != 1 || result.Truststore.Status != "current" {
				t.Errorf("result = %+v", result)
			}
			if bytes.ContainsFunc(upload.Key, func(r rune) bool { return r != 0 }) {
				t.Error("the uploaded key is still in memory")
			}
			counts(t, m, "old certificate", old, false)

			enrolled := admit(t, m, "fresh")
			counts(t, m, "new certificate", enrolled.Certificate.CertPEM, true)
			leaf := must[*x509.Certificate](t)(inmemory.Leaf(enrolled.Certificate.CertPEM))
			chain := must[[]*x509.Certificate](t)(pki.ParseCertificates(enrolled.Certificate.ChainPEM))
			if err := pki.VerifyChain(leaf, chain, m.Now()); err != nil || len(chain) != len(ca.Chain)+1 ||
				!chain[1].Equal(ca.Chain[0]) {
				t.Errorf("chain of %d: %v", len(chain), err)
			}
			served := must[[]byte](t)(m.Discovery.Root(t.Context()))
			if diff := cmp.Diff(string(pki.EncodeCertificates(ca.Chain...)), string(served)); diff != "" {
				t.Errorf("served CA (-want +got):\n%s", diff)
			}
			for _, k := range m.Keys.All() {
				if k.Spec.Generation == 3 && (k.Spec.Role == "root") != (k.State == inmemory.Disabled) {
					t.Errorf("%s key is %s", k.Spec.Role, k.State)
				}
			}
			if _, err := m.Standby.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if state := must[health.State](t)(m.Health.Check(t.Context())); len(state.Warnings) > 0 {
				t.Errorf("warnings %v", state.Warnings)
			}
		})
	}
}

// A refused upload leaves an audit row and nothing else.
func TestRefusedUploadLeavesOnlyARow(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	admit(t, m, "kyc")
	legacy := files(t, pkitest.Legacy(t, "acme", inmemory.Start))
	org, keys := m.Org(t), m.Keys.All()
	for i, mode := range []rotateca.Mode{rotateca.Upload, rotateca.Stage} {
		_, err := m.RotateCA.Do(t.Context(), rotateca.Request{
			Mode:   mode,
			Upload: &rotateca.Files{Certificates: bytes.Clone(legacy.Certificates), Key: bytes.Clone(legacy.Key)},
			By:     audit.By{Actor: "test"},
		})
		if !errors.Is(err, upload.ErrRefused) || problem.Of(err).Code != upload.PathLenZero {
			t.Fatalf("%s: %v", mode, err)
		}
		after := m.Org(t)
		if diff := cmp.Diff(org.Generations, after.Generations); diff != "" || after.Head.Seq != org.Head.Seq+int64(i)+1 ||
			after.Lease.Held(m.Now()) {
			t.Errorf("%s: head %d after %d, lease %+v, generations:\n%s", mode, after.Head.Seq, org.Head.Seq, after.Lease, diff)
		}
		if diff := cmp.Diff(keys, m.Keys.All()); diff != "" {
			t.Errorf("%s: keys (-before +after):\n%s", mode, diff)
		}
	}
	rows := must[[]audit.Row](t)(m.Store.Rows(t.Context(), inmemory.OrgID, 0, 100))
	last := rows[len(rows)-1]
	if codes, _ := last.Details["codes"].([]any); last.EventType != audit.OrgCAUploadRefused || len(codes) != 1 ||
		codes[0] != "ca_path_len_zero" {
		t.Errorf("last row = %+v", last)
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Error(err)
	}
}

// What the pre-flight showed is what is committed, however long the operator looks at it; a rotation of the minted kind
// in between does not take it.
func TestStagedUploadIsCommittedByItsFingerprint(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	ca := below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), inmemory.Start)
	staged := m.Do(t, rotateca.Request{Mode: rotateca.Stage, Upload: files(t, ca)})
	if staged.Status != orgca.Staged || staged.Generation != 3 || len(staged.Chain) != 2 || len(staged.Checks) != 5 ||
		staged.Truststore.Status != "current" {
		t.Errorf("pre-flight = %+v", staged)
	}
	if got := m.Do(t, rotateca.Request{Mode: rotateca.Mint}); got.Generation != 2 {
		t.Errorf("mint took generation %d", got.Generation)
	}
	if report, err := m.Standby.Run(t.Context()); err != nil || report.Standby != 4 || report.Discarded != 0 {
		t.Errorf("standby = %+v, %v", report, err)
	}
	_, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:   rotateca.Upload,
		Upload: files(t, ca),
		By:     audit.By{Actor: "test"},
	})
	if err == nil || !strings.Contains(err.Error(), "ca_key_reused") ||
		!strings.Contains(err.Error(), "mode=commit&fingerprint="+staged.Fingerprint) {
		t.Errorf("the same upload again: %v", err)
	}
	if got := m.Do(t, rotateca.Request{
		Mode:        rotateca.Commit,
		Fingerprint: staged.Fingerprint,
	}); got.Generation != 3 || got.Source != orgca.Upload {
		t.Errorf("committed %+v", got)
	}
	if got := m.Do(t, rotateca.Request{Mode: rotateca.Rollback}); got.Generation != 2 {
		t.Errorf("rolled back to %+v", got)
	}
}

func TestStagedUploadDoesNotWaitForEver(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	staged := m.Do(t, rotateca.Request{
		Mode:   rotateca.Stage,
		Upload: files(t, below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), inmemory.Start)),
	})
	m.Advance(standby.StagedAge)
	if report, err := m.Standby.Run(t.Context()); err != nil || report.Discarded != 0 {
		t.Errorf("at its age: %+v, %v", report, err)
	}
	m.Advance(time.Millisecond)
	if report, err := m.Standby.Run(t.Context()); err != nil || report.Discarded != 1 {
		t.Errorf("beyond: %+v, %v", report, err)
	}
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:        rotateca.Commit,
		Fingerprint: staged.Fingerprint,
		By:          audit.By{Actor: "test"},
	}); !errors.Is(err, rotateca.ErrNotStaged) {
		t.Errorf("commit: %v", err)
	}
	for _, k := range m.Keys.All() {
		if k.Spec.Generation == staged.Generation && k.State != inmemory.PendingDeletion {
			t.Errorf("%s key is %s", k.Spec.Role, k.State)
		}
	}
}

func TestDryRunOfAnUpload(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	before := must[any](t)(state(m))
	ca := below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), inmemory.Start)
	got := m.Do(t, rotateca.Request{Mode: rotateca.Upload, DryRun: true, Upload: files(t, ca)})
	if !got.DryRun || got.Fingerprint != pki.Thumbprint(ca.Chain[0].Raw) || got.Status != orgca.Preparing ||
		got.Source != orgca.Upload || len(got.Checks) != 5 {
		t.Errorf("dry run = %+v", got)
	}
	_, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:   rotateca.Upload,
		DryRun: true,
		Upload: files(t, pkitest.Legacy(t, "acme", inmemory.Start)),
		By:     audit.By{Actor: "test"},
	})
	if !errors.Is(err, upload.ErrRefused) {
		t.Errorf("dry run of a defective one: %v", err)
	}
	if diff := cmp.Diff(before, must[any](t)(state(m))); diff != "" {
		t.Errorf("state (-before +after):\n%s", diff)
	}
}

// The same request again is answered, not judged as a reuse of its own key.
func TestRepeatedUploadIsAnswered(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	ca := below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), inmemory.Start)
	first := m.Do(t, rotateca.Request{Mode: rotateca.Upload, Upload: files(t, ca), IdempotencyKey: "k"})
	again := m.Do(t, rotateca.Request{Mode: rotateca.Upload, Upload: files(t, ca), IdempotencyKey: "k"})
	if !again.Replayed {
		t.Error("the repetition does not say that it is one")
	}
	again.Replayed = false
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("answers (-first +again):\n%s", diff)
	}
	other := below(t, nil, "Another Root", 1, ecKey(t, elliptic.P256()), inmemory.Start)
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:           rotateca.Upload,
		Upload:         files(t, other),
		IdempotencyKey: "k",
		By:             audit.By{Actor: "test"},
	}); !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("another upload under the same key: %v", err)
	}
}

// legacyMastio adopted its operator's old CA.
func legacyMastio(t *testing.T) (*inmemory.Mastio, rotateca.Result) {
	t.Helper()
	m := inmemory.New(memstore.Config{})
	m.Standby.Adopt = true
	result := m.Do(t, rotateca.Request{Mode: rotateca.Upload, Upload: files(t, pkitest.Legacy(t, "acme", inmemory.Start))})
	return m, result
}

// The installation that the operator's guide remedies in its section 3.
func TestLegacyCAIsAdoptedAndRemedied(t *testing.T) {
	m, adopted := legacyMastio(t)
	if adopted.Generation != 1 || adopted.Previous != nil || adopted.Source != orgca.Upload {
		t.Errorf("adopted %+v", adopted)
	}
	if got := events(t, m, inmemory.OrgID); got[len(got)-1] != audit.OrgCACreated {
		t.Errorf("events %v", got)
	}
	enrolled := admit(t, m, "kyc")
	counts(t, m, "under the legacy root", enrolled.Certificate.CertPEM, true)
	chain := must[[]*x509.Certificate](t)(pki.ParseCertificates(enrolled.Certificate.ChainPEM))
	leaf := must[*x509.Certificate](t)(inmemory.Leaf(enrolled.Certificate.CertPEM))
	if len(chain) != 1 || leaf.CheckSignatureFrom(chain[0]) != nil {
		t.Errorf("the leaf is not issued by the root itself: chain of %d", len(chain))
	}
	if state := must[health.State](t)(m.Health.Check(t.Context())); !state.Legacy ||
		state.Warnings[0] != warnings.LegacyPathLenZero {
		t.Errorf("health = %+v", state)
	}
	if report := must[standby.Report](t)(m.Standby.Run(t.Context())); !report.Legacy || report.Standby != 2 ||
		report.Migrated {
		t.Errorf("standby = %+v", report)
	}
	m.Do(t, rotateca.Request{Mode: rotateca.Mint})
	if state := must[health.State](t)(m.Health.Check(t.Context())); state.Legacy || len(state.Warnings) != 0 {
		t.Errorf("health after the remedy = %+v", state)
	}
	counts(t, m, "after the remedy", enrolled.Certificate.CertPEM, false)
	// The way back exists, unless PKI is strict.
	m.RotateCA.Strict = true
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode: rotateca.Rollback,
		By:   audit.By{Actor: "test"},
	}); !errors.Is(err, rotateca.ErrStrict) {
		t.Errorf("strict rollback: %v", err)
	}
	m.RotateCA.Strict = false
	if got := m.Do(t, rotateca.Request{Mode: rotateca.Rollback}); got.Generation != 1 {
		t.Errorf("rollback: %+v", got)
	}
	counts(t, m, "after the rollback", enrolled.Certificate.CertPEM, true)
}

func TestLegacyCAIsRefusedElsewhere(t *testing.T) {
	legacy := pkitest.Legacy(t, "acme", inmemory.Start)
	strict := inmemory.New(memstore.Config{})
	strict.RotateCA.Strict = true
	for name, m := range map[string]*inmemory.Mastio{"an organisation with a CA": inmemory.Open(t, memstore.Config{}),
		"an empty one, strict": strict} {
		_, err := m.RotateCA.Do(t.Context(), rotateca.Request{
			Mode:   rotateca.Upload,
			Upload: files(t, legacy),
			By:     audit.By{Actor: "test"},
		})
		if !errors.Is(err, upload.ErrRefused) || !strings.Contains(err.Error(), "ca_path_len_zero") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if org := strict.Org(t); org.Pointer != nil || len(org.Generations) != 0 {
		t.Errorf("organisation = %+v", org)
	}
}

// The automatic migration: no agent notices, and the record says why it happened.
func TestLegacyCAMigratesByItself(t *testing.T) {
	m, _ := legacyMastio(t)
	old := admit(t, m, "kyc").Certificate.CertPEM
	m.Standby.Migrate = 7 * 24 * time.Hour
	report := must[standby.Report](t)(m.Standby.Run(t.Context()))
	if diff := cmp.Diff(standby.Report{Generation: 2, Standby: 3, Migrated: true}, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	rows := must[[]audit.Row](t)(m.Store.Rows(t.Context(), inmemory.OrgID, 0, 100))
	var reasons []any
	for _, r := range rows {
		if r.EventType == audit.OrgCARotated {
			reasons = append(reasons, r.Details["reason"])
		}
	}
	if diff := cmp.Diff([]any{"legacy_pathlen_zero"}, reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	counts(t, m, "in the overlap", old, true)
	counts(t, m, "new certificate", must[[]byte](t)(rotated(t, m)), true)
	if report := must[standby.Report](t)(m.Standby.Run(t.Context())); report.Migrated {
		t.Error("migrated twice")
	}
	m.Advance(7*24*time.Hour - time.Millisecond)
	counts(t, m, "a millisecond before the end", old, false) // left for the new certificate
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:   rotateca.Mint,
		Reason: orgca.ReasonLegacy,
		By:     audit.By{Actor: "test"},
	}); !errors.Is(err, reason.ErrCode) {
		t.Errorf("an operator gives the reason of the migration: %v", err)
	}
}

func rotated(t *testing.T, m *inmemory.Mastio) ([]byte, error) {
	t.Helper()
	result, err := m.Rotate(t.Context(), "orga::kyc")
	return result.Certificate.CertPEM, err
}

// Another rotation at work is for the next run to see.
func TestMigrationYieldsToARotation(t *testing.T) {
	m, _ := legacyMastio(t)
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Standby.Migrate = time.Hour
	if _, err := m.Store.Acquire(t.Context(), orgca.Lease{
		Holder:  "other",
		Expires: m.Now().Add(orgca.LeaseTTL),
	}, m.Now()); err != nil {
		t.Fatal(err)
	}
	if report, err := m.Standby.Run(t.Context()); err != nil || report.Migrated {
		t.Errorf("while another rotation runs: %+v, %v", report, err)
	}
	m.Advance(orgca.LeaseTTL)
	if report, err := m.Standby.Run(t.Context()); err != nil || !report.Migrated {
		t.Errorf("afterwards: %+v, %v", report, err)
	}
}

// A key store that fails in the middle of an upload leaves what the next runs clear away, and the operator may try
// again.
func TestUploadCutOffIsClearedAway(t *testing.T) {
	for _, at := range []string{"Import", "Create", "Sign", "Disable"} {
		for _, after := range []bool{false, true} {
			m := inmemory.Open(t, memstore.Config{})
			ca := below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), inmemory.Start)
			m.Keys.Fault = func(op string, a bool) error {
				if op == at && a == after {
					return errors.New("crash")
				}
				return nil
			}
			if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
				Mode:   rotateca.Upload,
				Upload: files(t, ca),
				By:     audit.By{Actor: "test"},
			}); err == nil {
				t.Fatalf("%s: the crash went unnoticed", at)
			}
			m.Keys.Fault = nil
			m.Advance(standby.OrphanAge + time.Millisecond)
			if report, err := m.Standby.Run(t.Context()); err != nil || report.Discarded != 1 || report.Generation != 1 {
				t.Errorf("%s: %+v, %v", at, report, err)
			}
			for _, k := range m.Keys.All() {
				if k.Spec.Generation == 3 && k.State != inmemory.PendingDeletion {
					t.Errorf("%s: %s key is %s", at, k.Spec.Role, k.State)
				}
			}
			if got := m.Do(t, rotateca.Request{
				Mode:   rotateca.Upload,
				Upload: files(t, ca),
			}); got.Fingerprint != pki.Thumbprint(ca.Chain[0].Raw) {
				t.Errorf("%s: second try = %+v", at, got)
			}
		}
	}
}

type backups struct{ requested int }

// Backup counts.
func (b *backups) Backup(context.Context, string) ([]string, error) {
	b.requested++
	return []string{"arn"}, nil
}

// The backup before an upload is requested once the upload has been let in, and not by one that is refused.
func TestBackupBeforeAnUpload(t *testing.T) {
	m, b := inmemory.Open(t, memstore.Config{}), &backups{}
	m.RotateCA.Backups = b
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode:   rotateca.Upload,
		Upload: files(t, pkitest.Legacy(t, "acme", inmemory.Start)),
		By:     audit.By{Actor: "test"},
	}); !errors.Is(err, upload.ErrRefused) || b.requested != 0 {
		t.Errorf("refused: %v, %d backups", err, b.requested)
	}
	ca := below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), inmemory.Start)
	if got := m.Do(t, rotateca.Request{
		Mode:   rotateca.Upload,
		Upload: files(t, ca),
	}); b.requested != 1 || got.Backup == nil || got.Backup.Status != rotateca.BackupRequested {
		t.Errorf("accepted: %+v, %d backups", got.Backup, b.requested)
	}
}

// An operator's mistake is no failure of the Mastio: it raises no alarm.
func TestRefusalsAreNoFailures(t *testing.T) {
	var log strings.Builder
	m := inmemory.New(memstore.Config{})
	m.RotateCA.Log = slog.New(slog.NewJSONHandler(&log, nil))
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	says := func(request rotateca.Request, want string) {
		t.Helper()
		log.Reset()
		if _, err := m.RotateCA.Do(t.Context(), request); err == nil {
			t.Fatalf("%s succeeds", request.Mode)
		}
		if !strings.Contains(log.String(), `"level":"`+want+`","msg":"pki.rotate.abandoned"`) {
			t.Errorf("%s: the log does not tell of it at level %s: %s", request.Mode, want, log.String())
		}
	}
	says(rotateca.Request{
		Mode:   rotateca.Upload,
		Upload: &rotateca.Files{Certificates: []byte("none"), Key: []byte("none")},
		By:     audit.By{Actor: "test"},
	}, "WARN")
	says(rotateca.Request{
		Mode:        rotateca.Commit,
		Fingerprint: strings.Repeat("0", 64),
		By:          audit.By{Actor: "test"},
	}, "WARN")
	says(rotateca.Request{Mode: rotateca.Rollback, By: audit.By{Actor: "test"}}, "WARN")
	m.RotateCA.Trust = func(context.Context) (string, error) { return "", errors.New("S3 is silent") }
	if _, err := m.RotateCA.Do(t.Context(), rotateca.Request{
		Mode: rotateca.Mint,
		By:   audit.By{Actor: "test"},
	}); err != nil {
		t.Fatal(err)
	}
	says(rotateca.Request{Mode: rotateca.Mint, By: audit.By{Actor: "test"}}, "ERROR")
}
