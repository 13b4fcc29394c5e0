package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// prover makes DPoP proofs (RFC 9449) for one endpoint, as a client does.
type prover struct {
	signer   jose.Signer
	endpoint string
}

func newProver(key *ecdsa.PrivateKey, endpoint string) (*prover, error) {
	opts := &jose.SignerOptions{EmbedJWK: true}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, opts.WithType("dpop+jwt"))
	if err != nil {
		return nil, fmt.Errorf("use the proof key: %w", err)
	}
	return &prover{signer, endpoint}, nil
}

// proof is good for one request.
func (p *prover) proof(now time.Time) (string, error) {
	claims := fmt.Sprintf(`{"jti":%q,"htm":"POST","htu":%q,"iat":%d}`, rand.Text(), p.endpoint, now.Unix())
	signed, err := p.signer.Sign([]byte(claims))
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
