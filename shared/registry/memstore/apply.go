package memstore

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// maxWrites is how many items a change may take, each copy of the pointer being one.
const maxWrites = 100

// Apply carries out a change.
//
// It panics on a change without an ID, without or with too many records, or with two records for one key; and, where
// every condition holds, on a row that leaves a gap in its chain, does not continue it, or is not what the chain's new
// head says, on a record that is said to have been here and was another one, and on a change of an agent that does not
// say which tokens die with it.
func (s *Store) Apply(ctx context.Context, c registry.Change) error {
	mustBeSound(c)
	k := keep(c)
	return s.write(ctx, "Apply", "apply change "+c.ID, func() error { return s.apply(k) })
}

// changeCopy is a deep copy of a change: the caller holds no part of it.
type changeCopy struct {
	registry.Change // without rows
	rows            []row
}

// row is what the store keeps of a row: its JSON form, and what the next one is checked against.
type row struct {
	subject        string
	seq            int64
	previous, hash string
	encoded        []byte
}

func (s *Store) apply(c changeCopy) error {
	if before, ok := s.applied.changes[c.ID]; ok {
		if !reflect.DeepEqual(before, c) {
			return fmt.Errorf("%w: another change has this id", registry.ErrConflict)
		}
		return nil
	}
	if what := s.refusal(c); what != "" {
		return fmt.Errorf("%w: %s", registry.ErrConflict, what)
	}
	s.mustContinue(c)
	s.mustHaveBeen(c)
	s.mustEnd(c)
	s.commit(c)
	s.applied.add(c)
	return nil
}

// refusal names the first record whose condition does not hold.
func (s *Store) refusal(c changeCopy) string {
	if c.Pointer != nil && s.pointerVersion() != c.Pointer.Version {
		return "pointer"
	}
	for _, g := range c.Generations {
		if s.generations[g.Number].Version != g.Version {
			return fmt.Sprintf("generation %d", g.Number)
		}
	}
	if c.Truststore != nil && s.truststore.Version != c.Truststore.Version {
		return "truststore"
	}
	if c.Plan != nil && s.plan.Version != c.Plan.Version {
		return "plan"
	}
	if c.Reissue != nil && s.reissueVersion() != c.Reissue.Version {
		return "re-issue"
	}
	if c.Agent != nil && s.agents[c.Agent.ID].Version != c.Agent.Version {
		return "agent"
	}
	if c.Keys != nil && s.keys[c.Keys.Agent].Version != c.Keys.Version {
		return "keys"
	}
	if c.Job != nil && s.jobs[c.Job.ID].Version != c.Job.Version {
		return "job"
	}
	if c.Head != nil && s.head.Version != c.Head.Version {
		return "head"
	}
	for _, r := range c.rows {
		if r.seq <= int64(len(s.rows[r.subject])) {
			return fmt.Sprintf("row %d of %s", r.seq, r.subject)
		}
	}
	for _, a := range slices.Concat(c.Aliases, c.Forget) {
		if other, taken := s.aliases[a.Name]; taken && other != a.Agent {
			return "alias " + a.Name
		}
	}
	if c.Mark != nil && !s.marked(*c.Mark) {
		return "mark of a CA"
	}
	if c.Checkpoint != nil && s.checkpointVersion() != c.Checkpoint.Version {
		return "checkpoint"
	}
	if c.Release != nil && !s.holds(*c.Release) {
		return "lease"
	}
	if c.Answer != nil {
		now := c.Answer.Expires.Add(-registry.AnswerTTL)
		old, taken := s.answers[c.Answer.Key]
		own := old.Owner != "" && old.Owner == c.Answer.Owner
		if taken && !own && old.Kept(now) {
			return "answer"
		}
	}
	return ""
}

// marked reports whether a CA has the mark that it was read with.
func (s *Store) marked(m registry.EdgeMark) bool {
	ca, ok := s.edgeCAs[string(m.CA.DER)]
	return ok && ca.Unnamed.Equal(m.CA.Unnamed)
}

