package memstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// View reads an agent and the pointer.
func (s *Store) View(ctx context.Context, id agent.ID) (v registry.View, err error) {
	err = s.read(ctx, "View", "read agent "+string(id), func() { v = s.view(id) })
	return v, err
}

func (s *Store) view(id agent.ID) (v registry.View) {
	if a, ok := s.agents[id]; ok {
		a = cloneAgent(a)
		v.Agent = &a
	}
	v.Pointer = pointer(s.pointer, clonePointer)
	return v
}

// ViewKeys reads an agent, what is known of its keys, and the pointer.
func (s *Store) ViewKeys(ctx context.Context, id agent.ID) (v registry.View, err error) {
	err = s.read(ctx, "ViewKeys", "read agent "+string(id)+" and its keys", func() {
		v = s.view(id)
		k := cloneKeys(s.keys[id])
		k.Agent = id
		v.Keys = &k
	})
	return v, err
}

// ViewSeen reads an agent, when it was last seen, and the pointer.
func (s *Store) ViewSeen(ctx context.Context, id agent.ID) (v registry.View, err error) {
	err = s.read(ctx, "ViewSeen", "read agent "+string(id)+" and when it was seen", func() {
		v = s.view(id)
		seen := s.seen[id]
		v.Seen = &seen
	})
	return v, err
}

// ViewBoth reads two agents and the pointer.
func (s *Store) ViewBoth(ctx context.Context, id, other agent.ID) (v registry.View, err error) {
	err = s.read(ctx, "ViewBoth", "read agent "+string(id)+" and another one", func() {
		v = s.view(id)
		v.Other = s.view(other).Agent
	})
	return v, err
}

// Keys reads what is known of an agent's keys.
func (s *Store) Keys(ctx context.Context, id agent.ID) (k agent.Keys, err error) {
	err = s.read(ctx, "Keys", "read the keys of "+string(id), func() { k = cloneKeys(s.keys[id]) })
	k.Agent = id
	return k, err
}

// Pointer reads the pointer. This store has one pointer for all agents.
func (s *Store) Pointer(ctx context.Context, id agent.ID) (p *orgca.Pointer, err error) {
	err = s.read(ctx, "Pointer", "read the pointer", func() { p = pointer(s.pointer, clonePointer) })
	return p, err
}

// Org reads everything about the organisation's CA.
func (s *Store) Org(ctx context.Context) (o registry.Org, err error) {
	err = s.read(ctx, "Org", "read the organisation", func() {
		o = registry.Org{
			Pointer:    pointer(s.pointer, clonePointer),
			Truststore: cloneTruststore(s.truststore),
			Plan:       clonePlan(s.plan),
			Reissue:    pointer(s.reissue, cloneReissue),
			Head:       s.head,
			Lease:      s.lease,
		}
		for _, g := range s.generations {
			o.Generations = append(o.Generations, cloneGeneration(g))
		}
	})
	slices.SortFunc(o.Generations, func(a, b orgca.Generation) int { return cmp.Compare(a.Number, b.Number) })
	return o, err
}

// EdgeCAs reads the CAs of others that the edge lets in.
func (s *Store) EdgeCAs(ctx context.Context) (cas []registry.EdgeCA, err error) {
	err = s.read(ctx, "EdgeCAs", "read the edge's CAs", func() {
		for _, ca := range s.edgeCAs {
			cas = append(cas, cloneEdgeCA(ca))
		}
	})
	slices.SortFunc(cas, func(a, b registry.EdgeCA) int {
		one, other := sha256.Sum256(a.DER), sha256.Sum256(b.DER)
		return bytes.Compare(one[:], other[:])
	})
	return cas, err
}

// Named reports whether an agent names a CA of the edge.
func (s *Store) Named(ctx context.Context, der []byte) (named bool, err error) {
	err = s.read(ctx, "Named", "look for who names a CA", func() { named = len(s.namings[string(der)]) > 0 })
	return named, err
}

// Alias finds the agent that the first of these names leads to.
func (s *Store) Alias(ctx context.Context, names ...string) (id agent.ID, err error) {
	err = s.read(ctx, "Alias", "read an alias", func() {
		for _, name := range slices.Backward(names) {
			if found, ok := s.aliases[name]; ok {
				id = found
			}
		}
	})
	return id, err
}

// Answer reads what was kept for an idempotency key.
func (s *Store) Answer(ctx context.Context, key string, now time.Time) (a *registry.Answer, err error) {
	err = s.read(ctx, "Answer", "read the answer to an idempotency key", func() {
		if kept, ok := s.answers[key]; ok && kept.Kept(now) {
			a = pointer(&kept, cloneAnswer)
		}
	})
	return a, err
}

// TokenKey reads the key of one epoch.
func (s *Store) TokenKey(ctx context.Context, epoch int64) (k *registry.TokenKey, err error) {
	err = s.read(ctx, "TokenKey", "read a token key", func() {
		if stored, ok := s.tokenKeys[epoch]; ok {
			k = pointer(&stored, cloneTokenKey)
		}
	})
	return k, err
}

// TokenKeys reads the keys of some epochs.
func (s *Store) TokenKeys(ctx context.Context, epochs ...int64) (found []registry.TokenKey, err error) {
	err = s.read(ctx, "TokenKeys", "read token keys", func() {
		for _, epoch := range slices.Compact(slices.Sorted(slices.Values(epochs))) {
			if stored, ok := s.tokenKeys[epoch]; ok {
				found = append(found, cloneTokenKey(stored))
			}
		}
	})
	return found, err
}

// Rows reads a part of a chain.
func (s *Store) Rows(ctx context.Context, subject string, after int64, limit int) (rows []audit.Row, err error) {
	var part []row
	err = s.read(ctx, "Rows", "read the chain of "+subject, func() {
		chain := s.rows[subject]
		from := min(max(after, 0), int64(len(chain)))
		to := min(from+int64(max(limit, 0)), int64(len(chain)))
		part = chain[from:to:to] // a chain only grows, so this part of it stays as it is
	})
	for _, stored := range part {
		r, err := audit.Decode(stored.encoded)
		if err != nil {
			return nil, fmt.Errorf("read the chain of %s: %w: %w", subject, registry.ErrUnavailable, err)
		}
		rows = append(rows, r)
	}
	return rows, err
}
