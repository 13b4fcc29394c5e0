// Package token has its tests where the whole Mastio is around it: shared/edge/httpapi/token_test.go,
// shared/edge/httpapi/login_test.go and shared/edge/httpapi/bound_test.go.
package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/assertion"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// Challenge is what a client puts into the assertion that it signs itself.
type Challenge struct {
	Agent     agent.ID // also with an error, once the caller is recognised
	Value     string
	ExpiresIn time.Duration
	Nonce     string // for the DPoP-Nonce header of the answer
}

// Challenge returns a challenge for the holder of a certificate that may count. It costs one read. Nothing is stored,
// and nothing is granted: the path of an SVID is not asked for.
//
// Errors: those of authn.Recognise.
func (i *Issuer) Challenge(ctx context.Context, certificatePEM string) (Challenge, error) {
	shown, err := authn.Read(certificatePEM, "")
	if err != nil {
		return Challenge{}, err
	}
	now := i.Now()
	view, err := authn.Recognise(ctx, i.Store, shown, "", now)
	if err != nil {
		return Challenge{}, err
	}
	key, err := i.Keys.Signing(ctx, now)
	if err != nil {
		return Challenge{Agent: view.Agent.ID}, err
	}
	return Challenge{view.Agent.ID, key.Challenges.Issue(shown.Thumbprint(), now), assertion.ChallengeTTL,
		key.Nonces.Issue(now)}, nil
}

// Assertion is a client assertion that a token request gets a token with, once.
type Assertion struct {
	Compact string
	Agent   agent.ID // also with an error, once the caller is authenticated
	Nonce   string   // for the DPoP-Nonce header of the answer
}

// Endorse verifies the assertion that a client has signed over a challenge, and returns it as it is. It costs one read;
// nothing is stored and nothing is used up, so that the token request decides alone.
//
// Errors: assertion.ErrInvalid, also where challenge is another one than the assertion's; those of authn.Authenticate.
func (i *Issuer) Endorse(ctx context.Context, certificatePEM, compact, challenge string) (Assertion, error) {
	shown, given, err := read(Request{CertificatePEM: certificatePEM, Assertion: &compact})
	if err != nil {
		return Assertion{}, err
	}
	if given.Kind != assertion.Local {
		return Assertion{}, fmt.Errorf("%w: it is not signed by the certificate's key", assertion.ErrInvalid)
	}
	now := i.Now()
	view, _, err := authn.Authenticate(ctx, i.Store, &i.own, shown, "", now)
	if err != nil {
		return Assertion{}, err
	}
	key, err := i.Keys.Signing(ctx, now)
	if err != nil {
		return Assertion{}, err
	}
	login, err := i.judge(ctx, given, key, i.expect(view.Agent.ID, shown, now))
	if err != nil {
		return Assertion{Agent: view.Agent.ID}, err
	}
	if login.Challenge != challenge {
		return Assertion{Agent: view.Agent.ID},
			fmt.Errorf("%w: the nonce in it is another one than the request's", assertion.ErrInvalid)
	}
	return Assertion{compact, view.Agent.ID, key.Nonces.Issue(now)}, nil
}

// Assert makes the Mastio's own assertion for the holder of a certificate that counts: bound to this certificate, good
// for assertion.OwnTTL and for one token. It costs one read and a signature in memory; nothing is stored.
//
// Errors: those of authn.Authenticate.
func (i *Issuer) Assert(ctx context.Context, certificatePEM string) (Assertion, error) {
	shown, err := authn.Read(certificatePEM, "")
	if err != nil {
		return Assertion{}, err
	}
	now := i.Now()
	view, _, err := authn.Authenticate(ctx, i.Store, &i.own, shown, "", now)
	if err != nil {
		return Assertion{}, err
	}
	key, err := i.Keys.Signing(ctx, now)
	if err != nil {
		return Assertion{}, err
	}
	compact, err := assertion.Sign(i.expect(view.Agent.ID, shown, now), i.NewID(), key.Assertions.ID,
		key.Assertions.Signer)
	return Assertion{compact, view.Agent.ID, key.Nonces.Issue(now)}, err
}

func (i *Issuer) expect(id agent.ID, shown authn.Credential, now time.Time) assertion.Expect {
	return assertion.Expect{
		Subject:    string(id),
		Leaf:       shown.Leaf,
		Thumbprint: shown.Thumbprint(),
		Issuer:     i.Issuer,
		Endpoint:   i.Endpoint,
		Now:        now,
	}
}

// judge verifies an assertion, if there is one, with the secrets of this epoch, and for the length of a login with
// those of the one before.
func (i *Issuer) judge(
	ctx context.Context, given *assertion.Assertion, key *Key, want assertion.Expect,
) (assertion.Login, error) {
	if given == nil {
		return assertion.Login{}, nil
	}
	v, err := verify(given, key, want)
	if err == nil {
		return v, nil
	}
	before, failed := i.Keys.Before(ctx, want.Now)
	if failed != nil {
		return v, failed
	}
	if before != nil {
		if v, earlier := verify(given, before, want); earlier == nil {
			return v, nil
		}
	}
	return v, err
}

func verify(given *assertion.Assertion, key *Key, want assertion.Expect) (assertion.Login, error) {
	if given.Kind == assertion.Local {
		return given.VerifyLocal(key.Challenges, want)
	}
	return given.VerifyOwn(key.Assertion, want)
}

// useUp uses up an assertion for the token that is about to be signed. The store accepts only one of several
// concurrent requests with the same assertion.
func (i *Issuer) useUp(
	ctx context.Context, given *assertion.Assertion, login assertion.Login, thumbprint string, now time.Time,
) error {
	if given == nil {
		return nil
	}
	holder, id, until := login.Used(thumbprint)
	err := i.Store.UseProof(ctx, holder, id, until, now)
	if errors.Is(err, registry.ErrReplayed) {
		return assertion.ErrUsed
	}
	return err
}