func (s *Store) mark(m registry.EdgeMark) {
	ca := s.edgeCAs[string(m.CA.DER)]
	if ca.Unnamed = m.Unnamed; m.Forget {
		delete(s.edgeCAs, string(m.CA.DER))
		return
	}
	s.edgeCAs[string(m.CA.DER)] = ca
}

func (s *Store) name(n registry.Naming) {
	for _, der := range n.Names {
		if s.namings[string(der)] == nil {
			s.namings[string(der)] = map[agent.ID]bool{}
		}
		s.namings[string(der)][n.Agent] = true
	}
	for _, der := range n.Drops {
		delete(s.namings[string(der)], n.Agent)
	}
}

func (s *Store) pointerVersion() int64 {
	if s.pointer == nil {
		return 0
	}
	return s.pointer.Version
}

func (s *Store) commit(c changeCopy) {
	s.commitRecords(c)
	for _, r := range c.rows {
		s.rows[r.subject] = append(s.rows[r.subject], r)
		s.move(r)
	}
	for _, a := range c.Aliases {
		s.aliases[a.Name] = a.Agent
	}
	for _, a := range c.Forget {
		delete(s.aliases, a.Name)
	}
	for _, ca := range c.EdgeCAs {
		s.edgeCAs[string(ca.DER)] = ca
	}
	if c.Naming != nil {
		s.name(*c.Naming)
	}
	if c.Mark != nil {
		s.mark(*c.Mark)
	}
	if c.Release != nil {
		s.free()
	}
	if c.Answer != nil {
		s.answers[c.Answer.Key] = *c.Answer
	}
}

func (s *Store) reissueVersion() int64 {
	if s.reissue == nil {
		return 0
	}
	return s.reissue.Version
}

// commitRecords writes the records that have versions, each with the next one.
func (s *Store) commitRecords(c changeCopy) {
	if c.Pointer != nil {
		p := clonePointer(*c.Pointer)
		p.Version++
		s.pointer = &p
	}
	for _, g := range c.Generations {
		g.Version++
		s.generations[g.Number] = g
	}
	s.commitNotes(c)
	if c.Agent != nil {
		a := *c.Agent
		a.Version++
		s.agents[a.ID] = a
	}
	if c.Deaths != nil {
		s.deaths[c.Deaths.Change] = *c.Deaths
	}
	if c.Keys != nil {
		k := *c.Keys
		k.Version++
		s.keys[k.Agent] = k
	}
	if c.Job != nil {
		j := *c.Job
		j.Version++
		s.jobs[j.ID] = j
	}
	if c.Head != nil {
		s.head = *c.Head
		s.head.Version++
	}
	if c.Checkpoint != nil {
		next := *c.Checkpoint
		next.Version++
		s.checkpoint = &next
	}
}

// commitNotes writes what stands next to the pointer, one record each.
func (s *Store) commitNotes(c changeCopy) {
	if c.Truststore != nil {
		s.truststore = *c.Truststore
		s.truststore.Version++
	}
	if c.Plan != nil {
		s.plan = *c.Plan
		s.plan.Version++
	}
	if c.Reissue != nil {
		r := cloneReissue(*c.Reissue)
		r.Version++
		s.reissue = &r
	}
}

func mustBeSound(c registry.Change) {
	if c.ID == "" || len(c.ID) > 36 {
		panic(fmt.Sprintf("memstore: change with the id %q", c.ID))
	}
	if n := writes(c); n == 0 || n > maxWrites {
		panic(fmt.Sprintf("memstore: change %s of %d items", c.ID, n))
	}
	if c.Answer != nil && len(c.Answer.Result) > registry.MaxAnswer {
		panic(fmt.Sprintf("memstore: change %s with an answer of %d octets", c.ID, len(c.Answer.Result)))
	}
	seen := map[string]bool{}
	once := func(key string) {
		if seen[key] {
			panic(fmt.Sprintf("memstore: change %s writes %s twice", c.ID, key))
		}
		seen[key] = true
	}
	for _, g := range c.Generations {
		once(fmt.Sprintf("generation %d", g.Number))
	}
	for _, a := range slices.Concat(c.Aliases, c.Forget) {
		once("alias " + a.Name)
	}
	for _, ca := range c.EdgeCAs {
		once("CA " + string(ca.DER))
	}
	if c.Naming != nil {
		for _, der := range slices.Concat(c.Naming.Names, c.Naming.Drops) {
			once("naming of " + string(der))
		}
	}
	if c.Mark != nil {
		once("CA " + string(c.Mark.CA.DER))
	}
	for _, r := range c.Rows {
		once(fmt.Sprintf("row %d of %s", r.Seq, r.Subject))
	}
}

