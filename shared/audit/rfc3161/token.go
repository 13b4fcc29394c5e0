// Package rfc3161 checks time-stamp tokens: that an authority saw a digest no later than at some time.
package rfc3161

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// ErrToken reports a token that does not prove what it should.
var ErrToken = errors.New("time-stamp token does not hold")

// Checker returns a check of tokens over SHA-256 digests. With roots, the authority's certificate must chain to one
// of them; without roots, the check only names the authority. The check returns ErrToken.
func Checker(roots *x509.CertPool) func(token, digest []byte) (at time.Time, authority string, err error) {
	return func(token, digest []byte) (at time.Time, authority string, err error) {
		defer func() { // the decoder is not made for hostile input; a panic in it must not hide the rest of a report
			if v := recover(); v != nil {
				err = fmt.Errorf("%w: it cannot be decoded: %v", ErrToken, v)
			}
		}()
		return check(roots, token, digest)
	}
}

func check(roots *x509.CertPool, token, digest []byte) (time.Time, string, error) {
	stamp, err := timestamp.Parse(token)
	if err != nil {
		return time.Time{}, "", fmt.Errorf("%w: %w", ErrToken, err)
	}
	if stamp.HashAlgorithm != crypto.SHA256 || !bytes.Equal(stamp.HashedMessage, digest) {
		return time.Time{}, "", fmt.Errorf("%w: it is over something else", ErrToken)
	}
	signed, err := pkcs7.Parse(token)
	if err != nil {
		return time.Time{}, "", fmt.Errorf("%w: %w", ErrToken, err)
	}
	signer := signed.GetOnlySigner()
	// RFC 3161 section 2.3: the certificate serves this and nothing else.
	if signer == nil || !slices.Equal(signer.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}) ||
		len(signer.UnknownExtKeyUsage) > 0 {
		return time.Time{}, "", fmt.Errorf("%w: it does not hold the certificate of one time-stamping authority", ErrToken)
	}
	opts := x509.VerifyOptions{
		Roots:         roots,
		Intermediates: x509.NewCertPool(),
		CurrentTime:   stamp.Time,
		KeyUsages:     signer.ExtKeyUsage,
	}
	for _, c := range signed.Certificates {
		opts.Intermediates.AddCert(c)
	}
	if err := signed.VerifyWithOpts(opts); err != nil { // without roots it checks the signature alone
		return time.Time{}, "", fmt.Errorf("%w: %w", ErrToken, err)
	}
	authority := dn.String(signer.RawSubject)
	if roots == nil {
		authority += " (its root was not checked: name it with -tsa-ca)"
	}
	return stamp.Time, authority, nil
}
