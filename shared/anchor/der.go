package anchor

import (
	"crypto/x509"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxDepth bounds nesting; a certificate's names are five deep.
const maxDepth = 16

// strictDER reports whether an encoding is one that X.690 section 10 and 11 allow, all the way down: definite lengths
// in their shortest form, canonical booleans, integers, bit strings and object identifiers, no constructed strings.
// What two parsers could read in two ways is in what this refuses.
func strictDER(der []byte) bool { return strict(cryptobyte.String(der), 0) }

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
	case tag == asn1.SEQUENCE || tag == asn1.SET:
		return strict(content, depth+1)
	case tag&classMask != 0:
		return tag&constructed == 0 || strict(content, depth+1)
	case tag&constructed != 0:
		return false
	}
	return strictPrimitive(content, tag)
}

func strictPrimitive(content cryptobyte.String, tag asn1.Tag) bool {
	switch tag {
	case asn1.BOOLEAN:
		return len(content) == 1 && (content[0] == 0 || content[0] == 0xff)
	case asn1.INTEGER, asn1.ENUM:
		return strictInteger(content)
	case asn1.BIT_STRING:
		return strictBits(content)
	case asn1.NULL:
		return len(content) == 0
	case asn1.OBJECT_IDENTIFIER:
		return strictOID(content)
	default: // text and octets
		return tag != 0
	}
}

func strictInteger(n []byte) bool {
	if len(n) < 2 {
		return len(n) == 1
	}
	shorter := n[0] == 0 && n[1] < 0x80 || n[0] == 0xff && n[1] >= 0x80
	return !shorter
}

func strictBits(bits []byte) bool {
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

// oidText writes an object identifier with dots.
func oidText(content []byte) string {
	var oid x509.OID
	if oid.UnmarshalBinary(content) != nil {
		return "malformed"
	}
	return oid.String()
}

// algorithm is an AlgorithmIdentifier (RFC 5280 section 4.1.1.2). parameters is the whole element, or nothing.
type algorithm struct {
	oid        string
	parameters []byte
}

func readAlgorithm(element cryptobyte.String) (a algorithm, ok bool) {
	var body, oid, parameters cryptobyte.String
	var tag asn1.Tag
	if !element.ReadASN1(&body, asn1.SEQUENCE) || !element.Empty() || !body.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) {
		return a, false
	}
	if !body.Empty() && !body.ReadAnyASN1Element(&parameters, &tag) {
		return a, false
	}
	return algorithm{oidText(oid), parameters}, body.Empty()
}

// readTime reads a moment as RFC 5280 section 4.1.2.5 wants it: to the second, in Z.
func readTime(s *cryptobyte.String) (t time.Time, ok bool) {
	var element, content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1Element(&element, &tag) {
		return t, false
	}
	if head := element; !head.ReadAnyASN1(&content, &tag) {
		return t, false
	}
	switch {
	case tag == asn1.UTCTime && len(content) == len("060102150405Z"):
		ok = element.ReadASN1UTCTime(&t)
	case tag == asn1.GeneralizedTime && len(content) == len("20060102150405Z"):
		ok = element.ReadASN1GeneralizedTime(&t)
	}
	return t, ok && content[len(content)-1] == 'Z'
}
