package pki

import (
	"crypto/x509"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki/der"
	"github.com/mastio-aws/mastio/shared/pki/dn"
	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrIssuer reports a CA certificate that CheckIssuer refuses.
var ErrIssuer = problem.New(400, "issuer_ca_unacceptable", "CA certificate not acceptable")

// ErrExtension reports an extension that CheckExtensions refuses.
var ErrExtension = problem.New(400, "cert_extension_malformed", "certificate extension is malformed")

// CheckIssuer checks a CA certificate of another issuer (a bundle's root or an intermediate) by the rules of an
// uploaded Org CA: a key within the policy of CheckKey, signed with SHA-256 or better, extensions that are
// well-formed (CheckExtensions), and a keyUsage, if it has one, with keyCertSign. VerifyUnder judges its constraints,
// its validity and its place in a chain. It returns ErrIssuer, which wraps ErrKey or ErrExtension where one of these
// is the reason.
func CheckIssuer(ca *x509.Certificate) error {
	name := dn.Brief(ca.RawSubject)
	if err := CheckKey(ca.PublicKey); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrIssuer, name, err)
	}
	if !slices.Contains(strongSignatures, ca.SignatureAlgorithm) {
		return fmt.Errorf("%w: %s is signed with %s, want ECDSA or RSA with SHA-256 or better", ErrIssuer, name,
			ca.SignatureAlgorithm)
	}
	if err := CheckExtensions(ca); err != nil {
		return fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	if ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0 {
		return fmt.Errorf("%w: keyUsage of %s lacks keyCertSign", ErrIssuer, name)
	}
	return nil
}

// CheckExtensions returns ErrExtension if an extension of a certificate is not what RFC 5280 says it is. crypto/x509
// reads a keyUsage without any bit and an extendedKeyUsage without any purpose as if the extension were absent, which
// sets no limit; OpenSSL calls them invalid, and a certificate must mean the same to every verifier.
func CheckExtensions(cert *x509.Certificate) error {
	for _, ext := range cert.Extensions {
		if why := ExtensionSyntax(ext.Id.String(), ext.Value); why != "" {
			return fmt.Errorf("%w: the %s of %s %s", ErrExtension, ExtensionName(ext.Id.String()), dn.Brief(cert.RawSubject),
				why)
		}
	}
	return nil
}

// syntax is an extension of RFC 5280 section 4.2 whose form is checked. check returns what is wrong, or nothing.
type syntax struct {
	name  string
	check func(value cryptobyte.String) string
}

var syntaxes = map[string]syntax{
	"2.5.29.14":          {"subjectKeyIdentifier", checkOctets},
	"2.5.29.15":          {"keyUsage", checkKeyUsage},
	"2.5.29.17":          {"subjectAltName", checkNames},
	"2.5.29.18":          {"issuerAltName", checkNames},
	"2.5.29.19":          {"basicConstraints", checkConstraints},
	"2.5.29.30":          {"nameConstraints", checkNonEmpty},
	"2.5.29.31":          {"cRLDistributionPoints", checkPoints},
	"2.5.29.32":          {"certificatePolicies", checkPolicies},
	"2.5.29.35":          {"authorityKeyIdentifier", checkAuthority},
	"2.5.29.37":          {"extendedKeyUsage", checkPurposes},
	"1.3.6.1.5.5.7.1.1":  {"authorityInfoAccess", checkSequences},
	"1.3.6.1.5.5.7.1.11": {"subjectInfoAccess", checkSequences},

	"2.16.840.1.113730.1.1": {"Netscape certificate type", checkBits},
}

// ExtensionName names an extension by its object identifier, as RFC 5280 does.
func ExtensionName(oid string) string {
	if s, ok := syntaxes[oid]; ok {
		return s.name
	}
	return "extension " + oid
}

const notDER = "is not strict DER"

// ExtensionSyntax says what is wrong with the value of an extension, named by its object identifier, or nothing. The
// form of extensions that it does not know is not looked at.
func ExtensionSyntax(oid string, value []byte) string {
	s, known := syntaxes[oid]
	switch {
	case !known:
		return ""
	case !der.Strict(value):
		return notDER
	}
	return s.check(cryptobyte.String(value))
}

// sole returns the content of the one element of that tag which a value is.
func sole(value cryptobyte.String, tag asn1.Tag) (content cryptobyte.String, ok bool) {
	ok = value.ReadASN1(&content, tag) && value.Empty()
	return content, ok
}

func checkOctets(value cryptobyte.String) string {
	switch content, ok := sole(value, asn1.OCTET_STRING); {
	case !ok:
		return notDER
	case content.Empty():
		return "is empty"
	}
	return ""
}

func checkKeyUsage(value cryptobyte.String) string {
	switch content, ok := sole(value, asn1.BIT_STRING); {
	case !ok || !der.NamedBits(content):
		return notDER
	case len(content) == 1:
		return "sets no bit"
	case len(content) > 3: // nine bits are defined
		return "sets bits that do not exist"
	}
	return ""
}

func checkConstraints(value cryptobyte.String) string {
	bc, err := ReadConstraints(value)
	switch {
	case err != nil:
		return notDER
	case bc.PathLen != nil && bc.PathLen.Sign() < 0:
		return "has a negative pathLenConstraint"
	}
	return ""
}

func checkNonEmpty(value cryptobyte.String) string {
	switch content, ok := sole(value, asn1.SEQUENCE); {
	case !ok:
		return notDER
	case content.Empty():
		return "is empty"
	}
	return ""
}

