package verifier

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// of is a request with a token of now and of a generation.
func (s scene) of(t testing.TB, generation int64, id string) *http.Request {
	t.Helper()
	return s.shown(t, s.token(t, s.jkt(), func(c *accesstoken.Claims) {
		c.IssuedAt, c.Expires, c.Generation = clock(), clock().Add(5*time.Minute), generation
	}), id)
}

// A token of an Org CA that the status does not name yet is accepted as soon as the status does: many requests at once
// cost one fetch, and no more than one a second where the Mastio goes on answering the document before.
func TestTokenOfANewOrgCAIsNotRefused(t *testing.T) {
	world(t, nil, func(t *testing.T, s scene, m *mastio, v *Verifier) {
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		rotated, answers := clock(), 0
		m.set(func() {
			m.status = func(d *Document) {
				if answers++; answers > 2 { // the first two answers come out of a cache
					d.Generations, d.Seq = []int64{2}, 2
				}
			}
		})
		before := m.calls.Load()
		var all sync.WaitGroup
		for i := range 20 {
			r := s.of(t, 2, fmt.Sprint(i))
			all.Go(func() {
				if _, err := v.Verify(r); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n, took := m.calls.Load()-before, clock().Sub(rotated); n != 3 || took > 3*time.Second {
			t.Errorf("%d fetches, %s; want 3, and less than three seconds", n, took)
		}
		if _, err := v.Verify(s.of(t, 1, "old")); !errors.Is(err, ErrRevoked) {
			t.Errorf("a token of the Org CA before: %v", err)
		}
	})
}

// Nothing is waited for in vain: what no later status names is refused, and without one the answer is that of a server
// that cannot tell.
func TestTokenOfAGenerationThatNoStatusNames(t *testing.T) {
	world(t, nil, func(t *testing.T, s scene, m *mastio, v *Verifier) {
		r := s.of(t, 2, "1")
		time.Sleep(clocksApart + 3500*time.Millisecond) // whole seconds, and a status of at most two seconds ago
		synctest.Wait()
		before, began := m.calls.Load(), clock()
		_, err := v.Verify(r)
		if took := clock().Sub(began); !errors.Is(err, ErrRevoked) || took != 0 || m.calls.Load() != before {
			t.Errorf("with a status that is newer than the token: %v after %s", err, took)
		}
		m.set(func() { m.answer = func(*http.Request) *http.Response { return answered(500, "") } })
		began = clock()
		_, err = v.Verify(s.of(t, 2, "2"))
		if took := clock().Sub(began); !errors.Is(err, ErrStatusBehind) || took != behindWait {
			t.Errorf("without answers: %v after %s", err, took)
		}
		synctest.Wait()
		before = m.calls.Load()
		if _, err := v.Verify(s.of(t, 0, "3")); err != nil || m.calls.Load() != before {
			t.Errorf("of no generation: %v, %d calls", err, m.calls.Load()-before)
		}
	})
}
