package pki

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// CheckSameNames returns ErrNames unless a certification request asks for the very names of a certificate: the same
// subject and the same subject alternative names (RFC 7030 section 4.2.2), by value. Encodings differ where values do
// not: OpenSSL writes a UTF8String where others write a PrintableString. The order of alternative names says nothing.
func CheckSameNames(csr *x509.CertificateRequest, cert *x509.Certificate) error {
	got, err := readName(csr.RawSubject)
	if err != nil {
		return err
	}
	want, err := readName(cert.RawSubject)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(got, want, slices.Equal[[]attribute]) {
		return fmt.Errorf("%w: its subject is %s, the certificate's is %s%s", ErrNames, dn.Brief(csr.RawSubject),
			dn.Brief(cert.RawSubject), reordered(got, want))
	}
	asked, err := readAlternatives(csr.Extensions)
	if err != nil {
		return err
	}
	has, err := readAlternatives(cert.Extensions)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(asked, has, bytes.Equal) {
		return fmt.Errorf("%w: its subject alternative names are not those of the certificate (%v)", ErrNames, cert.URIs)
	}
	return nil
}

// attribute is one AttributeTypeAndValue of a name (RFC 5280 section 4.1.2.4): its text, or the encoding of a value
// that is not text.
type attribute struct{ kind, value string }

func compareAttributes(a, b attribute) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.value, b.value))
}

// readName reads a name. The attributes of one RDN are a set: they are sorted.
func readName(name []byte) ([][]attribute, error) {
	rdns, ok := dn.Parse(name)
	if !ok {
		return nil, fmt.Errorf("%w: malformed subject", ErrNames)
	}
	all := make([][]attribute, len(rdns))
	for i, rdn := range rdns {
		for _, a := range rdn {
			value := "#" + string(a.Value)
			if a.IsText {
				value = "=" + a.Text
			}
			all[i] = append(all[i], attribute{a.Type, value})
		}
		slices.SortFunc(all[i], compareAttributes)
	}
	return all, nil
}

// reordered says so if two names have the same attributes, but not in the same places.
func reordered(got, want [][]attribute) string {
	flat := func(name [][]attribute) []attribute {
		all := slices.Concat(name...)
		slices.SortFunc(all, compareAttributes)
		return all
	}
	if slices.Equal(flat(got), flat(want)) {
		return ": the same parts in another order; openssl req -subj takes them in the order of the certificate's encoding"
	}
	return ""
}

// readAlternatives reads the GeneralNames of the one subjectAltName among the extensions, sorted, with their tags. None
// of their forms has two encodings: the texts are IA5String, and DER is the only one for the rest.
func readAlternatives(extensions []pkix.Extension) ([][]byte, error) {
	var all [][]byte
	found := false
	for _, ext := range extensions {
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); found || err != nil || len(rest) > 0 {
			return nil, fmt.Errorf("%w: malformed subject alternative names", ErrNames)
		}
		found = true
		for _, n := range names {
			all = append(all, n.FullBytes)
		}
	}
	slices.SortFunc(all, bytes.Compare)
	return all, nil
}
