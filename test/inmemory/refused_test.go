package inmemory_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// foreignProof is a proof by a key that no agent has registered.
func foreignProof(t *testing.T, m *inmemory.Mastio) string {
	t.Helper()
	opts := &jose.SignerOptions{EmbedJWK: true}
	signer := must[jose.Signer](t)(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: newKey(t)},
		opts.WithType("dpop+jwt")))
	claims := fmt.Sprintf(`{"jti":%q,"htm":"POST","htu":%q,"iat":%d}`, rand.Text(), inmemory.Issuer+"/v1/auth/token",
		m.Now().Unix())
	signed := must[*jose.JSONWebSignature](t)(signer.Sign([]byte(claims)))
	return must[string](t)(signed.CompactSerialize())
}

// A refusal is noted where an agent shows its newest certificate, under the current Org CA, while an overlap runs. What
// the certificates of others are refused, and what older ones are, is not: it could halt a rotation.
func TestOnlyNewCertificatesAreNotedAsRefused(t *testing.T) {
	m := inmemory.New(memstore.Config{}, func(p *boot.Parts) { p.Background = func(do func()) { do() } })
	must[any](t)(m.Standby.Run(t.Context()))
	enrolled := admit(t, m, "kyc")
	id, old := enrolled.Agent.ID, enrolled.Certificate.CertPEM
	noted := func() registry.Refusal {
		t.Helper()
		return must[map[agent.ID]registry.Refusal](t)(m.Store.Refusals(t.Context(), []agent.ID{id}))[id]
	}
	refused := func(what string, req token.Request, want error) {
		t.Helper()
		if _, err := m.Token.Issue(t.Context(), req); !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", what, err, want)
		}
	}
	refused("before any rotation", token.Request{CertificatePEM: string(old), Proofs: []string{foreignProof(t, m)}},
		token.ErrProofKey)
	m.Do(t, rotateca.Request{Mode: rotateca.Mint, Overlap: time.Hour})
	refused("the certificate of before", token.Request{CertificatePEM: string(old), Proofs: []string{foreignProof(t, m)}},
		token.ErrProofKey)
	rotated, err := m.Rotate(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	pem := string(rotated.Certificate.CertPEM)
	refused("a dead certificate", token.Request{CertificatePEM: string(old)}, agent.ErrRevoked)
	refused("what is asked wrongly", token.Request{CertificatePEM: pem, Scope: "none:such"}, token.ErrScope)
	if r := noted(); r != (registry.Refusal{}) {
		t.Fatalf("noted: %+v", r)
	}
	writes := m.Store.Calls()["Refuse"]
	for range 3 {
		refused("the new certificate", token.Request{CertificatePEM: pem, Proofs: []string{foreignProof(t, m)}},
			token.ErrProofKey)
	}
	want := registry.Refusal{
		Agent:      id,
		Thumbprint: rotated.Certificate.Pin.Thumbprint,
		Generation: 2,
		Code:       "dpop_key_unregistered",
		At:         m.Now(),
	}
	if r := noted(); r != want || m.Store.Calls()["Refuse"] != writes+1 {
		t.Errorf("noted %+v in %d writes, want %+v in one", r, m.Store.Calls()["Refuse"]-writes, want)
	}
}
