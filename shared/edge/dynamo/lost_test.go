package dynamo_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// prepared returns tables in which every call of writeCalls can succeed: those that need it find the lease held.
func prepared(t *testing.T, name string) (prefix string, direct *dynamo.Store) {
	t.Helper()
	client, prefix := tables(t)
	direct = dynamo.New(dynamo.Config{Client: client, Prefix: prefix})
	if name == "Extend" || name == "Release" {
		if got, err := direct.Acquire(t.Context(), want, noon); err != nil || got != held {
			t.Fatalf("acquire: got %+v, %v, want %+v", got, err, held)
		}
	}
	return prefix, direct
}

// The first attempt is carried out, its answer lost, and the SDK tries again.
func TestRetryAfterALostAnswer(t *testing.T) {
	for name, want := range map[string]error{
		"Apply": nil, "Acquire": nil, "Extend": nil, "Seen": nil,
		"Release": registry.ErrUnknown, "UseProof": registry.ErrReplayed, "PutTokenKey": registry.ErrConflict,
		"PutBurndown": registry.ErrConflict,
	} {
		t.Run(name, func(t *testing.T) {
			prefix, _ := prepared(t, name)
			s, w := over(t, endpoint(t), prefix, mute, pass)
			if err := writeCalls[name](t.Context(), s, prefix); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if w.sent != 2 {
				t.Errorf("got %d attempts, want 2", w.sent)
			}
		})
	}
}

// No answer ever comes, though the write was carried out: unknown, and what the caller does next finds it out.
func TestEveryAnswerLost(t *testing.T) {
	for name, again := range map[string]error{
		"Apply": nil, "Acquire": nil, "Extend": nil, "Seen": nil,
		"Release": registry.ErrConflict, "UseProof": registry.ErrReplayed, "PutTokenKey": registry.ErrConflict,
		"PutBurndown": registry.ErrConflict,
	} {
		t.Run(name, func(t *testing.T) {
			prefix, direct := prepared(t, name)
			s, _ := over(t, endpoint(t), prefix, mute, cut)
			if err := writeCalls[name](t.Context(), s, prefix); !errors.Is(err, registry.ErrUnknown) {
				t.Errorf("got %v, want %v", err, registry.ErrUnknown)
			}
			if err := writeCalls[name](t.Context(), direct, prefix); !errors.Is(err, again) {
				t.Errorf("asked again: got %v, want %v", err, again)
			}
		})
	}
}

func TestAcquireAfterALostAnswer(t *testing.T) {
	prefix, direct := prepared(t, "Acquire")
	s, _ := over(t, endpoint(t), prefix, mute, pass)
	got, err := s.Acquire(t.Context(), want, noon)
	if diff := cmp.Diff(held, got); err != nil || diff != "" {
		t.Errorf("got %v, (-want +got):\n%s", err, diff)
	}
	other := orgca.Lease{Holder: "other", Expires: noon.Add(orgca.LeaseTTL)}
	if _, err := direct.Acquire(t.Context(), other, noon); !errors.Is(err, orgca.ErrLeaseHeld) {
		t.Errorf("another holder: got %v, want %v", err, orgca.ErrLeaseHeld)
	}
}

// A commit releases the lease while a release is on its way: the release must not be taken for the proof that no commit
// has happened.
func TestReleaseOvertakenByACommit(t *testing.T) {
	prefix, direct := prepared(t, "Release")
	s, _ := over(t, endpoint(t), prefix, cut, func(w *wire, r *http.Request) (*http.Response, error) {
		if err := direct.Apply(t.Context(), registry.Change{ID: prefix, Release: &held}); err != nil {
			t.Error(err)
		}
		return pass(w, r)
	})
	if err := s.Release(t.Context(), held); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("got %v, want %v", err, registry.ErrUnknown)
	}
}
