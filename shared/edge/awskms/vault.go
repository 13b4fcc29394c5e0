package awskms

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Vault makes token key pairs under a symmetric KMS key. It is safe for concurrent use.
type Vault struct {
	API   API
	KeyID string
	Now   func() time.Time
	// Patience has the meaning of Keys.Patience. The deployment has made the key long ago, so a call waits for at most a
	// tenth of Patience.
	Patience time.Duration
}

func (v *Vault) settled(ctx context.Context, call func() error) error {
	k := &Keys{Patience: v.Patience, Now: v.Now}
	return k.young(ctx, v.KeyID, call)
}

// KeyPair makes a P-256 key pair: the public half as SubjectPublicKeyInfo, the private half (PKCS #8) encrypted.
func (v *Vault) KeyPair(ctx context.Context, about map[string]string) (publicDER, wrapped []byte, err error) {
	var out *kms.GenerateDataKeyPairWithoutPlaintextOutput
	err = v.settled(ctx, func() (err error) {
		out, err = v.API.GenerateDataKeyPairWithoutPlaintext(ctx, &kms.GenerateDataKeyPairWithoutPlaintextInput{
			KeyId:             aws.String(v.KeyID),
			KeyPairSpec:       types.DataKeyPairSpecEccNistP256,
			EncryptionContext: about,
		})
		return err
	})
	if err != nil {
		return nil, nil, wrap("make a token key", err)
	}
	return out.PublicKey, out.PrivateKeyCiphertextBlob, nil
}

// Open decrypts a private half. The key is named, so that a blob under any other key is refused.
func (v *Vault) Open(ctx context.Context, wrapped []byte, about map[string]string) ([]byte, error) {
	var out *kms.DecryptOutput
	err := v.settled(ctx, func() (err error) {
		out, err = v.API.Decrypt(ctx, &kms.DecryptInput{
			KeyId:             aws.String(v.KeyID),
			CiphertextBlob:    wrapped,
			EncryptionContext: about,
		})
		return err
	})
	if err != nil {
		return nil, wrap("open a token key", err)
	}
	return out.Plaintext, nil
}
