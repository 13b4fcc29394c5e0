package httpapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	admins "github.com/mastio-aws/mastio/shared/admin"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/session"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// countingGates are gates that count how often they are asked.
type countingGates struct {
	*signin.Gates
	asked int
}

func (c *countingGates) Wrong(ctx context.Context, address string) error {
	c.asked++
	return c.Gates.Wrong(ctx, address)
}

func (c *countingGates) Locked(ctx context.Context, address string) error {
	c.asked++
	return c.Gates.Locked(ctx, address)
}

// Wrong secrets are counted for their address, and answered 429 once the dashboard would be locked. A right one passes
// without a read, unless it is so short that it could have been guessed.
func TestGuessesOfTheAdminSecretAreCounted(t *testing.T) {
	w := open(t, memstore.Config{})
	long, short := strings.Repeat("s", session.MinSecret), strings.Repeat("s", session.MinSecret-1)
	gates := &countingGates{Gates: &signin.Gates{Store: w.Store, Now: w.Now}}
	mux, err := httpapi.New(httpapi.Config{
		Handlers: httpapi.Enroll(w.Enroll),
		Log:      slog.New(slog.DiscardHandler),
		Now:      w.Now,
		Guesses:  gates,
		Admin: func(_ context.Context, shown string) (admins.Admin, bool, error) {
			return admins.Holder("v1"), shown == long || shown == short, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.functions["enroll"] = inmemory.Lambda(mux)
	ask := func(secret, address string) answer {
		t.Helper()
		e := event("GET", "/v1/admin/agents", header("X-Admin-Secret", secret))
		e.RequestContext.Identity.SourceIP = address
		return w.send(t, e)
	}
	for range session.PerSource.Free {
		if got := ask("guess", "192.0.2.1"); got.status != http.StatusForbidden {
			t.Fatalf("a guess: %d", got.status)
		}
	}
	if got := ask("guess", "192.0.2.1"); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("one guess more: %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	if got := ask("guess", "192.0.2.2"); got.status != http.StatusForbidden {
		t.Errorf("from another address: %d", got.status)
	}
	if got := ask(short, "192.0.2.1"); got.status != http.StatusTooManyRequests {
		t.Errorf("a right secret that is short, from the locked address: %d", got.status)
	}
	if got := ask(short, "192.0.2.3"); got.status != http.StatusOK {
		t.Errorf("a right secret that is short, from another address: %d", got.status)
	}
	asked := gates.asked
	if got := ask(long, "192.0.2.1"); got.status != http.StatusOK || gates.asked != asked {
		t.Errorf("a right secret from the locked address: %d, %d reads more", got.status, gates.asked-asked)
	}
}
