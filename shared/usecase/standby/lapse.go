package standby

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// errNone reports that no overlap is over.
var errNone = errors.New("no overlap is over")

// lapse records the end of overlaps that are over by now: no request marks that moment, so the trail would miss it.
// The row and the pointer without the overlaps are one transaction, so each end has one row, whatever a rotation does
// meanwhile. If other writers keep coming first, the next run records the end.
func (j *Job) lapse(ctx context.Context) (int, error) {
	org, err := j.Store.Org(ctx)
	if err != nil || org.Pointer == nil {
		return 0, err
	}
	var current int64
	var ended []any
	err = registry.Amend(ctx, j.Store, org, func(org registry.Org) (registry.Change, error) {
		now := j.Now()
		pointer, over := org.Pointer.Lapse(now)
		if len(over) == 0 {
			return registry.Change{}, errNone
		}
		current, ended = pointer.Current, make([]any, len(over))
		for i, a := range over {
			ended[i] = a.Generation
		}
		row, head, err := org.Head.Append(audit.Entry{
			Time:    now,
			Event:   audit.OverlapEnded,
			Actor:   Actor,
			Subject: j.OrgID,
			Details: map[string]any{"generation": current, "ended": ended, "until": over[len(over)-1].Until.Format(time.RFC3339),
				"fence": pointer.Fence},
		})
		return registry.Change{ID: j.NewID(), Pointer: &pointer, Head: &head, Rows: []audit.Row{row}}, err
	})
	if errors.Is(err, errNone) || errors.Is(err, registry.ErrConflict) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("note the end of an overlap: %w", err)
	}
	j.Log.InfoContext(ctx, "pki.rotate.overlap_ended", "generation", current, "ended", ended)
	return len(ended), nil
}
