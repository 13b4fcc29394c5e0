package awskms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// ErrDigest reports a digest that the key's algorithm does not take.
var ErrDigest = errors.New("key cannot sign this digest")

// signer is a KMS key as a crypto.Signer. It belongs to one request: its calls end with ctx.
type signer struct {
	ctx  context.Context
	keys *Keys
	id   string
	pub  crypto.PublicKey
}

// Signer returns a key as a signer of digests. The caller takes pub from the certificate, which saves a call. If the
// key does not match pub, the issuance's own verification refuses its signatures.
func (k *Keys) Signer(ctx context.Context, id string, pub crypto.PublicKey) crypto.Signer {
	return &signer{ctx, k, id, pub}
}

// Public returns the public half.
func (s *signer) Public() crypto.PublicKey { return s.pub }

// Sign has KMS sign a digest: one call, repeated only while a new key settles. The answer is ASN.1 DER for EC keys.
func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	algorithm, err := algorithm(s.pub, opts)
	if err != nil {
		return nil, err
	}
	var out *kms.SignOutput
	err = s.keys.young(s.ctx, s.id, func() (err error) {
		out, err = s.keys.API.Sign(s.ctx, &kms.SignInput{
			KeyId:            aws.String(s.id),
			Message:          digest,
			MessageType:      types.MessageTypeDigest,
			SigningAlgorithm: algorithm,
		})
		return err
	})
	if err != nil {
		return nil, wrap("sign", err)
	}
	return out.Signature, nil
}

func algorithm(pub crypto.PublicKey, opts crypto.SignerOpts) (types.SigningAlgorithmSpec, error) {
	hash := opts.HashFunc()
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		switch {
		case key.Curve == elliptic.P256() && hash == crypto.SHA256:
			return types.SigningAlgorithmSpecEcdsaSha256, nil
		case key.Curve == elliptic.P384() && hash == crypto.SHA384:
			return types.SigningAlgorithmSpecEcdsaSha384, nil
		}
	case *rsa.PublicKey:
		if _, pss := opts.(*rsa.PSSOptions); hash == crypto.SHA256 && !pss {
			return types.SigningAlgorithmSpecRsassaPkcs1V15Sha256, nil
		}
	}
	return "", fmt.Errorf("%w: %T with %s", ErrDigest, pub, hash)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", doing, rotateca.ErrKeys, err)
}

func denied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "AccessDeniedException"
}
