package gateway

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"

	"github.com/mastio-aws/mastio/shared/pki/dn"
)

// validityLayout is how events spell a time, in OpenSSL's way: May 28 12:30:02 2019 GMT.
const validityLayout = "Jan _2 15:04:05 2006 GMT"

// describe returns a certificate in the form of an event: names in the form of RFC 2253, the serial
// number as octets in hexadecimal. Source:
// https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html
func describe(c *x509.Certificate) *clientCert {
	d := &clientCert{
		ClientCertPem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})),
		SubjectDN:     dn.String(c.RawSubject),
		IssuerDN:      dn.String(c.RawIssuer),
		SerialNumber:  serial(c.SerialNumber),
	}
	d.Validity.NotBefore = c.NotBefore.UTC().Format(validityLayout)
	d.Validity.NotAfter = c.NotAfter.UTC().Format(validityLayout)
	return d
}

func serial(n *big.Int) string {
	octets := n.Bytes()
	if len(octets) == 0 {
		return "00"
	}
	parts := make([]string, len(octets))
	for i, b := range octets {
		parts[i] = fmt.Sprintf("%02x", b)
	}
	return strings.Join(parts, ":")
}
