package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

const typeCertificate = "CERTIFICATE"

var (
	pemBegin   = []byte("-----BEGIN ")
	pemEnd     = []byte("-----END ")
	pemDashes  = []byte("-----")
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

// ParseCertificates reads one or more PEM certificates (see Blocks), and returns ErrPEM if there is none, or anything
// else. The caller bounds the size.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	blocks, err := Blocks(data)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for i, block := range blocks {
		switch {
		case len(block.Headers) > 0:
			return nil, fmt.Errorf("%w: block %d has headers, which no certificate has", ErrPEM, i+1)
		case block.Type != typeCertificate:
			return nil, fmt.Errorf("%w: want only certificates, block %d is %s", ErrPEM, i+1, kindOf(block))
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %d: %s", ErrPEM, i+1, parserWords(err))
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// kindOf says what a block is by its label. It never repeats other text of a label, because that text comes from
// outside.
func kindOf(block *pem.Block) string {
	switch {
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return "a private key"
	case strings.HasSuffix(block.Type, "CERTIFICATE REQUEST"):
		return "a certification request"
	case block.Type == typeCertificate:
		return "a certificate"
	case block.Type == "TRUSTED CERTIFICATE":
		return "a certificate in OpenSSL's own format; convert it: openssl x509 -in FILE -out PLAIN"
	case block.Type == "PKCS7":
		return "a PKCS #7 container; take the certificates out: openssl pkcs7 -print_certs -in FILE"
	}
	return "something else"
}

// parserWords are messages of crypto/x509, with the remedy where there is one.
func parserWords(err error) string {
	words := err.Error()
	switch {
	case strings.HasPrefix(words, "asn1:"), strings.Contains(words, "trailing data"):
		words = "its DER is malformed, or something follows its end"
	case strings.Contains(words, "uncompressed public key"):
		words = "the point of its EC key is compressed, which not every verifier reads: issue it again for a key with an " +
			"uncompressed point (openssl ec -conv_form uncompressed)"
	}
	return words
}

// Blocks reads every PEM block of a text: at least one. It is the one reader of PEM here.
//
// Text outside of the blocks is skipped (RFC 7468 section 2): tools write a certificate's fields, bag
// attributes, comments or a byte order mark there, in any encoding. A damaged block is an error that names the
// cause and is never skipped: pem.Decode alone would skip it and return the next good block. The error is ErrPEM, and
// then there are no blocks. The caller bounds the size.
func Blocks(text []byte) (found []*pem.Block, err error) {
	defer func() {
		if err != nil { // a key must not stay behind
			for _, b := range found {
				clear(b.Bytes)
			}
			found = nil
		}
	}()
	if why := notText(text); why != "" {
		return nil, fmt.Errorf("%w: %s", ErrPEM, why)
	}
	for rest := text; ; {
		begin := bytes.Index(rest, pemBegin)
		outside := rest
		if begin >= 0 {
			outside = rest[:begin]
		}
		switch {
		case bytes.Contains(outside, pemEnd):
			return found, fmt.Errorf("%w: a PEM block ends that did not begin; is its BEGIN line missing?", ErrPEM)
		case begin < 0 && len(found) == 0:
			return nil, fmt.Errorf("%w: no PEM block is in it: a line -----BEGIN …----- is missing", ErrPEM)
		case begin < 0:
			return found, nil
		}
		block, size, why := readBlock(rest[begin:], startsLine(outside))
		if why != "" {
			return found, fmt.Errorf("%w: PEM block %d %s", ErrPEM, len(found)+1, why)
		}
		found, rest = append(found, block), rest[begin+size:]
	}
}

// notText says what a file is that is no text with PEM in it, where that is plain.
func notText(text []byte) string {
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		return "the file is UTF-16 text, as PowerShell's redirection writes it; save it as UTF-8"
	case len(bytes.Trim(text, whiteSpace)) == 0:
		return "the file is empty"
	}
	return ""
}

// startsLine reports whether what follows this text is at the beginning of a line. A byte order mark is no text.
func startsLine(before []byte) bool {
	before = bytes.TrimSuffix(before, []byte("\ufeff"))
	return len(before) == 0 || before[len(before)-1] == '\n'
}

// readBlock reads the block that text begins with, and returns how much of text it is, or what is wrong with it.
func readBlock(text []byte, startsLine bool) (block *pem.Block, size int, why string) {
	end := bytes.Index(text, pemEnd)
	next := bytes.Index(text[1:], pemBegin)
	switch {
	case end < 0:
		return nil, 0, causeOf(text, "is damaged: it has no END line; was the file cut off?")
	case next >= 0 && next+1 < end:
		return nil, 0, "is damaged: another one begins before it ends; was a part of the file lost?"
	}
	size = len(text)
	if n := bytes.IndexByte(text[end:], '\n'); n >= 0 {
		size = end + n + 1
	}
	whole := text[:size]
	if bytes.Count(whole, pemBegin) > 1 { // END and the next BEGIN on one line
		return nil, 0, causeOf(whole, "is damaged: the next block begins on the line on which it ends (-----END "+
			"…----------BEGIN …-----); put a line break between the two")
	}
	if !startsLine {
		return nil, 0, causeOf(whole, "does not begin at the start of a line; remove what is before its BEGIN line, "+
			"indentation included")
	}
	block, rest := pem.Decode(whole)
	if block == nil || len(rest) > 0 {
		return nil, 0, causeOf(whole, damage(whole))
	}
	return block, size, ""
}

// causeOf names what happened to the line breaks of a block; otherwise, if they are intact.
func causeOf(block []byte, otherwise string) string {
	begin := block
	if n := bytes.IndexByte(block, '\n'); n >= 0 {
		begin = block[:n]
	}
	label := bytes.Index(begin[len(pemBegin):], pemDashes)
	if label < 0 {
		return otherwise
	}
	after := begin[len(pemBegin)+label+len(pemDashes):]
	switch {
	case bytes.HasPrefix(after, []byte(`\n`)) || bytes.HasPrefix(after, []byte(`\r\n`)):
		return `is damaged: its line breaks are written as the two characters \n; turn them into line breaks: printf '%b' "$(cat FILE)"`
	case bytes.HasPrefix(after, []byte("\r")) && len(bytes.TrimRight(after, "\r")) > 0:
		return `is damaged: its lines end in CR alone; turn them into line breaks: tr '\r' '\n' < FILE`
	case len(bytes.Trim(after, whiteSpace)) > 0:
		return "is damaged: its line breaks are lost, or became spaces; copy the file again as it is, BEGIN and END on " +
			"lines of their own"
	}
	return otherwise
}

// damage looks for what is wrong within a block that has its lines.
func damage(block []byte) string {
	lines := strings.Split(strings.TrimRight(string(block), whiteSpace), "\n")
	first, last := strings.TrimRight(lines[0], whiteSpace), strings.TrimRight(lines[len(lines)-1], whiteSpace)
	if strings.TrimPrefix(last, "-----END ") != strings.TrimPrefix(first, "-----BEGIN ") {
		return "is damaged: its BEGIN line and its END line name different things"
	}
	for n, line := range lines[1 : len(lines)-1] {
		for _, c := range []byte(strings.Trim(line, whiteSpace)) {
			if c != '=' && bytes.IndexByte(base64Alphabet, c) < 0 && !strings.Contains(line, ":") {
				return fmt.Sprintf("is damaged: line %d of it holds a character that base64 does not have", n+2)
			}
		}
	}
	return "is damaged: its base64 is not whole; was a part of it lost?"
}

var base64Alphabet = []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
