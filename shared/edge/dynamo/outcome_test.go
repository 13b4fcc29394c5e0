package dynamo_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

var noon = time.Date(2100, time.January, 2, 12, 0, 0, 0, time.UTC)

var (
	want   = orgca.Lease{Holder: "me", Operation: "rotate-ca", Phase: "swap", Expires: noon.Add(orgca.LeaseTTL)}
	held   = orgca.Lease{Holder: "me", Operation: "rotate-ca", Phase: "swap", Expires: noon.Add(orgca.LeaseTTL), Fence: 1}
	record = agent.Agent{ID: "acme::a"}
)

// call is one call of a store. Only its error matters. The change in it has the ID: DynamoDB remembers those of all
// tables together.
type call = func(ctx context.Context, s *dynamo.Store, id string) error

// The calls of a store, by name.
var (
	writeCalls = map[string]call{
		"Apply": func(ctx context.Context, s *dynamo.Store, id string) error {
			return s.Apply(ctx, registry.Change{ID: id, Agent: &record})
		},
		"Acquire": func(ctx context.Context, s *dynamo.Store, _ string) error {
			_, err := s.Acquire(ctx, want, noon)
			return err
		},
		"Extend":  func(ctx context.Context, s *dynamo.Store, _ string) error { return s.Extend(ctx, held) },
		"Release": func(ctx context.Context, s *dynamo.Store, _ string) error { return s.Release(ctx, held) },
		"UseProof": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return s.UseProof(ctx, "jkt", "jti", noon.Add(time.Minute), noon)
		},
		"PutTokenKey": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return s.PutTokenKey(ctx, registry.TokenKey{Epoch: 1})
		},
		"PutStatusNote": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return s.PutStatusNote(ctx, registry.StatusNote{Seq: 1}, 0)
		},
		"PutBurndown": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return s.PutBurndown(ctx, registry.Burndown{Generation: 2, Since: noon})
		},
		"HoldKey": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return s.HoldKey(ctx, registry.KeyHolder{Agent: "acme::a", Until: noon}, "")
		},
		"Seen": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return s.Seen(ctx, registry.SightingOf("acme::a", 1, noon))
		},
	}
	readCalls = map[string]call{
		"View":     func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.View(ctx, "acme::a")) },
		"ViewKeys": func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.ViewKeys(ctx, "acme::a")) },
		"ViewSeen": func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.ViewSeen(ctx, "acme::a")) },
		"ViewBoth": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return second(s.ViewBoth(ctx, "acme::a", "acme::b"))
		},
		"Status":   func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.Status(ctx, noon)) },
		"Burndown": func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.Burndown(ctx)) },
		"SeenAt": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return second(s.SeenAt(ctx, []agent.ID{"acme::a"}))
		},
		"KeyHolders": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return second(s.KeyHolders(ctx, agent.ProvedKey{1}))
		},
		"Suspects":  func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.Suspects(ctx, 1)) },
		"Pointer":   func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.Pointer(ctx, "acme::a")) },
		"Org":       func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.Org(ctx)) },
		"Answer":    func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.Answer(ctx, "key", noon)) },
		"TokenKey":  func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.TokenKey(ctx, 1)) },
		"TokenKeys": func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.TokenKeys(ctx, 1, 2)) },
		"Rows":      func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.Rows(ctx, "acme", 0, 10)) },
		"LastRow":   func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.LastRow(ctx, "acme")) },
		"Covered": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return second(s.Covered(ctx, audit.Leaf{Subject: "acme", Seq: 1}))
		},
		"RowsOfDay": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return second(s.RowsOfDay(ctx, "2100-01-02", "", "Z", 10))
		},
		"LatestRows": func(ctx context.Context, s *dynamo.Store, _ string) error {
			return second(s.LatestRows(ctx, "2100-01-02", "", "Z", 10))
		},
		"Moved":      func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.Moved(ctx, 10)) },
		"Checkpoint": func(ctx context.Context, s *dynamo.Store, _ string) error { return second(s.Checkpoint(ctx)) },
	}
)

func second[T any](_ T, err error) error { return err }

func TestFailedReads(t *testing.T) {
	for name, call := range readCalls {
		for _, c := range []struct {
			name string
			fate fate
		}{
			{"no answer", cut}, {"throttled", throttle}, {"service error", broken}, {"garbage", garbage},
			{"no table", refuse("ResourceNotFoundException", "")},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s, _ := over(t, "http://dynamodb.invalid", "", c.fate)
				if err := call(t.Context(), s, rand.Text()); !errors.Is(err, registry.ErrUnavailable) {
					t.Errorf("got %v, want %v", err, registry.ErrUnavailable)
				}
			})
		}
	}
}

