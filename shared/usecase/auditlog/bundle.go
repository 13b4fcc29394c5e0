package auditlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Parts asks for a part of the history: from one checkpoint to another. Zeros ask for all of it, or ErrTooLarge.
type Parts struct {
	From, To int64 // To zero: as far as fits
}

// BundlePart is a bundle.
type BundlePart struct {
	TarGz    []byte
	Manifest bundle.Manifest
	Next     int64 // checkpoint with which the next part begins; zero: this was the last
}

// Bundle packs checkpoints with the rows that they cover. The last part also holds the rows that none covers yet, every
// part the row that announces its last checkpoint. Rows are read by their own keys, never from an index; a missing
// row is left out, and a verifier of the bundle finds the gap.
//
// Errors: ErrParts, ErrTooLarge, ErrTail, ErrArchive, registry.ErrConflict if checkpoints kept being made.
func (t *Trail) Bundle(ctx context.Context, p Parts) (BundlePart, error) {
	now, err := t.present(ctx)
	if err != nil {
		return BundlePart{}, err
	}
	from, to := max(p.From, 1), p.To
	if to == 0 {
		to = now.last
	}
	// After the last checkpoint begins the part of what none covers.
	if p.From < 0 || p.To < 0 || to > now.last || from > to+1 || from > to && p.To != 0 {
		return BundlePart{}, ErrParts
	}
	b := &builder{Trail: t, now: now}
	next, err := b.seal(ctx, from, to)
	if err != nil {
		return BundlePart{}, err
	}
	complete := next == 0 && to == now.last
	if complete {
		if complete, err = b.rest(ctx); err != nil {
			return BundlePart{}, err
		}
		if !complete {
			next = now.last + 1
		}
	}
	if next != 0 && p.From == 0 {
		return BundlePart{}, ErrTooLarge
	}
	if !complete {
		if err := b.announcement(ctx); err != nil {
			return BundlePart{}, err
		}
	}
	out, err := b.write(ctx, complete)
	out.Next = next
	return out, err
}

// present is the state that a bundle is made of.
type snapshot struct {
	last   int64                   // number of the last checkpoint
	stored *audit.SignedCheckpoint // it, if it may not be in the archive yet
	moved  []audit.Leaf            // what none covers
}

const (
	readTries = 5      // of the last checkpoint and what follows from it, while others make checkpoints
	mostTail  = 20_000 // chains and rows that no checkpoint covers
)

// present reads checkpoint and moved chains as of one moment: no checkpoint was made in between.
func (t *Trail) present(ctx context.Context) (snapshot, error) {
	for range readTries {
		before, err := t.Store.Checkpoint(ctx)
		if err != nil {
			return snapshot{}, err
		}
		moved, err := t.Store.Moved(ctx, mostTail)
		if err != nil {
			return snapshot{}, err
		}
		after, err := t.Store.Checkpoint(ctx)
		if err != nil {
			return snapshot{}, err
		}
		if number(before) == number(after) {
			return t.settled(ctx, before, moved)
		}
	}
	return snapshot{}, fmt.Errorf("read the last checkpoint: %w", registry.ErrConflict)
}

// number is the number of a stored checkpoint; zero: there is none.
func number(c *registry.LastCheckpoint) int64 {
	if c == nil {
		return 0
	}
	return c.Sealed.Checkpoint.Number
}

// settled removes chains that the last checkpoint covers and that are still listed as moved. It also checks whether
// the archive has later checkpoints than the store. If so, the store was set back, and a bundle must show that.
func (t *Trail) settled(ctx context.Context, last *registry.LastCheckpoint, moved []audit.Leaf) (snapshot, error) {
	p := snapshot{last: number(last), moved: moved}
	if last != nil && !last.Done {
		p.stored = &last.Sealed
		leaves, err := ReadLeaves(ctx, t.Archive, last.Sealed.Checkpoint)
		if err != nil {
			return p, err
		}
		p.moved = beyond(moved, leaves)
	}
	var err error
	p.last, err = LastSealed(ctx, t.Archive, p.last)
	return p, err
}

// beyond is what moved after the leaves.
func beyond(moved, leaves []audit.Leaf) []audit.Leaf {
	covered := map[string]audit.Leaf{}
	for _, l := range leaves {
		covered[l.Subject] = l
	}
	var rest []audit.Leaf
	for _, m := range moved {
		if l, ok := covered[m.Subject]; ok && l.Seq > m.FromSeq {
			m.FromSeq, m.FromHash = l.Seq, l.Hash
		}
		if m.Rows() > 0 {
			rest = append(rest, m)
		}
	}
	return rest
}

// builder fills one bundle.
type builder struct {
	*Trail
	bundle.Builder
	now  snapshot
	last int64      // number of the last checkpoint that is in
	org  audit.Leaf // of the organisation's chain: the last one that is in
	keys []string
}

// ahead is how many checkpoints are read at once.
const ahead = 8

