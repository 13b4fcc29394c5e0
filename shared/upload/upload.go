// Package upload reads an uploaded Org CA as hostile input and reports every defect of it.
//
// crypto/x509 accepts more than an Org CA may contain: its verifier trusts a root's own extensions, and its parser
// skips what it does not look for. So this package reads every certificate twice: with crypto/x509, and from the
// encoding. It accepts a chain only if both readings agree, package pki verifies the chain, and the private key has
// issued a test CA and a certificate under it that verify too.
//
// It performs no I/O and reads no clock. Its only side effect is random numbers from crypto/rand.
package upload

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"time"
)

// The limits of an upload, and of the answer about it.
const (
	maxBytes        = 64 << 10 // both files together
	maxCertificates = 4        // the CA and what is above it
	// the first ones of each certificate say what to do; a file made to have more says nothing with them
	maxDefects = 40
)

// minLeft is how long an uploaded CA must still be valid. It is founded for years; 90 days are time to notice.
const minLeft = 90 * 24 * time.Hour

// Policy is what an upload is judged by.
type Policy struct {
	Now time.Time
	// Known lists the certificates of every earlier generation that was ever used. An upload must differ from all of
	// them, by its key and by its names (judgeKnown).
	Known []Known
	// Legacy lets a self-signed root with pathLenConstraint 0 in: for an organisation that is empty and not strict.
	Legacy bool
}

// Known is a certificate of an earlier generation.
type Known struct {
	Generation  int64
	Certificate *x509.Certificate
	// Above reports that the certificate only ever stood above an uploaded CA. No generation owns it: it may stand above
	// the next upload.
	Above bool
}

// Material is an upload that was accepted.
type Material struct {
	// Chain is the CA first, then the certificates above it, each issued by the next; the last is a root. A self-signed
	// CA is a chain of one. With a signer of its key it makes a pki.Authority.
	Chain []*x509.Certificate
	// Key is the CA's private key: an *ecdsa.PrivateKey on P-256 or P-384, or an *rsa.PrivateKey of 2048, 3072 or
	// 4096 bits.
	Key crypto.Signer
	// Legacy says that the CA's encoded pathLenConstraint is 0, so that it must issue leaves itself.
	Legacy bool
}

// Zero overwrites the private key's numbers and forgets the key. More is impossible in Go: crypto/rsa and
// crypto/ecdsa keep a precomputed copy inside that cannot be reached, and the runtime may have copied any of it while
// moving a stack. Those copies go when the memory is reused. The uploaded files are the caller's to overwrite.
func (m *Material) Zero() {
	zero(m.Key)
	m.Key = nil
}

func zero(key crypto.Signer) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		wipe(k.D) //nolint:staticcheck // the number itself is what has to go
	case *rsa.PrivateKey:
		wipe(k.D)
		for _, prime := range k.Primes {
			wipe(prime)
		}
		wipe(k.Precomputed.Dp)
		wipe(k.Precomputed.Dq)
		wipe(k.Precomputed.Qinv)
	}
}

func wipe(n *big.Int) {
	if n != nil {
		clear(n.Bits())
		n.SetInt64(0)
	}
}

// Read judges an upload: a file of certificates and a file with the private key of one of them, each PEM or DER.
// It reports all defects at once: the error is ErrRefused with its defects. It overwrites what it decoded on the way;
// it does not change the two files.
//
// The order of the certificates does not matter: the CA is the certificate of the key, and the chain is made of the
// certificates above it. No certificate may be left over. Read skips text outside of the PEM blocks, as RFC 7468
// section 5.2 allows: tools write such text.
func Read(certs, key []byte, p Policy) (Material, error) {
	var f findings
	if len(certs)+len(key) > maxBytes {
		f.add(Unparseable, "the two files have %d bytes together, want at most %d", len(certs)+len(key), maxBytes)
		return Material{}, f.refusal()
	}
	signer := readKeyFile(key, &f)
	all, whole := readCertificateFile(certs, &f)
	if !whole {
		judgeEach(all, p.Now, &f)
		zero(signer)
		return Material{}, f.refusal()
	}
	path := arrange(all, signer, &f)
	judgePath(path, signer, p, &f)
	m := Material{Key: signer}
	for _, c := range path {
		m.Chain = append(m.Chain, c.parsed)
	}
	if len(f.defects) == 0 {
		m.Legacy = path[0].pathLenZero()
		prove(m, p.Now, &f)
	}
	if len(f.defects) > 0 {
		m.Zero()
		return Material{}, f.refusal()
	}
	return m, nil
}
