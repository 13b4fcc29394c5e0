package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/registry"
)

func answers(t *testing.T, f fixture) {
	a := fullAnswer()
	change := registry.Change{ID: newID(), Answer: &a}
	f.apply(change)
	for _, c := range []struct {
		at   time.Time
		want *registry.Answer
	}{
		{noon, &a}, {a.Expires.Add(-time.Millisecond), &a}, {a.Expires, nil}, {a.Expires.Add(time.Hour), nil},
	} {
		got, err := f.Answer(t.Context(), a.Key, c.at)
		f.fails("answer", err, nil)
		f.same(fmt.Sprint("answer at ", c.at), got, c.want)
	}

	answersBySecondOwners(t, f, a)
	answersOfWrongClocks(f, noon.Truncate(time.Second))
	extremeAnswers(f, a.Expires)
}

// answersBySecondOwners holds who may replace an answer, and when its key is free again.
func answersBySecondOwners(t *testing.T, f fixture, a registry.Answer) {
	second := a
	second.Request, second.Owner = "something else", "call-2"
	f.fails("second answer to a key", f.Apply(t.Context(), registry.Change{
		ID:     newID(),
		Answer: &second,
	}), registry.ErrConflict)
	second.Owner = ""
	f.fails("second answer that has no owner", f.Apply(t.Context(), registry.Change{
		ID:     newID(),
		Answer: &second,
	}), registry.ErrConflict)
	a.Result = json.RawMessage(`"issued again"`)
	f.apply(registry.Change{ID: newID(), Answer: &a})
	if got, err := f.Answer(t.Context(), a.Key, noon); err != nil || got == nil || string(got.Result) != `"issued again"` {
		t.Errorf("answer that its owner replaced: got %+v, %v", got, err)
	}

	later := a
	later.Result, later.Expires = json.RawMessage(`"next day"`), a.Expires.Add(registry.AnswerTTL)
	f.apply(registry.Change{ID: newID(), Answer: &later})
	if got, err := f.Answer(t.Context(), a.Key, a.Expires); err != nil || got == nil ||
		string(got.Result) != `"next day"` {
		t.Errorf("answer to a key that was used again once it was free: got %+v, %v", got, err)
	}
}

// answersOfWrongClocks holds until when an answer is believed that a clock ahead of the others stored.
func answersOfWrongClocks(f fixture, now time.Time) {
	for _, c := range []struct {
		ahead time.Duration
		kept  bool
	}{{0, true}, {time.Hour, true}, {time.Hour + time.Second, false}, {14 * 365 * 24 * time.Hour, false}} {
		what := fmt.Sprintf("answer of a clock that was %s ahead", c.ahead)
		wrong := registry.Answer{Key: what, Request: "mint", Expires: registry.LatestAnswer(now).Add(c.ahead - time.Hour)}
		f.apply(registry.Change{ID: newID(), Answer: &wrong})
		got, err := f.Answer(f.t.Context(), what, now)
		f.fails(what, err, nil)
		again := registry.Answer{Key: what, Request: "finalise", Expires: now.Add(registry.AnswerTTL)}
		err = f.Apply(f.t.Context(), registry.Change{ID: newID(), Answer: &again})
		if c.kept {
			f.same(what, got, &wrong)
			f.fails("another answer under its key", err, registry.ErrConflict)
			continue
		}
		f.same(what, got, (*registry.Answer)(nil))
		f.fails("another answer under its key", err, nil)
		got, err = f.Answer(f.t.Context(), what, now)
		f.fails(what, err, nil)
		f.same("the answer that took its place", got, &again)
	}
}

