package pki

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
)

const maxCSR = 16 << 10 // bytes of PEM; an RSA-4096 request with names and extensions takes under 3 KB

var csrTypes = []string{"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"} // RFC 7468 section 7

// strongSignatures are what certificates and requests may be signed with. CheckSignature of a request still believes
// SHA-1.
var strongSignatures = []x509.SignatureAlgorithm{
	x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
	x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
	x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
}

// ParseCSR reads one PEM certification request (RFC 2986; see Blocks) of at most 16 KiB, with what is around it, checks
// its signature, which proves possession of the private key, and returns its public key.
//
// The key is all that is taken from it: the subject and the extensions asked for are ignored, because the Mastio
// alone says who an agent is. It returns ErrCSR, which wraps ErrKey if the key is the reason (see CheckKey).
func ParseCSR(data []byte) (crypto.PublicKey, error) {
	der, err := UnwrapCSR(data)
	if err != nil {
		return nil, err
	}
	csr, err := ReadCSR(der)
	if err != nil {
		return nil, err
	}
	return csr.PublicKey, nil
}

// UnwrapCSR returns the DER of one PEM certification request, bounded and framed as ParseCSR asks for, and nothing of
// it checked. It returns ErrCSR.
func UnwrapCSR(data []byte) ([]byte, error) {
	der, err := unwrapCSR(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; csr_pem takes one PEM certification request (PKCS #10) of at most 16 KiB, as "+
			"openssl req -new writes it", ErrCSR, err)
	}
	return der, nil
}

// ReadCSR reads the DER of a certification request of at most 16 KiB and checks its key's policy and its signature.
// The caller decides about everything else in the request: it checks the names with CheckSameNames, or ignores them.
// It returns ErrCSR, which wraps ErrKey if the key is the reason (see CheckKey).
func ReadCSR(der []byte) (*x509.CertificateRequest, error) {
	if len(der) > maxCSR {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrCSR, len(der), maxCSR)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrCSR, parserWords(err))
	}
	// The key comes first: verifying by a key of unbounded size is work that the sender chooses.
	if err := CheckKey(csr.PublicKey); err != nil { // its answer goes first: it says more than the request's
		return nil, fmt.Errorf("%[2]w: %[1]w", err, ErrCSR)
	}
	if !slices.Contains(strongSignatures, csr.SignatureAlgorithm) {
		return nil, fmt.Errorf("%w: it is signed with %v, want SHA-256 or better", ErrCSR, csr.SignatureAlgorithm)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: its signature is not by its own key", ErrCSR)
	}
	return csr, nil
}

func unwrapCSR(data []byte) ([]byte, error) {
	if len(data) > maxCSR {
		return nil, fmt.Errorf("%d bytes, want at most %d", len(data), maxCSR)
	}
	blocks, err := Blocks(data)
	switch {
	case err != nil:
		return nil, err
	case len(blocks) > 1:
		return nil, fmt.Errorf("%w: it holds %d blocks, want one: the certification request", ErrPEM, len(blocks))
	case len(blocks[0].Headers) > 0:
		return nil, fmt.Errorf("%w: the block has headers, which no certification request has", ErrPEM)
	case !slices.Contains(csrTypes, blocks[0].Type):
		return nil, fmt.Errorf("%w: want a certification request, the block is %s", ErrPEM, kindOf(blocks[0]))
	}
	return blocks[0].Bytes, nil
}
