package rotateca

import (
	"context"
	"fmt"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
)

// Retire ends a superseded generation under which no pin counts or ever will. Its keys stop signing and are scheduled
// for deletion, then its row says so. The keys go first, because a spent generation never comes back: after a crash
// in between, a second Retire completes the work. The caller decides whether the generation is spent.
func (c *Ceremony) Retire(ctx context.Context, g orgca.Generation, actor string) error {
	retired, err := g.To(orgca.Retired, c.Now())
	if err != nil {
		return err
	}
	for _, id := range []string{g.IssuingKey, g.RootKey} {
		if id == "" {
			continue
		}
		if err := c.Keys.ScheduleDeletion(ctx, id); err != nil { // a key that waits for its deletion does not sign
			return fmt.Errorf("schedule deletion of a key of generation %d: %w", g.Number, err)
		}
	}
	c.Log.InfoContext(ctx, "pki.rotate.retired", "generation", g.Number, "fingerprint", g.Fingerprint())
	return c.record(ctx, retired, audit.Entry{
		Event:   audit.OrgCARetired,
		Actor:   actor,
		Details: map[string]any{"generation": g.Number, "fingerprint": g.Fingerprint()},
	})
}

// Discard ends a generation that will never be current. Its row says so first: from then on no rotation can commit
// it, so its keys, also those that the row does not know, can go. Discard records the end of the keys last. After a
// crash in between, a second Discard of the same generation completes the work.
func (c *Ceremony) Discard(ctx context.Context, g orgca.Generation, actor string) error {
	if g.State != orgca.Failed {
		failed, err := g.To(orgca.Failed, c.Now())
		if err != nil {
			return err
		}
		details := map[string]any{"generation": g.Number, "was": string(g.State)}
		if err := c.record(ctx, failed, audit.Entry{
			Event:   audit.OrgCADiscarded,
			Actor:   actor,
			Details: details,
		}); err != nil {
			return err
		}
		g = failed
		g.Version++
	}
	keys, err := c.Keys.Tagged(ctx, g.RotationID)
	if err != nil {
		return fmt.Errorf("find the keys of generation %d: %w", g.Number, err)
	}
	for _, id := range keys {
		if err := c.Keys.ScheduleDeletion(ctx, id); err != nil {
			return fmt.Errorf("schedule deletion of a key of generation %d: %w", g.Number, err)
		}
	}
	c.Log.WarnContext(ctx, "pki.rotate.discarded", "generation", g.Number, "keys", len(keys))
	g.RetiredAt = c.Now()
	_, err = c.put(ctx, g)
	return err
}
