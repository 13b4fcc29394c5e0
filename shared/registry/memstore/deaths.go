package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Status reads what a status document is made of.
func (s *Store) Status(ctx context.Context, since time.Time) (st registry.Status, err error) {
	err = s.read(ctx, "Status", "read the status", func() {
		st = registry.Status{Note: s.note, Pointer: pointer(s.pointer, clonePointer)}
		for _, e := range s.deaths {
			if e.At.After(since) {
				st.Deaths = append(st.Deaths, cloneDeaths(e))
			}
		}
	})
	slices.SortFunc(st.Deaths, func(a, b registry.Deaths) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Change, b.Change))
	})
	return st, err
}

// PutStatusNote stores the note of a status document.
func (s *Store) PutStatusNote(ctx context.Context, n registry.StatusNote, was int64) error {
	return s.write(ctx, "PutStatusNote", "store the note of a status document", func() error {
		if s.note.Seq != was {
			return registry.ErrConflict
		}
		s.note = n
		return nil
	})
}

func cloneDeaths(e registry.Deaths) registry.Deaths {
	e.At, e.Dead = stamp(e.At), list(e.Dead)
	for i, d := range e.Dead {
		e.Dead[i].Before = stamp(d.Before)
	}
	return e
}

// mustEnd panics on a change of an agent that does not say which tokens die with it. A change need not name what only a
// generation could let in that has been left for good: this store knows the pointer as it is.
func (s *Store) mustEnd(c changeCopy) {
	if c.Agent == nil {
		return
	}
	was, next, at := s.agents[c.Agent.ID], *c.Agent, c.Agent.UpdatedAt
	if is := next.Suspicious(); was.Version > 0 && is != was.Suspicious() && (c.Suspect == nil || *c.Suspect != is) {
		panic(fmt.Sprintf("memstore: change %s does not say that suspicion of %s is %t: use registry.Change.Ends", c.ID,
			next.ID, is))
	}
	var told []agent.Death
	if c.Deaths != nil {
		told, at = c.Deaths.Dead, c.Deaths.At
	}
	left := func(generation int64) bool { return s.pointer != nil && s.pointer.Left(generation) }
	follows, dead := was.Replace(next, next.Handle, at, left)
	for _, d := range dead {
		if !slices.ContainsFunc(told, func(t agent.Death) bool {
			return t.Thumbprint == d.Thumbprint && t.Handle == d.Handle
		}) {
			panic(fmt.Sprintf("memstore: change %s of %s does not say that %s%s dies with it: use registry.Change.Ends", c.ID,
				next.ID, d.Thumbprint, d.Handle))
		}
	}
	all, each := was.Replace(next, next.Handle, at, func(int64) bool { return false })
	if !handles(was, next, follows, dead) && !handles(was, next, all, each) {
		panic(fmt.Sprintf("memstore: change %s gives %s a wrong handle: use registry.Change.Ends", c.ID, next.ID))
	}
}

// handles reports whether next has the handle that follows from a change with these deaths.
func handles(was, next, follows agent.Agent, dead []agent.Death) bool {
	kept := !slices.ContainsFunc(dead, func(d agent.Death) bool { return d.Handle != agent.Handle{} })
	return follows.Handle == next.Handle && (was.Handle == (agent.Handle{}) || kept == (was.Handle == next.Handle))
}
