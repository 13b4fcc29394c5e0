package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/test/audittest"
)

// check verifies bundles in turn.
func check(cfg bundle.VerifierConfig, files ...[]byte) bundle.Report {
	v := bundle.NewVerifier(cfg)
	for i, data := range files {
		if b := checkOne(v, fmt.Sprintf("part %d", i+1), data); b != nil {
			return v.Finish(b)
		}
	}
	return v.Finish(nil)
}

func checkOne(v *bundle.Verifier, name string, data []byte) *bundle.Break {
	r, err := bundle.Open(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		return &bundle.Break{File: name, Reason: err.Error()}
	}
	defer r.Close()
	var b *bundle.Break
	if err := v.Bundle(name, r); err != nil && !errors.As(err, &b) {
		panic(err) // every error is a Break
	}
	return b
}

var chains = []string{"orga", "orga::a", "orga::b", "orga::c", "orga/admin.login_refused"}

// grow draws a history: rows of several chains, with checkpoints between them.
func grow(t *rapid.T) *audittest.History {
	h := audittest.New()
	for range rapid.IntRange(1, 4).Draw(t, "checkpoints") {
		for _, subject := range rapid.SliceOfN(rapid.SampledFrom(chains), 1, 8).Draw(t, "rows") {
			h.Rotate(subject)
		}
		h.Seal()
	}
	for _, subject := range rapid.SliceOfN(rapid.SampledFrom(chains), 0, 4).Draw(t, "unsealed") {
		h.Rotate(subject)
	}
	return h
}

func TestEveryHistoryVerifies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := grow(t)
		whole := check(bundle.VerifierConfig{Key: h.Public.Fingerprint}, h.Bundle(0, len(h.Parts)))
		if !whole.OK || whole.Checkpoints != int64(len(h.Parts)) {
			t.Fatalf("whole: %+v", whole)
		}
		// In parts, and each part alone, it is the same history.
		cut := rapid.IntRange(1, len(h.Parts)).Draw(t, "cut")
		first, second := h.Bundle(0, cut), h.Bundle(cut, len(h.Parts))
		parts := check(bundle.VerifierConfig{}, first, second)
		if parts.Break != nil || parts.Rows != whole.Rows || parts.Chains != whole.Chains ||
			parts.LastHash != whole.LastHash || parts.Unsealed != whole.Unsealed {
			t.Fatalf("in parts: %+v (%v), whole: %+v", parts, parts.Break, whole)
		}
		if alone := check(bundle.VerifierConfig{Partial: true}, second); alone.Break != nil && cut < len(h.Parts) {
			t.Fatalf("the second part alone: %v", alone.Break)
		}
		if cut < len(h.Parts) {
			if swapped := check(bundle.VerifierConfig{}, second, first); swapped.OK {
				t.Fatal("parts in the wrong order verify")
			}
		}
	})
}

// flippable are the members in which every bit matters.
var flippable = []string{bundle.KeyFile, bundle.CheckpointsFile, bundle.EventsFile}

func TestEveryFlippedBitIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := grow(t)
		members := audittest.Unpack(h.Bundle(0, len(h.Parts)))
		name := rapid.SampledFrom(flippable).Draw(t, "member")
		i := slices.IndexFunc(members, func(m audittest.Member) bool { return m.Name == name })
		data := members[i].Data
		for _, at := range rapid.SliceOfN(rapid.IntRange(0, len(data)*8-1), 1, 20).Draw(t, "bits") {
			data[at/8] ^= 1 << (at % 8)
			if r := check(bundle.VerifierConfig{}, audittest.Pack(members)); r.OK {
				t.Fatalf("bit %d of octet %d of %s: %q", at%8, at/8, name, around(data, at/8))
			}
			data[at/8] ^= 1 << (at % 8)
		}
	})
}

// The same for every bit of the rows of one small history, and every third one of the other members: a bundle for each
// bit. With -short for one bit in eleven, which is each bit of an octet in turn.
func TestEveryBit(t *testing.T) {
	h := audittest.New()
	h.Append("orga", audit.OrgCARotated,
		map[string]any{"zero": int64(0), "one": 1.5, "none": nil, "text": "é<&>\u2028", "list": []any{true, int64(0)}})
	h.Seal()
	members := audittest.Unpack(h.Bundle(0, 1))
	for _, m := range members {
		if !slices.Contains(flippable, m.Name) {
			continue
		}
		step := 3
		if m.Name == bundle.EventsFile {
			step = 1
		}
		if testing.Short() {
			step *= 11
		}
		for at := 0; at < len(m.Data)*8; at += step {
			m.Data[at/8] ^= 1 << (at % 8)
			if r := check(bundle.VerifierConfig{}, audittest.Pack(members)); r.OK {
				t.Errorf("bit %d of octet %d of %s: %q", at%8, at/8, m.Name, around(m.Data, at/8))
			}
			m.Data[at/8] ^= 1 << (at % 8)
		}
	}
}