func writes(c registry.Change) int {
	n := len(c.Generations) + len(c.Rows) + len(c.Aliases) + len(c.Forget) + len(c.EdgeCAs)
	if c.Pointer != nil {
		n += orgca.Copies
	}
	if c.Naming != nil {
		n += len(c.Naming.Names) + len(c.Naming.Drops)
	}
	if c.Mark != nil {
		n++
	}
	subjects := map[string]bool{}
	for _, r := range c.Rows {
		subjects[r.Subject] = true // of each chain that moves, an item is written
	}
	n += len(subjects)
	for _, present := range []bool{c.Truststore != nil, c.Plan != nil, c.Reissue != nil, c.Agent != nil, c.Keys != nil,
		c.Job != nil, c.Deaths != nil, c.Head != nil, c.Checkpoint != nil, c.Release != nil, c.Answer != nil} {
		if present {
			n++
		}
	}
	return n
}

// mustContinue panics if a chain would be broken by the change.
func (s *Store) mustContinue(c changeCopy) {
	ends := map[string]row{}
	for _, r := range c.rows {
		end, ok := ends[r.subject]
		if !ok {
			end = s.end(r.subject)
		}
		if r.seq != end.seq+1 || r.previous != end.hash {
			panic(fmt.Sprintf("memstore: change %s: row %d of %s does not continue from row %d", c.ID, r.seq, r.subject,
				end.seq))
		}
		ends[r.subject] = r
	}
	for subject, end := range ends {
		h, ok := claim(c, subject)
		if ok && (h.Seq != end.seq || h.Hash != end.hash) {
			panic(fmt.Sprintf("memstore: change %s: the head of %s is not its last row", c.ID, subject))
		}
	}
}

// mustHaveBeen holds a caller to what it says that it read: another store leaves out what would follow from a record
// that was changed since.
func (s *Store) mustHaveBeen(c changeCopy) {
	if c.Was != nil && (c.Agent == nil || !reflect.DeepEqual(s.agents[c.Agent.ID], *c.Was)) {
		panic(fmt.Sprintf("memstore: change %s: the agent was not %+v", c.ID, *c.Was))
	}
}

// claim is what a change says the end of a chain is.
func claim(c changeCopy, subject string) (h audit.Head, ok bool) {
	switch {
	case c.Agent != nil && string(c.Agent.ID) == subject:
		return c.Agent.Head, true
	case c.Head != nil:
		return *c.Head, true
	}
	return h, false
}

// end is the last row of a chain, or what stands for it before the first.
func (s *Store) end(subject string) row {
	chain := s.rows[subject]
	if len(chain) == 0 {
		return row{hash: audit.Genesis}
	}
	return chain[len(chain)-1]
}

// memory is how many changes the store recognises when they are applied again.
const memory = 10_000

// ring forgets the oldest change, as DynamoDB forgets those of ten minutes ago.
type ring struct {
	changes map[string]changeCopy
	order   []string
	next    int
}

func (r *ring) add(c changeCopy) {
	r.changes[c.ID] = c
	if len(r.order) < memory {
		r.order = append(r.order, c.ID)
		return
	}
	delete(r.changes, r.order[r.next])
	r.order[r.next] = c.ID
	r.next = (r.next + 1) % memory
}
