package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// move notes how far a row moves its chain.
func (s *Store) move(r row) {
	s.moved[r.subject] = s.moved[r.subject].Follow(audit.Row{
		Subject:  r.subject,
		Seq:      r.seq,
		PrevHash: r.previous,
		Hash:     r.hash,
	})
}

// Moved reads which chains moved.
func (s *Store) Moved(ctx context.Context, limit int) (leaves []audit.Leaf, err error) {
	err = s.read(ctx, "Moved", "read which chains moved", func() {
		for _, l := range s.moved {
			leaves = append(leaves, l)
		}
	})
	slices.SortFunc(leaves, func(a, b audit.Leaf) int { return strings.Compare(a.Subject, b.Subject) })
	return leaves[:min(max(limit, 0), len(leaves))], err
}

// Cover ends the tale of a chain's move as far as l goes.
func (s *Store) Cover(ctx context.Context, l audit.Leaf) error {
	return s.write(ctx, "Cover", "cover the chain of "+l.Subject, func() error {
		present, ok := s.moved[l.Subject]
		switch {
		case ok && present.Seq == l.Seq && present.Hash == l.Hash:
			delete(s.moved, l.Subject)
		case ok && present.FromSeq < l.Seq && present.Seq > l.Seq:
			present.FromSeq, present.FromHash = l.Seq, l.Hash
			s.moved[l.Subject] = present
		}
		return nil
	})
}

// Checkpoint reads the last checkpoint.
func (s *Store) Checkpoint(ctx context.Context) (c *registry.LastCheckpoint, err error) {
	err = s.read(ctx, "Checkpoint", "read the last checkpoint", func() {
		c = pointer(s.checkpoint, func(c registry.LastCheckpoint) registry.LastCheckpoint { return c })
	})
	return c, err
}

func (s *Store) checkpointVersion() int64 {
	if s.checkpoint == nil {
		return 0
	}
	return s.checkpoint.Version
}

// Covered reads the rows that leaves cover.
func (s *Store) Covered(ctx context.Context, leaves ...audit.Leaf) ([]audit.Row, error) {
	return s.decoded(ctx, "Covered", "read the rows of chains", func() (found []row) {
		for _, l := range leaves {
			chain := s.rows[l.Subject]
			from, to := min(max(l.FromSeq, 0), int64(len(chain))), min(l.Seq, int64(len(chain)))
			if from < to {
				found = append(found, chain[from:to]...)
			}
		}
		return found
	})
}

// LastRow reads the end of a chain.
func (s *Store) LastRow(ctx context.Context, subject string) (*audit.Row, error) {
	rows, err := s.decoded(ctx, "LastRow", "read the end of the chain of "+subject, func() []row {
		chain := s.rows[subject]
		return slices.Clone(chain[max(0, len(chain)-1):])
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// RowsOfDay reads rows of one day, whatever their chains.
func (s *Store) RowsOfDay(ctx context.Context, day, after, before string, limit int) ([]audit.Row, error) {
	rows, err := s.rowsOf(ctx, "RowsOfDay", day, after, before)
	if len(rows) == 0 || limit < 1 {
		return nil, err
	}
	return rows[:min(limit, len(rows))], err
}

// LatestRows reads the last rows of one day, newest first.
func (s *Store) LatestRows(ctx context.Context, day, after, before string, limit int) ([]audit.Row, error) {
	rows, err := s.rowsOf(ctx, "LatestRows", day, after, before)
	if len(rows) == 0 || limit < 1 {
		return nil, err
	}
	slices.Reverse(rows)
	return rows[:min(limit, len(rows))], err
}

// rowsOf are the rows of one day between two ids, in the order of their ids.
func (s *Store) rowsOf(ctx context.Context, op, day, after, before string) ([]audit.Row, error) {
	rows, err := s.decoded(ctx, op, "read the rows of "+day, func() (found []row) {
		for _, chain := range s.rows {
			found = append(found, chain...)
		}
		return found
	})
	rows = slices.DeleteFunc(rows, func(r audit.Row) bool {
		return !strings.HasPrefix(r.Timestamp, day+"T") || r.ID <= after || r.ID >= before
	})
	slices.SortFunc(rows, func(a, b audit.Row) int { return cmp.Compare(a.ID, b.ID) })
	return rows, err
}

// decoded reads the rows that find picks under the lock.
func (s *Store) decoded(ctx context.Context, op, doing string, find func() []row) (rows []audit.Row, err error) {
	var found []row
	if err := s.read(ctx, op, doing, func() { found = find() }); err != nil {
		return nil, err
	}
	for _, stored := range found {
		r, err := audit.Decode(stored.encoded)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", doing, registry.ErrUnavailable, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}
