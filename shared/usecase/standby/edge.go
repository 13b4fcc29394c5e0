package standby

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/registry"
)

// unnamedAge is how long an unnamed CA stays in the truststore: far longer than an enrolment takes from its read of
// the CA to its commit.
const unnamedAge = 15 * time.Minute

// forget drops the CAs of others that no active agent's bundle names, and returns how many. It costs one query for
// each of these CAs, at most a hundred, however many agents there are.
//
// It takes two runs. The first marks a CA; an enrolment that sees a mark adds the CA anew, which removes the mark. A
// later run looks once more, and forgets a CA that still has its mark. An enrolment that read the CA before the mark
// and commits after that second look sees, after its commit, that the CA is gone, and adds it. A crash in between
// leaves a mark.
func (j *Job) forget(ctx context.Context) (int, error) {
	cas, err := j.Store.EdgeCAs(ctx)
	if err != nil {
		return 0, err
	}
	count, now := 0, j.Now()
	var errs []error
	for _, ca := range cas {
		if !ca.Counted {
			continue
		}
		named, err := j.Store.Named(ctx, ca.DER)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		mark, due := verdict(ca, named, now)
		if !due {
			continue
		}
		err = registry.Settle(ctx, j.Store.Apply, registry.Change{ID: j.NewID(), Mark: &mark})
		switch {
		case errors.Is(err, registry.ErrConflict): // an enrolment, or another run, came first
		case err != nil:
			errs = append(errs, fmt.Errorf("mark a CA of the edge: %w", err))
		case mark.Forget:
			count++
		}
	}
	return count, errors.Join(errs...)
}

// verdict is the change of a CA's mark, if any. A mark from a fast clock is set anew.
func verdict(ca registry.EdgeCA, named bool, now time.Time) (registry.EdgeMark, bool) {
	mark := registry.EdgeMark{CA: ca}
	switch {
	case named:
		return mark, !ca.Unnamed.IsZero()
	case ca.Unnamed.IsZero() || ca.Unnamed.After(now):
		mark.Unnamed = now.Truncate(time.Millisecond)
		return mark, true
	}
	mark.Forget = true
	return mark, now.Sub(ca.Unnamed) >= unnamedAge
}
