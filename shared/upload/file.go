package upload

import (
	"bytes"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki"
)

// keystores are the files of Java's keytool, by their first octets.
var keystores = [][]byte{{0xfe, 0xed, 0xfe, 0xed}, {0xce, 0xce, 0xce, 0xce}}

const keystoreHint = "the file is a Java keystore; convert it: keytool -importkeystore -srckeystore FILE " +
	"-destkeystore FILE.p12 -deststoretype PKCS12, " +
	"then openssl pkcs12 -in FILE.p12 -nokeys (the certificates) and -nocerts -nodes (the key)"

// blocks takes a file apart. A DER file is one block without a type. PEM is what package pki reads as PEM.
func blocks(file []byte) ([]*pem.Block, error) {
	starts := func(magic []byte) bool { return bytes.HasPrefix(file, magic) }
	switch {
	case slices.ContainsFunc(keystores, starts):
		return nil, errors.New(keystoreHint)
	case isDER(file):
		return []*pem.Block{{Bytes: bytes.Clone(file)}}, nil
	}
	found, err := pki.Blocks(file)
	if err != nil && !bytes.Contains(file, []byte("-----")) && utf8.Valid(file) && len(file) > 0 && base64Alone(file) {
		return nil, errors.New("the file is base64 without the lines -----BEGIN …----- and -----END …-----; put " +
			"them around it")
	}
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), pki.ErrPEM.Error()+": "))
	}
	return found, nil
}

// isDER reports whether a file begins as a SEQUENCE and is no text: with PEM in it, it is DER only if it is one
// element.
func isDER(file []byte) bool {
	if len(file) == 0 || file[0] != byte(asn1.SEQUENCE) {
		return false
	}
	s := cryptobyte.String(file)
	var body cryptobyte.String
	whole := s.ReadASN1(&body, asn1.SEQUENCE) && s.Empty()
	return whole || !bytes.Contains(file, []byte("-----BEGIN ")) && !utf8.Valid(file)
}

func base64Alone(file []byte) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \r\n"
	return len(bytes.TrimSpace(file)) > 40 &&
		!bytes.ContainsFunc(file, func(r rune) bool { return !strings.ContainsRune(alphabet, r) })
}

// wipeBlocks overwrites what was decoded.
func wipeBlocks(bs []*pem.Block) {
	for _, b := range bs {
		clear(b.Bytes)
	}
}

// kind is what a block holds, judged by its structure. The label of a PEM block is only a claim of its writer.
type kind int

const (
	unknown kind = iota
	certificateKind
	pkcs8Kind
	pkcs1Kind
	sec1Kind
	encryptedKind
	publicKeyKind
	pkcs7Kind
	pkcs12Kind
)

// holds returns the kind of a DER structure. It looks at the first elements only: the readers look at the rest.
func holds(der []byte) kind {
	s := cryptobyte.String(der)
	var body, first cryptobyte.String
	var tag asn1.Tag
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadAnyASN1(&first, &tag) {
		return unknown
	}
	version := -1
	if len(first) == 1 {
		version = int(first[0])
	}
	next := func(t asn1.Tag) bool { return body.PeekASN1Tag(t) }
	switch {
	case tag == asn1.OBJECT_IDENTIFIER:
		return pkcs7Kind
	case tag == asn1.SEQUENCE && next(asn1.SEQUENCE):
		return certificateKind
	case tag == asn1.SEQUENCE && next(asn1.OCTET_STRING):
		return encryptedKind
	case tag == asn1.SEQUENCE && next(asn1.BIT_STRING):
		return publicKeyKind
	case tag == asn1.INTEGER && version == 3 && next(asn1.SEQUENCE):
		return pkcs12Kind
	case tag == asn1.INTEGER && next(asn1.SEQUENCE):
		return pkcs8Kind
	case tag == asn1.INTEGER && next(asn1.OCTET_STRING):
		return sec1Kind
	case tag == asn1.INTEGER && next(asn1.INTEGER):
		return pkcs1Kind
	}
	return unknown
}
