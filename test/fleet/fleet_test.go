// Package fleet takes a whole fleet through one rotation of the Org CA on the local stack, with the agents at work:
// what is delivered is fetched, those that renew do so in their slots, and all ask for tokens.
package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/test/local"
)

var size = flag.Int("agents", 1000, "agents of the fleet")

const (
	// bar is what a fleet of barred agents may take, on a machine that does nothing else.
	bar    = 90 * time.Second
	barred = 10_000
	// overlap gives the agents that renew themselves slots in its first two thirds.
	overlap = 120 * time.Second
	// every is the pause between two runs of the re-issue. In a deployment they begin a minute apart, and quotas take
	// longer than that; here nothing else is waited for.
	every = time.Second
)

// deliveries are what is made the current version of agents' secrets. The hosts look at once: how often they look is
// theirs to choose, and costs each of them time.
type deliveries struct {
	n    atomic.Int64
	made sync.Map // name of a secret: a channel that is closed
}

func (d *deliveries) of(name string) chan struct{} {
	c, _ := d.made.LoadOrStore(name, make(chan struct{}))
	return c.(chan struct{})
}

func (d *deliveries) wrap(service string, h http.Handler) http.Handler {
	if service != stack.SecretsManager {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".UpdateSecretVersionStage") {
			h.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		var in struct{ SecretId string } //nolint:revive // AWS's name
		if err == nil {
			err = json.Unmarshal(body, &in)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
		if err == nil {
			d.n.Add(1)
			close(d.of(in.SecretId))
		}
	})
}

// One call, and nothing else that a human does: every agent that can follow without one has a token under the new Org
// CA in time, the owners of the others are notified, each agent is on record once, and no token request fails
// meanwhile.
func TestFleetFollowsOneCall(t *testing.T) {
	if testing.Short() {
		t.Skip("make fleet")
	}
	// Ten thousand agents, the gateway and what stands in for AWS are one process with a large heap.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	made := &deliveries{}
	f := open(t, local.Mastio(t, stack.Config{Wrap: made.wrap}), made)
	began := time.Now()
	f.enrol(*size)
	t.Logf("%d agents enrolled, each got a token, in %s: %d with a secret, %d that renew themselves, %d BYOCA, %d SPIFFE",
		len(f.members), time.Since(began).Round(time.Second), len(f.of(inSecret)), len(f.of(renews)), len(f.of(byoca)),
		len(f.of(spiffe)))
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	f.tick(ctx, "standby", `{}`)
	f.asked.Store(0)
	f.began = time.Now()
	f.next = f.rotate("mint&backup=skip&overlap="+seconds(overlap), nil)
	t.Logf("%8s  the call is answered: Org CA %d", f.since(), f.next)
	done := f.atWork(ctx)
	go f.schedule(ctx)
	report := time.NewTicker(5 * time.Second)
	defer report.Stop()
	for {
		select {
		case <-report.C:
			f.report()
			continue
		case <-done:
		}
		break
	}
	took := time.Since(f.began)
	f.report()
	f.notified(ctx)
	stop()
	t.Logf("%8s  all agents that can follow have a token under the new Org CA; the bar for %d is %s",
		took.Round(time.Second), barred, bar)
	if *size >= barred && took > bar {
		t.Errorf("the fleet took %s, want at most %s", took.Round(time.Second), bar)
	}
	if n := f.failed.Load(); n > 0 {
		t.Errorf("%d of %d token requests failed", n, f.asked.Load())
	}
	f.recorded()
}

// schedule runs the jobs as a deployment does, in shorter intervals.
func (f *fleet) schedule(ctx context.Context) {
	go func() {
		for ctx.Err() == nil {
			f.tick(ctx, "standby", `{}`)
			rest(ctx, 30*time.Second)
		}
	}()
	for ctx.Err() == nil {
		f.tick(ctx, "hygiene", `{"reissue":true}`)
		rest(ctx, every)
	}
}

func (f *fleet) tick(ctx context.Context, function, event string) {
	r, err := f.system.Invoke(ctx, function, []byte(event))
	if ctx.Err() == nil && (err != nil || r.FunctionError != "") {
		f.Errorf("%s: %v %s", function, err, r.Payload)
	}
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (f *fleet) report() {
	f.Logf("%8s  %5d delivered  %5d seen with a delivered certificate, %4d with a renewed one  %6d tokens  %d failed",
		f.since(), f.made.n.Load(), f.seen[inSecret].Load(), f.seen[renews].Load(), f.asked.Load(), f.failed.Load())
}

func (f *fleet) since() time.Duration { return time.Since(f.began).Round(100 * time.Millisecond) }
