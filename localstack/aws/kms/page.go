package kms

import (
	"encoding/base64"
	"strings"
)

// pageRequest is what every listing is asked with.
type pageRequest struct {
	Limit  *int32
	Marker *string
}

// listEnd is what every listing says about itself.
type listEnd struct {
	NextMarker *string `json:",omitempty"`
	Truncated  bool
}

// listing is one kind of list: its name ties a marker to it, so that no other list accepts it.
type listing struct {
	name        string
	most, usual int32 // items on a page: the largest Limit, and the default
}

var (
	keyListing   = listing{"keys", 1000, 100}
	aliasListing = listing{"aliases", 100, 50}
	tagListing   = listing{"tags", 50, 50}
)

// page cuts one page out of items, which are in the order of name. A marker names the last item of the
// page before and not a position, so that nothing is shown twice when items come and go.
func page[T any](l listing, in pageRequest, items []T, name func(T) string) ([]T, listEnd, error) {
	limit := l.usual
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > l.most {
		return nil, listEnd{}, violation(limit, "limit", "Member must be within the range of the operation")
	}
	if in.Marker != nil {
		last, err := l.last(*in.Marker)
		if err != nil {
			return nil, listEnd{}, err
		}
		for len(items) > 0 && name(items[0]) <= last {
			items = items[1:]
		}
	}
	if len(items) <= int(limit) {
		return items, listEnd{}, nil
	}
	items = items[:limit]
	next := l.marker(name(items[limit-1]))
	return items, listEnd{NextMarker: &next, Truncated: true}, nil
}

func (l listing) marker(last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(l.name + ":" + last))
}

func (l listing) last(marker string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(marker)
	last, ok := strings.CutPrefix(string(raw), l.name+":")
	if err != nil || !ok {
		return "", faultf("InvalidMarkerException", "The marker is not valid.")
	}
	return last, nil
}

type keyEntry struct{ KeyArn, KeyId string }

type listKeysAnswer struct {
	listEnd
	Keys []keyEntry
}

func (s *Server) listKeys(in *pageRequest) (any, error) {
	keys, info, err := page(keyListing, *in, s.ring.snapshot(), func(k *key) string { return k.ID })
	if err != nil {
		return nil, err
	}
	entries := make([]keyEntry, len(keys))
	for i, k := range keys {
		entries[i] = keyEntry{s.ring.key(k.ID), k.ID}
	}
	return listKeysAnswer{info, entries}, nil
}
