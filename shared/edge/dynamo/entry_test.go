package dynamo

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/schema"
)

// An entry is written by the change that moves it, and by each that does not say what the agent was, for that very
// version.
func TestEntryIsWrittenWhenItMoves(t *testing.T) {
	s := New(Config{})
	was := agent.Agent{
		ID:      "acme::kyc",
		Method:  agent.Minted,
		Status:  agent.Active,
		Version: 3,
		Pins:    []agent.Pin{{Thumbprint: strings.Repeat("a", 64), Generation: 2, Due: noon.AddDate(0, 11, 0)}},
	}
	as := func(change func(*agent.Agent)) *agent.Agent {
		a := was
		a.Pins = append([]agent.Pin{}, was.Pins...)
		change(&a)
		return &a
	}
	renewed := as(func(a *agent.Agent) { a.Pins[0].Thumbprint = strings.Repeat("b", 64) })
	for _, c := range []struct {
		name      string
		was, next *agent.Agent
		writes    bool
	}{
		{"another certificate of the same generation", &was, renewed, false},
		{"not known what it was", nil, renewed, true},
		{"known of another version", as(func(a *agent.Agent) { a.Version = 2 }), renewed, true},
		{"of another agent", as(func(a *agent.Agent) { a.ID = "acme::other" }), renewed, true},
		{"a new agent", as(func(a *agent.Agent) { a.Version = 0 }), as(func(a *agent.Agent) { a.Version = 0 }), true},
		{"another generation", &was, as(func(a *agent.Agent) { a.Pins[0].Generation = 3 }), true},
		{"another method", &was, as(func(a *agent.Agent) { a.Method = agent.BYOCA }), true},
		{"deactivated", &was, as(func(a *agent.Agent) { a.Status = agent.Deactivated }), true},
		{"due at another time: its index is the record's", &was, as(func(a *agent.Agent) { a.Pins[0].Due = noon }), false},
	} {
		list := s.records(registry.Change{Agent: c.next, Was: c.was})
		writes := len(list) == 2
		if writes != c.writes || writes && aws.ToString(list[1].Put.TableName) != schema.Fleet {
			t.Errorf("%s: %d items, an entry: %v, want %v", c.name, len(list), writes, c.writes)
		}
	}
}
