package kmstest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mastio-aws/mastio/localstack/aws/kms/keywrap"
)

const (
	wrapRSAAES = types.AlgorithmSpecRsaAesKeyWrapSha256
	wrapOAEP   = types.AlgorithmSpecRsaesOaepSha256
)

var importChecks = []check{
	{"import-p256", func(p *probe) error {
		return p.importAndSign(types.KeySpecEccNistP256, p.elliptic(elliptic.P256()), wrapRSAAES)
	}},
	{"import-p256-oaep", func(p *probe) error {
		return p.importAndSign(types.KeySpecEccNistP256, p.elliptic(elliptic.P256()), wrapOAEP)
	}},
	{"import-p384", func(p *probe) error {
		return p.importAndSign(types.KeySpecEccNistP384, p.elliptic(elliptic.P384()), wrapRSAAES)
	}},
	{"import-rsa-2048", func(p *probe) error { return p.importAndSign(types.KeySpecRsa2048, p.rsa(2048), wrapRSAAES) }},
	{"import-rsa-3072", func(p *probe) error { return p.importAndSign(types.KeySpecRsa3072, p.rsa(3072), wrapRSAAES) }},
	{"import-symmetric", importSymmetric},
	{"import-pending-cannot-sign", pendingCannotSign},
	{"import-deleted-cannot-sign", deletedCannotSign},
	{"import-again", importAgain},
	{"import-wrong-curve", wrongCurve},
	{"import-garbage", importGarbage},
	{"import-foreign-token", foreignToken},
	{"import-wrong-wrapping-key", wrongWrappingKey},
	{"import-wrong-origin", wrongOrigin},
	{"import-expiration-model", expirationModel},
}

func (p *probe) elliptic(curve elliptic.Curve) crypto.Signer {
	return must(ecdsa.GenerateKey(curve, rand.Reader))(p)
}

func (p *probe) rsa(bits int) crypto.Signer { return must(rsa.GenerateKey(rand.Reader, bits))(p) }

func (p *probe) pkcs8(key crypto.Signer) []byte { return must(x509.MarshalPKCS8PrivateKey(key))(p) }

// empty makes a signing key that waits for its material.
func (p *probe) empty(spec types.KeySpec) string {
	p.Helper()
	return p.create(&kms.CreateKeyInput{
		KeySpec:  spec,
		KeyUsage: types.KeyUsageTypeSignVerify,
		Origin:   types.OriginTypeExternal,
	})
}

// parcel is wrapped material with the token that belongs to it.
type parcel struct{ material, token []byte }

// wrap asks for a wrapping key and wraps raw the way AWS documents it.
func (p *probe) wrap(id string, raw []byte, algorithm types.AlgorithmSpec) parcel {
	p.Helper()
	got := must(p.client.GetParametersForImport(p.ctx, &kms.GetParametersForImportInput{
		KeyId:             &id,
		WrappingAlgorithm: algorithm,
		WrappingKeySpec:   types.WrappingKeySpecRsa2048,
	}))(p)
	public, ok := must(x509.ParsePKIXPublicKey(got.PublicKey))(p).(*rsa.PublicKey)
	if !ok {
		p.Fatal("the wrapping key is not RSA")
	}
	if algorithm == wrapOAEP {
		return parcel{must(rsa.EncryptOAEP(sha256.New(), rand.Reader, public, raw, nil))(p), got.ImportToken}
	}
	kek := make([]byte, 32)
	_, _ = rand.Read(kek)
	outer := must(rsa.EncryptOAEP(sha256.New(), rand.Reader, public, kek, nil))(p)
	inner := must(keywrap.Wrap(kek, raw))(p)
	return parcel{append(outer, inner...), got.ImportToken}
}

func (p *probe) deliver(id string, in parcel) error {
	_, err := p.client.ImportKeyMaterial(p.ctx, &kms.ImportKeyMaterialInput{
		KeyId:                &id,
		EncryptedKeyMaterial: in.material,
		ImportToken:          in.token,
		ExpirationModel:      types.ExpirationModelTypeKeyMaterialDoesNotExpire,
	})
	return err
}

// importAndSign imports a key and checks that it, and no other, makes the signatures.
func (p *probe) importAndSign(spec types.KeySpec, key crypto.Signer, algorithm types.AlgorithmSpec) error {
	arn := p.empty(spec)
	if err := p.wantState(arn, types.KeyStatePendingImport); err != nil {
		return err
	}
	if err := p.deliver(arn, p.wrap(arn, p.pkcs8(key), algorithm)); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if err := p.wantState(arn, types.KeyStateEnabled); err != nil {
		return err
	}
	got := must(p.client.GetPublicKey(p.ctx, &kms.GetPublicKeyInput{KeyId: &arn}))(p)
	if !bytes.Equal(got.PublicKey, must(x509.MarshalPKIXPublicKey(key.Public()))(p)) {
		return errors.New("GetPublicKey is not of the imported key")
	}
	for _, algorithm := range got.SigningAlgorithms {
		if err := p.signBothWays(arn, algorithm, key.Public()); err != nil {
			return err
		}
	}
	return nil
}

func importSymmetric(p *probe) error {
	arn := p.create(&kms.CreateKeyInput{Origin: types.OriginTypeExternal})
	_, early := p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &arn, Plaintext: []byte("m")})
	if err := refused[*types.KMSInvalidStateException]("encrypt before the import", early); err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	if err := p.deliver(arn, p.wrap(arn, secret, wrapOAEP)); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	sealed := must(p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &arn, Plaintext: []byte("m")}))(p)
	out, err := p.client.Decrypt(p.ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
	if err != nil || string(out.Plaintext) != "m" {
		return fmt.Errorf("decrypt under imported material: %w", orNone(err))
	}
	return nil
}

