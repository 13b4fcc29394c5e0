package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/audit"
)

// Bundle checks a bundle. Several in turn are the parts of one history: each begins where the one before ends. It
// returns a *Break at the first defect; the report of Finish has what was checked before it.
func (v *Verifier) Bundle(file string, r *Reader) error {
	v.file, v.line, v.row = file, 0, audit.Row{}
	// Rows after the last checkpoint of the part before are sealed in this part.
	v.report.Rows -= v.report.Unsealed
	v.report.Unsealed, v.unsealed = 0, 0
	keys := v.keys(r.Keys)
	if v.report.OrgID == "" {
		v.report.OrgID = r.Manifest.OrgID
	}
	if v.report.OrgID != r.Manifest.OrgID {
		return v.broken("the bundle is of %q, not of %q", r.Manifest.OrgID, v.report.OrgID)
	}
	before := v.report.Rows
	read := &side{Verifier: v, lines: r.Lines}
	for {
		s, err := r.Checkpoints.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = v.checkpoint(s, keys)
		}
		if err == nil {
			err = read.leaves(s.Checkpoint, r.Checkpoints)
		}
		if err != nil {
			return v.because(err)
		}
	}
	if err := read.trail(); err != nil {
		return v.because(err)
	}
	return v.manifest(r.Manifest, v.report.Rows-before)
}

// keys checks the keys that a bundle brings along against the one that the auditor knows.
func (v *Verifier) keys(list []audit.Key) map[string]audit.Key {
	keys := map[string]audit.Key{}
	for _, k := range list {
		keys[k.Fingerprint] = k
		v.report.key(k.Fingerprint, v.pins(k.Fingerprint))
	}
	return keys
}

// pins reports whether the auditor knows a key.
func (v *Verifier) pins(fingerprint string) bool {
	return slices.Contains(strings.Split(v.Key, ","), fingerprint)
}

// manifest proves nothing, but a bundle that contradicts its own manifest is broken.
func (v *Verifier) manifest(m Manifest, rows int64) error {
	v.line, v.row = 0, audit.Row{}
	if m.Rows != rows || m.Last != 0 && m.Last != v.last.Number {
		return v.broken("the manifest states %d rows up to checkpoint %d; there are %d up to checkpoint %d", m.Rows, m.Last,
			rows, v.last.Number)
	}
	v.report.Complete = m.Complete
	return nil
}

// checkpoint checks a checkpoint without its leaves.
func (v *Verifier) checkpoint(s audit.SignedCheckpoint, keys map[string]audit.Key) error {
	c := s.Checkpoint
	switch {
	case c.OrgID != v.report.OrgID:
		return v.broken("checkpoint %d is of %q", c.Number, c.OrgID)
	case v.first == 0:
		v.first, v.report.First = c.Number, c.Number
		if c.Number < 1 || (c.Number == 1) != (c.Previous == audit.Genesis) {
			return v.broken("checkpoint %d cannot be the first: it follows %s", c.Number, c.Previous)
		}
		if c.Number > 1 && !v.Partial {
			return v.broken("the history begins with checkpoint %d: give the parts before it as well, or ask for a check of "+
				"this part alone (--partial)", c.Number)
		}
		if c.Number > 1 {
			v.said[c.Number-1] = &rowClaim{hash: c.Previous, bare: true}
		}
	case c.Number != v.last.Number+1:
		return v.broken("checkpoint %d follows checkpoint %d: those between are missing", c.Number, v.last.Number)
	case c.Previous != v.digest:
		return v.broken("checkpoint %d follows another checkpoint %d than the one before it", c.Number, v.last.Number)
	}
	key, ok := keys[c.Key]
	switch {
	case v.Key != "" && !v.pins(c.Key):
		return v.broken("checkpoint %d was signed by the key %s, not by the pinned one", c.Number, c.Key)
	case !ok:
		return v.broken("checkpoint %d was signed by the key %s, which the bundle does not hold", c.Number, c.Key)
	}
	if err := s.Verify(key); err != nil {
		return v.because(err)
	}
	return v.follow(s)
}

// follow makes a checkpoint the last one.
func (v *Verifier) follow(s audit.SignedCheckpoint) error {
	hash, err := s.Checkpoint.Hash()
	if err != nil {
		return v.because(err)
	}
	said := &rowClaim{hash: hash}
	if s.Token == "" {
		v.report.Timestamps.Absent++
	} else if said.token, err = v.token(s, hash); err != nil {
		return err
	}
	v.last, v.digest, v.said[s.Checkpoint.Number] = s.Checkpoint, hash, said
	v.pinned = v.pinned || hash == v.Checkpoint
	v.report.Checkpoints++
	v.report.Last, v.report.LastHash, v.report.SealedAt = s.Checkpoint.Number, hash, s.Checkpoint.Timestamp
	return nil
}

// token checks a timestamp and returns its own hash.
func (v *Verifier) token(s audit.SignedCheckpoint, hash string) (string, error) {
	token, err := audit.Octets(s.Token)
	if err != nil {
		return "", v.broken("checkpoint %d: its timestamp is not base64", s.Checkpoint.Number)
	}
	sum := sha256.Sum256(token)
	if v.Timestamp == nil {
		v.report.Timestamps.Unchecked++
		return hex.EncodeToString(sum[:]), nil
	}
	digest, err := hex.DecodeString(hash)
	if err != nil {
		return "", v.because(err)
	}
	at, authority, err := v.Timestamp(token, digest)
	if err != nil {
		return "", v.broken("checkpoint %d: its timestamp does not hold: %v", s.Checkpoint.Number, err)
	}
	v.report.timestamp(at, authority)
	return hex.EncodeToString(sum[:]), nil
}
