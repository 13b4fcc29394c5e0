package assertion

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/pki"
)

// sdkAudience is what the agents' SDK writes as audience, whatever the Mastio's URL is.
const sdkAudience = "agent-trust-broker"

// VerifyLocal checks a local assertion: the signature by the key of the connection's certificate, that x5c begins with
// this certificate, issuer, subject, audience, times, and the challenge inside. Every error is ErrInvalid.
func (a Assertion) VerifyLocal(challenges *Challenges, want Expect) (Login, error) {
	v, err := a.verifyLocal(challenges, want)
	if err != nil {
		return Login{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return v, nil
}

func (a Assertion) verifyLocal(challenges *Challenges, want Expect) (v Login, err error) {
	if a.Kind != Local {
		return v, errors.New("it is signed by the Mastio, not by the certificate's key")
	}
	if !bytes.Equal(a.leaf, want.Leaf.Raw) {
		return v, errors.New("x5c[0] is not the connection's certificate")
	}
	if err := pki.CheckKey(want.Leaf.PublicKey); err != nil {
		return v, errors.New("the certificate's key is not one that this Mastio accepts")
	}
	claims, err := a.msg.ClaimsBy(want.Leaf.PublicKey)
	if err != nil {
		return v, err
	}
	if err := checkParties(claims, want); err != nil {
		return v, err
	}
	expires, err := checkTimes(claims, want.Now)
	if err != nil {
		return v, err
	}
	if v.id, err = claims.Text("jti"); err != nil {
		return v, err
	}
	if v.id == "" || len(v.id) > maxID {
		return v, fmt.Errorf("jti is not of 1 to %d bytes", maxID)
	}
	v.id = string(Local) + ":" + v.id
	v.until = expires.Add(Skew + time.Second).Truncate(time.Second)
	if v.Challenge, err = claims.Text("nonce"); err != nil {
		return v, err
	}
	if v.Challenge == "" {
		return v, errors.New("nonce is missing: put the nonce of POST /v1/auth/login-challenge into the assertion")
	}
	return v, challenges.check(v.Challenge, want.Thumbprint, want.Now)
}

func checkParties(claims jose.Object, want Expect) error {
	for _, name := range []string{"iss", "sub"} {
		got, err := claims.Text(name)
		if err != nil {
			return err
		}
		if got != want.Subject {
			return errors.New(name + " is not the agent that the certificate authenticates")
		}
	}
	// A string or a list (RFC 7519 section 4.1.3). A list with a second audience is refused: that audience could present
	// the assertion here.
	audiences := []string{""}
	if raw := claims["aud"]; json.Unmarshal(raw, &audiences[0]) != nil {
		var err error
		if audiences, err = claims.Texts("aud"); err != nil {
			return errors.New("aud is neither a string nor a list of strings")
		}
	}
	for _, aud := range audiences {
		if !slices.Contains([]string{want.Issuer, want.Endpoint, sdkAudience}, aud) {
			return errors.New("aud is not this Mastio: want its issuer identifier, the token endpoint or " + sdkAudience)
		}
	}
	if len(audiences) == 0 {
		return errors.New("aud is empty")
	}
	return nil
}

// checkTimes returns exp.
func checkTimes(claims jose.Object, now time.Time) (expires time.Time, err error) {
	var at [3]time.Time
	for i, name := range []string{"iat", "exp", "nbf"} {
		if at[i], err = claims.Time(name); err != nil {
			return expires, err
		}
	}
	iat, exp, nbf := at[0], at[1], at[2]
	switch {
	case iat.IsZero() || exp.IsZero():
		return expires, errors.New("iat or exp is missing")
	case !exp.After(iat) || exp.Sub(iat) > maxLife:
		return expires, fmt.Errorf("exp is not within %d s after iat", maxLife/time.Second)
	case iat.After(now.Add(Skew)):
		return expires, fmt.Errorf("iat is %d s ahead of this server's clock, at most %d are allowed", seconds(iat.Sub(now)),
			Skew/time.Second)
	case nbf.After(now.Add(Skew)):
		return expires, fmt.Errorf("nbf is %d s ahead of this server's clock, at most %d are allowed", seconds(nbf.Sub(now)),
			Skew/time.Second)
	case !now.Before(exp.Add(Skew)):
		return expires, fmt.Errorf("exp is %d s behind this server's clock, at most %d are allowed", seconds(now.Sub(exp)),
			Skew/time.Second)
	}
	return exp, nil
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
