package registry

import (
	"context"
	"encoding/base64"
	"iter"

	"github.com/mastio-aws/mastio/shared/agent"
)

// Lister lists agents, as a Store does.
type Lister interface {
	Agents(ctx context.Context, q Query) (Page, error)
}

// Pages reads the pages of a query one after the other, from q.Cursor on, as far as the caller goes. An error is the
// last that it yields.
func Pages(ctx context.Context, from Lister, q Query) iter.Seq2[[]agent.Agent, error] {
	return func(yield func([]agent.Agent, error) bool) {
		for {
			page, err := from.Agents(ctx, q)
			if !yield(page.Agents, err) || err != nil {
				return
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				return
			}
		}
	}
}

// BehindName is the cursor of a listing by name whose page ended with this agent.
func BehindName(id agent.ID) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

// NameBefore is the inverse of BehindName; empty for the first page. Error: ErrCursor.
func NameBefore(cursor string) (agent.ID, error) {
	if cursor == "" {
		return "", nil
	}
	name, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return "", ErrCursor
	}
	id, err := agent.ParseID(string(name))
	if err != nil || BehindName(id) != cursor { // one name has one cursor
		return "", ErrCursor
	}
	return id, nil
}
