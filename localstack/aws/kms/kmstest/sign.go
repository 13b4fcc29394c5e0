package kmstest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes that crypto.Hash reaches by number
	_ "crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

var signChecks = []check{
	{"sign-p256", func(p *probe) error { return p.signatures(types.KeySpecEccNistP256) }},
	{"sign-p384", func(p *probe) error { return p.signatures(types.KeySpecEccNistP384) }},
	{"sign-rsa-2048", func(p *probe) error { return p.signatures(types.KeySpecRsa2048) }},
	{"sign-rsa-3072", func(p *probe) error { return p.signatures(types.KeySpecRsa3072) }},
	{"sign-rsa-4096", func(p *probe) error { return p.signatures(types.KeySpecRsa4096) }},
	{"sign-raw-limit", rawLimit},
	{"sign-digest-length", digestLength},
	{"sign-wrong-algorithm", wrongAlgorithm},
	{"sign-unknown-enum", unknownEnum},
	{"sign-wrong-usage", wrongUsage},
	{"sign-names", signNames},
	{"verify-mismatch", verifyMismatch},
	{"public-key-of-symmetric", publicKeyOfSymmetric},
	{"dry-run", dryRuns},
}

const ecdsa256 = types.SigningAlgorithmSpecEcdsaSha256

// hashOf reads the hash off an algorithm's name.
func hashOf(algorithm types.SigningAlgorithmSpec) crypto.Hash {
	switch {
	case strings.HasSuffix(string(algorithm), "SHA_256"):
		return crypto.SHA256
	case strings.HasSuffix(string(algorithm), "SHA_384"):
		return crypto.SHA384
	}
	return crypto.SHA512
}

func digest(h crypto.Hash, message []byte) []byte {
	d := h.New()
	d.Write(message)
	return d.Sum(nil)
}

// signatures signs with every algorithm the key claims, both ways, and verifies outside of KMS and in it.
func (p *probe) signatures(spec types.KeySpec) error {
	arn := p.signing(spec)
	got := must(p.client.GetPublicKey(p.ctx, &kms.GetPublicKeyInput{KeyId: &arn}))(p)
	if got.KeySpec != spec || got.KeyUsage != types.KeyUsageTypeSignVerify || len(got.SigningAlgorithms) == 0 {
		return fmt.Errorf("GetPublicKey = spec %s, usage %s, %d algorithms", got.KeySpec, got.KeyUsage,
			len(got.SigningAlgorithms))
	}
	public := must(x509.ParsePKIXPublicKey(got.PublicKey))(p)
	if err := shape(spec, public); err != nil {
		return err
	}
	for _, algorithm := range got.SigningAlgorithms {
		if err := p.signBothWays(arn, algorithm, public); err != nil {
			return err
		}
	}
	return nil
}

// shape checks that a public key is what its spec says.
func shape(spec types.KeySpec, public any) error {
	sizes := map[types.KeySpec]int{
		types.KeySpecEccNistP256: 256, types.KeySpecEccNistP384: 384,
		types.KeySpecRsa2048: 2048, types.KeySpecRsa3072: 3072, types.KeySpecRsa4096: 4096,
	}
	size := 0
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		size = k.Params().BitSize
	case *rsa.PublicKey:
		size = k.N.BitLen()
	}
	if size != sizes[spec] {
		return fmt.Errorf("%s has a %T of %d bits", spec, public, size)
	}
	return nil
}

func (p *probe) signBothWays(arn string, algorithm types.SigningAlgorithmSpec, public any) error {
	message := []byte("signed by " + string(algorithm))
	sum := digest(hashOf(algorithm), message)
	for kind, body := range map[types.MessageType][]byte{types.MessageTypeRaw: message, types.MessageTypeDigest: sum} {
		out, err := p.client.Sign(p.ctx, &kms.SignInput{
			KeyId:            &arn,
			Message:          body,
			MessageType:      kind,
			SigningAlgorithm: algorithm,
		})
		if err != nil {
			return fmt.Errorf("sign %s %s: %w", algorithm, kind, err)
		}
		if aws.ToString(out.KeyId) != arn || out.SigningAlgorithm != algorithm {
			return fmt.Errorf("sign %s answered key %s, algorithm %s", algorithm, aws.ToString(out.KeyId), out.SigningAlgorithm)
		}
		if err := verifies(public, algorithm, sum, out.Signature); err != nil {
			return fmt.Errorf("%s %s: %w", algorithm, kind, err)
		}
		verified, err := p.client.Verify(p.ctx, &kms.VerifyInput{
			KeyId:            &arn,
			Message:          body,
			MessageType:      kind,
			SigningAlgorithm: algorithm,
			Signature:        out.Signature,
		})
		if err != nil || !verified.SignatureValid {
			return fmt.Errorf("verify %s %s: %w", algorithm, kind, orNone(err))
		}
	}
	return nil
}

