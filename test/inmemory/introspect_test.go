package inmemory_test

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// lifeOfAToken is a token as those see it who ask: active, until one operation ends it, or brings it back.
var lifeOfAToken = porcupine.Model{
	Init: func() any { return true },
	Step: func(alive, input, output any) (bool, any) {
		if input != "ask" {
			return true, input == "back"
		}
		return alive == output, alive
	},
}

// asksPerRound is how often a token is introspected: from askers goroutines, and once more behind its end.
const (
	askers       = 4
	asksOfEach   = 6
	asksPerRound = askers*asksOfEach + 1
)

var introspections = flag.Int("introspections", 9000, "introspections of tokens that end meanwhile")

// Whatever ends a token: no introspection that begins behind its answer finds the token active, and none before its
// request finds it inactive. Introspections of one token agree on one instant.
func TestIntrospectionsAreLinearisable(t *testing.T) {
	asked := *introspections
	if testing.Short() {
		asked = min(asked, 1800)
	}
	m := inmemory.Open(t, memstore.Config{Fault: func(string) memstore.Fault {
		runtime.Gosched() // between the steps of a request others make theirs
		return memstore.None
	}})
	asks := token.NewIntrospector(m.Token, m.Ring)
	kinds, seen := ends(m), map[string]int{}
	for round := range (asked + asksPerRound*len(kinds) - 1) / (asksPerRound * len(kinds)) {
		for kind, end := range kinds {
			name := fmt.Sprintf("%s-%d", kind, round)
			enrolled := must[enroll.Result](t)(m.Admit(t.Context(), name, "kyc:read"))
			server := must[enroll.Result](t)(m.Admit(t.Context(), name+"-server", agent.Introspect))
			got := must[token.Token](t)(m.TokenFor(t.Context(), enrolled.Certificate.CertPEM))
			query := token.IntrospectionRequest{
				CertificatePEM: string(server.Certificate.CertPEM),
				Token:          got.AccessToken,
			}
			history := raceWithEnd(t, func(ctx context.Context) (bool, error) {
				found, err := asks.Introspect(ctx, query)
				return found.Active, err
			}, func(ctx context.Context) error { return end(ctx, enrolled.Agent.ID) })
			if !porcupine.CheckOperations(lifeOfAToken, history) {
				t.Errorf("%s: not linearisable: %+v", name, history)
			}
			if last := history[len(history)-1]; last.Output != false {
				t.Errorf("%s: active behind the end", name)
			}
			for _, o := range history {
				seen[fmt.Sprint(o.Input, " ", o.Output)]++
			}
		}
	}
	t.Logf("introspections: %d active, %d inactive; %d tokens ended meanwhile", seen["ask true"], seen["ask false"],
		seen["end <nil>"])
	if seen["ask true"] == 0 || seen["ask false"] == 0 {
		t.Error("the ends race with nothing")
	}
}

// raceWithEnd introspects from several goroutines while one ends the token, and once more behind it.
func raceWithEnd(
	t *testing.T, ask func(context.Context) (bool, error), end func(context.Context) error,
) (history []porcupine.Operation) {
	t.Helper()
	var mu sync.Mutex
	var clock atomic.Int64
	note := func(client int, input any, do func() any) {
		call := clock.Add(1)
		output := do()
		o := porcupine.Operation{ClientId: client, Input: input, Output: output, Call: call, Return: clock.Add(1)}
		mu.Lock()
		defer mu.Unlock()
		history = append(history, o)
	}
	asked := func() any {
		active, err := ask(t.Context())
		if err != nil {
			t.Error(err)
		}
		return active
	}
	var all sync.WaitGroup
	for client := range askers {
		all.Go(func() {
			for range asksOfEach {
				note(client, "ask", asked)
			}
		})
	}
	all.Go(func() {
		note(askers, "end", func() any {
			if err := end(t.Context()); err != nil {
				t.Error(err)
			}
			return nil
		})
	})
	all.Wait()
	note(0, "ask", asked)
	return history
}

// ends are the ways in which an operator ends a token of one agent before its time.
func ends(m *inmemory.Mastio) map[string]func(context.Context, agent.ID) error {
	by := audit.By{Actor: "test"}
	return map[string]func(context.Context, agent.ID) error{
		"rotation": func(ctx context.Context, id agent.ID) error {
			_, err := m.Rotate(ctx, id)
			return err
		},
		"deactivation": func(ctx context.Context, id agent.ID) error {
			return m.Enroll.Deactivate(ctx, enroll.Deactivation{Agent: id, By: by})
		},
		"capability": func(ctx context.Context, id agent.ID) error {
			none := agent.Patch{}
			if err := none.UnmarshalJSON([]byte(`{"capabilities":[]}`)); err != nil {
				return err
			}
			_, _, err := m.Enroll.Amend(ctx, enroll.Amendment{Agent: id, By: by, Patch: none})
			return err
		},
	}
}
