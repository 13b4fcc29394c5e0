package bundle

import (
	"cmp"
	"errors"
	"io"

	"github.com/mastio-aws/mastio/shared/audit"
)

// side reads rows in parallel with the leaves that cover them.
type side struct {
	*Verifier
	lines *Lines
	ahead *audit.Row // read, not yet used
	over  bool
}

// peek returns the next row without using it up; nil at the end.
func (s *side) peek() (*audit.Row, error) {
	if s.ahead != nil || s.over {
		return s.ahead, nil
	}
	line, err := s.lines.Next()
	if errors.Is(err, io.EOF) {
		s.over = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := s.parse(line, s.lines.Number())
	if err != nil {
		return nil, err
	}
	s.ahead = &r
	return s.ahead, nil
}

// leaves checks a checkpoint's tree, and the rows that each of its leaves covers.
func (s *side) leaves(c audit.Checkpoint, from *Checkpoints) error {
	tree := audit.NewTree()
	for {
		leaf, err := from.Leaf()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := tree.Add(leaf); err != nil {
			return s.missing(leaf.Subject, leaf.Seq, "checkpoint %d: %v", c.Number, err)
		}
		if err := s.leaf(c, leaf); err != nil {
			return err
		}
	}
	leaves, rows := tree.Size()
	root, err := tree.Root()
	if err != nil || root != c.Root || leaves != c.Leaves || rows != c.Rows {
		return s.missing("", 0, "checkpoint %d states %d rows of %d chains under the root %s; its leaves make %d of "+
			"%d under %s",
			c.Number, c.Rows, c.Leaves, c.Root, rows, leaves, root)
	}
	return nil
}

// leaf checks that a chain goes, row by row, from where it was known to end to where the checkpoint says.
func (s *side) leaf(c audit.Checkpoint, l audit.Leaf) error {
	known, met := s.sealed[l.Subject]
	if (met || s.first == 1) && known.of() != l.From() {
		return s.missing(l.Subject, l.FromSeq, "checkpoint %d continues the chain after row %d; the checkpoints before it "+
			"end at row %d, or at another row of that number",
			c.Number, l.FromSeq, known.seq)
	}
	h := l.From()
	for h.Seq < l.Seq {
		r, err := s.peek()
		if err != nil {
			return err
		}
		if r == nil || r.Subject != l.Subject || r.Seq > h.Seq+1 {
			return s.missing(l.Subject, h.Seq+1, "the row is missing: checkpoint %d states that the chain had got to row %d",
				c.Number, l.Seq)
		}
		if h, err = s.use(h); err != nil {
			return err
		}
		s.holds(*r, c.Number)
	}
	if h.Hash != l.Hash {
		return s.broken("checkpoint %d states another row here: its hash was %s", c.Number, l.Hash)
	}
	end, err := headOf(h)
	s.sealed[l.Subject] = end
	s.report.Sealed += l.Rows()
	return err
}

// use takes the row that was peeked at as the next one of its chain.
func (s *side) use(h audit.Head) (audit.Head, error) {
	r := *s.ahead
	s.ahead = nil
	next, err := h.Follow(r)
	if err != nil {
		return h, s.because(err)
	}
	return next, s.announcement(r)
}

// trail checks the rows after the last checkpoint: by subject, then by number.
func (s *side) trail() error {
	var subject string
	var h audit.Head
	for {
		r, err := s.peek()
		if err != nil || r == nil {
			return err
		}
		if order := cmp.Compare(r.Subject, subject); order < 0 {
			return s.broken("the row stands in the wrong place: it comes after those of %s", subject)
		} else if order > 0 {
			known, met := s.sealed[r.Subject]
			if subject, h = r.Subject, known.of(); !met {
				s.unsealed++
			}
			if !met && s.first > 1 { // the chain may have begun before the first checkpoint that is in here
				h = audit.Head{Seq: r.Seq - 1, Hash: r.PrevHash}
			}
		}
		if h, err = s.use(h); err != nil {
			return err
		}
		s.holds(*r, 0)
		s.report.Unsealed++
	}
}

// announcement checks a row that says that a checkpoint was made against the checkpoint itself.
func (v *Verifier) announcement(r audit.Row) error {
	if r.EventType != audit.CheckpointMade {
		return nil
	}
	given, _ := r.Details["number"].(float64)
	hash, _ := r.Details["hash"].(string)
	token, _ := r.Details["timestamp_token_sha256"].(string)
	number := int64(given)
	said, known := v.said[number]
	switch {
	case r.Subject != v.report.OrgID:
		return v.broken("a checkpoint is announced in a chain that is not the organisation's")
	case float64(number) != given || number < 1:
		return v.broken("the row announces a checkpoint that has no number")
	case !known && number < v.first: // of the parts before this one
		return nil
	case !known:
		return v.broken("the row announces checkpoint %d, which is missing", number)
	case said.hash != hash:
		return v.broken("the row announces checkpoint %d with the hash %q; it has %s", number, hash, said.hash)
	case !said.bare && said.token != token:
		return v.broken("the timestamp of checkpoint %d is not the one that was made: SHA-256 %q, not %q", number, said.token,
			token)
	}
	said.met = true
	return nil
}