// extremeAnswers holds the longest key, no result, and the largest one.
func extremeAnswers(f fixture, expires time.Time) {
	long := registry.Answer{Key: strings.Repeat("k\xff", 127), Expires: expires}
	f.apply(registry.Change{ID: newID(), Answer: &long})
	got, err := f.Answer(f.t.Context(), long.Key, noon)
	f.fails("answer without a result", err, nil)
	f.same("answer without a result", got, &long)
	f.fails("second answer where neither has an owner", f.Apply(f.t.Context(), registry.Change{
		ID:     newID(),
		Answer: &long,
	}), registry.ErrConflict)

	largest := registry.Answer{Key: "largest", Expires: expires, Result: bytes.Repeat([]byte("1"), registry.MaxAnswer)}
	f.apply(registry.Change{ID: newID(), Answer: &largest})
	got, err = f.Answer(f.t.Context(), largest.Key, noon)
	f.fails("largest answer", err, nil)
	f.same("largest answer", got, &largest)
}

func proofs(t *testing.T, f fixture) {
	until := noon.Add(5 * time.Minute)
	use := func(now time.Time) error { return f.UseProof(t.Context(), "jkt", "jti", until, now) }
	first := 0
	for n, err := range atOnce(func(int) error { return use(noon) }) {
		if err == nil {
			first++
		} else {
			f.fails(fmt.Sprintf("use %d", n), err, registry.ErrReplayed)
		}
	}
	if first != 1 {
		t.Errorf("%d of %d uses at once were accepted, want 1", first, many)
	}
	f.fails("use in the last millisecond", use(until.Add(-time.Millisecond)), registry.ErrReplayed)
	f.fails("use of a proof that is over", use(until), registry.ErrReplayed)

	again := until.Add(5 * time.Minute)
	f.fails("use of the same id after the first is over", f.UseProof(t.Context(), "jkt", "jti", again, until), nil)
	f.fails("and once more", f.UseProof(t.Context(), "jkt", "jti", again, until), registry.ErrReplayed)

	fine := noon.Add(100 * time.Microsecond)
	f.fails("use of a proof with a fine end", f.UseProof(t.Context(), "jkt", "fine", fine, noon), nil)
	f.fails("and once more", f.UseProof(t.Context(), "jkt", "fine", fine, noon), registry.ErrReplayed)
}

func distinctProofs(t *testing.T, f fixture) {
	long := strings.Repeat("j", 255)
	for _, c := range []struct{ jkt, jti string }{
		{"k1", "a"}, {"k2", "a"}, {"k1", "b"}, {"k1", ""}, {"k1", long + "x"}, {"k1", long + "y"},
		{"k1", "\xff"}, {"k1", "\xfe"}, {"k1", "\ufffd"}, {"k1", "a\x00"}, {"k1", "A"},
	} {
		for n, want := range []error{nil, registry.ErrReplayed} {
			got := f.UseProof(t.Context(), c.jkt, c.jti, noon.Add(time.Minute), noon)
			f.fails(fmt.Sprintf("use %d of %q of %s", n+1, c.jti, c.jkt), got, want)
		}
	}
}

func tokenKeys(t *testing.T, f fixture) {
	winners := 0
	for n, err := range atOnce(func(n int) error {
		k := fullTokenKey(20000)
		k.ID = fmt.Sprint(n)
		return f.PutTokenKey(t.Context(), k)
	}) {
		if err == nil {
			winners++
		} else {
			f.fails(fmt.Sprintf("put %d", n), err, registry.ErrConflict)
		}
	}
	if winners != 1 {
		t.Errorf("%d keys of one epoch were stored, want 1", winners)
	}
	first, err := f.TokenKey(t.Context(), 20000)
	if err != nil || first == nil {
		t.Fatalf("token key: got %v, %v", first, err)
	}
	last := fullTokenKey(20002)
	f.fails("put", f.PutTokenKey(t.Context(), last), nil)

	got, err := f.TokenKeys(t.Context(), 20002, 20001, 20000, 20002)
	f.fails("token keys", err, nil)
	f.same("token keys", got, []registry.TokenKey{*first, last})
	got, err = f.TokenKeys(t.Context())
	f.fails("no token keys", err, nil)
	f.same("no token keys", got, []registry.TokenKey(nil))
}
