package auditlog_test

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/audit/rfc3161"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/audittest"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// A checkpoint is stamped where an authority grants it, and made all the same where it does not; the trail says
// which.
func TestTimeStamps(t *testing.T) {
	w := open(memstore.Config{})
	authority := audittest.NewAuthority(w.now, x509.ExtKeyUsageTimeStamping)
	down := false
	w.job.Stamp = func(_ context.Context, digest []byte) ([]byte, error) {
		if down {
			return nil, errors.New("connection refused")
		}
		return authority.Token(digest), nil
	}
	w.grow(t, "orga::a")
	w.seal(t)
	down = true
	w.grow(t, "orga::a")
	if r := w.seal(t); r.Made != 1 || r.Number != 2 {
		t.Errorf("without its authority: %+v", r)
	}
	down = false
	w.grow(t, "orga::a")
	w.seal(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.RootPEM)
	packed := w.whole(t)
	r := verified(bundle.VerifierConfig{Timestamp: rfc3161.Checker(roots)}, packed.TarGz)
	if !r.OK || r.Timestamps.Verified != 2 || r.Timestamps.Absent != 1 ||
		!r.Timestamps.Latest.Equal(w.now().Truncate(time.Second)) {
		t.Errorf("%+v, %v", r, r.Break)
	}
	var statuses []string
	rows, err := w.store.Rows(t.Context(), org, 0, 100)
	w.must(t, err)
	for _, row := range rows {
		if row.EventType == audit.CheckpointMade {
			statuses = append(statuses, row.Details["timestamp"].(string))
		}
	}
	if len(statuses) != 3 || statuses[0] != "granted" || statuses[1] != "failed" || statuses[2] != "granted" {
		t.Errorf("the trail tells %v", statuses)
	}
	stranger := x509.NewCertPool()
	stranger.AppendCertsFromPEM(audittest.NewAuthority(w.now, x509.ExtKeyUsageTimeStamping).RootPEM)
	if r := verified(bundle.VerifierConfig{Timestamp: rfc3161.Checker(stranger)}, packed.TarGz); r.OK {
		t.Error("stamps of a stranger verify")
	}
}

// The signing key was changed: the bundle holds both, and a pin of either alone is not enough.
func TestSigningKeyChanged(t *testing.T) {
	w := open(memstore.Config{})
	first := w.key
	w.grow(t, "orga::a")
	w.seal(t)
	w.key = inmemory.NewSealKey()
	w.grow(t, "orga::a")
	w.seal(t)
	packed := w.whole(t).TarGz
	if r := verified(bundle.VerifierConfig{}, packed); !r.OK || len(r.Keys) != 2 {
		t.Errorf("%+v, %v", r, r.Break)
	}
	for _, key := range []string{first.Fingerprint, w.key.Fingerprint} {
		if r := verified(bundle.VerifierConfig{Key: key}, packed); r.OK {
			t.Errorf("with %s pinned alone it verifies", key)
		}
	}
	if r := verified(bundle.VerifierConfig{Key: first.Fingerprint + "," + w.key.Fingerprint}, packed); !r.OK {
		t.Errorf("with both pinned: %v", r.Break)
	}
}

// What KMS signs with another key than the one it names never gets into the chain.
func TestForeignSignatureIsNotCommitted(t *testing.T) {
	w := open(memstore.Config{})
	w.key.Signer = inmemory.NewSealKey().Signer
	w.grow(t, "orga::a")
	if _, err := w.job.Run(t.Context(), request); !errors.Is(err, audit.ErrSignature) {
		t.Errorf("%v, want ErrSignature", err)
	}
	if c, err := w.store.Checkpoint(t.Context()); err != nil || c != nil {
		t.Errorf("checkpoint %+v, %v", c, err)
	}
}
