package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// lateCommit is how long after its time a change may have been committed, at most. It matters for entries that the
// document has no room for, as one instant then stands for all of them.
const lateCommit = 10 * time.Second

// content is the document without its number.
func (p *Publisher) content(st registry.Status, now time.Time) verifier.Document {
	d := verifier.Document{
		Issuer:      p.Issuer,
		IssuedAt:    now.UTC().Truncate(time.Second),
		MaxAge:      verifier.StatusMaxAge,
		Generations: accepted(st.Pointer, now),
	}
	deaths := slices.DeleteFunc(slices.Clone(st.Deaths), func(e registry.Deaths) bool { return !now.Before(e.Expires()) })
	slices.SortStableFunc(deaths, func(a, b registry.Deaths) int { return b.At.Compare(a.At) }) // the newest first
	var dropped time.Time
	for _, e := range deaths {
		if !dropped.IsZero() || len(d.Dead)+len(e.Dead) > verifier.StatusEntries {
			dropped = later(dropped, e.At)
			continue
		}
		for _, death := range e.Dead {
			d.Dead = append(d.Dead, entry(death))
		}
	}
	if !dropped.IsZero() { // not in the future, where no agent could get a token that lives
		if d.NotBefore = dropped.Add(lateCommit).UTC().Truncate(time.Second); d.NotBefore.After(d.IssuedAt) {
			d.NotBefore = d.IssuedAt
		}
	}
	return d
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func entry(d agent.Death) verifier.Entry {
	e := verifier.Entry{Handle: d.Handle.String(), NotBefore: d.Before}
	if x5t, err := accesstoken.X5TFromThumbprint(d.Thumbprint); err == nil { // else the entry is of a handle
		e.X5T = x5t
	}
	return e
}

// accepted lists the generations of the Org CA whose tokens live.
func accepted(p *orgca.Pointer, now time.Time) []int64 {
	if p == nil {
		return nil
	}
	numbers := []int64{p.Current}
	for _, o := range p.Accepted {
		numbers = append(numbers, o.Generation)
	}
	numbers = slices.DeleteFunc(numbers, func(n int64) bool { return !p.Accepts(n, now) })
	slices.SortFunc(numbers, cmp.Compare[int64])
	return slices.Compact(numbers)
}
