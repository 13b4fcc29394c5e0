package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"regexp"
	"strings"
)

// Bounds of the SPIFFE ID specification, sections 2.1 and 2.3, in bytes.
const (
	maxSPIFFEID    = 2048
	maxTrustDomain = 255
)

const (
	schemeSPIFFE = "spiffe://"
	tagURI       = 6 // uniformResourceIdentifier of GeneralName, RFC 5280 section 4.2.1.6
)

var (
	trustDomainPattern = regexp.MustCompile(`^[a-z0-9._-]+$`)
	segmentPattern     = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	oidSubjectAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// SPIFFEID builds the identity that an agent's certificate carries, `spiffe://{trustDomain}/{org}/{name}`.
// It returns ErrSPIFFEID if a part is malformed.
func SPIFFEID(trustDomain, org, name string) (string, error) {
	if err := checkTrustDomain(trustDomain); err != nil {
		return "", err
	}
	if !isSegment(org) || !isSegment(name) {
		return "", fmt.Errorf("%w: organisation and name must each be one path segment", ErrSPIFFEID)
	}
	id := schemeSPIFFE + trustDomain + "/" + org + "/" + name
	if err := CheckSPIFFEID(id); err != nil {
		return "", err
	}
	return id, nil
}

// CheckSPIFFEID returns ErrSPIFFEID, with the reason, unless the text is the SPIFFE ID of a workload: a trust domain
// and at least one path segment, spelt as the specification's section 2 demands. The characters allowed leave each
// identity one spelling only (no escapes, no port, no query), so two IDs are equal iff their bytes are.
func CheckSPIFFEID(id string) error {
	rest, found := strings.CutPrefix(id, schemeSPIFFE)
	if !found || len(id) > maxSPIFFEID {
		return fmt.Errorf("%w: want %s and at most %d bytes", ErrSPIFFEID, schemeSPIFFE, maxSPIFFEID)
	}
	segments := strings.Split(rest, "/")
	if err := checkTrustDomain(segments[0]); err != nil {
		return err
	}
	if len(segments) == 1 {
		return fmt.Errorf("%w: no path", ErrSPIFFEID)
	}
	for _, s := range segments[1:] {
		if !isSegment(s) {
			return fmt.Errorf("%w: path segments must be letters, digits, '.', '_' and '-', and neither empty nor dots alone",
				ErrSPIFFEID)
		}
	}
	return nil
}

func checkTrustDomain(domain string) error {
	if len(domain) > maxTrustDomain || !trustDomainPattern.MatchString(domain) {
		return fmt.Errorf("%w: trust domain must be 1 to %d of lower-case letters, digits, '.', '_' and '-'", ErrSPIFFEID,
			maxTrustDomain)
	}
	return nil
}

func isSegment(s string) bool {
	return segmentPattern.MatchString(s) && s != "." && s != ".."
}

// TrustDomain returns the trust domain of a SPIFFE ID that CheckSPIFFEID accepts.
func TrustDomain(id string) string {
	domain, _, _ := strings.Cut(strings.TrimPrefix(id, schemeSPIFFE), "/")
	return domain
}

// URI returns the certificate's URI subject alternative name, as encoded, if it has exactly one; it may have names of
// other kinds too. It reads the extension's own bytes: x509.Certificate.URIs went through a URL parser, which makes
// different texts equal (the scheme's case, an empty fragment).
func URI(cert *x509.Certificate) (string, bool) {
	uris, ok := URIs(cert)
	if !ok || len(uris) != 1 {
		return "", false
	}
	return uris[0], true
}

// URIs returns all of the certificate's URI subject alternative names, as encoded; false if they cannot be read.
func URIs(cert *x509.Certificate) (uris []string, ok bool) {
	if cert == nil {
		return nil, false
	}
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); err != nil || len(rest) > 0 {
			return nil, false
		}
		for _, n := range names {
			if n.Class == asn1.ClassContextSpecific && n.Tag == tagURI {
				uris = append(uris, string(n.Bytes))
			}
		}
	}
	return uris, true
}
