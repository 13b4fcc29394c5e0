package auditlog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/mastio-aws/mastio/shared/audit"
)

// Names in the archive. Leaves are in the archive before their checkpoint is signed, under a name that no other run
// takes. The checkpoint itself is in the archive only after its commit, so a store that knows less than the archive
// has lost rows.
const (
	sealedPrefix = "checkpoints/"
	leavesPrefix = "leaves/"
	keyPrefix    = "keys/"
)

// SealedName is the name of a checkpoint.
func SealedName(number int64) string { return fmt.Sprintf(sealedPrefix+"%012d.json", number) }

// LeavesName is the name of a checkpoint's leaves.
func LeavesName(c audit.Checkpoint) string {
	return fmt.Sprintf(leavesPrefix+"%012d-%s.ndjson", c.Number, c.Root)
}

// KeyName is the name of the public half of a signing key.
func KeyName(fingerprint string) string { return keyPrefix + fingerprint + ".pem" }

// numberOf is the number in a checkpoint's name; zero if it is none.
func numberOf(name string) int64 {
	digits := strings.TrimSuffix(strings.TrimPrefix(name, sealedPrefix), ".json")
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0
	}
	return number
}

func putSealed(ctx context.Context, a Archive, s audit.SignedCheckpoint) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return a.Put(ctx, SealedName(s.Checkpoint.Number), append(data, '\n'))
}

// ReadSealed reads a checkpoint that must be there. Errors: ErrArchive.
func ReadSealed(ctx context.Context, a Archive, number int64) (audit.SignedCheckpoint, error) {
	var s audit.SignedCheckpoint
	data, err := must(ctx, a, SealedName(number))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil || s.Checkpoint.Number != number {
		return s, fmt.Errorf("%w: %s is not checkpoint %d", ErrArchive, SealedName(number), number)
	}
	return s, nil
}

// LastSealed is the number of the last checkpoint in the archive after another; the other's if there is no later one.
func LastSealed(ctx context.Context, a Archive, number int64) (int64, error) {
	name, err := a.Last(ctx, sealedPrefix, SealedName(number))
	if err != nil {
		return 0, err
	}
	return max(number, numberOf(name)), nil
}

func putLeaves(ctx context.Context, a Archive, c audit.Checkpoint, leaves []audit.Leaf) error {
	var lines bytes.Buffer
	for _, l := range leaves {
		encoded, err := l.Encode()
		if err != nil {
			return err
		}
		lines.Write(encoded)
		lines.WriteByte('\n')
	}
	return a.Put(ctx, LeavesName(c), lines.Bytes())
}

// ReadLeaves reads the leaves of a checkpoint, which must be there. Errors: ErrArchive.
func ReadLeaves(ctx context.Context, a Archive, c audit.Checkpoint) ([]audit.Leaf, error) {
	data, err := must(ctx, a, LeavesName(c))
	if err != nil {
		return nil, err
	}
	var leaves []audit.Leaf
	for line := range bytes.Lines(data) {
		var l audit.Leaf
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrArchive, LeavesName(c), err)
		}
		leaves = append(leaves, l)
	}
	return leaves, nil
}

func putKey(ctx context.Context, a Archive, k audit.Key) error {
	data, err := k.EncodePEM()
	if err != nil {
		return err
	}
	return a.Put(ctx, KeyName(k.Fingerprint), data)
}

// ReadKey reads the public half of a key that signed checkpoints. Errors: ErrArchive.
func ReadKey(ctx context.Context, a Archive, fingerprint string) (audit.Key, error) {
	data, err := must(ctx, a, KeyName(fingerprint))
	if err != nil {
		return audit.Key{}, err
	}
	keys, err := audit.ParseKeys(data)
	if err != nil || len(keys) != 1 || keys[0].Fingerprint != fingerprint {
		return audit.Key{}, fmt.Errorf("%w: %s is not that key", ErrArchive, KeyName(fingerprint))
	}
	return keys[0], nil
}

func must(ctx context.Context, a Archive, name string) ([]byte, error) {
	data, err := a.Get(ctx, name)
	if err == nil && data == nil {
		err = fmt.Errorf("%w: %s is missing", ErrArchive, name)
	}
	return data, err
}
