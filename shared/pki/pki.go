// Package pki issues and verifies the certificates of a Mastio: one root and one issuing CA per generation, and the
// leaves of the agents.
//
// It performs no I/O and reads no clock; every time is a parameter. Its only side effects are random numbers from
// crypto/rand and the calls of a crypto.Signer that the caller passes in, one for each certificate.
// Everything in it is safe for concurrent use as long as the signers are.
package pki

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/mastio-aws/mastio/shared/problem"
)

// Errors of the package. Each is wrapped with the particulars, which are fit to be shown to an operator: they
// name certificates' fields and never contain a private key.
var (
	// ErrProfile reports parameters for which the certificate profiles have no certificate.
	ErrProfile = problem.Internal("no certificate profile allows this")
	// ErrChain reports a chain that does not verify. Where Go's verifier is what refused it, its own error
	// (x509.CertificateInvalidError and the like) is wrapped too.
	ErrChain = problem.Internal("certificate chain does not verify")
	// ErrPathLen reports a CA below another whose encoded pathLenConstraint forbids it. It is also an ErrChain.
	ErrPathLen = fmt.Errorf("%w: path length constraint exceeded", ErrChain)
	// ErrKey reports a public key outside the policy of CheckKey.
	ErrKey = problem.New(400, "csr_key_unacceptable", "key not acceptable").
		Says("The key must be EC on P-256 or P-384, or RSA of 2048 to 4096 bits.")
	// ErrCSR reports a certification request that ParseCSR refuses.
	ErrCSR = problem.New(400, "csr_invalid", "certification request not acceptable")
	// ErrNames reports a certification request for other names than those it may be for.
	ErrNames = problem.New(400, "csr_names_differ", "certification request is for other names")
	// ErrPEM reports a text that is not exactly the PEM blocks it should be.
	ErrPEM = problem.Internal("malformed PEM")
	// The next ones report a leaf certificate of another issuer that CheckLeaf refuses.
	ErrLeafKey     = problem.New(400, "cert_weak_key", "certificate's key is not acceptable")
	ErrLeafIsCA    = problem.New(400, "cert_is_ca", "certificate is a CA's")
	ErrLeafUsage   = problem.New(400, "cert_eku_not_client_auth", "certificate is not for client authentication")
	ErrExpired     = problem.New(400, "cert_expired", "certificate has expired")
	ErrNotYetValid = problem.New(400, "cert_not_yet_valid", "certificate is not valid yet")
	// ErrPossession reports a signature that does not prove possession of a private key.
	ErrPossession = problem.New(400, "possession_proof_invalid", "possession of the private key is not proven")
	// ErrSPIFFEID reports a text that is not the SPIFFE ID of a workload.
	ErrSPIFFEID = problem.Internal("malformed SPIFFE ID")
)

// Thumbprint returns the lower-case hex SHA-256 of a certificate's DER: what an agent's pin holds. It is the
// x5t#S256 of RFC 8705 section 3.1 in another spelling.
func Thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
