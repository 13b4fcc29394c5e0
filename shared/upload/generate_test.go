package upload_test

import (
	"crypto"
	"crypto/elliptic"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf16"
)

// generator makes uploads whose names, dates, serial numbers, extensions and encodings vary within what the standard
// allows, and a little beyond. The same seed makes the same shapes.
type generator struct {
	t testing.TB
	*rand.Rand
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g generator) octets(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(g.IntN(256))
	}
	return out
}

// upload makes a chain of one to four CAs, the CA first.
func (g generator) upload() (path []*party, key crypto.Signer) {
	key = pick[crypto.Signer](g, p256(g.t, "ca"), ec(g.t, elliptic.P384(), "ca"), rsaOf(g.t, 2048), rsaOf(g.t, 3072))
	height := pick(g, 1, 1, 2, 2, 3, 4)
	var issuer *party
	for level := height - 1; level >= 0; level-- {
		k := key
		if level > 0 {
			k = pick[crypto.Signer](g, p256(g.t, "above"+string(rune('0'+level))),
				ec(g.t, elliptic.P384(), "above"+string(rune('0'+level))), rsaOf(g.t, 2304+level))
		}
		issuer = found(g.t, "generated", k, issuer, g.vary(level))
		path = append([]*party{issuer}, path...)
	}
	return path, key
}

// vary changes everything that a CA's maker may choose, with so many CAs below it in the file.
func (g generator) vary(below int) change {
	return func(f *form) {
		f.subject = g.name()
		f.serial = g.octets(1 + g.IntN(20))
		f.serial[0] = f.serial[0]&0x7f | 1
		f.from = noon.AddDate(-g.IntN(pick(g, 1, 20, 70))-1, 0, -g.IntN(300))
		f.to = noon.AddDate(pick(g, 1, 5, 22, 23, 24, 40, 500, 7900), g.IntN(12), g.IntN(28))
		f.set(oidSKI, nil, octets(g.octets(pick(g, 1, 8, 20, 20, 32, 64))))
		if f.issuer == nil && g.chance(20) && !hasAKI(f) {
			f.set(oidAKI, nil, seq(tlv(0x80, f.keyID())))
		}
		if g.chance(60) {
			f.set(oidBC, yes, seq(tlv(0x01, yes), integer(byte(below+1+g.IntN(126-below)))))
		}
		f.set(oidKU, pick(g, yes, nil),
			pick(g, []byte{3, 2, 1, 0x06}, []byte{3, 2, 2, 0x04}, []byte{3, 2, 1, 0x86}, []byte{3, 2, 1, 0xc6}))
		g.extend(f)
		g.Shuffle(len(f.extensions), func(i, j int) { f.extensions[i], f.extensions[j] = f.extensions[j], f.extensions[i] })
		g.signature(f)
		if g.chance(*flips) {
			f.alter = g.flip
		}
	}
}

// flip changes one octet of what is signed: most of these are refused, and what is not must be as good as any.
func (g generator) flip(tbs []byte) []byte {
	tbs = slices.Clone(tbs)
	tbs[g.IntN(len(tbs))] = pick(g, byte(g.IntN(256)), 0, 1, 2, 3, 4, 5, 6, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31,
		0x80, 0xff)
	return tbs
}

func hasAKI(f *form) bool {
	return slices.ContainsFunc(f.extensions, func(e ext) bool { return string(e.id) == string(oidAKI) })
}

// signature takes another hash than the usual one.
func (g generator) signature(f *form) {
	isEC := string(f.signed) == string(ecSHA256) || string(f.signed) == string(ecSHA384)
	hash := pick(g, crypto.SHA256, crypto.SHA384, crypto.SHA512)
	arc := map[crypto.Hash][2]int{crypto.SHA256: {2, 11}, crypto.SHA384: {3, 12}, crypto.SHA512: {4, 13}}[hash]
	switch {
	case isEC:
		f.signed, f.hash = seq(oid(1, 2, 840, 10045, 4, 3, arc[0])), hash
	case g.chance(25):
		f.signed, f.hash, f.pss = pssSHA256, crypto.SHA256, true
	default:
		f.signed, f.hash = seq(oid(1, 2, 840, 113549, 1, 1, arc[1]), null), hash
	}
}

