// Package dpop checks proofs of possession (RFC 9449): the holder of a key made this request, at this URL, now.
package dpop

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
)

// Errors of a proof or its header. Each is wrapped with the reason, which never quotes the proof.
var (
	ErrMissing = errors.New("dpop header missing")
	ErrProof   = errors.New("invalid dpop proof")
	// ErrClock is ErrProof too: nothing else is wrong with the proof, and a nonce would mend it.
	ErrClock        = errors.New("dpop proof out of time")
	ErrNonceMissing = errors.New("dpop nonce missing")
	ErrNonce        = errors.New("dpop nonce not valid") // expired, or never issued
)

const (
	// DefaultWindow is how old a proof may be when nothing else is said.
	DefaultWindow = 60 * time.Second

	// Ahead is how far in the future a proof may be: what a client's clock may be fast.
	Ahead = 10 * time.Second

	// maxID is the most bytes of a jti. It becomes part of a database key, so the holder must not choose its size.
	maxID = 256

	// Offset is how far a client's clock may be off, to either side, where the nonce shows that the proof is fresh.
	Offset = 10 * time.Minute

	proofType = "dpop+jwt"
)

// Expect is the request that a proof must be for.
type Expect struct {
	Method      string        // the request's method, matched exactly against htm
	URLs        []string      // the absolute URLs under which the endpoint is known; htu must be one of them
	Now         time.Time     // the instant of the request
	Window      time.Duration // how old a proof may be; zero or less means DefaultWindow
	AccessToken string        // the token the request carries; empty at the endpoint that issues them
	// Fresh reports whether a nonce is one that the server issued lately. The proof is then as fresh as its nonce, and its
	// iat may be off by Offset: a client's clock need not be right (RFC 9449, 11.1). nil: no nonce is.
	Fresh func(nonce string) bool
}

// Proof is a verified proof. That it has not been used before, and its nonce, are still to be checked.
type Proof struct {
	JKT      string // thumbprint of Key, computed here and not taken from the proof
	JTI      string // 1 to 256 bytes, chosen by the holder
	IssuedAt time.Time
	Nonce    string // empty if the proof has none
	Key      *ecdsa.PublicKey

	freshAt time.Time // when its nonce was fresh; zero: its iat was in the window
}

// ReplayUntil returns until when a pair of JKT and JTI must be remembered so that no proof is accepted twice. It is a
// whole second, like database expiries, and later than every instant at which Verify accepts the proof, by this window
// or by its nonce.
func (p Proof) ReplayUntil(window time.Duration) time.Time {
	if !p.freshAt.IsZero() {
		return p.freshAt.Add(3 * NonceSlot).Truncate(time.Second).Add(time.Second)
	}
	return p.IssuedAt.Add(windowOrDefault(window)).Truncate(time.Second).Add(time.Second)
}

func windowOrDefault(w time.Duration) time.Duration {
	if w <= 0 {
		return DefaultWindow
	}
	return w
}

// FromHeader returns the one proof among the values of the DPoP header: ErrMissing if there is none, ErrProof if
// there are several, in several lines or joined by commas (RFC 9449, 4.3, check 1).
func FromHeader(values []string) (string, error) {
	switch {
	case len(values) == 0:
		return "", ErrMissing
	case len(values) > 1 || strings.Contains(values[0], ","):
		return "", fmt.Errorf("%w: more than one DPoP header", ErrProof)
	case values[0] == "":
		return "", fmt.Errorf("%w: empty DPoP header", ErrProof)
	}
	return values[0], nil
}