// verifies checks a signature with the standard library alone.
func verifies(public any, algorithm types.SigningAlgorithmSpec, sum, signature []byte) error {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(k, sum, signature) {
			return errors.New("ECDSA signature does not verify")
		}
		return nil
	case *rsa.PublicKey:
		if strings.HasPrefix(string(algorithm), "RSASSA_PSS") {
			return rsa.VerifyPSS(k, hashOf(algorithm), sum, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.VerifyPKCS1v15(k, hashOf(algorithm), sum, signature)
	}
	return fmt.Errorf("public key is a %T", public)
}

// sign asks for an ECDSA_SHA_256 signature over a raw message.
func (p *probe) sign(id string, message []byte) error {
	_, err := p.client.Sign(p.ctx, &kms.SignInput{KeyId: &id, Message: message, SigningAlgorithm: ecdsa256})
	return err
}

func rawLimit(p *probe) error {
	arn := p.signing(types.KeySpecEccNistP256)
	if err := p.sign(arn, make([]byte, 4096)); err != nil {
		return fmt.Errorf("sign 4096 bytes: %w", err)
	}
	return invalid("sign 4097 bytes", p.sign(arn, make([]byte, 4097)))
}

func digestLength(p *probe) error {
	arn := p.signing(types.KeySpecEccNistP256)
	for _, n := range []int{31, 33, 48} {
		_, err := p.client.Sign(p.ctx, &kms.SignInput{
			KeyId:            &arn,
			Message:          make([]byte, n),
			MessageType:      types.MessageTypeDigest,
			SigningAlgorithm: ecdsa256,
		})
		if err := invalid(fmt.Sprintf("sign a digest of %d bytes", n), err); err != nil {
			return err
		}
	}
	return nil
}

func wrongAlgorithm(p *probe) error {
	arn := p.signing(types.KeySpecEccNistP256)
	for _, algorithm := range []types.SigningAlgorithmSpec{types.SigningAlgorithmSpecEcdsaSha384,
		types.SigningAlgorithmSpecRsassaPssSha256} {
		_, err := p.client.Sign(p.ctx, &kms.SignInput{KeyId: &arn, Message: []byte("m"), SigningAlgorithm: algorithm})
		if err := refused[*types.InvalidKeyUsageException]("sign with "+string(algorithm), err); err != nil {
			return err
		}
	}
	return nil
}

func unknownEnum(p *probe) error {
	arn := p.signing(types.KeySpecEccNistP256)
	_, algorithm := p.client.Sign(p.ctx, &kms.SignInput{KeyId: &arn, Message: []byte("m"), SigningAlgorithm: "ECDSA_MD5"})
	_, kind := p.client.Sign(p.ctx, &kms.SignInput{
		KeyId:            &arn,
		Message:          []byte("m"),
		MessageType:      "HEX",
		SigningAlgorithm: ecdsa256,
	})
	return errors.Join(
		invalid("sign with an unknown algorithm", algorithm),
		invalid("sign with an unknown message type", kind))
}

func wrongUsage(p *probe) error {
	signing, symmetric := p.signing(types.KeySpecEccNistP256), p.symmetric()
	_, err := p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &signing, Plaintext: []byte("m")})
	return errors.Join(
		refused[*types.InvalidKeyUsageException]("sign with a symmetric key", p.sign(symmetric, []byte("m"))),
		refused[*types.InvalidKeyUsageException]("encrypt with a signing key", err))
}

