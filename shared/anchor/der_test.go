package anchor

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/pki/pkitest"
)

func TestStrictDER(t *testing.T) {
	for der, want := range map[string]bool{
		"0500":             true,
		"050100":           false, // NULL with a content
		"0101ff":           true,
		"010101":           false, // a truth that is not all ones
		"01020000":         false,
		"020100":           true,
		"0200":             false, // an integer of no octets
		"02020001":         false, // a needless zero
		"0202ff80":         false, // a needless sign
		"02020080":         true,
		"03020780":         true,
		"030207c0":         false, // unused bits that are set
		"03020880":         false, // eight unused bits
		"0300":             false,
		"030101":           false, // unused bits of no octet
		"030100":           true,
		"06032a0304":       true,
		"0603808001":       false, // an arc that begins with a zero digit
		"06022a83":         false, // an arc that does not end
		"0600":             false,
		"30800000":         false, // of indefinite length
		"308100":           false, // a length longer than it need be
		"3003020101":       true,
		"300302010":        false,
		"3003020001":       false,
		"2403040100":       false, // a string put together
		"a003020101":       true,
		"a003020001":       false, // what is tagged is looked into
		"800100":           true,
		"1f810100":         false, // a tag of more than one octet
		"0000":             false,
		"0c0141":           true,
		"3100":             true,
		"0a0101":           true,
		"0a020001":         false,
		"0500050":          false,
		"3002050005000500": true, // one after the other
	} {
		raw, err := hex.DecodeString(der)
		if err != nil { // half an octet stands for one that is cut off
			raw, _ = hex.DecodeString(der + "0")
			raw = raw[:len(raw)-1]
		}
		if got := strictDER(raw); got != want {
			t.Errorf("%s: %t, want %t", der, got, want)
		}
	}
	deep := []byte{5, 0}
	for range maxDepth + 2 {
		deep = append([]byte{0x30, byte(len(deep))}, deep...)
	}
	if strictDER(deep) {
		t.Error("nesting has no bound")
	}
}

// What every check before it let through, the proof refuses if the key does not do what the certificate says.
func TestProofIsOfTheKeyItself(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	root, other := pkitest.Root(t, "acme", 1, now), pkitest.Root(t, "acme", 1, now)
	legacy := pkitest.Legacy(t, "acme", now)
	for name, c := range map[string]struct {
		m    Material
		fine bool
	}{
		"its own key":          {Material{Chain: root.Chain, Key: root.Key}, true},
		"another key":          {Material{Chain: root.Chain, Key: other.Key}, false},
		"key that lies":        {Material{Chain: root.Chain, Key: liar{other.Key, root.Key.Public()}}, false},
		"no root above":        {Material{Chain: pkitest.Authority(t, "acme", 1, now).Chain[:1], Key: root.Key}, false},
		"legacy":               {Material{Chain: legacy.Chain, Key: legacy.Key, Legacy: true}, true},
		"legacy, but not said": {Material{Chain: legacy.Chain, Key: legacy.Key}, false},
		"legacy by another":    {Material{Chain: legacy.Chain, Key: liar{other.Key, legacy.Key.Public()}, Legacy: true}, false},
	} {
		var f findings
		prove(c.m, now, &f)
		if fine := len(f.defects) == 0; fine != c.fine || !fine && f.defects[0].Code != ChainBroken {
			t.Errorf("%s: %v", name, f.defects)
		}
	}
}

// liar signs by one key and says it is another.
type liar struct {
	crypto.Signer
	public crypto.PublicKey
}

// Public is the other's.
func (l liar) Public() crypto.PublicKey { return l.public }

func TestNamesFromOutsideFitOneLine(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 300)
	for _, text := range []string{string(long), "a\nb\x00c\u202e", "\xff\xfe"} {
		got := clip(text)
		if len(got) > 90 || bytes.ContainsAny([]byte(got), "\n\x00\u202e\ufffd") {
			t.Errorf("%q", got)
		}
	}
}

// A chain that this lets through is one that package pki lets through: the rehearsal is no second opinion on less.
func TestRehearsalVerifiesTheWholePath(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	root := pkitest.Root(t, "acme", 1, now)
	m := Material{Chain: root.Chain, Key: root.Key}
	if err := rehearse(m, now); err != nil {
		t.Fatal(err)
	}
	late := root.Chain[0].NotAfter.Add(time.Hour)
	if err, verified := rehearse(m, late), pki.VerifyAuthority(m.Chain, late); err == nil || verified == nil {
		t.Errorf("after its end: %v, %v", err, verified)
	}
}
