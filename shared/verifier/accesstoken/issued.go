package accesstoken

import (
	"crypto/ecdsa"
	"fmt"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
)

// VerifyIssued is Verify for any audience: for the issuer itself, which answers resource servers about tokens that are
// meant for them. A resource server must not use it: it would accept tokens that are meant for others.
func VerifyIssued(
	token string, keys func(kid string) *ecdsa.PublicKey, now time.Time, issuer string,
) (Claims, error) {
	c, err := Open(token, keys)
	if err != nil {
		return Claims{}, err
	}
	if err := c.accept(now, issuer); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return c, nil
}

// ClaimedSubject returns the sub of a text that may be a token; empty if there is none. Nothing of the text is
// verified: the subject only says which record to read, before the token is judged.
func ClaimedSubject(token string) string {
	parts := strings.Split(token, ".")
	if len(token) > jose.MaxSize || len(parts) != 3 {
		return ""
	}
	payload, err := jose.Decode(parts[1])
	if err != nil {
		return ""
	}
	claims, err := jose.ParseObject(payload)
	if err != nil {
		return ""
	}
	subject, _ := claims.Text("sub") // a sub of another type names none
	return subject
}
