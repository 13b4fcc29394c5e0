package kms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes that crypto.Hash reaches by number
	_ "crypto/sha512"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// scheme is what a SigningAlgorithm means.
type scheme struct {
	hash crypto.Hash
	pss  bool // RSASSA-PSS with a salt as long as the hash; else PKCS #1 v1.5 or ECDSA, as the key is
}

var schemes = map[types.SigningAlgorithmSpec]scheme{
	types.SigningAlgorithmSpecEcdsaSha256:          {hash: crypto.SHA256},
	types.SigningAlgorithmSpecEcdsaSha384:          {hash: crypto.SHA384},
	types.SigningAlgorithmSpecRsassaPkcs1V15Sha256: {hash: crypto.SHA256},
	types.SigningAlgorithmSpecRsassaPkcs1V15Sha384: {hash: crypto.SHA384},
	types.SigningAlgorithmSpecRsassaPkcs1V15Sha512: {hash: crypto.SHA512},
	types.SigningAlgorithmSpecRsassaPssSha256:      {hash: crypto.SHA256, pss: true},
	types.SigningAlgorithmSpecRsassaPssSha384:      {hash: crypto.SHA384, pss: true},
	types.SigningAlgorithmSpecRsassaPssSha512:      {hash: crypto.SHA512, pss: true},
}

func (c scheme) options() crypto.SignerOpts {
	if c.pss {
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: c.hash}
	}
	return c.hash
}

// holds reports whether signature is a signature of digest under this scheme.
func (c scheme) holds(public crypto.PublicKey, digest, signature []byte) bool {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, signature)
	case *rsa.PublicKey:
		if c.pss {
			return rsa.VerifyPSS(k, c.hash, digest, signature,
				&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(k, c.hash, digest, signature) == nil
	}
	return false
}

type signRequest struct {
	keyRef
	DryRun           bool
	Message          []byte
	MessageType      types.MessageType
	SigningAlgorithm types.SigningAlgorithmSpec
}

type signAnswer struct {
	keyAnswer
	Signature        []byte
	SigningAlgorithm types.SigningAlgorithmSpec
}

// maxMessage bounds what is signed, verified and encrypted, in bytes.
const maxMessage = 4096

func (s *Server) sign(in *signRequest) (any, error) {
	k, scheme, digest, err := s.signable(in, "Sign")
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	signature, err := k.material.signer.Sign(rand.Reader, digest, scheme.options())
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.ID, err)
	}
	return signAnswer{keyAnswer{s.ring.key(k.ID)}, signature, in.SigningAlgorithm}, nil
}

// signable makes every check that Sign and Verify share, and reduces the message to its digest.
func (s *Server) signable(in *signRequest, op string) (*key, scheme, []byte, error) {
	if err := in.check(); err != nil {
		return nil, scheme{}, nil, err
	}
	k, err := s.usable(in.KeyId, types.KeyUsageTypeSignVerify, op)
	if err != nil {
		return nil, scheme{}, nil, err
	}
	if !slices.Contains(k.spec().signing, in.SigningAlgorithm) {
		return nil, scheme{}, nil, faultf(codeInvalidUsage, "Algorithm %s is incompatible with key spec %s.",
			in.SigningAlgorithm, k.Spec)
	}
	c := schemes[in.SigningAlgorithm]
	if in.MessageType == types.MessageTypeDigest {
		if len(in.Message) != c.hash.Size() {
			return nil, scheme{}, nil, faultf(codeValidation, "Digest is invalid length for algorithm %s.", in.SigningAlgorithm)
		}
		return k, c, in.Message, nil
	}
	h := c.hash.New()
	h.Write(in.Message)
	return k, c, h.Sum(nil), nil
}

func (in *signRequest) check() error {
	if in.MessageType == "" {
		in.MessageType = types.MessageTypeRaw
	}
	if err := blob("message", in.Message, 0, maxMessage); err != nil {
		return err
	}
	if err := oneOf("messageType", in.MessageType, in.MessageType.Values(),
		types.MessageTypeRaw, types.MessageTypeDigest); err != nil {
		return err
	}
	// An algorithm that AWS has and this server has not cannot fit any key here, which is said below.
	all := in.SigningAlgorithm.Values()
	return oneOf("signingAlgorithm", in.SigningAlgorithm, all, all...)
}

// usable returns a key that is enabled and made for usage.
func (s *Server) usable(ref *string, usage types.KeyUsageType, op string) (*key, error) {
	k, err := s.ring.find(ref, used)
	if err != nil {
		return nil, err
	}
	if has := k.spec().usage; has != usage {
		return nil, faultf(codeInvalidUsage, "%s key usage is %s which is not valid for %s.", s.ring.key(k.ID), has, op)
	}
	return k, nil
}

func dryRun() error {
	return faultf("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
}

type verifyRequest struct {
	signRequest
	Signature []byte
}

type verifyAnswer struct {
	keyAnswer
	SignatureValid   bool
	SigningAlgorithm types.SigningAlgorithmSpec
}

// maxSignature bounds a signature in bytes.
const maxSignature = 6144

func (s *Server) verify(in *verifyRequest) (any, error) {
	if err := blob("signature", in.Signature, 1, maxSignature); err != nil {
		return nil, err
	}
	k, scheme, digest, err := s.signable(&in.signRequest, "Verify")
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		return nil, dryRun()
	}
	if !scheme.holds(k.material.signer.Public(), digest, in.Signature) {
		return nil, faultf("KMSInvalidSignatureException", "The signature does not match the message, the key and "+
			"the algorithm.")
	}
	return verifyAnswer{keyAnswer{s.ring.key(k.ID)}, true, in.SigningAlgorithm}, nil
}

type publicKeyAnswer struct {
	keyAnswer
	CustomerMasterKeySpec, KeySpec types.KeySpec
	KeyUsage                       types.KeyUsageType
	PublicKey                      []byte // SubjectPublicKeyInfo DER
	SigningAlgorithms              []types.SigningAlgorithmSpec
}

func (s *Server) publicKey(in *keyRef) (any, error) {
	k, err := s.ring.find(in.KeyId, used)
	if err != nil {
		return nil, err
	}
	p := k.spec()
	if p.symmetric() {
		return nil, faultf(codeUnsupported, "%s is a symmetric key, which has no public key.", s.ring.key(k.ID))
	}
	return publicKeyAnswer{keyAnswer{s.ring.key(k.ID)}, k.Spec, k.Spec, p.usage, k.material.public, p.signing}, nil
}
