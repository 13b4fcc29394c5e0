package memstore

import (
	"encoding/base64"
	"slices"

	"github.com/mastio-aws/mastio/shared/registry"
)

// cut takes a page of the places above after, in their order, and the cursor of the next page; empty: this was the
// last page.
func cut(places []string, after string, limit int) (page []string, next string) {
	places = slices.DeleteFunc(places, func(p string) bool { return p <= after })
	slices.Sort(places)
	if len(places) > limit {
		places = places[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(places[limit-1]))
	}
	return places, next
}

// placeIn is the place at which the page before ended; empty if there was none. A cursor has one spelling, and valid
// says which places may be in it. Error: registry.ErrCursor.
func placeIn(cursor string, valid func(place string) bool) (string, error) {
	if cursor == "" {
		return "", nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != cursor || !valid(string(decoded)) {
		return "", registry.ErrCursor
	}
	return string(decoded), nil
}