// signNames names one key in the four ways there are.
func signNames(p *probe) error {
	arn := p.signing(types.KeySpecEccNistP256)
	prefix, id, _ := strings.Cut(arn, "key/")
	alias := p.alias(arn)
	for _, name := range []string{id, arn, alias, prefix + alias} {
		if err := p.sign(name, []byte("m")); err != nil {
			return fmt.Errorf("sign as %s: %w", name, err)
		}
	}
	const absent = "00000000-0000-4000-8000-000000000000"
	return errors.Join(
		refused[*types.NotFoundException]("sign with an unknown id", p.sign(absent, []byte("m"))),
		refused[*types.NotFoundException]("sign with an unknown ARN", p.sign(prefix+"key/"+absent, []byte("m"))),
		refused[*types.NotFoundException]("sign with an unknown alias", p.sign(alias+"-absent", []byte("m"))))
}

func verifyMismatch(p *probe) error {
	arn, other := p.signing(types.KeySpecEccNistP256), p.signing(types.KeySpecEccNistP256)
	good := must(p.client.Sign(p.ctx, &kms.SignInput{
		KeyId:            &arn,
		Message:          []byte("m"),
		SigningAlgorithm: ecdsa256,
	}))(p).Signature
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	for _, v := range []struct {
		name, key, message string
		signature          []byte
	}{
		{"another message", arn, "n", good},
		{"another key", other, "m", good},
		{"a changed signature", arn, "m", bad},
	} {
		_, err := p.client.Verify(p.ctx, &kms.VerifyInput{
			KeyId:            &v.key,
			Message:          []byte(v.message),
			Signature:        v.signature,
			SigningAlgorithm: ecdsa256,
		})
		if err := refused[*types.KMSInvalidSignatureException]("verify "+v.name, err); err != nil {
			return err
		}
	}
	return nil
}

func publicKeyOfSymmetric(p *probe) error {
	arn := p.symmetric()
	_, err := p.client.GetPublicKey(p.ctx, &kms.GetPublicKeyInput{KeyId: &arn})
	return refused[*types.UnsupportedOperationException]("public key of a symmetric key", err)
}

// dryRuns checks that a dry run does nothing, and that it does not hide what a real run would refuse.
func dryRuns(p *probe) error {
	signing, symmetric := p.signing(types.KeySpecEccNistP256), p.symmetric()
	sealed := must(p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &symmetric, Plaintext: []byte("m")}))(p).CiphertextBlob
	yes := aws.Bool(true)
	_, sign := p.client.Sign(p.ctx, &kms.SignInput{
		KeyId:            &signing,
		Message:          []byte("m"),
		SigningAlgorithm: ecdsa256,
		DryRun:           yes,
	})
	_, encrypt := p.client.Encrypt(p.ctx, &kms.EncryptInput{KeyId: &symmetric, Plaintext: []byte("m"), DryRun: yes})
	_, decrypt := p.client.Decrypt(p.ctx, &kms.DecryptInput{CiphertextBlob: sealed, DryRun: yes})
	_, dataKey := p.client.GenerateDataKey(p.ctx, &kms.GenerateDataKeyInput{
		KeyId:   &symmetric,
		KeySpec: types.DataKeySpecAes256,
		DryRun:  yes,
	})
	_, pair := p.client.GenerateDataKeyPairWithoutPlaintext(p.ctx, &kms.GenerateDataKeyPairWithoutPlaintextInput{
		KeyId:       &symmetric,
		KeyPairSpec: types.DataKeyPairSpecEccNistP256,
		DryRun:      yes,
	})
	must(p.client.DisableKey(p.ctx, &kms.DisableKeyInput{KeyId: &signing}))(p)
	_, disabled := p.client.Sign(p.ctx, &kms.SignInput{
		KeyId:            &signing,
		Message:          []byte("m"),
		SigningAlgorithm: ecdsa256,
		DryRun:           yes,
	})
	return errors.Join(
		refused[*types.DryRunOperationException]("dry Sign", sign),
		refused[*types.DryRunOperationException]("dry Encrypt", encrypt),
		refused[*types.DryRunOperationException]("dry Decrypt", decrypt),
		refused[*types.DryRunOperationException]("dry GenerateDataKey", dataKey),
		refused[*types.DryRunOperationException]("dry GenerateDataKeyPairWithoutPlaintext", pair),
		refused[*types.DisabledException]("dry Sign with a disabled key", disabled))
}