func pendingCannotSign(p *probe) error {
	arn := p.empty(types.KeySpecEccNistP256)
	return refused[*types.KMSInvalidStateException]("sign while the import is pending", p.sign(arn, []byte("m")))
}

// imported makes a P-256 key with imported material.
func (p *probe) imported() (arn string, raw []byte) {
	p.Helper()
	arn, raw = p.empty(types.KeySpecEccNistP256), p.pkcs8(p.elliptic(elliptic.P256()))
	if err := p.deliver(arn, p.wrap(arn, raw, wrapRSAAES)); err != nil {
		p.Fatalf("arrange import: %v", err)
	}
	return arn, raw
}

func (p *probe) deleteMaterial(arn string) {
	p.Helper()
	must(p.client.DeleteImportedKeyMaterial(p.ctx, &kms.DeleteImportedKeyMaterialInput{KeyId: &arn}))(p)
}

func deletedCannotSign(p *probe) error {
	arn, _ := p.imported()
	p.deleteMaterial(arn)
	return errors.Join(
		p.wantState(arn, types.KeyStatePendingImport),
		refused[*types.KMSInvalidStateException]("sign after the material was deleted", p.sign(arn, []byte("m"))))
}

// importAgain checks that a key takes back its own material, and never another one.
func importAgain(p *probe) error {
	arn, raw := p.imported()
	p.deleteMaterial(arn)
	other := p.wrap(arn, p.pkcs8(p.elliptic(elliptic.P256())), wrapRSAAES)
	if err := refused[*types.IncorrectKeyMaterialException]("import another key", p.deliver(arn, other)); err != nil {
		return err
	}
	if err := p.deliver(arn, p.wrap(arn, raw, wrapRSAAES)); err != nil {
		return fmt.Errorf("import the same key again: %w", err)
	}
	return p.sign(arn, []byte("m"))
}

func wrongCurve(p *probe) error {
	p256, rsa2048 := p.empty(types.KeySpecEccNistP256), p.empty(types.KeySpecRsa2048)
	return errors.Join(
		refused[*types.IncorrectKeyMaterialException]("import P-384 as P-256",
			p.deliver(p256, p.wrap(p256, p.pkcs8(p.elliptic(elliptic.P384())), wrapRSAAES))),
		refused[*types.IncorrectKeyMaterialException]("import RSA as P-256",
			p.deliver(p256, p.wrap(p256, p.pkcs8(p.rsa(2048)), wrapRSAAES))),
		refused[*types.IncorrectKeyMaterialException]("import RSA-3072 as RSA-2048",
			p.deliver(rsa2048, p.wrap(rsa2048, p.pkcs8(p.rsa(3072)), wrapRSAAES))),
		p.wantState(p256, types.KeyStatePendingImport))
}

func importGarbage(p *probe) error {
	arn := p.empty(types.KeySpecEccNistP256)
	return errors.Join(
		refused[*types.IncorrectKeyMaterialException]("import what is no key",
			p.deliver(arn, p.wrap(arn, []byte("not a PKCS#8 private key"), wrapRSAAES))),
		p.wantState(arn, types.KeyStatePendingImport))
}

func foreignToken(p *probe) error {
	arn, other := p.empty(types.KeySpecEccNistP256), p.empty(types.KeySpecEccNistP256)
	raw := p.pkcs8(p.elliptic(elliptic.P256()))
	own := p.wrap(arn, raw, wrapRSAAES)
	return errors.Join(
		refused[*types.InvalidImportTokenException]("import with another key's token",
			p.deliver(arn, p.wrap(other, raw, wrapRSAAES))),
		refused[*types.InvalidImportTokenException]("import with a made-up token",
			p.deliver(arn, parcel{own.material, []byte("made up")})),
		p.wantState(arn, types.KeyStatePendingImport))
}

// wrongWrappingKey pairs material with a token of the same key, but of another wrapping key.
func wrongWrappingKey(p *probe) error {
	arn := p.empty(types.KeySpecEccNistP256)
	raw := p.pkcs8(p.elliptic(elliptic.P256()))
	first, second := p.wrap(arn, raw, wrapRSAAES), p.wrap(arn, raw, wrapRSAAES)
	return errors.Join(
		refused[*types.InvalidCiphertextException]("import under another wrapping key",
			p.deliver(arn, parcel{first.material, second.token})),
		p.wantState(arn, types.KeyStatePendingImport))
}

func wrongOrigin(p *probe) error {
	arn := p.signing(types.KeySpecEccNistP256)
	_, parameters := p.client.GetParametersForImport(p.ctx, &kms.GetParametersForImportInput{
		KeyId:             &arn,
		WrappingAlgorithm: wrapRSAAES,
		WrappingKeySpec:   types.WrappingKeySpecRsa2048,
	})
	_, deleted := p.client.DeleteImportedKeyMaterial(p.ctx, &kms.DeleteImportedKeyMaterialInput{KeyId: &arn})
	return errors.Join(
		refused[*types.UnsupportedOperationException]("parameters for a key of KMS", parameters),
		refused[*types.UnsupportedOperationException]("delete the material of a key of KMS", deleted))
}

func expirationModel(p *probe) error {
	arn := p.empty(types.KeySpecEccNistP256)
	in := p.wrap(arn, p.pkcs8(p.elliptic(elliptic.P256())), wrapRSAAES)
	_, err := p.client.ImportKeyMaterial(p.ctx, &kms.ImportKeyMaterialInput{
		KeyId:                &arn,
		EncryptedKeyMaterial: in.material,
		ImportToken:          in.token,
		ExpirationModel:      types.ExpirationModelTypeKeyMaterialExpires,
	})
	return invalid("import material that expires at no time", err)
}
