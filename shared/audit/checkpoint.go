package audit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gowebpki/jcs"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrSignature reports a checkpoint that was not signed by the key it names.
var ErrSignature = problem.Internal("checkpoint's signature does not hold")

// Leaf is what a checkpoint states about one chain: since the checkpoint before, it went from one row to another.
type Leaf struct {
	FromHash string `json:"from_hash"` // Genesis with FromSeq 0
	FromSeq  int64  `json:"from_seq"`  // the last row that an earlier checkpoint covers
	Hash     string `json:"hash"`
	Seq      int64  `json:"seq"` // the last row that this one covers
	Subject  string `json:"subject"`
}

// Rows is how many rows the leaf covers.
func (l Leaf) Rows() int64 { return l.Seq - l.FromSeq }

// From is the end of the chain that the leaf begins after.
func (l Leaf) From() Head {
	if l.FromSeq == 0 {
		return Head{}
	}
	return Head{Seq: l.FromSeq, Hash: l.FromHash}
}

// Encode returns the RFC 8785 form, which is what the tree is made of.
func (l Leaf) Encode() ([]byte, error) { return canonical(l) }

// Follow returns the leaf of a chain that moved on by r, which is its next row. The zero Leaf begins where r begins.
func (l Leaf) Follow(r Row) Leaf {
	if l.Seq == 0 {
		l = Leaf{FromSeq: r.Seq - 1, FromHash: r.PrevHash}
	}
	l.Subject, l.Seq, l.Hash = r.Subject, r.Seq, r.Hash
	return l
}

// Tree is the Merkle tree (RFC 6962 section 2.1) over leaves in the order of their subjects. It keeps one hash a level.
type Tree struct {
	nodes *compact.Range
	last  string
	rows  int64
}

// NewTree returns the empty tree.
func NewTree() *Tree {
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	return &Tree{nodes: factory.NewEmptyRange(0)}
}

// Add appends a leaf. It returns ErrBroken for one that covers nothing, or does not come after those before it.
func (t *Tree) Add(l Leaf) error {
	switch {
	case l.Subject <= t.last:
		return fmt.Errorf("%w: the leaf of %q comes after that of %q", ErrBroken, l.Subject, t.last)
	case l.FromSeq < 0 || l.Seq <= l.FromSeq || (l.FromSeq == 0) != (l.FromHash == Genesis):
		return fmt.Errorf("%w: the leaf of %s goes from row %d to row %d", ErrBroken, l.Subject, l.FromSeq, l.Seq)
	}
	encoded, err := l.Encode()
	if err != nil {
		return err
	}
	if err := t.nodes.Append(rfc6962.DefaultHasher.HashLeaf(encoded), nil); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	t.last, t.rows = l.Subject, t.rows+l.Rows()
	return nil
}

// Size is how many leaves there are, and how many rows they cover.
func (t *Tree) Size() (leaves, rows int64) { return int64(t.nodes.End()), t.rows }

// Root is the tree's root hash in lower-case hex.
func (t *Tree) Root() (string, error) {
	if t.nodes.End() == 0 {
		return hex.EncodeToString(rfc6962.DefaultHasher.EmptyRoot()), nil
	}
	root, err := t.nodes.GetRootHash(nil)
	return hex.EncodeToString(root), err
}

// CheckpointType names the form of a checkpoint, so that its signature is never taken for one of something else.
const CheckpointType = "mastio-audit-checkpoint/v1"

// Checkpoint states where every chain that moved since the checkpoint before had got to.
type Checkpoint struct {
	Key       string `json:"key"`    // fingerprint of the key that signs it
	Leaves    int64  `json:"leaves"` // chains that moved
	Number    int64  `json:"number"` // from 1, without gaps
	OrgID     string `json:"org_id"`
	Previous  string `json:"previous"` // hash of the checkpoint before; Genesis for the first
	Root      string `json:"root"`     // of the tree over the leaves
	Rows      int64  `json:"rows"`     // that the leaves cover
	Timestamp string `json:"timestamp"`
	Type      string `json:"type"`
}

// Follow returns the checkpoint after c, over the leaves of t. The zero Checkpoint stands before the first.
func (c Checkpoint) Follow(orgID string, t *Tree, key string, now time.Time) (Checkpoint, error) {
	next := Checkpoint{
		Type:      CheckpointType,
		OrgID:     orgID,
		Number:    c.Number + 1,
		Previous:  Genesis,
		Key:       key,
		Timestamp: Stamp(now),
	}
	var err error
	if c.Number > 0 {
		if next.Previous, err = c.Hash(); err != nil {
			return Checkpoint{}, err
		}
	}
	next.Leaves, next.Rows = t.Size()
	next.Root, err = t.Root()
	return next, err
}

// Hash is the SHA-256 of the RFC 8785 form in lower-case hex. It is what is signed.
func (c Checkpoint) Hash() (string, error) {
	d, err := c.digest()
	return hex.EncodeToString(d[:]), err
}

func (c Checkpoint) digest() ([sha256.Size]byte, error) {
	encoded, err := canonical(c)
	return sha256.Sum256(encoded), err
}

// SignedCheckpoint is a checkpoint as it is stored and published.
type SignedCheckpoint struct {
	Checkpoint Checkpoint `json:"checkpoint"`
	Signature  string     `json:"signature"`                 // ECDSA over SHA-256, ASN.1, in base64
	Token      string     `json:"timestamp_token,omitempty"` // RFC 3161, over the checkpoint's hash, in base64
}

// Seal signs the checkpoint.
func (c Checkpoint) Seal(key crypto.Signer) (SignedCheckpoint, error) {
	digest, err := c.digest()
	if err != nil {
		return SignedCheckpoint{}, err
	}
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return SignedCheckpoint{}, fmt.Errorf("sign checkpoint %d: %w", c.Number, err)
	}
	return SignedCheckpoint{Checkpoint: c, Signature: base64.StdEncoding.EncodeToString(signature)}, nil
}

// Verify checks the signature. It returns ErrSignature.
func (s SignedCheckpoint) Verify(key Key) error {
	c := s.Checkpoint
	if c.Type != CheckpointType || c.Key != key.Fingerprint {
		return fmt.Errorf("%w: checkpoint %d: type %q, key %s", ErrSignature, c.Number, c.Type, c.Key)
	}
	signature, err := Octets(s.Signature)
	if err != nil {
		return fmt.Errorf("%w: checkpoint %d: %w", ErrSignature, c.Number, err)
	}
	digest, err := c.digest()
	if err != nil || !ecdsa.VerifyASN1(key.Public, digest[:], signature) {
		return fmt.Errorf("%w: checkpoint %d was not signed by key %s", ErrSignature, c.Number, c.Key)
	}
	return nil
}

// Octets reads base64 from the one spelling that writing it makes; Go's decoder skips ends of lines.
func Octets(text string) ([]byte, error) {
	octets, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	if base64.StdEncoding.EncodeToString(octets) != text {
		return nil, base64.CorruptInputError(0)
	}
	return octets, nil
}

// Stamp writes a time as rows and checkpoints hold it.
func Stamp(t time.Time) string { return t.UTC().Format(timestampFormat) }

// canonical is the RFC 8785 form of a value.
func canonical(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	encoded, err := jcs.Transform(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	return encoded, nil
}
