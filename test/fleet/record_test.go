package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

// notified waits until the owners of all agents that need one were notified.
func (f *fleet) notified(ctx context.Context) {
	want := int64(len(f.of(byoca)))
	for ctx.Err() == nil {
		org, err := f.store.Org(ctx)
		if err == nil && org.Reissue.Notified >= want {
			f.Logf("%8s  %d owners notified, %d certificates delivered; the re-issue is %s", f.since(), org.Reissue.Notified,
				org.Reissue.Delivered, org.Reissue.State)
			return
		}
		rest(ctx, time.Second)
	}
	f.Errorf("not all owners were notified")
}

// recorded fails unless every agent is where it belongs, and is on record once for the rotation.
func (f *fleet) recorded() {
	want := [kinds]struct {
		event      audit.Event // of the rotation
		generation int64
	}{
		inSecret: {audit.AgentCertRotated, f.next},
		renews:   {audit.AgentCertRenewed, f.next},
		byoca:    {audit.AgentCertDue, f.first},
		spiffe:   {},
	}
	f.each(func(n int) error {
		m := f.members[n]
		rows, err := f.store.Rows(context.Background(), string(m.id), 0, 100)
		if err != nil {
			return err
		}
		if _, err := audit.Verify(rows); err != nil {
			return err
		}
		moves, notices := 0, 0
		for _, r := range rows {
			switch r.EventType {
			case want[m.kind].event:
				moves++
			case audit.AgentEnrolled, audit.AgentCertActivated:
			case audit.AgentCertDue:
				if notices++; !m.late || notices > 1 {
					return fmt.Errorf("%s has %d rows %s; it was late: %t", m.id, notices, r.EventType, m.late)
				}
			default:
				return fmt.Errorf("%s has the row %s", m.id, r.EventType)
			}
		}
		v, err := f.store.View(context.Background(), m.id)
		if err != nil {
			return err
		}
		if g := v.Agent.Pin().Generation; g != want[m.kind].generation || m.kind != spiffe && moves != 1 {
			return fmt.Errorf("%s: newest pin of generation %d, %d rows %s; want generation %d and one row", m.id, g, moves,
				want[m.kind].event, want[m.kind].generation)
		}
		return nil
	})
}
