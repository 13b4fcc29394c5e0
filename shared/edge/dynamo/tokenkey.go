package dynamo

import (
	"context"
	"fmt"
	"slices"

	"github.com/mastio-aws/mastio/shared/registry"
)

// TokenKey reads the key of one epoch; nil if there is none.
func (s *Store) TokenKey(ctx context.Context, epoch int64) (*registry.TokenKey, error) {
	doing := fmt.Sprintf("read the token key of epoch %d", epoch)
	i, err := s.get(ctx, s.keys, item{"pk": text(epochKey(epoch))})
	if err != nil || i == nil {
		return nil, wrap(doing, err)
	}
	k, err := decodeTokenKey(i)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	return &k, nil
}

// TokenKeys reads the keys of some epochs, at most 100, in one call.
func (s *Store) TokenKeys(ctx context.Context, epochs ...int64) ([]registry.TokenKey, error) {
	const doing = "read token keys"
	wanted := slices.Compact(slices.Sorted(slices.Values(epochs))) // a batch that names a key twice is refused
	if len(wanted) == 0 {
		return nil, nil
	}
	keys := make([]item, len(wanted))
	for n, epoch := range wanted {
		keys[n] = item{"pk": text(epochKey(epoch))}
	}
	items, err := s.batch(ctx, s.keys, keys)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	var found []registry.TokenKey
	for _, i := range items {
		k, err := decodeTokenKey(i)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		found = append(found, k)
	}
	slices.SortFunc(found, func(a, b registry.TokenKey) int { return int(a.Epoch - b.Epoch) })
	return found, nil
}

// PutTokenKey stores the key of an epoch that has none. A repeated attempt can meet the key that the one before it
// stored: also ErrConflict, after which the caller reads the key anyway.
func (s *Store) PutTokenKey(ctx context.Context, k registry.TokenKey) error {
	doing := fmt.Sprintf("store the token key of epoch %d", k.Epoch)
	return s.put(ctx, doing, absent(s.keys, "pk", encodeTokenKey(k)).Put)
}

func encodeTokenKey(k registry.TokenKey) item {
	w := writer{item{"pk": text(epochKey(k.Epoch))}}
	w.number("epoch", k.Epoch)
	w.text("id", k.ID)
	w.blob("public", k.Public)
	w.blob("wrapped", k.Wrapped)
	w.time("expires", k.Expires)
	if !k.Expires.IsZero() {
		w.item["ttl"] = expiry(k.Expires)
	}
	return w.item
}

func decodeTokenKey(i item) (registry.TokenKey, error) {
	r := reader{item: i}
	k := registry.TokenKey{
		Epoch:   r.number("epoch"),
		ID:      r.text("id"),
		Public:  r.blob("public"),
		Wrapped: r.blob("wrapped"),
		Expires: r.time("expires"),
	}
	return k, r.err
}
