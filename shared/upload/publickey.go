package upload

import (
	"crypto/elliptic"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki/der"
)

const (
	oidRSA    = "1.2.840.113549.1.1.1"
	oidRSAPSS = "1.2.840.113549.1.1.10"
	oidEC     = "1.2.840.10045.2.1"
	oidP256   = "1.2.840.10045.3.1.7"
	oidP384   = "1.3.132.0.34"
)

// curveNames are the curves that operators have, but this Mastio does not take.
var curveNames = map[string]string{
	"1.3.132.0.33": "P-224", "1.3.132.0.35": "P-521", "1.3.132.0.10": "secp256k1", "1.2.840.10045.3.1.1": "P-192",
	"1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1", "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
	"1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
}

// edwards are keys whose kind names the curve (RFC 8410).
var edwards = map[string]string{"1.3.101.110": "X25519", "1.3.101.111": "X448", "1.3.101.112": "Ed25519",
	"1.3.101.113": "Ed448"}

const (
	explicitCurve = "%s spells its curve out in explicit parameters, which hide what curve it is; use a named one, " +
		"P-256 or P-384"
	otherCurve = "%s is on the curve %s, want P-256 or P-384"
)

var errRSASize = errors.New("an RSA CA must have 2048, 3072 or 4096 bits: the key store imports no other size")

// refuse says why a key of this kind is not taken.
func (a algorithm) refuse(whose string, f *findings) {
	switch name, isEdwards := edwards[a.oid]; {
	case isEdwards:
		f.add(Curve, "%s is %s, want EC on P-256 or P-384, or RSA", whose, name)
	case a.oid == oidRSAPSS:
		f.add(WeakKey, "%s is RSA restricted to PSS, which verifiers in the field do not all read; use a plain RSA key",
			whose)
	default:
		f.add(WeakKey, "%s is of a kind (%s) that is not taken; want EC on P-256 or P-384, or RSA of 2048 to 4096 bits",
			whose, a.oid)
	}
}

// readCurve reads the parameters of an EC key (RFC 5480 section 2.1.1).
func readCurve(parameters []byte, whose string, f *findings) (elliptic.Curve, bool) {
	s := cryptobyte.String(parameters)
	if s.PeekASN1Tag(asn1.SEQUENCE) {
		f.add(Curve, explicitCurve, whose)
		return nil, false
	}
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.OBJECT_IDENTIFIER) || !s.Empty() {
		f.add(Curve, "%s does not name its curve", whose)
		return nil, false
	}
	oid := der.OID(content)
	if curve, ok := curves[oid]; ok {
		return curve, true
	}
	name := curveNames[oid]
	if name == "" {
		name = oid
	}
	f.add(Curve, otherCurve, whose, name)
	return nil, false
}
