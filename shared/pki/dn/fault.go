package dn

import (
	"bytes"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// directoryStrings are the string types of names that every verifier reads. UniversalString is one of RFC 5280 as well,
// and crypto/x509, by which this Mastio and its callers read, refuses it.
var directoryStrings = []asn1.Tag{asn1.UTF8String, asn1.PrintableString, asn1.T61String, asn1.IA5String, bmpString}

// Fault says what of the value of an attribute not every verifier reads, or nothing: a string type that is none of
// names, or a character that its type does not have.
func (a Attribute) Fault() string {
	s := cryptobyte.String(a.Value)
	var content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return "cannot be read"
	}
	switch {
	case !slices.Contains(directoryStrings, tag):
		return "is of a string type that not every verifier reads (mbedTLS: VisibleString and what is no string; Go: " +
			"UniversalString)"
	case tag == asn1.T61String:
		return ""
	case !a.IsText:
		return "holds what its string type has not"
	case content.Empty():
		return "is empty (RFC 5280 appendix A.1 wants a character at least)"
	case tag == asn1.PrintableString && !printable(content):
		return "is a PrintableString with a character that the type does not have, and pyca/cryptography refuses it"
	}
	return ""
}

// printable reports whether all octets are of PrintableString's alphabet (X.680 section 41.4).
func printable(content []byte) bool {
	const others = " '()+,-./:=?"
	for _, b := range content {
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		if !letter && bytes.IndexByte([]byte(others), b) < 0 {
			return false
		}
	}
	return true
}
