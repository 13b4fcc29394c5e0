// Package audittest makes audit histories: chains, checkpoints and bundles as the product makes them, signed with a
// test key.
package audittest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
)

// OrgID is the organisation of every history.
const OrgID = "orga"

// History grows by rows and checkpoints. It is not safe for concurrent use.
type History struct {
	Key    *ecdsa.PrivateKey
	Public audit.Key
	Now    time.Time
	Token  func(digest []byte) []byte // makes an RFC 3161 token; nil: none

	Parts []Part                 // what each checkpoint covers
	Tail  map[string][]audit.Row // what none covers yet

	heads map[string]audit.Head
	moved map[string]audit.Leaf
}

// Part is a checkpoint and the rows that it covers, in the order of its leaves.
type Part struct {
	bundle.FullCheckpoint
	Rows []audit.Row
}

// New returns an empty history under a new key.
func New() *History {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	public, err := audit.NewKey(&key.PublicKey)
	must(err)
	return &History{
		Key:    key,
		Public: public,
		Now:    time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC),
		Tail:   map[string][]audit.Row{},
		heads:  map[string]audit.Head{},
		moved:  map[string]audit.Leaf{},
	}
}

func must(err error) {
	if err != nil {
		panic(err) // everything in here is made of constants
	}
}

// Append adds a row to a chain, a second after the one before.
func (h *History) Append(subject string, event audit.Event, details map[string]any) audit.Row {
	h.Now = h.Now.Add(time.Second)
	row, head, err := h.heads[subject].Append(audit.Entry{
		Time:    h.Now,
		Event:   event,
		Actor:   "admin:test",
		Subject: subject,
		Details: details,
	})
	must(err)
	h.heads[subject], h.moved[subject] = head, h.moved[subject].Follow(row)
	h.Tail[subject] = append(h.Tail[subject], row)
	return row
}

// Rotate adds a row as a rotation of a certificate leaves it.
func (h *History) Rotate(subject string) audit.Row {
	sum := sha256.Sum256([]byte(fmt.Sprint(subject, h.heads[subject].Seq)))
	return h.Append(subject, audit.AgentCertRotated, map[string]any{
		"cert_thumbprint": hex.EncodeToString(sum[:]), "generation": int64(1), "grace_seconds": int64(0), "reason": "hygiene",
		"csr":        true,
		"request_id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "source_ip": "192.0.2.7",
	})
}

// Seal makes a checkpoint over everything that moved, and its row.
func (h *History) Seal() Part {
	var p Part
	tree := audit.NewTree()
	for _, subject := range slices.Sorted(maps.Keys(h.moved)) {
		must(tree.Add(h.moved[subject]))
		p.Leaves = append(p.Leaves, h.moved[subject])
		p.Rows = append(p.Rows, h.Tail[subject]...)
	}
	clear(h.moved)
	clear(h.Tail)
	var last audit.Checkpoint
	if n := len(h.Parts); n > 0 {
		last = h.Parts[n-1].FullCheckpoint.Checkpoint
	}
	next, err := last.Follow(OrgID, tree, h.Public.Fingerprint, h.Now)
	must(err)
	p.SignedCheckpoint, err = next.Seal(h.Key)
	must(err)
	hash, err := next.Hash()
	must(err)
	details := map[string]any{"number": next.Number, "hash": hash, "leaves": next.Leaves, "rows": next.Rows}
	if h.Token != nil {
		digest, err := hex.DecodeString(hash)
		must(err)
		token := h.Token(digest)
		sum := sha256.Sum256(token)
		p.Token, details["timestamp_token_sha256"] = base64.StdEncoding.EncodeToString(token), hex.EncodeToString(sum[:])
	}
	h.Parts = append(h.Parts, p)
	h.Append(OrgID, audit.CheckpointMade, details)
	return p
}

// Bundle packs the checkpoints from one to another, by their places in Parts; to the present if the last is among them.
func (h *History) Bundle(from, to int) []byte {
	var b bundle.Builder
	b.Keys(h.Public)
	for _, p := range h.Parts[from:to] {
		must(b.Seal(p.FullCheckpoint, p.Rows))
	}
	must(b.Rest(h.trail(to)))
	var out bytes.Buffer
	_, err := b.Write(&out, OrgID, h.Now, to == len(h.Parts))
	must(err)
	return out.Bytes()
}

// trail is every unsealed row or, where more checkpoints follow, the row that announces the last one packed.
func (h *History) trail(to int) (rows []audit.Row) {
	if to < len(h.Parts) {
		for _, r := range h.Parts[to].Rows {
			if r.Subject == OrgID {
				return []audit.Row{r}
			}
		}
		return nil
	}
	for _, subject := range slices.Sorted(maps.Keys(h.Tail)) {
		rows = append(rows, h.Tail[subject]...)
	}
	return rows
}