// Verify makes the checks of RFC 9449, 4.3, from 2 on, except nonce and replay: both need more than the proof. It
// reads claims only after the signature has been verified. Every error is ErrProof.
func Verify(proof string, want Expect) (Proof, error) {
	p, err := verify(proof, want)
	if err != nil {
		return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return p, nil
}

func verify(proof string, want Expect) (Proof, error) {
	key, claims, err := open(proof)
	if err != nil {
		return Proof{}, err
	}
	if err := checkRequest(claims, want); err != nil {
		return Proof{}, err
	}
	p := Proof{JKT: jose.Thumbprint(key), Key: key}
	if p.Nonce, err = claims.Text("nonce"); err != nil {
		return Proof{}, err
	}
	behind, ahead := windowOrDefault(want.Window), Ahead
	if p.Nonce != "" && want.Fresh != nil && want.Fresh(p.Nonce) {
		p.freshAt, behind, ahead = want.Now, max(behind, Offset), Offset
	}
	if p.IssuedAt, err = issuedAt(claims, want.Now, behind, ahead); err != nil {
		return Proof{}, err
	}
	if p.JTI, err = claims.Text("jti"); err != nil {
		return Proof{}, err
	}
	if p.JTI == "" || len(p.JTI) > maxID {
		return Proof{}, fmt.Errorf("jti is not of 1 to %d bytes", maxID)
	}
	return p, nil
}

// open returns the key that a proof shows and, its signature being by that key, the claims.
func open(proof string) (*ecdsa.PublicKey, jose.Object, error) {
	msg, err := jose.Parse(proof)
	if err != nil {
		return nil, nil, err
	}
	// Exactly this value: a token of another type, signed by the same key, must not serve as a proof.
	if typ, err := msg.Header.Text("typ"); err != nil || typ != proofType {
		return nil, nil, errors.New("typ is not " + proofType)
	}
	key, err := jose.ParseJWK(msg.Header["jwk"])
	if err != nil {
		return nil, nil, err
	}
	claims, err := msg.Claims(key)
	return key, claims, err
}

// checkRequest compares htm, htu and ath with the request.
func checkRequest(claims jose.Object, want Expect) error {
	htm, err := claims.Text("htm")
	if err != nil {
		return err
	}
	if htm == "" || htm != want.Method {
		return errors.New("htm is not the request's method")
	}
	htu, err := claims.Text("htu")
	if err != nil {
		return err
	}
	if !sameTarget(htu, want.URLs) {
		return errors.New("htu is not the request's URL")
	}
	ath, err := claims.Text("ath")
	if err != nil {
		return err
	}
	if want.AccessToken != "" && ath != tokenHash(want.AccessToken) {
		return errors.New("ath is not the access token's hash")
	}
	return nil
}

// tokenHash is the ath of an access token (RFC 9449, 4.2).
func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// issuedAt returns iat if it is in the window. exp and nbf are no part of RFC 9449, but a JWT that contains them must
// be treated as they say (RFC 7519, 4.1.4 and 4.1.5). A refusal says by how much the clocks differ.
func issuedAt(claims jose.Object, now time.Time, behind, ahead time.Duration) (time.Time, error) {
	iat, err := claims.Time("iat")
	if err != nil {
		return time.Time{}, err
	}
	exp, err := claims.Time("exp")
	if err != nil {
		return time.Time{}, err
	}
	nbf, err := claims.Time("nbf")
	if err != nil {
		return time.Time{}, err
	}
	switch {
	case iat.IsZero():
		return time.Time{}, errors.New("iat is missing")
	case iat.Before(now.Add(-behind)):
		return time.Time{}, fmt.Errorf("%w: iat is too old, %d s behind this server's clock, at most %d are allowed; %s",
			ErrClock, seconds(now.Sub(iat)), seconds(behind), remedy)
	case iat.After(now.Add(ahead)):
		return time.Time{}, fmt.Errorf("%w: iat is in the future, %d s ahead of this server's clock, at most %d are "+
			"allowed; %s", ErrClock, seconds(iat.Sub(now)), seconds(ahead), remedy)
	case !exp.IsZero() && !now.Before(exp):
		return time.Time{}, errors.New("exp has passed")
	case nbf.After(now.Add(ahead)):
		return time.Time{}, errors.New("nbf is in the future")
	}
	return iat, nil
}

const remedy = "make a new proof for each request, and correct the clock or use the nonce of a DPoP-Nonce header"

// seconds rounds up: what is refused must not look as if it were allowed.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