// What no condition has decided is the same for every write.
func TestFailedWrites(t *testing.T) {
	for name, call := range writeCalls {
		for _, c := range []struct {
			name  string
			fates []fate
			want  error
			sent  int
		}{
			{"no answer", []fate{cut}, registry.ErrUnknown, 3},
			{"service error", []fate{broken}, registry.ErrUnknown, 3},
			{"throttled", []fate{throttle}, registry.ErrUnavailable, 3},
			{"throttled after no answer", []fate{cut, throttle}, registry.ErrUnknown, 3},
			{"throttled around a service error", []fate{throttle, broken, throttle}, registry.ErrUnknown, 3},
			{"no answer after throttled", []fate{throttle, throttle, cut}, registry.ErrUnknown, 3},
			{"not allowed", []fate{refuse("AccessDeniedException", "")}, registry.ErrUnavailable, 1},
			{"not allowed after no answer", []fate{cut, refuse("AccessDeniedException", "")}, registry.ErrUnknown, 2},
			{"an error unheard of", []fate{refuse("SomethingNewException", "")}, registry.ErrUnknown, 1},
			{"collision with a transaction, later refused",
				[]fate{refuse("TransactionConflictException", ""), refuse("ValidationException", "")}, registry.ErrUnavailable, 2},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s, w := over(t, "http://dynamodb.invalid", "", c.fates...)
				if err := call(t.Context(), s, rand.Text()); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if w.sent != c.sent {
					t.Errorf("got %d attempts, want %d", w.sent, c.sent)
				}
			})
		}
	}
}

func TestAnswerThatCannotBeRead(t *testing.T) {
	s, _ := over(t, "http://dynamodb.invalid", "", garbage)
	if _, err := s.Acquire(t.Context(), want, noon); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("got %v, want %v", err, registry.ErrUnknown)
	}
}

func TestCallThatIsOverSendsNothing(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for name, call := range writeCalls {
		s, w := over(t, "http://dynamodb.invalid", "", cut)
		if err := call(ctx, s, rand.Text()); !errors.Is(err, registry.ErrUnavailable) || w.sent != 0 {
			t.Errorf("%s: got %v after %d attempts, want %v after none", name, err, w.sent, registry.ErrUnavailable)
		}
	}
}

func TestWriteCutOffByItsContext(t *testing.T) {
	for name, call := range writeCalls {
		ctx, stop := context.WithCancel(t.Context())
		s, _ := over(t, "http://dynamodb.invalid", "", func(*wire, *http.Request) (*http.Response, error) {
			stop()
			return nil, ctx.Err()
		})
		if err := call(ctx, s, rand.Text()); !errors.Is(err, registry.ErrUnknown) {
			t.Errorf("%s: got %v, want %v", name, err, registry.ErrUnknown)
		}
	}
}

func TestCancelledTransactions(t *testing.T) {
	for _, c := range []struct {
		name  string
		fates []fate
		want  error
	}{
		{"condition", []fate{cancel("None", "ConditionalCheckFailed")}, registry.ErrConflict},
		{"condition, after no answer", []fate{cut, cancel("ConditionalCheckFailed")}, registry.ErrConflict},
		{"condition and throttling", []fate{cancel("ThrottlingError", "ConditionalCheckFailed")}, registry.ErrConflict},
		{"collision", []fate{cancel("None", "TransactionConflict")}, registry.ErrConflict},
		{"collision, after no answer", []fate{cut, cancel("TransactionConflict")}, registry.ErrUnknown},
		{"throttling", []fate{cancel("ThrottlingError")}, registry.ErrUnavailable},
		{"throttling, after no answer", []fate{cut, cancel("ProvisionedThroughputExceeded")}, registry.ErrUnknown},
		{"too large", []fate{cancel("ItemCollectionSizeLimitExceeded")}, registry.ErrUnavailable},
		{"no reason", []fate{refuse("TransactionCanceledException", "")}, registry.ErrUnavailable},
		{"still at work", []fate{refuse("TransactionInProgressException", "")}, registry.ErrUnknown},
		{"another change with the id", []fate{refuse("IdempotentParameterMismatchException", "")}, registry.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := over(t, "http://dynamodb.invalid", "", c.fates...)
			if err := s.Apply(t.Context(), registry.Change{ID: rand.Text(), Agent: &record}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
