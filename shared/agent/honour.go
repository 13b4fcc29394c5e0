package agent

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Grant is what an access token says of the instant at which it was issued.
type Grant struct {
	X5T          string    // x5t#S256 of the certificate that it was issued to (RFC 8705 section 3.1)
	Handle       string    // of the agent at that instant, as Handle.String has it; empty: of an earlier release
	Generation   int64     // of the Org CA that vouched for the certificate; zero: a bundle of the agent's own did
	At           time.Time // whole seconds
	Capabilities []string
}

// Honours returns ErrRevoked unless the agent would get a token like this one now, with the certificate that it was
// issued to: the agent is active and has all of the token's capabilities, the certificate's pin counts, and so does the
// generation that the token names. A token with another handle than the agent's is of before a change that ended all
// earlier tokens. An SVID has no pin: it counts unless the record says that it has ended.
func (a Agent) Honours(t Grant, g Generations, now time.Time) error {
	if a.Status != Active {
		return fmt.Errorf("%w: agent is %s", ErrRevoked, a.Status)
	}
	if a.Contained() {
		return fmt.Errorf("%w: credential is suspect", ErrRevoked)
	}
	for _, c := range t.Capabilities {
		if !slices.Contains(a.Capabilities, c) {
			return fmt.Errorf("%w: the agent lost a capability", ErrRevoked)
		}
	}
	if t.Handle != "" && t.Handle != a.Handle.String() {
		return fmt.Errorf("%w: earlier tokens have ended", ErrRevoked)
	}
	if t.Generation != 0 && !g.Accepts(t.Generation, now) {
		return fmt.Errorf("%w: generation %d is not accepted", ErrRevoked, t.Generation)
	}
	octets, err := base64.RawURLEncoding.DecodeString(t.X5T)
	if err != nil {
		return fmt.Errorf("%w: x5t#S256 is no hash", ErrRevoked)
	}
	thumbprint := hex.EncodeToString(octets)
	if a.Method == SPIFFE {
		return a.outlived(thumbprint, t.At)
	}
	pin, err := a.Authenticate(thumbprint, g, now)
	if err == nil && !pin.NotAfter.IsZero() && now.After(pin.NotAfter) {
		err = fmt.Errorf("%w: certificate ended at %s", ErrRevoked, pin.NotAfter.Format(time.RFC3339))
	}
	return err
}

// outlived returns ErrRevoked if the certificate that a token was issued to at an instant is one that has ended. What
// was issued before the floor was issued to a certificate that is older than the floor.
func (a Agent) outlived(thumbprint string, at time.Time) error {
	if slices.Contains(a.Past.Ended, short(thumbprint)) || at.Before(a.Past.Floor) {
		return fmt.Errorf("%w: certificate has ended", ErrRevoked)
	}
	return nil
}
