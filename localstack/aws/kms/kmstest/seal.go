package kmstest

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

var sealChecks = []check{
	{"encrypt-round-trip", encryptRoundTrip},
	{"encrypt-context", encryptContext},
	{"encrypt-tampered", encryptTampered},
	{"encrypt-other-key", encryptOtherKey},
	{"encrypt-limit", encryptLimit},
	{"data-key", dataKey},
	{"data-key-size", dataKeySize},
	{"data-key-pair", dataKeyPair},
}

var tokenContext = map[string]string{"purpose": "token", "epoch": "1"}

func encryptRoundTrip(p *probe) error {
	arn := p.symmetric()
	plaintext := []byte("what is kept")
	sealed := must(p.client.Encrypt(p.ctx, &kms.EncryptInput{
		KeyId:             &arn,
		Plaintext:         plaintext,
		EncryptionContext: tokenContext,
	}))(p)
	again := must(p.client.Encrypt(p.ctx, &kms.EncryptInput{
		KeyId:             &arn,
		Plaintext:         plaintext,
		EncryptionContext: tokenContext,
	}))(p)
	if bytes.Equal(sealed.CiphertextBlob, again.CiphertextBlob) {
		return errors.New("two encryptions of one plaintext are equal")
	}
	if bytes.Contains(sealed.CiphertextBlob, plaintext) {
		return errors.New("the blob holds the plaintext")
	}
	for _, id := range []*string{nil, &arn} {
		out, err := p.client.Decrypt(p.ctx, &kms.DecryptInput{
			KeyId:             id,
			CiphertextBlob:    sealed.CiphertextBlob,
			EncryptionContext: tokenContext,
		})
		if err != nil {
			return fmt.Errorf("decrypt: %w", err)
		}
		if !bytes.Equal(out.Plaintext, plaintext) || aws.ToString(out.KeyId) != arn {
			return fmt.Errorf("decrypt = %d bytes by %s; want %d by %s", len(out.Plaintext), aws.ToString(out.KeyId),
				len(plaintext), arn)
		}
	}
	return nil
}

func encryptContext(p *probe) error {
	arn := p.symmetric()
	sealed := must(p.client.Encrypt(p.ctx, &kms.EncryptInput{
		KeyId:             &arn,
		Plaintext:         []byte("m"),
		EncryptionContext: tokenContext,
	}))(p).CiphertextBlob
	for _, context := range []map[string]string{
		nil,
		{"purpose": "token"},
		{"purpose": "token", "epoch": "2"},
		{"purpose": "Token", "epoch": "1"},
		{"purpose": "token", "epoch": "1", "more": ""},
	} {
		_, err := p.client.Decrypt(p.ctx, &kms.DecryptInput{CiphertextBlob: sealed, EncryptionContext: context})
		if err := refused[*types.InvalidCiphertextException](fmt.Sprintf("decrypt under %v", context), err); err != nil {
			return err
		}
	}
	return nil
}

func encryptTampered(p *probe) error {
	arn := p.symmetric()
	sealed := must(p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &arn, Plaintext: []byte("m")}))(p).CiphertextBlob
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, blob := range map[string][]byte{"changed": changed, "shortened": sealed[:len(sealed)-1],
		"foreign": []byte("no ciphertext")} {
		_, err := p.client.Decrypt(p.ctx, &kms.DecryptInput{KeyId: &arn, CiphertextBlob: blob})
		if err := refused[*types.InvalidCiphertextException]("decrypt a "+name+" blob", err); err != nil {
			return err
		}
	}
	return nil
}

func encryptOtherKey(p *probe) error {
	arn, other := p.symmetric(), p.symmetric()
	sealed := must(p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &arn, Plaintext: []byte("m")}))(p).CiphertextBlob
	_, err := p.client.Decrypt(p.ctx, &kms.DecryptInput{KeyId: &other, CiphertextBlob: sealed})
	return refused[*types.IncorrectKeyException]("decrypt as another key's", err)
}

