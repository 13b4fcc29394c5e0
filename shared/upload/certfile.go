package upload

import (
	"encoding/pem"
	"errors"
	"strings"
)

// readCertificateFile returns the certificates of a file in its order. whole is false if there are none, or if
// something could not be read, and then a defect says why: what is left is no chain.
func readCertificateFile(file []byte, f *findings) (all []*certificate, whole bool) {
	found, err := blocks(file)
	defer wipeBlocks(found) // a private key may have strayed in
	if err != nil {
		f.add(Unparseable, "certificate file: %s", err)
	}
	ders, ok := certificateBlocks(found, f)
	if len(ders) > maxCertificates {
		f.add(ExtraCertificates, "certificate file: it holds %d certificates, want at most %d: the CA and what is above it",
			len(ders), maxCertificates)
		return nil, false
	}
	for i, der := range ders {
		c, err := readCertificate(der)
		var tail *tailError
		switch {
		case errors.As(err, &tail):
			f.add(TrailingData, "certificate %d: %s", i+1, err)
		case err != nil:
			f.add(Unparseable, "certificate %d: %s", i+1, err)
		default:
			c.place = i + 1
			all = append(all, c)
		}
	}
	return all, err == nil && ok && len(all) == len(ders)
}

// misplaced says what a PEM block or a DER file is that is no certificate.
var misplaced = map[kind]string{
	pkcs8Kind:     strayKey,
	pkcs1Kind:     strayKey,
	sec1Kind:      strayKey,
	encryptedKind: strayKey,
	publicKeyKind: "is a public key",
	pkcs7Kind:     "is a PKCS #7 container; take the certificates out: openssl pkcs7 -print_certs -in FILE",
	pkcs12Kind:    "is a PKCS #12 container; take the certificates out: openssl pkcs12 -nokeys -in FILE",
	unknown:       "is not a certificate",
}

const strayKey = "is a private key, which belongs into the key file alone (were the two files swapped?)"

// certificateBlocks picks the certificates out of a file, and refuses what does not belong there.
func certificateBlocks(found []*pem.Block, f *findings) (ders [][]byte, ok bool) {
	ok = true
	refuse := func(place int, why string) {
		f.add(Unparseable, "certificate file: block %d %s", place, why)
		ok = false
	}
	for i, b := range found {
		switch k := holds(b.Bytes); {
		case strings.HasSuffix(b.Type, "PRIVATE KEY") || encrypted(b):
			refuse(i+1, strayKey)
		case strings.HasSuffix(b.Type, "CERTIFICATE REQUEST"):
			refuse(i+1, "is a certification request; upload the certificate that was made from it")
		case b.Type == "TRUSTED CERTIFICATE":
			refuse(i+1, "is in OpenSSL's own format; convert it: openssl x509 -in FILE -out PLAIN")
		case k != certificateKind:
			refuse(i+1, misplaced[k])
		case b.Type != "" && b.Type != "CERTIFICATE" && b.Type != "X509 CERTIFICATE":
			refuse(i+1, "is labelled as something else than a certificate")
		case len(b.Headers) > 0:
			refuse(i+1, "has headers, which no certificate has")
		default:
			ders = append(ders, append([]byte{}, b.Bytes...))
		}
	}
	return ders, ok
}