// checkNames reads GeneralNames: at least one, each with a tag of its own.
func checkNames(value cryptobyte.String) string {
	if why := checkNonEmpty(value); why != "" {
		return why
	}
	list, _ := sole(value, asn1.SEQUENCE)
	for !list.Empty() {
		var name cryptobyte.String
		var tag asn1.Tag
		if !list.ReadAnyASN1(&name, &tag) || tag&0x80 == 0 || tag&0x1f > 8 {
			return notDER
		}
		if tag == directoryName {
			if why := checkDirectoryName(name); why != "" {
				return why
			}
		}
	}
	return ""
}

// directoryName is the tag of a distinguished name among GeneralNames (RFC 5280 section 4.2.1.6).
var directoryName = asn1.Tag(4).ContextSpecific().Constructed()

func checkDirectoryName(name cryptobyte.String) string {
	rdns, ok := dn.Parse(name)
	if !ok {
		return notDER
	}
	for _, rdn := range rdns {
		for _, a := range rdn {
			if why := a.Fault(); why != "" {
				return "has a name whose attribute " + a.Type + " " + why
			}
		}
	}
	return ""
}

// checkBits reads the Netscape certificate type, which OpenSSL and mbedTLS still look at.
func checkBits(value cryptobyte.String) string {
	if content, ok := sole(value, asn1.BIT_STRING); !ok || len(content) != 2 {
		return "is not a bit string of at most eight bits"
	}
	return ""
}

func checkSequences(value cryptobyte.String) string {
	return checkEach(value, func(list *cryptobyte.String) bool { return list.SkipASN1(asn1.SEQUENCE) })
}

func checkPurposes(value cryptobyte.String) string {
	return checkEach(value, func(list *cryptobyte.String) bool { return list.SkipASN1(asn1.OBJECT_IDENTIFIER) })
}

func checkEach(value cryptobyte.String, skip func(*cryptobyte.String) bool) string {
	if why := checkNonEmpty(value); why != "" {
		return why
	}
	list, _ := sole(value, asn1.SEQUENCE)
	for !list.Empty() {
		if !skip(&list) {
			return notDER
		}
	}
	return ""
}

// checkPoints reads DistributionPoints. Each names a place or an issuer (RFC 5280 section 4.2.1.13).
func checkPoints(value cryptobyte.String) string {
	if why := checkSequences(value); why != "" {
		return why
	}
	list, _ := sole(value, asn1.SEQUENCE)
	for !list.Empty() {
		var point, place, issuer cryptobyte.String
		var hasPlace, hasIssuer bool
		tag := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }
		if !list.ReadASN1(&point, asn1.SEQUENCE) || !point.ReadOptionalASN1(&place, &hasPlace, tag(0).Constructed()) ||
			!point.SkipOptionalASN1(tag(1)) || !point.ReadOptionalASN1(&issuer, &hasIssuer, tag(2).Constructed()) ||
			!point.Empty() {
			return notDER
		}
		if !hasPlace && !hasIssuer {
			return "has a point that names neither a place nor an issuer"
		}
		if hasPlace && !place.PeekASN1Tag(tag(0).Constructed()) && !place.PeekASN1Tag(tag(1).Constructed()) {
			return notDER
		}
	}
	return ""
}

// checkPolicies reads PolicyInformation, each policy once (RFC 5280 section 4.2.1.4).
func checkPolicies(value cryptobyte.String) string {
	if why := checkNonEmpty(value); why != "" {
		return why
	}
	list, _ := sole(value, asn1.SEQUENCE)
	var seen []string
	for !list.Empty() {
		var policy, oid cryptobyte.String
		if !list.ReadASN1(&policy, asn1.SEQUENCE) || !policy.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) {
			return notDER
		}
		var qualifiers cryptobyte.String
		if !policy.Empty() && (!policy.ReadASN1(&qualifiers, asn1.SEQUENCE) || qualifiers.Empty() || !policy.Empty()) {
			return notDER
		}
		if slices.Contains(seen, string(oid)) {
			return "has the policy " + der.OID(oid) + " twice"
		}
		seen = append(seen, string(oid))
	}
	return ""
}

// checkAuthority reads the three optional parts of RFC 5280 section 4.2.1.1; a serial number goes with a name.
func checkAuthority(value cryptobyte.String) string {
	body, ok := sole(value, asn1.SEQUENCE)
	var id, names, serial cryptobyte.String
	var hasID, hasNames, hasSerial bool
	tag := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }
	if !ok || !body.ReadOptionalASN1(&id, &hasID, tag(0)) ||
		!body.ReadOptionalASN1(&names, &hasNames, tag(1).Constructed()) ||
		!body.ReadOptionalASN1(&serial, &hasSerial, tag(2)) || !body.Empty() {
		return notDER
	}
	switch {
	case hasNames != hasSerial:
		return "has a serial number without the issuer's name, or a name without a serial number"
	case hasID && id.Empty():
		return "names an empty key"
	case hasSerial && !der.Integer(serial):
		return notDER
	}
	for !names.Empty() {
		var name cryptobyte.String
		var kind asn1.Tag
		if !names.ReadAnyASN1(&name, &kind) {
			return notDER
		}
		if why := checkDirectoryName(name); kind == directoryName && why != "" {
			return why
		}
	}
	return ""
}