func around(data []byte, at int) []byte { return data[max(0, at-10):min(len(data), at+10)] }

// forger changes a history as an attacker could who owns the database and the archive, but not the signing key. It
// recomputes hashes where that helps, and the manifest.
type forger struct {
	parts []audittest.Part
	tail  []audit.Row
}

func forge(h *audittest.History) *forger {
	f := &forger{}
	for _, p := range h.Parts {
		p.Rows, p.Leaves = slices.Clone(p.Rows), slices.Clone(p.Leaves)
		f.parts = append(f.parts, p)
	}
	for _, subject := range chains {
		f.tail = append(f.tail, h.Tail[subject]...)
	}
	slices.SortStableFunc(f.tail, func(a, b audit.Row) int { return bytes.Compare([]byte(a.Subject), []byte(b.Subject)) })
	return f
}

func (f *forger) bundle(key audit.Key) []byte {
	var b bundle.Builder
	b.Keys(key)
	for _, p := range f.parts {
		if err := b.Seal(p.FullCheckpoint, p.Rows); err != nil {
			panic(err)
		}
	}
	if err := b.Rest(f.tail); err != nil {
		panic(err)
	}
	var out bytes.Buffer
	if _, err := b.Write(&out, audittest.OrgID, audittest.New().Now, true); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// rehash makes the chain of a subject hold again after a change of one of its rows.
func (f *forger) rehash(subject string) {
	var head audit.Head
	each := func(rows []audit.Row) {
		for i, r := range rows {
			if r.Subject == subject {
				rows[i], head = again(head, r)
			}
		}
	}
	for _, p := range f.parts {
		each(p.Rows)
	}
	each(f.tail)
}

func again(h audit.Head, r audit.Row) (audit.Row, audit.Head) {
	at, err := r.Time()
	if err != nil {
		panic(err)
	}
	next, head, err := h.Append(audit.Entry{
		Time:    at,
		Event:   r.EventType,
		Actor:   r.Actor,
		Subject: r.Subject,
		Details: r.Details,
	})
	if err != nil {
		panic(err)
	}
	return next, head
}

func TestEveryForgeryIsFound(t *testing.T) {
	forgeries := map[string]func(t *rapid.T, f *forger){
		"a row deleted": func(t *rapid.T, f *forger) { p, i := f.pick(t); p.Rows = slices.Delete(p.Rows, i, i+1) },
		"a row deleted, the chain mended": func(t *rapid.T, f *forger) {
			p, i := f.pick(t)
			subject := p.Rows[i].Subject
			p.Rows = slices.Delete(p.Rows, i, i+1)
			f.rehash(subject)
		},
		"a row inserted": func(t *rapid.T, f *forger) { p, i := f.pick(t); p.Rows = slices.Insert(p.Rows, i, p.Rows[i]) },
		"a row inserted, the chain mended": func(t *rapid.T, f *forger) {
			p, i := f.pick(t)
			p.Rows = slices.Insert(p.Rows, i, p.Rows[i])
			f.rehash(p.Rows[i].Subject)
		},
		"rows swapped": func(t *rapid.T, f *forger) {
			p, i := f.pick(t)
			q, j := f.pick(t)
			if p.Rows[i].Hash == q.Rows[j].Hash {
				t.Skip("the same row")
			}
			p.Rows[i], q.Rows[j] = q.Rows[j], p.Rows[i]
		},
		"a row changed, the chain mended": func(t *rapid.T, f *forger) {
			p, i := f.pick(t)
			p.Rows[i].Actor = "admin:nobody"
			f.rehash(p.Rows[i].Subject)
		},
		"a chain cut":                     func(t *rapid.T, f *forger) { f.cut(t, false) },
		"a chain cut, the leaves mended":  func(t *rapid.T, f *forger) { f.cut(t, true) },
		"a chain dropped":                 func(t *rapid.T, f *forger) { f.drop(t, false) },
		"a chain dropped with its leaves": func(t *rapid.T, f *forger) { f.drop(t, true) },
		"a checkpoint dropped": func(t *rapid.T, f *forger) {
			i := rapid.IntRange(0, len(f.parts)-1).Draw(t, "checkpoint")
			f.parts = slices.Delete(f.parts, i, i+1)
		},
		"a checkpoint signed by another key": func(t *rapid.T, f *forger) {
			i := rapid.IntRange(0, len(f.parts)-1).Draw(t, "checkpoint")
			sealed, err := f.parts[i].FullCheckpoint.Checkpoint.Seal(audittest.New().Key)
			if err != nil {
				t.Fatal(err)
			}
			f.parts[i].SignedCheckpoint = sealed
		},
		"a checkpoint's statement changed": func(t *rapid.T, f *forger) {
			c := &f.parts[rapid.IntRange(0, len(f.parts)-1).Draw(t, "checkpoint")].FullCheckpoint.Checkpoint
			rapid.SampledFrom([]func(){
				func() { c.Rows++ }, func() { c.Leaves-- }, func() { c.Number++ },
				func() { c.Timestamp = "2020" + c.Timestamp[4:] },
				func() { c.Root = audit.Genesis }, func() { c.OrgID = "orgb" }, func() { c.Type = "x" },
			}).Draw(t, "change")()
		},
	}
	for name, change := range forgeries {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				h := grow(t)
				f := forge(h)
				change(t, f)
				if r := check(bundle.VerifierConfig{}, f.bundle(h.Public)); r.OK || r.Break.Reason == "" {
					t.Fatalf("it verifies: %+v", r)
				}
			})
		})
	}
}