func encryptLimit(p *probe) error {
	arn := p.symmetric()
	must(p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &arn, Plaintext: make([]byte, 4096)}))(p)
	_, err := p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &arn, Plaintext: make([]byte, 4097)})
	return invalid("encrypt 4097 bytes", err)
}

func dataKey(p *probe) error {
	arn := p.symmetric()
	for _, v := range []struct {
		in   kms.GenerateDataKeyInput
		want int
	}{
		{kms.GenerateDataKeyInput{KeySpec: types.DataKeySpecAes128}, 16},
		{kms.GenerateDataKeyInput{KeySpec: types.DataKeySpecAes256}, 32},
		{kms.GenerateDataKeyInput{NumberOfBytes: aws.Int32(64)}, 64},
	} {
		v.in.KeyId, v.in.EncryptionContext = &arn, tokenContext
		made := must(p.client.GenerateDataKey(p.ctx, &v.in))(p)
		out, err := p.client.Decrypt(p.ctx, &kms.DecryptInput{
			CiphertextBlob:    made.CiphertextBlob,
			EncryptionContext: tokenContext,
		})
		if err != nil {
			return fmt.Errorf("decrypt a data key: %w", err)
		}
		if len(made.Plaintext) != v.want || !bytes.Equal(out.Plaintext, made.Plaintext) {
			return fmt.Errorf("data key of %d bytes opens to the same: %t; want %d bytes", len(made.Plaintext),
				bytes.Equal(out.Plaintext, made.Plaintext), v.want)
		}
	}
	return nil
}

func dataKeySize(p *probe) error {
	arn := p.symmetric()
	_, both := p.client.GenerateDataKey(p.ctx, &kms.GenerateDataKeyInput{
		KeyId:         &arn,
		KeySpec:       types.DataKeySpecAes256,
		NumberOfBytes: aws.Int32(32),
	})
	_, none := p.client.GenerateDataKey(p.ctx, &kms.GenerateDataKeyInput{KeyId: &arn})
	_, large := p.client.GenerateDataKey(p.ctx, &kms.GenerateDataKeyInput{KeyId: &arn, NumberOfBytes: aws.Int32(1025)})
	return errors.Join(invalid("data key of two sizes", both), invalid("data key of no size", none),
		invalid("data key of 1025 bytes", large))
}

// dataKeyPair opens a pair's private key and holds it against the public one.
func dataKeyPair(p *probe) error {
	arn := p.symmetric()
	for _, spec := range []types.DataKeyPairSpec{types.DataKeyPairSpecEccNistP256, types.DataKeyPairSpecEccNistP384,
		types.DataKeyPairSpecRsa2048} {
		made := must(p.client.GenerateDataKeyPairWithoutPlaintext(p.ctx, &kms.GenerateDataKeyPairWithoutPlaintextInput{
			KeyId:             &arn,
			KeyPairSpec:       spec,
			EncryptionContext: tokenContext,
		}))(p)
		out, err := p.client.Decrypt(p.ctx, &kms.DecryptInput{
			CiphertextBlob:    made.PrivateKeyCiphertextBlob,
			EncryptionContext: tokenContext,
		})
		if err != nil {
			return fmt.Errorf("decrypt a %s private key: %w", spec, err)
		}
		private, err := x509.ParsePKCS8PrivateKey(out.Plaintext)
		if err != nil {
			return fmt.Errorf("parse a %s private key: %w", spec, err)
		}
		signer, ok := private.(crypto.Signer)
		if !ok {
			return fmt.Errorf("%s private key is a %T", spec, private)
		}
		public := must(x509.MarshalPKIXPublicKey(signer.Public()))(p)
		if !bytes.Equal(public, made.PublicKey) {
			return fmt.Errorf("%s: the two halves do not belong together", spec)
		}
	}
	return nil
}
