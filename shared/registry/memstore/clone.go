package memstore

import (
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// The store takes and returns deep copies: no caller holds a part of the state. A copy also loses what a database
// does not keep: the time zone, what is finer than a millisecond, and the difference between an empty list and none.

func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

func list[T any](values []T) []T {
	if len(values) == 0 {
		return nil
	}
	return slices.Clone(values)
}

func blobs(values [][]byte) [][]byte {
	values = list(values)
	for i, v := range values {
		values[i] = slices.Clone(v)
	}
	return values
}

func cloneEdgeCA(c registry.EdgeCA) registry.EdgeCA {
	c.DER, c.Unnamed = slices.Clone(c.DER), stamp(c.Unnamed)
	if !c.Expires.IsZero() {
		c.Expires = time.Unix(c.Expires.Unix(), 0).UTC()
	}
	return c
}

func cloneAgent(a agent.Agent) agent.Agent {
	a.Capabilities, a.Pins = list(a.Capabilities), list(a.Pins)
	a.Bundle, a.Intermediates = blobs(a.Bundle), blobs(a.Intermediates)
	for i, p := range a.Pins {
		a.Pins[i].NotBefore, a.Pins[i].NotAfter, a.Pins[i].Until = stamp(p.NotBefore), stamp(p.NotAfter), stamp(p.Until)
		a.Pins[i].Due, a.Pins[i].Renewed = stamp(p.Due), stamp(p.Renewed)
	}
	a.Past.Newest, a.Past.Floor = stamp(a.Past.Newest), stamp(a.Past.Floor)
	a.Past.Activated, a.Suspect.At = stamp(a.Past.Activated), stamp(a.Suspect.At)
	a.Past.Known, a.Past.Ended, a.Past.Recent = list(a.Past.Known), list(a.Past.Ended), list(a.Past.Recent)
	a.Hygiene.Job = stamp(a.Hygiene.Job)
	a.EnrolledAt, a.UpdatedAt, a.Hygiene.Later, a.Early = stamp(a.EnrolledAt), stamp(a.UpdatedAt), stamp(a.Hygiene.Later),
		stamp(a.Early)
	a.Head.Version = 0 // an agent's head is no record of its own
	return a
}

func cloneKeys(k agent.Keys) agent.Keys {
	k.Compromised, k.Earlier, k.Staged, k.Renewals = list(k.Compromised), list(k.Earlier), list(k.Staged), list(k.Renewals)
	for i, at := range k.Renewals {
		k.Renewals[i] = stamp(at)
	}
	return k
}

func cloneOverlaps(all []orgca.Overlap) []orgca.Overlap {
	all = list(all)
	for i, a := range all {
		all[i].Until, all[i].Opens, all[i].Closes = stamp(a.Until), stamp(a.Opens), stamp(a.Closes)
	}
	return all
}

func clonePointer(p orgca.Pointer) orgca.Pointer {
	p.Accepted, p.Chain = cloneOverlaps(p.Accepted), blobs(p.Chain)
	p.NotAfter, p.RotatedAt = stamp(p.NotAfter), stamp(p.RotatedAt)
	return p
}

func cloneGeneration(g orgca.Generation) orgca.Generation {
	g.Root, g.Issuing, g.Above = list(g.Root), list(g.Issuing), list(g.Above)
	for i, der := range g.Above {
		g.Above[i] = slices.Clone(der)
	}
	for _, t := range []*time.Time{&g.NotBefore, &g.NotAfter, &g.CreatedAt, &g.StagedAt, &g.CurrentAt, &g.SupersededAt,
		&g.RetiredAt} {
		*t = stamp(*t)
	}
	return g
}

func cloneTruststore(t registry.Truststore) registry.Truststore {
	t.Warnings, t.Since = list(t.Warnings), stamp(t.Since)
	return t
}

func clonePlan(p orgca.Plan) orgca.Plan {
	p.At, p.Request, p.Accepted = stamp(p.At), list(p.Request), cloneOverlaps(p.Accepted)
	return p
}

func cloneReissue(r orgca.Reissue) orgca.Reissue {
	r.Began, r.WaveBegan, r.Next, r.Under = stamp(r.Began), stamp(r.WaveBegan), stamp(r.Next), stamp(r.Under)
	r.Hold, r.Waves, r.Agents = r.Hold.Truncate(time.Millisecond), list(r.Waves), list(r.Agents)
	return r
}

func cloneLease(l orgca.Lease) orgca.Lease {
	l.Expires = stamp(l.Expires)
	return l
}

func cloneAnswer(a registry.Answer) registry.Answer {
	a.Result, a.Expires = list(a.Result), time.Unix(a.Expires.Unix(), 0).UTC()
	return a
}

func cloneTokenKey(k registry.TokenKey) registry.TokenKey {
	k.Public, k.Wrapped, k.Expires = list(k.Public), list(k.Wrapped), stamp(k.Expires)
	return k
}

func pointer[T any](p *T, clone func(T) T) *T {
	if p == nil {
		return nil
	}
	c := clone(*p)
	return &c
}

func keep(c registry.Change) changeCopy {
	k := changeCopy{Change: c}
	k.Pointer, k.Agent = pointer(c.Pointer, clonePointer), pointer(c.Agent, cloneAgent)
	k.Was, k.Keys, k.Job = pointer(c.Was, cloneAgent), pointer(c.Keys, cloneKeys), pointer(c.Job, cloneJob)
	k.Generations, k.Truststore = list(c.Generations), pointer(c.Truststore, cloneTruststore)
	k.Plan, k.Reissue = pointer(c.Plan, clonePlan), pointer(c.Reissue, cloneReissue)
	for i, g := range k.Generations {
		k.Generations[i] = cloneGeneration(g)
	}
	k.Aliases, k.Forget, k.EdgeCAs = list(c.Aliases), list(c.Forget), list(c.EdgeCAs)
	for i, ca := range k.EdgeCAs {
		k.EdgeCAs[i] = cloneEdgeCA(ca)
	}
	k.Naming = pointer(c.Naming, func(n registry.Naming) registry.Naming {
		n.Names, n.Drops = blobs(n.Names), blobs(n.Drops)
		return n
	})
	k.Mark = pointer(c.Mark, func(m registry.EdgeMark) registry.EdgeMark {
		m.CA, m.Unnamed = cloneEdgeCA(m.CA), stamp(m.Unnamed)
		return m
	})
	k.Deaths, k.Suspect = pointer(c.Deaths, cloneDeaths), pointer(c.Suspect, func(is bool) bool { return is })
	k.Head = pointer(c.Head, func(h audit.Head) audit.Head { return h })
	k.Checkpoint = pointer(c.Checkpoint, func(c registry.LastCheckpoint) registry.LastCheckpoint { return c })
	k.Release, k.Answer = pointer(c.Release, cloneLease), pointer(c.Answer, cloneAnswer)
	k.Rows = nil
	for _, r := range c.Rows {
		encoded, err := r.Encode()
		if err != nil {
			panic(fmt.Sprintf("memstore: row %d of %s has no JSON form: %v", r.Seq, r.Subject, err))
		}
		k.rows = append(k.rows, row{r.Subject, r.Seq, r.PrevHash, r.Hash, encoded})
	}
	return k
}
