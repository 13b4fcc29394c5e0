package upload

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/pem"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/pki/der"
)

// Bounds of what is given to a parser that calculates. An RSA-4096 key is under 2.5 KB.
const (
	maxKeyDER  = 4 << 10
	maxRSABits = 4096
)

// primeRounds is how many random bases each prime of an RSA key is tested with, in addition to the Baillie-PSW test
// of big.Int. The operator who uploads a key may know it anyway. So the test is against broken tools, not against
// composites that were made to pass it.
const primeRounds = 2

// A PEM label that says encryption, in one of the two ways there are.
func encrypted(b *pem.Block) bool {
	return b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "" || b.Headers["Proc-Type"] != ""
}

const decryptHint = "the private key is encrypted; decrypt it first: openssl pkey -in KEY -out PLAIN-KEY"

// readKeyFile returns the one private key in a file, or nil and why not. It returns a weak key too, so that the key
// can be compared with the certificate's.
func readKeyFile(file []byte, f *findings) crypto.Signer {
	found, err := blocks(file)
	defer wipeBlocks(found)
	if err != nil {
		f.add(KeyUnparseable, "key file: %s", err)
		return nil
	}
	keys := keyBlocks(found, f)
	if keys == nil {
		return nil
	}
	if len(keys) != 1 {
		f.add(KeyUnparseable, "key file: it holds %d private keys; leave the CA's in it alone", len(keys))
		return nil
	}
	return readKey(keys[0], f)
}

// ReadKey reads a file with one private key, PEM or DER, as Read does, and nothing else: Material has no chain. The
// policy of its key is the caller's. The error is ErrRefused.
func ReadKey(file []byte) (Material, error) {
	var f findings
	if len(file) > maxBytes {
		f.add(KeyUnparseable, "key file: %d bytes, want at most %d", len(file), maxBytes)
		return Material{}, f.refusal()
	}
	m := Material{Key: readKeyFile(file, &f)}
	if len(f.defects) > 0 {
		m.Zero()
		return Material{}, f.refusal()
	}
	return m, nil
}

// keyBlocks picks the private keys out of a key file, and refuses what does not belong there. It returns nil if a
// defect is already recorded.
func keyBlocks(found []*pem.Block, f *findings) []*pem.Block {
	keys := []*pem.Block{}
	for i, b := range found {
		switch k := holds(b.Bytes); {
		case encrypted(b) || b.Type == "" && k == encryptedKind:
			f.add(KeyEncrypted, decryptHint)
			return nil
		case b.Type == "EC PARAMETERS":
			readParameters(b.Bytes, f)
		case b.Type == "OPENSSH PRIVATE KEY":
			f.add(KeyUnparseable, "key file: the key is in OpenSSH's own format; convert a copy: ssh-keygen -p -m PEM -f COPY")
			return nil
		case k == certificateKind:
			f.add(KeyUnparseable, "key file: block %d is a certificate; leave the private key alone in it (were the two "+
				"files swapped?)", i+1)
			return nil
		case k == publicKeyKind:
			f.add(KeyUnparseable, "key file: block %d is a public key", i+1)
			return nil
		case k == pkcs12Kind || k == pkcs7Kind:
			f.add(KeyUnparseable, "key file: it is a PKCS #12 or PKCS #7 container; take the key out: openssl pkcs12 -in FILE "+
				"-nocerts -nodes")
			return nil
		default:
			keys = append(keys, b)
		}
	}
	if len(keys) == 0 {
		f.add(KeyUnparseable, "key file: it holds no private key")
		return nil
	}
	return keys
}

// readParameters looks at the block that openssl ecparam writes before a key. The key names its curve itself.
func readParameters(der []byte, f *findings) {
	s := cryptobyte.String(der)
	var oid cryptobyte.String
	switch {
	case s.PeekASN1Tag(asn1.SEQUENCE):
		f.add(Curve, explicitCurve, "the private key")
	case !s.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || !s.Empty():
		f.add(KeyUnparseable, "key file: its EC PARAMETERS are malformed")
	}
}

// readKey reads a private key of any of the three structures; the content decides which.
func readKey(b *pem.Block, f *findings) crypto.Signer {
	var body cryptobyte.String
	s := cryptobyte.String(b.Bytes)
	switch {
	case len(b.Headers) > 0:
		f.add(KeyUnparseable, "key file: the PEM block of the key has headers")
	case !s.ReadASN1(&body, asn1.SEQUENCE):
		f.add(KeyUnparseable, "key file: it is not the DER of a private key")
	case !s.Empty():
		f.add(TrailingData, "key file: something follows after the end of the key (bytes: %d)", len(s))
	case len(b.Bytes) > maxKeyDER:
		f.add(KeyUnparseable, "key file: a key of %d bytes, want at most %d", len(b.Bytes), maxKeyDER)
	case !der.Strict(b.Bytes):
		f.add(KeyUnparseable, malformedKey)
	default:
		return readPlainKey(b.Bytes, f)
	}
	return nil
}

const malformedKey = "key file: the structure of the key is malformed"

func readPlainKey(der []byte, f *findings) crypto.Signer {
	switch holds(der) {
	case pkcs8Kind:
		return readPKCS8(der, f)
	case pkcs1Kind:
		return readRSA(der, f)
	case sec1Kind:
		return readEC(der, nil, f)
	default:
		f.add(KeyUnparseable, "key file: it holds no private key of a kind that is known (PKCS #8, SEC 1, PKCS #1)")
		return nil
	}
}

// readPKCS8 opens the envelope of RFC 5208, or RFC 5958, and reads the key in it.
func readPKCS8(der []byte, f *findings) crypto.Signer {
	s := cryptobyte.String(der)
	var body, version, algorithm, inner cryptobyte.String
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1(&version, asn1.INTEGER) ||
		!body.ReadASN1Element(&algorithm, asn1.SEQUENCE) || !body.ReadASN1(&inner, asn1.OCTET_STRING) {
		f.add(KeyUnparseable, malformedKey)
		return nil
	}
	a, ok := readAlgorithm(algorithm)
	switch {
	case !ok:
		f.add(KeyUnparseable, malformedKey)
	case a.oid == oidRSA:
		return readRSA(inner, f)
	case a.oid == oidEC:
		return readEC(inner, a.parameters, f)
	default:
		a.refuse("the private key", f)
	}
	return nil
}

// judgeKey holds a private key to the policy, where the certificate does not say the same already.
func judgeKey(key crypto.Signer, f *findings) {
	if err := checkCAKey(key.Public()); err != nil {
		f.add(codeOfKey(key.Public()), "the private key: %s", err)
	}
}

// checkCAKey is pki's policy and the limits of KMS's import: of RSA these three sizes only.
func checkCAKey(pub crypto.PublicKey) error {
	if err := pki.CheckKey(pub); err != nil {
		return err
	}
	key, isRSA := pub.(*rsa.PublicKey)
	if isRSA && key.N.BitLen() != 2048 && key.N.BitLen() != 3072 && key.N.BitLen() != 4096 {
		return errRSASize
	}
	return nil
}

func codeOfKey(pub crypto.PublicKey) Code {
	if _, ok := pub.(*rsa.PublicKey); ok {
		return WeakKey
	}
	return Curve
}

// curves are the curves that a CA's key may have.
var curves = map[string]elliptic.Curve{oidP256: elliptic.P256(), oidP384: elliptic.P384()}
