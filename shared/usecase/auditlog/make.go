package auditlog

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// pick chooses what the next checkpoint covers; nothing if only the last checkpoint's own row is uncovered. If the
// row of an earlier checkpoint is uncovered too, as after several full ones, there is one more checkpoint: a run
// leaves one uncovered row.
func (j *Sealer) pick(ctx context.Context) ([]audit.Leaf, error) {
	moved, err := j.Store.Moved(ctx, int(j.Most))
	if err != nil || len(moved) == 0 {
		return nil, err
	}
	if len(moved) == 1 && moved[0].Subject == j.OrgID && moved[0].Rows() == 1 {
		rows, err := j.Store.Covered(ctx, moved[0])
		if err != nil || !slices.ContainsFunc(rows, func(r audit.Row) bool { return r.EventType != audit.CheckpointMade }) {
			return nil, err
		}
	}
	var picked []audit.Leaf
	room := j.Most
	for _, l := range moved {
		if room == 0 {
			break
		}
		if l.Rows() > room {
			if l, err = j.cut(ctx, l, room); err != nil {
				return nil, err
			}
		}
		picked, room = append(picked, l), room-l.Rows()
	}
	return picked, nil
}

// cut ends a leaf earlier.
func (j *Sealer) cut(ctx context.Context, l audit.Leaf, rows int64) (audit.Leaf, error) {
	end := audit.Leaf{Subject: l.Subject, FromSeq: l.FromSeq + rows - 1, Seq: l.FromSeq + rows}
	found, err := j.Store.Covered(ctx, end)
	if err != nil {
		return l, err
	}
	if len(found) == 0 {
		return l, fmt.Errorf("%w: %s: row %d is missing", audit.ErrBroken, l.Subject, end.Seq)
	}
	l.Seq, l.Hash = found[0].Seq, found[0].Hash
	return l, nil
}

// make makes the checkpoint after last, and keeps what keep makes of it in its commit. It reports false if another run
// was first.
func (j *Sealer) make(
	ctx context.Context, by audit.By, last registry.LastCheckpoint, leaves []audit.Leaf, keep keeper,
) (bool, error) {
	sealed, stamped, err := j.seal(ctx, last.Sealed.Checkpoint, leaves)
	if err != nil {
		return false, err
	}
	next := registry.LastCheckpoint{Sealed: sealed, SetBack: last.SetBack, Version: last.Version}
	answer, err := keep(next)
	if err != nil {
		return false, err
	}
	if won, err := j.commit(ctx, by, next, stamped, answer); err != nil || !won {
		return false, err
	}
	next.Version++
	c := sealed.Checkpoint
	j.Log.InfoContext(ctx, "audit.checkpoint", "number", c.Number, "chains", c.Leaves, "rows", c.Rows, "root", c.Root,
		"request_id", by.RequestID)
	if err := j.finish(ctx, &next, leaves); err != nil && !errors.Is(err, errOvertaken) {
		return true, err
	}
	return true, nil
}

// stamp is the outcome of a time stamp, as the row of the checkpoint records it.
type stamp struct {
	status string // "granted", "failed" or "off"
	sha256 string
}

// seal signs a checkpoint over leaves that are in the archive by then.
func (j *Sealer) seal(
	ctx context.Context, last audit.Checkpoint, leaves []audit.Leaf,
) (audit.SignedCheckpoint, stamp, error) {
	tree := audit.NewTree()
	for _, l := range leaves {
		if err := tree.Add(l); err != nil {
			return audit.SignedCheckpoint{}, stamp{}, err
		}
	}
	key, err := j.Key(ctx)
	if err != nil {
		return audit.SignedCheckpoint{}, stamp{}, err
	}
	c, err := last.Follow(j.OrgID, tree, key.Fingerprint, j.Now())
	if err != nil {
		return audit.SignedCheckpoint{}, stamp{}, err
	}
	if err := putLeaves(ctx, j.Archive, c, leaves); err != nil {
		return audit.SignedCheckpoint{}, stamp{}, err
	}
	if err := putKey(ctx, j.Archive, key.Key); err != nil {
		return audit.SignedCheckpoint{}, stamp{}, err
	}
	sealed, err := c.Seal(key.Signer)
	if err != nil {
		return audit.SignedCheckpoint{}, stamp{}, err
	}
	if err := sealed.Verify(key.Key); err != nil { // an unverifiable checkpoint must not get into the chain
		return audit.SignedCheckpoint{}, stamp{}, err
	}
	s, err := j.stamp(ctx, &sealed)
	return sealed, s, err
}

// stamp adds a time stamp, if there is an authority and it grants one.
func (j *Sealer) stamp(ctx context.Context, s *audit.SignedCheckpoint) (stamp, error) {
	if j.Stamp == nil {
		return stamp{status: "off"}, nil
	}
	hash, err := s.Checkpoint.Hash()
	if err != nil {
		return stamp{}, err
	}
	digest, err := hex.DecodeString(hash)
	if err != nil {
		return stamp{}, err
	}
	token, err := j.Stamp(ctx, digest)
	if err != nil {
		j.Log.WarnContext(ctx, "audit.checkpoint: no time stamp", "number", s.Checkpoint.Number, "cause", err.Error())
		return stamp{status: "failed"}, nil
	}
	sum := sha256.Sum256(token)
	s.Token = base64.StdEncoding.EncodeToString(token)
	return stamp{"granted", hex.EncodeToString(sum[:])}, nil
}

const commitTries = 5

// commit makes a checkpoint count, together with the row that announces it. It reports false if another run was first.
func (j *Sealer) commit(
	ctx context.Context, by audit.By, next registry.LastCheckpoint, stamped stamp, answer *registry.Answer,
) (bool, error) {
	var err error
	for range commitTries {
		org, readErr := j.Store.Org(ctx)
		if readErr != nil {
			return false, readErr
		}
		row, head, appendErr := org.Head.Append(j.entry(by, next, stamped))
		if appendErr != nil {
			return false, appendErr
		}
		err = registry.Settle(ctx, j.Store.Apply, registry.Change{
			ID:         j.NewID(),
			Head:       &head,
			Rows:       []audit.Row{row},
			Checkpoint: &next,
			Answer:     answer,
		})
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, registry.ErrConflict) && !errors.Is(err, registry.ErrUnknown) {
			return false, err
		}
		present, readErr := j.Store.Checkpoint(ctx)
		switch {
		case readErr != nil:
			return false, errors.Join(err, readErr)
		case present != nil && present.Sealed == next.Sealed:
			return true, nil
		case present != nil && present.Version != next.Version:
			return false, nil
		}
		// The organisation's chain moved on: announce the same checkpoint after its new end.
	}
	return false, err
}

func (j *Sealer) entry(by audit.By, next registry.LastCheckpoint, stamped stamp) audit.Entry {
	c := next.Sealed.Checkpoint
	details := by.Note(map[string]any{
		"number": c.Number, "previous": c.Previous, "root": c.Root, "leaves": c.Leaves, "rows": c.Rows, "key": c.Key,
		"timestamp": stamped.status,
	})
	if hash, err := c.Hash(); err == nil { // it had one when it was signed
		details["hash"] = hash
	}
	if stamped.sha256 != "" {
		details["timestamp_token_sha256"] = stamped.sha256
	}
	if next.SetBack > 0 {
		details["set_back"] = next.SetBack
	}
	return audit.Entry{Time: j.Now(), Event: audit.CheckpointMade, Actor: by.Actor, Subject: j.OrgID, Details: details}
}
