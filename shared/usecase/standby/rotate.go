package standby

import (
	"context"
	"errors"
	"fmt"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// rotate replaces a minted Org CA with an overlap before org_ca_expiring would warn of it, or at once if it is not
// valid now. The overlap ends before that day, so that no certificate is cut short even for the slowest agent. An
// operator's own CA is never replaced: a minted one would not chain to what the operator's verifiers trust. rotate also
// waits while a standby exists that was staged for a compromise: that swap takes no overlap, and the operator chooses
// its time. It waits for a scheduled rotation too.
func (j *Job) rotate(ctx context.Context) (bool, error) {
	if j.Rotate == 0 {
		return false, nil
	}
	org, err := j.Store.Org(ctx)
	if err != nil || !j.ends(org) || j.waits(org) {
		return false, err
	}
	if next, ok := org.Standby(j.Now()); ok && orgca.AtOnce(next.Reason) {
		return false, nil
	}
	_, err = j.Rotator.Do(ctx, rotateca.Request{
		Mode:    rotateca.Mint,
		Overlap: j.Rotate,
		Reason:  "superseded",
		By:      audit.By{Actor: Actor},
	})
	if errors.Is(err, orgca.ErrLeaseHeld) { // the next run sees what that rotation left
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("replace the Org CA before it ends: %w", err)
	}
	return true, nil
}

// ends reports whether the current Org CA is a minted one that has to be replaced now.
func (j *Job) ends(org registry.Org) bool {
	if org.Pointer == nil {
		return false
	}
	current, ok := org.Generation(org.Pointer.Current)
	if !ok || current.Source != orgca.Mint {
		return false
	}
	v, now := org.Pointer.Validity(), j.Now()
	return !v.At(now) || !v.Lasts(now, health.ExpiringWithin(j.Schedule)+j.Rotate)
}