// extend adds extensions that CAs in the field have.
func (g generator) extend(f *form) {
	client, server := oid(1, 3, 6, 1, 5, 5, 7, 3, 2), oid(1, 3, 6, 1, 5, 5, 7, 3, 1)
	uri := tlv(0x86, []byte("http://crl.example.com/ca.crl"))
	policy := oid(1, 3, 6, 1, 4, 1, 99999, 1+g.IntN(200))
	notice := tlv(pick[byte](g, 0x0c, 0x1a), []byte("issued for testing"))
	for _, e := range []ext{
		{oidEKU, nil, pick(g, seq(client), seq(client, server), seq(server, client, oid(2, 5, 29, 37, 0)))},
		{oidCP, nil, pick(g, seq(seq(oid(2, 5, 29, 32, 0))), seq(seq(policy)),
			seq(seq(policy, seq(seq(oid(1, 3, 6, 1, 5, 5, 7, 2, 1), tlv(0x16, []byte("http://cps.example.com")))))),
			seq(seq(policy, seq(seq(oid(1, 3, 6, 1, 5, 5, 7, 2, 2), seq(notice))))))},
		{oid(2, 5, 29, 31), nil, seq(seq(tlv(0xa0, tlv(0xa0, uri))))},
		{oid(1, 3, 6, 1, 5, 5, 7, 1, 1), nil, seq(seq(oid(1, 3, 6, 1, 5, 5, 7, 48, 2), uri))},
		{oid(2, 5, 29, 17), nil, seq(pick(g, tlv(0x81, []byte("pki@example.com")), tlv(0x82, []byte("ca.example.com")),
			tlv(0xa4, g.name()), uri))},
		{oid(2, 5, 29, 18), nil, seq(tlv(0x81, []byte("pki@example.com")))},
		{oid(2, 16, 840, 1, 113730, 1, 1), nil, []byte{3, 2, 0, 0x07}},                // Netscape certificate type: CAs
		{oid(2, 16, 840, 1, 113730, 1, 13), nil, tlv(0x16, []byte("made by a tool"))}, // Netscape comment
		{oid(1, 3, 6, 1, 4, 1, 311, 20, 2), nil, tlv(0x1e, []byte("\x00C\x00A"))},     // certificate template
		{oid(1, 3, 6, 1, 4, 1, 311, 21, 1), nil, integer(0)},                          // version of a CA
		{oid(1, 3, 6, 1, 4, 1, 99999, 2), nil, g.octets(g.IntN(64))},
	} {
		if g.chance(15) {
			f.extensions = append(f.extensions, e)
		}
	}
}

var attributeTypes = [][]byte{
	oid(2, 5, 4, 3), oid(2, 5, 4, 10), oid(2, 5, 4, 11), oid(2, 5, 4, 7), oid(2, 5, 4, 8), oid(2, 5, 4, 5),
	oid(2, 5, 4, 97),
	oid(0, 9, 2342, 19200300, 100, 1, 25), oid(0, 9, 2342, 19200300, 100, 1, 1), oid(1, 2, 840, 113549, 1, 9, 1),
	oid(1, 3, 6, 1, 4, 1, 99999, 7),
}

// name makes one to six RDNs.
func (g generator) name() []byte {
	var rdns []byte
	for range 1 + g.IntN(6) {
		var parts [][]byte
		for range pick(g, 1, 1, 1, 1, 2, 3) {
			parts = append(parts, seq(pick(g, attributeTypes...), g.text()))
		}
		slices.SortFunc(parts, slices.Compare[[]byte])
		parts = slices.CompactFunc(parts, slices.Equal[[]byte])
		rdns = append(rdns, tlv(0x31, parts...)...)
	}
	return seq(rdns)
}

func (g generator) text() []byte {
	text := pick(g, "acme", "Zürich", "株式会社", "a,b+c=d", " x ", "#1", "ca.example.com", "-", "Ünïcödé ✓")
	for range pick(g, 0, 0, 0, 1, 20) {
		text += " more"
	}
	ascii := !slices.ContainsFunc([]rune(text), func(r rune) bool { return r > 127 })
	switch kind := pick[byte](g, 0x0c, 0x0c, 0x13, 0x16, 0x1e, 0x14); {
	case kind == 0x1e:
		var wide []byte
		for _, u := range utf16.Encode([]rune(text)) {
			wide = append(wide, byte(u>>8), byte(u))
		}
		return tlv(kind, wide)
	case ascii && (kind != 0x13 || text[0] != '#'):
		return tlv(kind, []byte(text))
	}
	return tlv(0x0c, []byte(text))
}

// A seed that is printed must make the same shapes again.
func TestGeneratorIsRepeatable(t *testing.T) {
	shape := func() []byte {
		g := generator{t, rand.New(rand.NewPCG(1, 2))}
		return slices.Concat(g.name(), g.text(), g.octets(9))
	}
	if a, b := shape(), shape(); !slices.Equal(a, b) {
		t.Errorf("%x and %x", a, b)
	}
}
