package registry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// crowdedStore is a store in which others come first, until they are through.
type crowdedStore struct {
	others int
	moving bool // what they do shows in the records
	seq    int64
	reads  int
	tried  []int64
	err    error // of the change, once the others are through
}

func (c *crowdedStore) Org(context.Context) (registry.Org, error) {
	c.reads++
	return registry.Org{Head: audit.Head{Seq: c.seq}}, nil
}

func (c *crowdedStore) Apply(_ context.Context, change registry.Change) error {
	c.tried = append(c.tried, change.Head.Seq)
	if c.others == 0 {
		return c.err
	}
	c.others--
	if c.moving {
		c.seq++
	}
	return fmt.Errorf("commit: %w", registry.ErrConflict)
}

func appended(org registry.Org) (registry.Change, error) {
	return registry.Change{Head: &audit.Head{Seq: org.Head.Seq + 1}}, nil
}

func TestAmendOutlastsThoseWhoGetOn(t *testing.T) {
	c := &crowdedStore{others: 100, moving: true}
	if err := registry.Amend(t.Context(), c, registry.Org{}, appended); err != nil {
		t.Fatalf("after %d tries: %v", len(c.tried), err)
	}
	if len(c.tried) != 101 || c.tried[100] != 101 || c.reads != 100 {
		t.Errorf("%d tries, %d reads, the last for place %d", len(c.tried), c.reads, c.tried[len(c.tried)-1])
	}
}

// A conflict without another writer does not end by retrying.
func TestAmendGivesUpWhereNothingMoves(t *testing.T) {
	c := &crowdedStore{others: 1000}
	if err := registry.Amend(t.Context(), c, registry.Org{}, appended); !errors.Is(err, registry.ErrConflict) ||
		len(c.tried) != 5 {
		t.Errorf("%v after %d tries, want a conflict after 5", err, len(c.tried))
	}
}

func TestAmendEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &crowdedStore{others: 1000, moving: true}
	err := registry.Amend(ctx, c, registry.Org{}, func(org registry.Org) (registry.Change, error) {
		if org.Head.Seq == 7 {
			cancel()
		}
		return appended(org)
	})
	if !errors.Is(err, registry.ErrConflict) || len(c.tried) != 8 {
		t.Errorf("%v after %d tries, want a conflict after 8", err, len(c.tried))
	}
}

func TestAmendStopsAtAnyOtherEnd(t *testing.T) {
	for _, want := range []error{registry.ErrUnavailable, registry.ErrUnknown} {
		c := &crowdedStore{others: 2, moving: true, err: want}
		if err := registry.Amend(t.Context(), c, registry.Org{}, appended); !errors.Is(err, want) || c.reads != 2 {
			t.Errorf("%v after %d reads, want %v after 2", err, c.reads, want)
		}
	}
	refused := errors.New("refused")
	c := &crowdedStore{others: 1, moving: true}
	err := registry.Amend(t.Context(), c, registry.Org{}, func(org registry.Org) (registry.Change, error) {
		if org.Head.Seq == 1 {
			return registry.Change{}, refused
		}
		return appended(org)
	})
	if !errors.Is(err, refused) || len(c.tried) != 1 {
		t.Errorf("%v after %d tries, want the decision's own error after 1", err, len(c.tried))
	}
}
