package standby

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// lapse notes the end of overlaps that are over by now: nothing else happens at that moment, so nobody would be told. The
// row and the pointer without them are one transaction, so each end has one row. A rotation in progress conflicts with it;
// the next run sees what that one left.
func (j *Job) lapse(ctx context.Context) (int, error) {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer == nil {
		return 0, err
	}
	now := j.Now()
	pointer, over := org.Pointer.Lapse(now)
	if len(over) == 0 {
		return 0, nil
	}
	ended := make([]any, len(over))
	for i, a := range over {
		ended[i] = a.Generation
	}
	row, head, err := org.Head.Append(audit.Entry{
		Time: now, Event: audit.OverlapEnded, Actor: Actor, Subject: j.OrgID,
		Details: map[string]any{"generation": pointer.Current, "ended": ended, "until": over[len(over)-1].Until.Format(time.RFC3339), "fence": pointer.Fence},
	})
	if err != nil {
		return 0, err
	}
	err = registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Pointer: &pointer, Head: &head, Rows: []audit.Row{row}})
	if errors.Is(err, registry.ErrConflict) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("note the end of an overlap: %w", err)
	}
	j.Log.InfoContext(ctx, "pki.rotate.overlap_ended", "generation", pointer.Current, "ended", ended)
	return len(over), nil
}
