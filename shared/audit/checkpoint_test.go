package audit

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 8785 section 3.2.2 and 3.2.3: the input, and its one canonical form.
func TestCanonicalFormOfTheRFC(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{
			"section 3.2.2", `{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
			"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`,
			`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		},
		{
			"section 3.2.3",
			`{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
			"\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}`,
			"{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With " +
				"Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		},
	} {
		got, err := canonical(json.RawMessage(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s (%v)", c.name, got, c.want, err)
		}
	}
}

// RFC 8785 appendix B: the bits of a number, and how it is written.
func TestNumbersOfTheRFC(t *testing.T) {
	for bits, want := range map[uint64]string{
		0x0000000000000000: "0", 0x8000000000000000: "0", 0x0000000000000001: "5e-324", 0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308", 0xffefffffffffffff: "-1.7976931348623157e+308",
		0x4340000000000000: "9007199254740992",
		0xc340000000000000: "-9007199254740992", 0x4430000000000000: "295147905179352830000",
		0x44b52d02c7e14af5: "9.999999999999997e+22",
		0x44b52d02c7e14af6: "1e+23", 0x44b52d02c7e14af7: "1.0000000000000001e+23",
		0x444b1ae4d6e2ef4e: "999999999999999700000",
		0x444b1ae4d6e2ef4f: "999999999999999900000", 0x444b1ae4d6e2ef50: "1e+21", 0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7",
		0x3eb0c6f7a0b5ed8d: "0.000001",
		0x41b3de4355555553: "333333333.3333332", 0x41b3de4355555554: "333333333.33333325",
		0x41b3de4355555555: "333333333.3333333",
		0x41b3de4355555556: "333333333.3333334", 0x41b3de4355555557: "333333333.33333343",
		0xbecbf647612f3696: "-0.0000033333333333333333", 0x43143ff3c1cb0959: "1424953923781206.2",
	} {
		got, err := canonical(math.Float64frombits(bits))
		if err != nil || string(got) != want {
			t.Errorf("%016x: got %s, want %s (%v)", bits, got, want, err)
		}
	}
}

func leaves(n int) []Leaf {
	all := make([]Leaf, n)
	for i := range all {
		all[i] = Leaf{
			Subject:  fmt.Sprintf("orga::%03d", i),
			FromHash: Genesis,
			Seq:      int64(i + 1),
			Hash:     strings.Repeat(fmt.Sprintf("%02x", i), 32),
		}
	}
	return all
}

func treeOf(t *testing.T, all []Leaf) *Tree {
	t.Helper()
	tree := NewTree()
	for _, l := range all {
		if err := tree.Add(l); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// naive is RFC 6962 section 2.1, word for word.
func naive(t *testing.T, all []Leaf) []byte {
	t.Helper()
	if len(all) == 1 {
		encoded, err := all[0].Encode()
		if err != nil {
			t.Fatal(err)
		}
		return sum256(append([]byte{0}, encoded...))
	}
	k := 1
	for k*2 < len(all) {
		k *= 2
	}
	return sum256(append(append([]byte{1}, naive(t, all[:k])...), naive(t, all[k:])...))
}

func TestRootIsThatOfTheRFC(t *testing.T) {
	for n := 1; n <= 40; n++ {
		got, err := treeOf(t, leaves(n)).Root()
		if want := hex.EncodeToString(naive(t, leaves(n))); err != nil || got != want {
			t.Errorf("%d leaves: got %s, want %s (%v)", n, got, want, err)
		}
	}
	if got, _ := NewTree().Root(); got != hex.EncodeToString(sum256(nil)) {
		t.Errorf("no leaves: %s", got)
	}
}

func TestTreeRefuses(t *testing.T) {
	good := leaves(2)
	change := func(do func(*Leaf)) Leaf {
		l := good[1]
		do(&l)
		return l
	}
	for name, l := range map[string]Leaf{
		"the same chain again":   good[0],
		"a chain before it":      change(func(l *Leaf) { l.Subject = "orga" }),
		"no rows":                change(func(l *Leaf) { l.Seq = 0 }),
		"rows backwards":         change(func(l *Leaf) { l.FromSeq, l.FromHash = 9, l.Hash }),
		"a beginning below zero": change(func(l *Leaf) { l.FromSeq = -1 }),
		"another genesis":        change(func(l *Leaf) { l.FromHash = l.Hash }),
		"genesis in the middle":  change(func(l *Leaf) { l.FromSeq, l.Seq = 1, 2 }),
	} {
		tree := treeOf(t, good[:1])
		before, _ := tree.Root()
		if err := tree.Add(l); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v, want ErrBroken", name, err)
		}
		if after, _ := tree.Root(); after != before {
			t.Errorf("%s: the tree grew", name)
		}
	}
}

// The hash of a checkpoint must never change by accident: those that are out there could not be verified any more.
func TestGoldenCheckpoint(t *testing.T) {
	first, err := Checkpoint{}.Follow("orga", treeOf(t, leaves(3)), strings.Repeat("ab", 32), when)
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.Follow("orga", treeOf(t, leaves(1)), strings.Repeat("ab", 32), when)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := second.Hash()
	const want = "7850d0d4435d1a2324cc91e111341869633d51bcd2cff00fd79cff76fbd8b2f9"
	if err != nil || hash != want {
		t.Errorf("hash of %+v:\ngot  %s\nwant %s (%v)", second, hash, want, err)
	}
	if first.Previous != Genesis || first.Number != 1 || second.Number != 2 || first.Rows != 6 || first.Leaves != 3 ||
		first.Timestamp != "2026-11-24T03:00:00.123Z" {
		t.Errorf("first = %+v", first)
	}
}

func newKey(t *testing.T) (*ecdsa.PrivateKey, Key) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := NewKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

func TestSignature(t *testing.T) {
	private, public := newKey(t)
	_, stranger := newKey(t)
	c, err := Checkpoint{}.Follow("orga", treeOf(t, leaves(2)), public.Fingerprint, when)
	if err != nil {
		t.Fatal(err)
	}
	good, err := c.Seal(private)
	if err != nil || good.Verify(public) != nil {
		t.Fatalf("seal: %v, verify: %v", err, good.Verify(public))
	}
	for name, change := range map[string]func(*SignedCheckpoint){
		"number":    func(s *SignedCheckpoint) { s.Checkpoint.Number++ },
		"type":      func(s *SignedCheckpoint) { s.Checkpoint.Type = "x" },
		"key":       func(s *SignedCheckpoint) { s.Checkpoint.Key = stranger.Fingerprint },
		"time":      func(s *SignedCheckpoint) { s.Checkpoint.Timestamp = "" },
		"signature": func(s *SignedCheckpoint) { s.Signature = s.Signature[4:] },
		"base64":    func(s *SignedCheckpoint) { s.Signature = "\n" + s.Signature },
		"none":      func(s *SignedCheckpoint) { s.Signature = "" },
	} {
		bad := good
		change(&bad)
		if err := bad.Verify(public); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v, want ErrSignature", name, err)
		}
	}
	stranger.Fingerprint = public.Fingerprint
	if err := good.Verify(stranger); !errors.Is(err, ErrSignature) {
		t.Errorf("by another key: %v, want ErrSignature", err)
	}
}

func TestKeysInPEM(t *testing.T) {
	_, a := newKey(t)
	_, b := newKey(t)
	first, err := a.EncodePEM()
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.EncodePEM()
	if err != nil {
		t.Fatal(err)
	}
	both, err := ParseKeys(append(bytes.Clone(first), second...))
	if err != nil || len(both) != 2 || both[0].Fingerprint != a.Fingerprint || both[1].Fingerprint != b.Fingerprint {
		t.Errorf("ParseKeys = %+v, %v", both, err)
	}
	if none, err := ParseKeys(nil); err != nil || none != nil {
		t.Errorf("no keys: %+v, %v", none, err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKey(&p384.PublicKey); !errors.Is(err, ErrKey) {
		t.Errorf("P-384: %v, want ErrKey", err)
	}
	for name, bad := range map[string][]byte{
		"text before":   append([]byte("x\n"), first...),
		"text behind":   append(bytes.Clone(first), "x"...),
		"a private key": bytes.ReplaceAll(first, []byte("PUBLIC"), []byte("PRIVATE")),
		"a header":      bytes.Replace(first, []byte("-----\n"), []byte("-----\nA: b\n\n"), 1),
		"cut":           first[:len(first)-10],
	} {
		if _, err := ParseKeys(bad); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v, want ErrKey", name, err)
		}
	}
}

func TestLeafFollowsItsChain(t *testing.T) {
	rows := chain(t, 4)
	l := Leaf{}.Follow(rows[2]).Follow(rows[3])
	want := Leaf{Subject: "orga::a", FromSeq: 2, FromHash: rows[1].Hash, Seq: 4, Hash: rows[3].Hash}
	if diff := cmp.Diff(want, l); diff != "" || l.Rows() != 2 || l.From() != (Head{Seq: 2, Hash: rows[1].Hash}) {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if first := (Leaf{}).Follow(rows[0]); first.FromHash != Genesis || first.From() != (Head{}) {
		t.Errorf("of a new chain: %+v", first)
	}
}

// A row is read from the octets that it was written as, and from no others.
func TestParseIsExact(t *testing.T) {
	row, _ := appendTo(t, Head{}, Entry{
		Time:    when,
		Event:   AgentEnrolled,
		Actor:   "a",
		Subject: "s",
		Details: map[string]any{"n": int64(0), "t": "<é>"},
	})
	line, err := row.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Parse(line); err != nil || got.Hash != row.Hash {
		t.Fatalf("Parse = %+v, %v", got, err)
	}
	for name, change := range map[string][2]string{
		"case of a name":    {`"seq"`, `"Seq"`},
		"case of an escape": {`\u003c`, `\u003C`},
		"a blank":           {`,"actor"`, `, "actor"`},
		"a sign":            {`"n":0`, `"n":-0`},
		"a fraction":        {`"n":0`, `"n":0.0`},
		"a member twice":    {`"seq":1`, `"seq":1,"seq":1`},
		"a member more":     {`{"id"`, `{"x":1,"id"`},
		"no details":        {`"details":{"n":0,"t":"\u003cé\u003e"}`, `"details":null`},
		"an escape less":    {`\u003c`, `<`},
	} {
		bad := strings.Replace(string(line), change[0], change[1], 1)
		if bad == string(line) {
			t.Fatalf("%s: nothing was changed in %s", name, line)
		}
		if _, err := Parse([]byte(bad)); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v, want ErrBroken", name, err)
		}
	}
	if _, _, err := (Head{}).Append(Entry{
		Time:    when,
		Event:   AgentEnrolled,
		Actor:   "a",
		Subject: "s",
		Details: map[string]any{"n": int64(1)<<53 + 1},
	}); !errors.Is(err, ErrEvent) {
		t.Errorf("a number that JSON's readers round: %v, want ErrEvent", err)
	}
}

func sum256(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}
