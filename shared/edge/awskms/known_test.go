package awskms

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
)

func TestNewKeyWhoseTagsDoNotCountYet(t *testing.T) {
	refused := &smithy.GenericAPIError{Code: "AccessDeniedException"}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		answers []error // the last one is given for good
		want    error
		calls   int
		takes   time.Duration
	}{
		"at once":            {[]error{nil}, nil, 1, 0},
		"after a while":      {[]error{refused, refused, nil}, nil, 3, 750 * time.Millisecond},
		"another error":      {[]error{broken}, broken, 1, 0},
		"another, later on":  {[]error{refused, broken}, broken, 2, 250 * time.Millisecond},
		"never":              {[]error{refused}, refused, 6, 7750 * time.Millisecond},
		"in the last moment": {[]error{refused, refused, refused, refused, refused, nil}, nil, 6, 7750 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls, began := 0, time.Now()
			err := known(t.Context(), func() error {
				calls++
				return c.answers[min(calls, len(c.answers))-1]
			})
			if !errors.Is(err, c.want) || calls != c.calls || time.Since(began) != c.takes {
				t.Errorf("%s: %v after %d calls and %s; want %v after %d and %s", name, err, calls, time.Since(began), c.want, c.calls, c.takes)
			}
		})
	}
}

// A request that ends is not waited for.
func TestNewKeyAtTheEndOfTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		refused := &smithy.GenericAPIError{Code: "AccessDeniedException"}
		began := time.Now()
		if err := known(ctx, func() error { return refused }); !errors.Is(err, refused) || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}
