package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// KeyHolders reads who holds keys. It panics on no keys, on too many, and on one that is named twice.
func (s *Store) KeyHolders(
	ctx context.Context, keys ...agent.ProvedKey,
) (found map[agent.ProvedKey]registry.KeyHolder, err error) {
	asked := map[agent.ProvedKey]bool{}
	for _, key := range keys {
		asked[key] = true
	}
	if len(keys) == 0 || len(keys) > 10 || len(asked) != len(keys) {
		panic(fmt.Sprintf("memstore: holders of %d keys, %d of them different", len(keys), len(asked)))
	}
	err = s.read(ctx, "KeyHolders", "read who holds keys", func() {
		found = map[agent.ProvedKey]registry.KeyHolder{}
		for _, key := range keys {
			if h, ok := s.holders[key]; ok {
				found[key] = h
			}
		}
	})
	return found, err
}

// HoldKey notes who holds a key. It panics on a holder without an agent.
func (s *Store) HoldKey(ctx context.Context, h registry.KeyHolder, former agent.ID) error {
	if h.Agent == "" || !h.Until.Equal(h.Until.Truncate(time.Second)) {
		panic(fmt.Sprintf("memstore: holder %q until %s", h.Agent, h.Until))
	}
	return s.write(ctx, "HoldKey", "note who holds a key", func() error {
		if old, held := s.holders[h.Key]; held && old.Agent != h.Agent && old.Agent != former {
			return registry.ErrConflict
		}
		s.holders[h.Key] = h
		return nil
	})
}
