package upload

import (
	"crypto"
	"crypto/ecdsa"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// readEC reads the structure of RFC 5915. parameters come from an envelope around it, if any.
func readEC(der, parameters []byte, f *findings) crypto.Signer {
	k, ok := takeEC(der)
	if !ok || len(parameters) > 0 && len(k.parameters) > 0 && string(parameters) != string(k.parameters) {
		f.add(KeyUnparseable, malformedKey)
		return nil
	}
	if len(parameters) == 0 {
		parameters = k.parameters
	}
	curve, ok := readCurve(parameters, "the private key", f)
	if !ok {
		return nil
	}
	scalar := fit(k.scalar, (curve.Params().BitSize+7)/8)
	defer clear(scalar)
	key, err := ecdsa.ParseRawPrivateKey(curve, scalar)
	if err != nil {
		f.add(KeyUnparseable, "key file: the number in it is not a private key of its curve")
		return nil
	}
	point, err := key.PublicKey.Bytes()
	if err != nil || k.public != nil && string(k.public) != string(point) && string(k.public) != string(compress(point)) {
		zero(key)
		f.add(KeyUnparseable, "key file: the public key in it is not that of its private key")
		return nil
	}
	return key
}

// compress returns the compressed form of a point (SEC 1 section 2.3.3). A key file may have it: the point follows from
// the number anyway.
func compress(point []byte) []byte {
	half := (len(point) - 1) / 2
	return append([]byte{2 + point[len(point)-1]&1}, point[1:1+half]...)
}

// ecKey is the parts of RFC 5915's structure.
type ecKey struct{ scalar, parameters, public []byte }

func takeEC(der []byte) (k ecKey, ok bool) {
	s := cryptobyte.String(der)
	var body, scalar, parameters, public cryptobyte.String
	var version int
	var hasParameters, hasPublic bool
	tag := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() || !body.ReadASN1Integer(&version) || version != 1 ||
		!body.ReadASN1(&scalar, asn1.OCTET_STRING) ||
		!body.ReadOptionalASN1(&parameters, &hasParameters, tag(0)) ||
		!body.ReadOptionalASN1(&public, &hasPublic, tag(1)) || !body.Empty() {
		return k, false
	}
	k.scalar, k.parameters = scalar, parameters
	if hasPublic {
		var point []byte
		if !public.ReadASN1BitStringAsBytes(&point) || !public.Empty() {
			return k, false
		}
		k.public = append([]byte{}, point...)
	}
	return k, true
}

// fit brings a number to a length. Old tools left leading zeros out or added one, which changes no key. A number that
// does not fit is returned as it is.
func fit(number []byte, size int) []byte {
	for len(number) > size && number[0] == 0 {
		number = number[1:]
	}
	return append(make([]byte, max(0, size-len(number))), number...)
}
