package status

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// key signs, and is published.
type key struct{ *ecdsa.PrivateKey }

func newKey(t *testing.T) key {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key{k}
}

func (k key) Signing(context.Context, time.Time) (*token.Key, error) {
	return &token.Key{Assertions: accesstoken.Key{ID: "k1", Signer: k.PrivateKey}}, nil
}

func (k key) read(t *testing.T, p *Publisher) verifier.Document {
	t.Helper()
	got, err := p.Document(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, err := verifier.ReadStatus(got.Compact, func(string) *ecdsa.PublicKey { return &k.PublicKey })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deaths of n agents, the first one at a time, and one each millisecond from then on.
func deaths(n int, from time.Time) (all []registry.Deaths) {
	for i := range n {
		at := from.Add(time.Duration(i) * time.Millisecond)
		h := agent.NewHandle(fmt.Sprint(i))
		all = append(all, registry.Deaths{At: at, Dead: []agent.Death{{Handle: h, Before: at.Add(agent.DeathKept)}}})
	}
	return all
}

// Beyond the most entries the newest stay, and one instant stands for the others. It is never ahead of the document: a
// token of this very second lives.
func TestOneInstantStandsForTheOldest(t *testing.T) {
	p, most, later := New(Config{Issuer: "https://mastio.test"}), verifier.StatusEntries, noon.Add(time.Hour)
	for name, c := range map[string]struct {
		n         int
		from, now time.Time
		entries   int
		want      time.Time
	}{
		"as many as there is room for": {most, noon, later, most, time.Time{}},
		"one more":                     {most + 1, noon, later, most, noon.Add(lateCommit)},
		"moments ago":                  {most + 1, noon, noon.Add(3 * time.Second), most, noon.Add(3 * time.Second)},
		"a thousand more":              {most + 1001, noon, later, most, noon.Add(lateCommit + time.Second)},
		"all over":                     {10, noon, noon.Add(agent.DeathKept + time.Second), 0, time.Time{}},
		"the first over":               {10, noon, noon.Add(agent.DeathKept), 9, time.Time{}},
	} {
		d := p.content(registry.Status{Deaths: deaths(c.n, c.from)}, c.now)
		if len(d.Dead) != c.entries || !d.NotBefore.Equal(c.want) {
			t.Errorf("%s: %d entries, not before %s; want %d and %s", name, len(d.Dead), d.NotBefore, c.entries, c.want)
		}
	}
	all := deaths(verifier.StatusEntries+1, noon)
	d := p.content(registry.Status{Deaths: all}, noon.Add(time.Hour))
	for _, e := range d.Dead {
		if e.Handle == all[0].Dead[0].Handle.String() {
			t.Error("the oldest is among the entries")
		}
	}
}

func TestAcceptedGenerations(t *testing.T) {
	until := noon.Add(time.Hour)
	overlaps := []orgca.Overlap{{Generation: 6, Until: until}, {Generation: 4, Until: until}, {Generation: 3, Until: noon}}
	p := &orgca.Pointer{Current: 5, Accepted: overlaps}
	if diff := cmp.Diff([]int64{4, 5, 6}, accepted(p, noon)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := accepted(nil, noon); got != nil {
		t.Errorf("before the first Org CA: %v", got)
	}
}

// The number rises with each other content, and with no other: also after a restore without the note, and where two
// instances publish at once.
func TestNumbers(t *testing.T) {
	k, now := newKey(t), noon
	store := memstore.New(memstore.Config{})
	config := Config{Store: store, Keys: k, Issuer: "https://mastio.test", Now: func() time.Time { return now }}
	one, other := New(config), New(config)
	first := k.read(t, one)
	if first.Seq != noon.Unix() || !first.IssuedAt.Equal(noon) || first.MaxAge != verifier.StatusMaxAge {
		t.Errorf("first document: %+v", first)
	}
	now = now.Add(time.Second)
	if got := k.read(t, other); got.Seq != first.Seq || !got.IssuedAt.Equal(now) {
		t.Errorf("the same content a second later: seq %d of %s", got.Seq, got.IssuedAt)
	}
	pointer := orgca.Pointer{Current: 1}
	if err := store.Apply(t.Context(), registry.Change{ID: "1", Pointer: &pointer}); err != nil {
		t.Fatal(err)
	}
	restore := store.Backup()
	now = now.Add(-time.Minute) // a clock that is behind
	second := k.read(t, New(config))
	if second.Seq != first.Seq+1 {
		t.Errorf("another content, by a clock that is behind: seq %d after %d", second.Seq, first.Seq)
	}
	now = now.Add(time.Hour)
	restore()
	if got := k.read(t, New(config)); got.Seq <= second.Seq {
		t.Errorf("after a restore: seq %d, was %d", got.Seq, second.Seq)
	}
}

// Whatever becomes of the note's write, no number is published for a content that another one has.
func TestNumbersAreUniqueUnderFaults(t *testing.T) {
	k, now, n := newKey(t), noon, 0
	store := memstore.New(memstore.Config{Fault: func(op string) memstore.Fault {
		if n++; op != "PutStatusNote" {
			return memstore.None
		}
		return []memstore.Fault{memstore.None, memstore.HalfAck, memstore.Lose}[n%3]
	}})
	config := Config{Store: store, Keys: k, Issuer: "https://mastio.test", Now: func() time.Time { return now }}
	numbers, last := map[int64][32]byte{}, int64(0)
	for round := range 60 {
		pointer := orgca.Pointer{Current: int64(round + 1), Version: int64(round)}
		if err := store.Apply(t.Context(), registry.Change{ID: fmt.Sprint(round), Pointer: &pointer}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		d := k.read(t, New(config))
		if was, ok := numbers[d.Seq]; ok && was != d.Digest() || d.Seq < last {
			t.Errorf("round %d: seq %d, last %d, of another content before: %v", round, d.Seq, last, ok)
		}
		numbers[d.Seq], last = d.Digest(), d.Seq
	}
}
