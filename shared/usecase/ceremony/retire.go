package ceremony

import (
	"context"
	"fmt"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
)

// Retire ends a superseded generation under which no pin counts, nor ever will: its keys stop signing and are scheduled
// for deletion, then its row says so. The keys go first, because no generation comes back from being spent: a crash in
// between is finished by repeating it. Whether the generation is spent is for the caller to know.
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
		Event: audit.OrgCARetired, Actor: actor, Details: map[string]any{"generation": g.Number, "fingerprint": g.Fingerprint()},
	})
}
