package upload

import (
	"bytes"
	"crypto"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/test/pkitest"
)

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
		"legacy by another": {Material{
			Chain:  legacy.Chain,
			Key:    liar{other.Key, legacy.Key.Public()},
			Legacy: true,
		}, false},
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
