package rotateca_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// Who has an Org CA's key can make an SVID in any agent's name. In an overlap it would be believed.
func TestNothingLivesOnAfterACompromise(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	for _, reason := range []string{"keyCompromise", "cACompromise"} {
		for _, dry := range []bool{true, false} {
			req := rotateca.Request{
				Mode:    rotateca.Mint,
				Overlap: time.Second,
				Reason:  reason,
				DryRun:  dry,
				By:      audit.By{Actor: "test"},
			}
			if _, err := m.RotateCA.Do(t.Context(), req); !errors.Is(err, orgca.ErrCompromised) {
				t.Errorf("%s, rehearsed %t: %v, want %v", reason, dry, err, orgca.ErrCompromised)
			}
		}
	}
	status, err := m.RotateCA.Status(t.Context())
	if err != nil || status.Generation != 1 {
		t.Errorf("generation %d is current, %v", status.Generation, err)
	}
}
