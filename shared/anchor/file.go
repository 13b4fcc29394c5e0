package anchor

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki"
)

var (
	byteOrderMark = []byte("\ufeff")
	pemBegin      = []byte("-----BEGIN ")
	pemEnd        = []byte("-----END ")
)

// blocks takes a file apart. A DER file is one block without a type.
func blocks(file []byte) ([]*pem.Block, error) {
	if bytes.HasPrefix(file, []byte{0xff, 0xfe}) || bytes.HasPrefix(file, []byte{0xfe, 0xff}) {
		return nil, fmt.Errorf("the file is UTF-16 text, as PowerShell's redirection writes it; save it as UTF-8")
	}
	file = bytes.TrimPrefix(file, byteOrderMark)
	switch {
	case len(bytes.TrimSpace(file)) == 0:
		return nil, fmt.Errorf("the file is empty")
	case isText(file) && bytes.Contains(file, pemBegin):
		return pemBlocks(file)
	case file[0] == byte(asn1.SEQUENCE):
		return []*pem.Block{{Bytes: bytes.Clone(file)}}, nil
	}
	return nil, fmt.Errorf("the file is neither PEM text in UTF-8 nor DER")
}

// isText reports whether a file is UTF-8 without control characters: what tools write around PEM blocks.
func isText(file []byte) bool {
	return utf8.Valid(file) && !bytes.ContainsFunc(file, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	})
}

// pemBlocks reads every block of a text. What cannot be read is an error, never skipped: pem.Decode alone would pass
// over a damaged block to the next good one.
func pemBlocks(text []byte) (found []*pem.Block, err error) {
	for {
		begin := bytes.Index(text, pemBegin)
		outside := text
		if begin >= 0 {
			outside = text[:begin]
		}
		if bytes.Contains(outside, pemEnd) {
			return found, fmt.Errorf("a PEM block ends that did not begin")
		}
		if begin < 0 {
			return found, nil
		}
		if begin > 0 && text[begin-1] != '\n' {
			return found, fmt.Errorf("PEM block %d does not begin on a line of its own", len(found)+1)
		}
		block, rest, err := pki.NextBlock(text[begin:])
		if err != nil {
			return found, fmt.Errorf("PEM block %d is damaged", len(found)+1)
		}
		found, text = append(found, block), rest
	}
}

// wipeBlocks overwrites what was decoded.
func wipeBlocks(bs []*pem.Block) {
	for _, b := range bs {
		clear(b.Bytes)
	}
}

// kind is what a block holds, told by its structure. The label of a PEM block is only its writer's word.
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

// holds tells what a DER structure is. It looks at the first elements only: the readers look at the rest.
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
