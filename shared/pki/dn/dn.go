// Package dn writes distinguished names as text (RFC 4514), from their encoding.
//
// crypto/x509/pkix.Name is no name: it sorts attributes by kind, merges and splits RDNs, and knows neither
// domainComponent nor userId. Two names that differ in value are never written alike by this package, and no text
// holds a character that hides or moves another.
package dn

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki/der"
)

// keywords are the short names of RFC 4514 section 3 and of the LDAP registry (RFC 4519), and emailAddress, which every
// tool writes by this name.
var keywords = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.17": "postalCode",
	"2.5.4.42": "GN",
	"2.5.4.97": "organizationIdentifier", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
	"1.2.840.113549.1.9.1": "emailAddress",
}

// most is how many bytes of a name Brief writes.
const most = 120

// String writes the DER of a Name: the last RDN first, and the last attribute of an RDN first, joined by + (any order
// would do there; this one is OpenSSL's). A value that
// is no text, or of a kind without a keyword, is written as # and its encoding in hexadecimal, and so is a whole name
// that is not the strict DER of one. The empty name is the empty text. Values that differ in their string type alone
// are written alike: they are the same value.
func String(name []byte) string {
	rdns, ok := Parse(name)
	if !ok {
		return "#" + hex.EncodeToString(name)
	}
	parts := make([]string, len(rdns))
	for i, rdn := range rdns {
		words := make([]string, len(rdn))
		for j, a := range rdn {
			words[len(rdn)-1-j] = a.String()
		}
		parts[len(rdns)-1-i] = strings.Join(words, "+")
	}
	return strings.Join(parts, ",")
}

// Brief is String for a line of a message: a long name is cut and ends in a digest of the whole, so that two long names
// differ in what is shown.
func Brief(name []byte) string {
	text := String(name)
	if len(text) <= most {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	cut := most
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "… (SHA-256 " + hex.EncodeToString(sum[:8]) + ")"
}

// Attribute is one AttributeTypeAndValue (RFC 5280 section 4.1.2.4).
type Attribute struct {
	Type  string // object identifier, with dots
	Text  string // the value in UTF-8, if IsText
	Value []byte // the value's whole encoding
	// IsText says that the value is of a string type that has one reading, in that type's alphabet.
	IsText bool
}

// Parse takes a Name apart: RDNs in the order of the encoding. ok is false if it is not strict DER.
func Parse(name []byte) (rdns [][]Attribute, ok bool) {
	s := cryptobyte.String(name)
	var list cryptobyte.String
	if !der.Strict(name) || !s.ReadASN1(&list, asn1.SEQUENCE) || !s.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var set cryptobyte.String
		if !list.ReadASN1(&set, asn1.SET) || set.Empty() {
			return nil, false
		}
		var rdn []Attribute
		for !set.Empty() {
			a, ok := readAttribute(&set)
			if !ok {
				return nil, false
			}
			rdn = append(rdn, a)
		}
		rdns = append(rdns, rdn)
	}
	return rdns, true
}

func readAttribute(set *cryptobyte.String) (a Attribute, ok bool) {
	var body, oid, value, content cryptobyte.String
	var tag asn1.Tag
	if !set.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
		!body.ReadAnyASN1Element(&value, &tag) || !body.Empty() {
		return a, false
	}
	a.Type, a.Value = der.OID(oid), slices.Clone(value)
	if !value.ReadAnyASN1(&content, &tag) {
		return a, false
	}
	a.Text, a.IsText = decode(content, tag)
	return a, a.Type != "malformed"
}

// The string types that cryptobyte has no name for.
const (
	visibleString   asn1.Tag = 26
	universalString asn1.Tag = 28
	bmpString       asn1.Tag = 30
	numericString   asn1.Tag = 18
)

// decode reads a string type. TeletexString outside of ASCII has as many readings as readers, and is no text here.
func decode(content []byte, tag asn1.Tag) (text string, ok bool) {
	switch tag {
	case asn1.UTF8String:
		return string(content), utf8.Valid(content)
	case asn1.PrintableString, asn1.IA5String, asn1.T61String, visibleString, numericString:
		return string(content), !slices.ContainsFunc(content, func(b byte) bool { return b >= utf8.RuneSelf })
	case bmpString:
		return decodeWide(content, 2)
	case universalString:
		return decodeWide(content, 4)
	default:
		return "", false
	}
}

func decodeWide(content []byte, size int) (string, bool) {
	if len(content)%size != 0 {
		return "", false
	}
	var out strings.Builder
	for unit := range slices.Chunk(content, size) {
		r := rune(0)
		for _, b := range unit {
			if r > unicode.MaxRune {
				return "", false
			}
			r = r<<8 | rune(b)
		}
		if utf16.IsSurrogate(r) || !utf8.ValidRune(r) {
			return "", false
		}
		out.WriteRune(r)
	}
	return out.String(), true
}

// String writes the attribute as RFC 4514 sections 2.3 and 2.4 do.
func (a Attribute) String() string {
	keyword, known := keywords[a.Type]
	switch {
	case !known:
		return a.Type + "=#" + hex.EncodeToString(a.Value)
	case !a.IsText:
		return keyword + "=#" + hex.EncodeToString(a.Value)
	}
	return keyword + "=" + escape(a.Text)
}

// escape marks what RFC 4514 section 2.4 wants marked, and writes in hexadecimal what is not seen when it is shown.
func escape(text string) string {
	var out strings.Builder
	for i, r := range text {
		switch {
		case strings.ContainsRune(`"+,;<>\`, r), i == 0 && (r == ' ' || r == '#'), i == len(text)-1 && r == ' ':
			out.WriteByte('\\')
			out.WriteRune(r)
		case !unicode.IsPrint(r):
			for _, b := range []byte(string(r)) {
				out.WriteString(`\` + strings.ToUpper(hex.EncodeToString([]byte{b})))
			}
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
