package memstore

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Find reads a page of agents by the beginning of their ids. It panics on a limit that is none.
func (s *Store) Find(ctx context.Context, q registry.Search) (page registry.Page, err error) {
	const doing = "find agents"
	if q.Limit < 1 || q.Limit > 100 {
		panic(fmt.Sprintf("memstore: page of %d agents", q.Limit))
	}
	last, err := lastFound(q)
	if err != nil {
		return page, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.read(ctx, "Find", doing, func() {
		var found []agent.Agent
		for _, a := range s.agents {
			if strings.HasPrefix(string(a.ID), q.Prefix) && string(a.ID) > last {
				found = append(found, listed(a))
			}
		}
		slices.SortFunc(found, func(a, b agent.Agent) int { return cmp.Compare(a.ID, b.ID) })
		page.Agents = list(found[:min(q.Limit, len(found))])
		if len(found) > q.Limit {
			page.Next = base64.RawURLEncoding.EncodeToString([]byte(found[q.Limit-1].ID))
		}
	})
	return page, err
}

func lastFound(q registry.Search) (string, error) {
	if q.Cursor == "" {
		return "", nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != q.Cursor || !strings.HasPrefix(string(decoded), q.Prefix) {
		return "", registry.ErrCursor
	}
	if _, err := agent.ParseID(string(decoded)); err != nil {
		return "", registry.ErrCursor
	}
	return string(decoded), nil
}
