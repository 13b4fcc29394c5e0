package auditlog_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

// A fleet that rotates all the time does not keep a run at it: what moves during a run is the next run's.
func TestRunEndsWhileTheFleetRotates(t *testing.T) {
	for _, most := range []int64{3, 4, auditlog.MostRows} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			w := open(memstore.Config{})
			cfg := w.job.SealerConfig
			rotations := 0
			cfg.Most, cfg.Key = most, func(ctx context.Context) (auditlog.Key, error) {
				if rotations++; rotations <= 20 { // an end, for a run that would go on with it
					return w.key, w.append(ctx, fmt.Sprintf("orga::late-%d", rotations))
				}
				return w.key, nil
			}
			w.grow(t, org, "orga::a", "orga::b", "orga::b")
			first, err := auditlog.NewSealer(cfg).Run(t.Context(), request)
			w.must(t, err)
			if first.Rows < 4 || rotations > 4 || first.More {
				t.Errorf("with four rows: %+v, and %d more rotations", first, rotations)
			}
			late := w.seal(t)
			if late.Made != 1 || late.Rows < 1 {
				t.Errorf("the next run: %+v", late)
			}
		})
	}
}
