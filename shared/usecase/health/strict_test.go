package health

import (
	"context"
	"errors"
	"testing"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

type pointerStore struct {
	pointer *orgca.Pointer
	err     error
	reads   int
}

// Pointer returns what the test says.
func (s *pointerStore) Pointer(context.Context, agent.ID) (*orgca.Pointer, error) {
	s.reads++
	return s.pointer, s.err
}

func TestGateFollowsTheOrgCA(t *testing.T) {
	s := &pointerStore{}
	g := &StrictCheck{Store: s}
	for _, c := range []struct {
		what    string
		pointer *orgca.Pointer
		storeIs error
		want    error
		reads   int
	}{
		{"no Org CA yet", nil, nil, nil, 1},
		{"legacy", &orgca.Pointer{Legacy: true}, nil, orgca.ErrLegacy, 2},
		{"unknown", nil, registry.ErrUnavailable, registry.ErrUnavailable, 3},
		{"still legacy", &orgca.Pointer{Legacy: true}, nil, orgca.ErrLegacy, 4},
		{"remediated", &orgca.Pointer{}, nil, nil, 5},
		{"not asked again", nil, registry.ErrUnavailable, nil, 5},
	} {
		s.pointer, s.err = c.pointer, c.storeIs
		if err := g.Check(t.Context()); !errors.Is(err, c.want) || s.reads != c.reads {
			t.Errorf("%s: %v after %d reads, want %v after %d", c.what, err, s.reads, c.want, c.reads)
		}
	}
}