// seal packs checkpoints until they are all in or the bundle is full; then it returns the one to go on with.
func (b *builder) seal(ctx context.Context, from, to int64) (next int64, err error) {
	for begin := from; begin <= to; begin += ahead {
		parts, err := b.read(ctx, begin, min(begin+ahead-1, to))
		if err != nil {
			return 0, err
		}
		for _, p := range parts {
			fits, err := b.fits(p)
			if err != nil {
				return 0, err
			}
			if !fits || b.last != 0 && b.late(ctx) {
				return p.FullCheckpoint.Checkpoint.Number, b.overfull()
			}
			b.add(p)
		}
	}
	return 0, nil
}

// overfull is an error where not even one checkpoint fits: none is that large, see MostRows.
func (b *builder) overfull() error {
	if b.last == 0 {
		return ErrTooLarge
	}
	return nil
}

// reserve is the time in which a bundle that is full enough can still be packed and sent.
const packReserve = 8 * time.Second

func (b *builder) late(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && end.Sub(b.Now()) < packReserve
}

// part is a checkpoint with its rows.
type part struct {
	bundle.FullCheckpoint
	rows []audit.Row
}

func (b *builder) read(ctx context.Context, from, to int64) ([]part, error) {
	parts, errs := make([]part, to-from+1), make([]error, to-from+1)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { parts[i], errs[i] = b.part(ctx, from+int64(i)) })
	}
	wg.Wait()
	return parts, errors.Join(errs...)
}

func (b *builder) part(ctx context.Context, number int64) (p part, err error) {
	if b.now.stored != nil && b.now.stored.Checkpoint.Number == number {
		p.SignedCheckpoint = *b.now.stored
	} else if p.SignedCheckpoint, err = ReadSealed(ctx, b.Archive, number); err != nil {
		return p, err
	}
	if p.Leaves, err = ReadLeaves(ctx, b.Archive, p.SignedCheckpoint.Checkpoint); err != nil {
		return p, err
	}
	p.rows, err = b.Store.Covered(ctx, p.Leaves...)
	return p, err
}

// fits measures a bundle of what is in and one part more, by packing the part. The bundle would be no larger than both.
func (b *builder) fits(p part) (bool, error) {
	have, err := b.Size()
	if err != nil {
		return false, err
	}
	var alone bundle.Builder
	if err := alone.Seal(p.FullCheckpoint, p.rows); err != nil {
		return false, err
	}
	more, err := alone.Size()
	return have+more <= b.MaxBundle, err
}

func (b *builder) add(p part) {
	if err := b.Seal(p.FullCheckpoint, p.rows); err != nil {
		panic(err) // fits has done the same
	}
	c := p.SignedCheckpoint.Checkpoint
	b.last = c.Number
	if !slices.Contains(b.keys, c.Key) {
		b.keys = append(b.keys, c.Key)
	}
	if i := slices.IndexFunc(p.Leaves, func(l audit.Leaf) bool { return l.Subject == b.OrgID }); i >= 0 {
		b.org = p.Leaves[i]
	}
}

// rest adds what no checkpoint covers. It reports false if that does not fit into this part, but would fit into a
// part of its own.
func (b *builder) rest(ctx context.Context) (bool, error) {
	var count int64
	for _, l := range b.now.moved {
		count += l.Rows()
	}
	if count > mostTail || len(b.now.moved) == mostTail {
		return false, ErrTail
	}
	rows, err := b.Store.Covered(ctx, b.now.moved...)
	if err != nil {
		return false, err
	}
	var alone bundle.Builder
	if err := alone.Rest(rows); err != nil {
		return false, err
	}
	have, err := b.Size()
	if err != nil {
		return false, err
	}
	more, err := alone.Size()
	switch {
	case err != nil:
		return false, err
	case more > b.MaxBundle || have+more > b.MaxBundle && b.last == 0:
		return false, ErrTail
	case have+more > b.MaxBundle:
		return false, nil
	}
	return true, b.Rest(rows)
}

// announcement adds the organisation's chain from where the checkpoints leave it up to the row of the last of them.
func (b *builder) announcement(ctx context.Context) error {
	after := b.org.Seq
	var rows []audit.Row
	for {
		found, err := b.Store.Rows(ctx, b.OrgID, after, chunk)
		if err != nil {
			return err
		}
		for _, r := range found {
			rows = append(rows, r)
			if n, ok := r.Details["number"].(float64); ok && r.EventType == audit.CheckpointMade && int64(n) == b.last {
				return b.Rest(rows)
			}
			after = r.Seq
		}
		if len(found) < chunk {
			return nil // it is gone, which verifying will show
		}
	}
}

// write packs the archive.
func (b *builder) write(ctx context.Context, complete bool) (BundlePart, error) {
	for _, fingerprint := range b.keys {
		key, err := ReadKey(ctx, b.Archive, fingerprint)
		if err != nil {
			return BundlePart{}, err
		}
		b.Keys(key)
	}
	var out bytes.Buffer
	manifest, err := b.Write(&out, b.OrgID, b.Now(), complete)
	return BundlePart{TarGz: out.Bytes(), Manifest: manifest}, err
}
