package bundle_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/test/audittest"
)

func events(cfg bundle.VerifierConfig, rows []audit.Row) bundle.Report {
	var out bytes.Buffer
	for _, r := range rows {
		line, err := r.Encode()
		if err != nil {
			panic(err)
		}
		out.Write(append(line, '\n'))
	}
	return eventLines(cfg, out.String())
}

func eventLines(cfg bundle.VerifierConfig, text string) bundle.Report {
	v := bundle.NewVerifier(cfg)
	err := v.Events("events", bundle.NewLines(strings.NewReader(text)))
	var b *bundle.Break
	if err != nil && !errors.As(err, &b) {
		panic(err)
	}
	return v.Finish(b)
}

// An export is in the order of clocks, which need not be that of a chain.
func TestEventsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := audittest.New()
		var rows []audit.Row
		for _, subject := range rapid.SliceOfN(rapid.SampledFrom(chains), 2, 20).Draw(t, "rows") {
			rows = append(rows, h.Rotate(subject))
		}
		shuffled := rapid.Permutation(rows).Draw(t, "order")
		if r := events(bundle.VerifierConfig{}, shuffled); !r.OK || r.Rows != int64(len(rows)) {
			t.Fatalf("%+v", r.Break)
		}
		at := rapid.IntRange(0, len(rows)-1).Draw(t, "row")
		row := shuffled[at]
		last := row.Seq == slices.MaxFunc(rows,
			func(a, b audit.Row) int { return bySubject(row.Subject, a) - bySubject(row.Subject, b) }).Seq
		without := slices.Delete(slices.Clone(shuffled), at, at+1)
		if r := events(bundle.VerifierConfig{}, without); r.OK != last { // the end of a chain is what checkpoints are for
			t.Fatalf("without row %d of %s: %t, want %t", row.Seq, row.Subject, r.OK, last)
		}
		if r := events(bundle.VerifierConfig{Partial: true}, without); !r.OK {
			t.Fatalf("the same as a part: %v", r.Break)
		}
		if r := events(bundle.VerifierConfig{}, slices.Insert(slices.Clone(shuffled), at, row)); r.OK {
			t.Fatal("a row twice verifies")
		}
		changed := slices.Clone(shuffled)
		changed[at].Actor = "admin:nobody"
		for _, partial := range []bool{false, true} {
			if r := events(bundle.VerifierConfig{Partial: partial}, changed); r.OK || r.Break.Subject != row.Subject ||
				r.Break.Seq != row.Seq {
				t.Fatalf("changed row %d of %s, partial %t: %v", row.Seq, row.Subject, partial, r.Break)
			}
		}
	})
}

func bySubject(subject string, r audit.Row) int {
	if r.Subject != subject {
		return 0
	}
	return int(r.Seq)
}

func TestEventsNameTheFirstBreak(t *testing.T) {
	h := audittest.New()
	rows := []audit.Row{h.Rotate("orga::a"), h.Rotate("orga::b"), h.Rotate("orga::a"), h.Rotate("orga::a")}
	gap := events(bundle.VerifierConfig{}, slices.Delete(slices.Clone(rows), 2, 3))
	if b := gap.Break; b == nil || b.Subject != "orga::a" || b.Seq != 2 || b.Line != 3 ||
		!strings.Contains(b.Reason, "missing") {
		t.Errorf("gap: %+v", b)
	}
	for name, text := range map[string]string{"no JSON": "x\n", "cut off": "{}", "blank line": "\n",
		"too long": strings.Repeat("x", 2<<20) + "\n"} {
		if r := eventLines(bundle.VerifierConfig{}, text); r.OK || r.Break.Reason == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := eventLines(bundle.VerifierConfig{}, ""); r.OK || r.Rows != 0 {
		t.Errorf("nothing: %+v", r)
	}
	if r := eventLines(bundle.VerifierConfig{Partial: true}, ""); !r.OK || r.Rows != 0 {
		t.Errorf("nothing, of a filter: %+v", r)
	}
}

// Whatever the octets, the verifier ends with a report, and it never accepts a bundle without a valid signature.
func FuzzBundle(f *testing.F) {
	h := audittest.New()
	h.Rotate("orga::a")
	h.Seal()
	h.Rotate("orga::a")
	for _, m := range audittest.Unpack(h.Bundle(0, 1)) {
		f.Add(m.Data, m.Data, m.Data, m.Data)
	}
	good := audittest.Unpack(h.Bundle(0, 1))
	f.Add(good[0].Data, good[1].Data, good[2].Data, good[3].Data)
	stranger := audittest.New().Public.Fingerprint
	f.Fuzz(func(t *testing.T, manifest, key, checkpoints, rows []byte) {
		data := audittest.Pack([]audittest.Member{
			{Name: bundle.ManifestFile, Data: manifest}, {Name: bundle.KeyFile, Data: key},
			{Name: bundle.CheckpointsFile, Data: checkpoints}, {Name: bundle.EventsFile, Data: rows},
		})
		if r := check(bundle.VerifierConfig{Key: stranger}, data); r.OK {
			t.Errorf("signed by a key that never signed: %+v", r)
		}
	})
}

func FuzzArchive(f *testing.F) {
	h := audittest.New()
	h.Seal()
	f.Add(h.Bundle(0, 1))
	f.Add([]byte{0x1f, 0x8b})
	stranger := audittest.New().Public.Fingerprint
	f.Fuzz(func(t *testing.T, data []byte) {
		if r := check(bundle.VerifierConfig{Key: stranger}, data); r.OK {
			t.Errorf("signed by a key that never signed: %+v", r)
		}
	})
}

func FuzzEvents(f *testing.F) {
	h := audittest.New()
	line, err := h.Rotate("orga::a").Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(line) + "\n")
	f.Add(string(line) + "\n" + string(line) + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := eventLines(bundle.VerifierConfig{}, text)
		if r.OK && int64(strings.Count(text, "\n")) != r.Rows {
			t.Errorf("%d rows of %d lines", r.Rows, strings.Count(text, "\n"))
		}
	})
}
