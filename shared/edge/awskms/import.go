package awskms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/tink-crypto/tink-go/v2/kwp/subtle"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// The material travels as CKM_RSA_AES_KEY_WRAP of PKCS #11, the one algorithm that KMS takes for EC and RSA alike: an
// AES-256 key under RSA-OAEP, and under it, by RFC 5649, the private key. A wrapping key of 3072 bits is as strong as
// the TLS connection around it.
const (
	wrappingAlgorithm = types.AlgorithmSpecRsaAesKeyWrapSha256
	wrappingSpec      = types.WrappingKeySpecRsa3072
	kekSize           = 32
)

var (
	errSpec     = errors.New("no KMS key spec for a private key of this kind or size")
	errWrapping = errors.New("wrapping key is not RSA")
	errReadBack = errors.New("KMS has another public key than the imported one")
)

// Import puts a private key into KMS, where it stays. It takes four calls; the quota of GetParametersForImport is
// four a minute. Import overwrites its plaintext; the caller overwrites key.
//
// After an error no usable key is left: a created key is scheduled for deletion, also if ctx has ended. If that fails
// too, or the answer to the creation was lost, a key stays behind, with or without material, and is found by the
// rotation's tag.
func (k *Keys) Import(
	ctx context.Context, spec rotateca.KeySpec, key crypto.Signer,
) (id string, pub crypto.PublicKey, err error) {
	keySpec, err := importSpec(key)
	if err != nil {
		return "", nil, wrap("import a key", err)
	}
	in := k.creation(spec)
	in.KeySpec, in.Origin = keySpec, types.OriginTypeExternal
	out, err := k.API.CreateKey(ctx, in)
	if err != nil {
		return "", nil, wrap("create a key for import", err)
	}
	id = aws.ToString(out.KeyMetadata.Arn)
	k.bear(id)
	if pub, err = k.fill(ctx, id, key); err != nil {
		return "", nil, errors.Join(err, k.ScheduleDeletion(context.WithoutCancel(ctx), id))
	}
	return id, pub, nil
}

// fill imports the material into a key and reads the key back to check it.
func (k *Keys) fill(ctx context.Context, id string, key crypto.Signer) (crypto.PublicKey, error) {
	var parameters *kms.GetParametersForImportOutput
	err := k.young(ctx, id, func() (err error) {
		parameters, err = k.API.GetParametersForImport(ctx, &kms.GetParametersForImportInput{
			KeyId:             aws.String(id),
			WrappingAlgorithm: wrappingAlgorithm,
			WrappingKeySpec:   wrappingSpec,
		})
		return err
	})
	if err != nil {
		return nil, wrap("get parameters for import", err)
	}
	wrapped, err := wrapKey(key, parameters.PublicKey)
	if err != nil {
		return nil, wrap("wrap a key for import", err)
	}
	err = k.young(ctx, id, func() error {
		_, err := k.API.ImportKeyMaterial(ctx, &kms.ImportKeyMaterialInput{
			KeyId:                aws.String(id),
			EncryptedKeyMaterial: wrapped,
			ImportToken:          parameters.ImportToken,
			ExpirationModel:      types.ExpirationModelTypeKeyMaterialDoesNotExpire,
		})
		return err
	})
	if err != nil {
		return nil, wrap("import key material", err)
	}
	pub, err := k.Public(ctx, id)
	if err != nil {
		return nil, err
	}
	if !pki.SameKey(pub, key.Public()) {
		return nil, wrap("read an imported key back", errReadBack)
	}
	return pub, nil
}

// importSpec is the key spec for a private key. KMS has no other sizes.
func importSpec(key crypto.Signer) (types.KeySpec, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P256():
			return types.KeySpecEccNistP256, nil
		case elliptic.P384():
			return types.KeySpecEccNistP384, nil
		}
	case *rsa.PrivateKey:
		switch k.N.BitLen() {
		case 2048:
			return types.KeySpecRsa2048, nil
		case 3072:
			return types.KeySpecRsa3072, nil
		case 4096:
			return types.KeySpecRsa4096, nil
		}
	}
	return "", fmt.Errorf("%w: %T", errSpec, key)
}

// wrapKey encrypts a private key under a wrapping key (SubjectPublicKeyInfo DER). It overwrites every copy of the key
// that it can reach; the copies that crypto/x509 makes during the encoding are out of reach.
func wrapKey(key crypto.Signer, wrappingKey []byte) ([]byte, error) {
	public, err := x509.ParsePKIXPublicKey(wrappingKey)
	if err != nil {
		return nil, err
	}
	wrapping, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, errWrapping
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	kek := make([]byte, kekSize)
	defer clear(kek)
	_, _ = rand.Read(kek) // never fails
	outer, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, wrapping, kek, nil)
	if err != nil {
		return nil, err
	}
	aes, err := subtle.NewKWP(kek)
	if err != nil {
		return nil, err
	}
	inner, err := aes.Wrap(plain)
	if err != nil {
		return nil, err
	}
	return slices.Concat(outer, inner), nil
}
