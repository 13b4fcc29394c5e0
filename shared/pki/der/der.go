// Package der checks that an encoding is strict DER (X.690): one that no two parsers read in two ways.
package der

import (
	"bytes"
	"crypto/x509"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxDepth bounds nesting: a certificate's names are five deep.
const maxDepth = 16

// Strict reports whether an encoding is one that X.690 section 10 and 11 allow, all the way down: definite lengths
// in their shortest form, canonical booleans, integers, bit strings and object identifiers, no constructed strings.
// It refuses every encoding that two parsers could read in two ways.
func Strict(encoding []byte) bool { return strict(cryptobyte.String(encoding), 0) }

func strict(s cryptobyte.String, depth int) bool {
	if depth > maxDepth {
		return false
	}
	for !s.Empty() {
		var element, content cryptobyte.String
		var tag asn1.Tag
		if !s.ReadAnyASN1Element(&element, &tag) {
			return false
		}
		if head := element; !head.ReadAnyASN1(&content, &tag) || !strictElement(content, tag, depth) {
			return false
		}
	}
	return true
}

const (
	classMask   = 0xc0
	constructed = 0x20
)

func strictElement(content cryptobyte.String, tag asn1.Tag, depth int) bool {
	switch {
	case tag == asn1.SEQUENCE:
		return strict(content, depth+1)
	case tag == asn1.SET:
		return strict(content, depth+1) && sorted(content)
	case tag&classMask != 0:
		return tag&constructed == 0 || strict(content, depth+1)
	case tag&constructed != 0:
		return false
	}
	return strictPrimitive(content, tag)
}

// sorted reports whether the elements of a SET OF are in ascending order (X.690 section 11.6). Names and attributes
// have no other sets, and no element of theirs may be there twice.
func sorted(set cryptobyte.String) bool {
	var last, element cryptobyte.String
	var tag asn1.Tag
	for set.ReadAnyASN1Element(&element, &tag) {
		if last != nil && bytes.Compare(last, element) >= 0 {
			return false
		}
		last = element
	}
	return true
}

func strictPrimitive(content cryptobyte.String, tag asn1.Tag) bool {
	switch tag {
	case asn1.BOOLEAN:
		return len(content) == 1 && (content[0] == 0 || content[0] == 0xff)
	case asn1.INTEGER, asn1.ENUM:
		return Integer(content)
	case asn1.BIT_STRING:
		return Bits(content)
	case asn1.NULL:
		return len(content) == 0
	case asn1.OBJECT_IDENTIFIER:
		return strictOID(content)
	default: // text and octets
		return tag != 0
	}
}

// Integer reports whether the content of an INTEGER is in its shortest form.
func Integer(n []byte) bool {
	if len(n) < 2 {
		return len(n) == 1
	}
	shorter := n[0] == 0 && n[1] < 0x80 || n[0] == 0xff && n[1] >= 0x80
	return !shorter
}

// Bits reports whether the content of a BIT STRING counts its unused bits and leaves them zero.
func Bits(bits []byte) bool {
	if len(bits) == 0 || bits[0] > 7 || len(bits) == 1 && bits[0] != 0 {
		return false
	}
	return len(bits) == 1 || bits[len(bits)-1]&(1<<bits[0]-1) == 0
}

// strictOID asks that no arc begin with a zero digit and the last one be finished.
func strictOID(oid []byte) bool {
	first := true
	for _, b := range oid {
		if first && b == 0x80 {
			return false
		}
		first = b < 0x80
	}
	return len(oid) > 0 && first
}

// NamedBits asks of a named bit list that it end in a bit that is set (X.690 section 11.2.2).
func NamedBits(content []byte) bool {
	return Bits(content) && (len(content) == 1 || content[len(content)-1]&(1<<content[0]) != 0)
}

// OID writes the content of an OBJECT IDENTIFIER with dots.
func OID(content []byte) string {
	var oid x509.OID
	if oid.UnmarshalBinary(content) != nil {
		return "malformed"
	}
	return oid.String()
}
