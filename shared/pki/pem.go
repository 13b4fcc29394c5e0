package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

const typeCertificate = "CERTIFICATE"

var (
	pemBegin   = []byte("-----BEGIN ")
	whiteSpace = " \t\r\n"
)

// EncodeCertificates returns the certificates as PEM, in the order given.
func EncodeCertificates(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: c.Raw})...)
	}
	return out
}

// ParseCertificates reads one or more PEM certificates with nothing but white space between and around them, and
// returns ErrPEM for anything else. The explanatory text that RFC 7468 section 5.2 tolerates is refused: what an
// operator sees in the file must be all that the file says. The caller bounds the size.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for data = bytes.TrimLeft(data, whiteSpace); len(data) > 0; data = bytes.TrimLeft(data, whiteSpace) {
		block, rest, err := nextBlock(data)
		if err != nil {
			return nil, err
		}
		if block.Type != typeCertificate {
			return nil, fmt.Errorf("%w: want only certificates, got another kind of block", ErrPEM)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %d: %w", ErrPEM, len(certs)+1, err)
		}
		certs, data = append(certs, cert), rest
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%w: no certificate", ErrPEM)
	}
	return certs, nil
}

// NextBlock reads the PEM block that data begins with, and returns ErrPEM if data begins with none. pem.Decode alone
// would skip whatever precedes the first block it can read, a broken one included.
func NextBlock(data []byte) (block *pem.Block, rest []byte, err error) {
	if !bytes.HasPrefix(data, pemBegin) {
		return nil, nil, fmt.Errorf("%w: text outside of a block", ErrPEM)
	}
	block, rest = pem.Decode(data)
	if block == nil || bytes.Count(data[:len(data)-len(rest)], pemBegin) != 1 {
		return nil, nil, fmt.Errorf("%w: block cannot be decoded", ErrPEM)
	}
	return block, rest, nil
}

// nextBlock is NextBlock for what has no use for a block's headers.
func nextBlock(data []byte) (block *pem.Block, rest []byte, err error) {
	if block, rest, err = NextBlock(data); err != nil {
		return nil, nil, err
	}
	if len(block.Headers) > 0 {
		return nil, nil, fmt.Errorf("%w: block has headers", ErrPEM)
	}
	return block, rest, nil
}
