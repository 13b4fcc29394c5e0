package verifier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// feed fetches one document again and again.
type feed struct {
	url, accept string
	limit       int           // octets of the document, at most
	every, most time.Duration // between two fetches; the longest of it after failures
	apart       time.Duration // between two fetches, where one is asked for before its time
	timeout     time.Duration // of one fetch
	patience    time.Duration // of a request that waits for a newer document
	client      *http.Client
	take        func(ctx context.Context, body []byte, began time.Time) error
	now         func() time.Time
	log         *slog.Logger
	kick        chan struct{} // asks for a fetch before its time
	first       chan struct{} // closed by the first success

	mu      sync.Mutex
	asked   time.Time     // when a fetch was last asked for
	pending chan struct{} // closed at the end of the fetch that was asked for; nil: none was
}

// rare is how often a fetch before its time may be asked for.
const rare = 10 * time.Second

// run fetches until the end of ctx. After a failure it comes back at once, and then in intervals that double.
func (f *feed) run(ctx context.Context) {
	failures, said := 0, ""
	for ctx.Err() == nil {
		asked, began := f.begin(), clock()
		err := f.fetch(ctx)
		if asked != nil {
			close(asked)
		}
		switch {
		case err == nil:
			if said != "" {
				f.log.Info("fetched again", "url", f.url)
			}
			failures, said = 0, ""
		case ctx.Err() == nil:
			failures++
			if text := err.Error(); text != said { // not the same line every few seconds
				f.log.Warn("fetch failed", "url", f.url, "error", text)
				said = text
			}
		}
		select {
		case <-ctx.Done():
		case <-f.kick:
			f.hold(ctx, f.apart-clock().Sub(began))
		case <-time.After(f.pause(failures)):
		}
	}
}

func (f *feed) hold(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// pause is how long to wait after so many failures: a fifth more or less, so that servers do not come at the same time.
func (f *feed) pause(failures int) time.Duration {
	d := f.every
	if failures > 0 {
		d = min(f.most, time.Second<<min(failures-1, 16))
	}
	return d - d/5 + time.Duration(rand.Int64N(int64(d/5)+1)) //nolint:gosec // nothing depends on its being unguessable
}

// begin takes over what was asked for so far.
func (f *feed) begin() chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.pending
	f.pending = nil
	return asked
}

// again has the document fetched now, and reports whether that fetch has ended. It does nothing where one was asked for
// in the last ten seconds.
func (f *feed) again(ctx context.Context) bool {
	now := f.now()
	f.mu.Lock()
	if f.pending == nil {
		if !f.asked.IsZero() && now.Sub(f.asked) < rare {
			f.mu.Unlock()
			return false
		}
		f.asked = now
	}
	done := f.ask()
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	return ended(ctx, done)
}

// soon has the document fetched as soon as apart allows, once for all who ask meanwhile, and reports whether that fetch
// has ended. Its request begins behind the call.
func (f *feed) soon(ctx context.Context) bool {
	f.mu.Lock()
	done := f.ask()
	f.mu.Unlock()
	return ended(ctx, done)
}

// ask asks for a fetch, whose end closes the channel. The lock is held.
func (f *feed) ask() <-chan struct{} {
	if f.pending == nil {
		f.pending = make(chan struct{})
		select {
		case f.kick <- struct{}{}:
		default:
		}
	}
	return f.pending
}

func ended(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait returns nil after the first success, or the error of ctx.
func (f *feed) wait(ctx context.Context) error {
	select {
	case <-f.first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errAnswer = errors.New("answer is not a document")

// fetch makes one request. Redirects are not followed.
func (f *feed) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", f.accept)
	began := f.now()
	res, err := f.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: status %d", errAnswer, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(f.limit)+1))
	if err != nil {
		return err
	}
	if len(body) > f.limit {
		return fmt.Errorf("%w: longer than %d bytes", errAnswer, f.limit)
	}
	if err := f.take(ctx, body, began); err != nil {
		return err
	}
	select {
	case <-f.first:
	default:
		close(f.first)
	}
	return nil
}
