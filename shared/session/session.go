// Package session holds the rules of an operator's sign-in to the dashboard: how long it lasts, what ends it, and how
// often a browser may try.
package session

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// Errors of a sign-in, and of a request that needs one.
var (
	ErrNone = problem.New(401, "session_required", "no session, or one that has ended").
		Says("Sign in to go on.")
	ErrSecret = problem.New(403, "admin_secret_invalid", "the secret is wrong").
			Says("This is not the admin secret. It is MCP_PROXY_ADMIN_SECRET in proxy.env.")
	ErrForged = problem.New(403, "form_forged", "the request does not come from a page of this session").
			Says("This form was not sent from a page of your session. Nothing was changed. Open the page again " +
			"and repeat what you did.")
	ErrUsed = problem.New(409, "form_used", "the form was sent before").
		Says("This form was sent before, and works once. Nothing was done a second time.")
)

// How long a sign-in lasts, and how long the Mastio recognises a browser that has signed in before.
const (
	TTL       = 8 * time.Hour
	DeviceTTL = 90 * 24 * time.Hour
)

// MinSecret is how many characters an admin secret has at the least. A right one passes at the API while its address is
// locked, because pipelines share addresses; that is safe because a secret of this length cannot be guessed.
const MinSecret = 32

// Skew is by how much the clocks of two healthy functions may differ.
const Skew = 10 * time.Second

// Session is what the store keeps of a sign-in. It does not contain the browser's token: a reader of the store cannot
// take a session over.
type Session struct {
	ID      string // of a token; see ID and DeviceID
	Actor   string // as the audit trail names it
	Admin   string // name of the admin who opened it; empty: the installation's one secret did
	Epoch   int64  // the store's at the sign-in; a higher one means that all sessions were ended since
	Version string // id of the version of the secret that opened it; empty for a browser's record
	Created time.Time
	Expires time.Time
}

// Check returns ErrNone unless the session counts at now, in the present epoch. A nil session does not.
func (s *Session) Check(epoch int64, now time.Time) error {
	// opened while a clock was ahead
	if s == nil || s.Epoch != epoch || !now.Before(s.Expires) || s.Created.After(now.Add(Skew)) {
		return ErrNone
	}
	return nil
}

// NewToken returns 256 random bits, in base64url: what a browser's cookie holds.
func NewToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ID is the name under which a session's token is stored.
func ID(token string) string { return hash("session", token) }

// DeviceID is the name under which a browser's token is stored. It never equals the ID of a session, so neither
// cookie is accepted in place of the other.
func DeviceID(token string) string { return hash("device", token) }

func hash(use, token string) string {
	sum := sha256.Sum256([]byte("mastio dashboard " + use + "\x00" + token))
	return hex.EncodeToString(sum[:])
}

// FormToken is what every form of a session carries. Another site can make the browser send a form, but can read
// neither the cookie nor a page, and so cannot know the token.
func FormToken(token string) string { return hash("form", token) }

// CheckForm returns ErrForged unless shown is the session's form token. It compares in constant time.
func CheckForm(token, shown string) error {
	if subtle.ConstantTimeCompare([]byte(FormToken(token)), []byte(shown)) != 1 {
		return ErrForged
	}
	return nil
}

// Source is the key under which failed attempts from an address are counted: the address; of IPv6 the /64 network,
// because one subscriber has 2^64 addresses to choose from.
func Source(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return network.String()
}
