package upload

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki/der"
)

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
	return algorithm{der.OID(oid), parameters}, body.Empty()
}

// readTime reads a moment as RFC 5280 section 4.1.2.5 wants it: to the second, in Z.
func readTime(s *cryptobyte.String) (t time.Time, generalized, ok bool) {
	var element, content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1Element(&element, &tag) {
		return t, false, false
	}
	if head := element; !head.ReadAnyASN1(&content, &tag) {
		return t, false, false
	}
	switch {
	case tag == asn1.UTCTime && len(content) == len("060102150405Z"):
		ok = element.ReadASN1UTCTime(&t)
	case tag == asn1.GeneralizedTime && len(content) == len("20060102150405Z"):
		ok = element.ReadASN1GeneralizedTime(&t)
	}
	return t, tag == asn1.GeneralizedTime, ok && content[len(content)-1] == 'Z'
}
