package kms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// importToken is what an import token carries, sealed: everything that ImportKeyMaterial needs to open the
// material it comes with. So parameters for import are no state of the server, however many are asked for.
type importToken struct {
	KeyID     string
	Algorithm types.AlgorithmSpec
	ValidTo   time.Time
	Wrapping  []byte // the private half of the wrapping key, PKCS#8 DER
}

// tokenSeal seals import tokens under a key of the server's own, so that they survive a restart with it.
type tokenSeal struct{ aead cipher.AEAD }

func openTokenSeal(d disk) (tokenSeal, error) {
	var secret []byte
	found, err := d.load(tokenFile, &secret)
	if err != nil {
		return tokenSeal{}, err
	}
	if !found {
		secret = make([]byte, symmetricKeySize)
		_, _ = rand.Read(secret)
		if err := d.put(tokenFile, secret); err != nil {
			return tokenSeal{}, fmt.Errorf("store token key: %w", err)
		}
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return tokenSeal{}, fmt.Errorf("read token key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return tokenSeal{}, fmt.Errorf("read token key: %w", err)
	}
	return tokenSeal{aead}, nil
}

func (t tokenSeal) seal(token importToken) ([]byte, error) {
	raw, err := json.Marshal(token)
	if err != nil {
		return nil, fmt.Errorf("seal import token: %w", err)
	}
	return t.aead.Seal(nil, nil, raw, nil), nil
}

// open returns the wrapping key of a token, if it was made here, for this key, and is still valid.
func (t tokenSeal) open(sealed []byte, keyID string, now time.Time) (importToken, *rsa.PrivateKey, error) {
	var token importToken
	raw, err := t.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return token, nil, faultf("InvalidImportTokenException", "The import token is not valid.")
	}
	if err := json.Unmarshal(raw, &token); err != nil {
		return token, nil, fmt.Errorf("open import token: %w", err)
	}
	if token.KeyID != keyID {
		return token, nil, faultf("InvalidImportTokenException", "The import token is associated with a different KMS key.")
	}
	if !now.Before(token.ValidTo) {
		return token, nil, faultf("ExpiredImportTokenException", "The import token is expired.")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(token.Wrapping)
	if err != nil {
		return token, nil, fmt.Errorf("open import token: %w", err)
	}
	wrapping, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return token, nil, fmt.Errorf("open import token: wrapping key is a %T", parsed)
	}
	return token, wrapping, nil
}
