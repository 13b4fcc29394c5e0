package enroll_test

import (
	"context"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
)

// noMatch is a store whose pages have no agent, and always another page behind them.
type noMatch struct {
	enroll.Store
	lists int
}

func (s *noMatch) List(context.Context, registry.Selection) (registry.Page, error) {
	s.lists++
	return registry.Page{Next: registry.BehindName("orga::a")}, nil
}

func (s *noMatch) SeenAt(context.Context, []agent.ID) (map[agent.ID]registry.Sighting, error) {
	return nil, nil
}

// A page of silent agents reads three pages of the registry at most, also where a filter rejects every agent.
func TestSilentPageIsBounded(t *testing.T) {
	s := &noMatch{}
	e := enroll.New(enroll.Config{Store: s, Now: time.Now})
	for _, limit := range []int{1, 50, 1000} {
		s.lists = 0
		p, err := e.Silent(t.Context(), registry.Filter{Owner: "team-a"}, limit, "")
		if err != nil || p.Next == "" || s.lists != 3 {
			t.Errorf("limit %d: %+v, %v after %d pages; want a cursor after 3", limit, p, err, s.lists)
		}
	}
}