func (f *forger) pick(t *rapid.T) (*audittest.Part, int) {
	p := &f.parts[rapid.IntRange(0, len(f.parts)-1).Draw(t, "part")]
	return p, rapid.IntRange(0, len(p.Rows)-1).Draw(t, "row")
}

// cut ends a chain before a row that a checkpoint covers.
func (f *forger) cut(t *rapid.T, leaves bool) {
	p, i := f.pick(t)
	subject, seq := p.Rows[i].Subject, p.Rows[i].Seq
	behind := func(r audit.Row) bool { return r.Subject == subject && r.Seq >= seq }
	for n := range f.parts {
		f.parts[n].Rows = slices.DeleteFunc(f.parts[n].Rows, behind)
		if leaves {
			f.parts[n].Leaves = slices.DeleteFunc(f.parts[n].Leaves,
				func(l audit.Leaf) bool { return l.Subject == subject && l.Seq >= seq })
		}
	}
	f.tail = slices.DeleteFunc(f.tail, behind)
}

func (f *forger) drop(t *rapid.T, leaves bool) {
	p, i := f.pick(t)
	subject := p.Rows[i].Subject
	for n := range f.parts {
		f.parts[n].Rows = slices.DeleteFunc(f.parts[n].Rows, func(r audit.Row) bool { return r.Subject == subject })
		if leaves {
			f.parts[n].Leaves = slices.DeleteFunc(f.parts[n].Leaves, func(l audit.Leaf) bool { return l.Subject == subject })
		}
	}
	f.tail = slices.DeleteFunc(f.tail, func(r audit.Row) bool { return r.Subject == subject })
}

// What an auditor knows from elsewhere is held against the file.
func TestDemands(t *testing.T) {
	h, other := audittest.New(), audittest.New()
	h.Rotate("orga::a")
	h.Seal()
	h.Rotate("orga::a")
	second := h.Seal()
	seen, err := second.FullCheckpoint.Checkpoint.Hash()
	if err != nil {
		t.Fatal(err)
	}
	whole, older := h.Bundle(0, 2), h.Bundle(0, 1)
	for _, c := range []struct {
		name string
		cfg  bundle.VerifierConfig
		data []byte
		want bool
	}{
		{"the right key", bundle.VerifierConfig{Key: h.Public.Fingerprint}, whole, true},
		{"another key", bundle.VerifierConfig{Key: other.Public.Fingerprint}, whole, false},
		{"a checkpoint seen before", bundle.VerifierConfig{Checkpoint: seen}, whole, true},
		{"a history set back before it", bundle.VerifierConfig{Checkpoint: seen}, older, false},
		{"the same without the demand", bundle.VerifierConfig{}, older, true},
	} {
		if got := check(c.cfg, c.data); got.OK != c.want {
			t.Errorf("%s: %t, want %t (%v)", c.name, got.OK, c.want, got.Break)
		}
	}
	report, err := json.Marshal(check(bundle.VerifierConfig{Key: h.Public.Fingerprint}, whole))
	if err != nil || !bytes.Contains(report, []byte(`"pinned":true`)) {
		t.Errorf("report %s, %v", report, err)
	}
}
