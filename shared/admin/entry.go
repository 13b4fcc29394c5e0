package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/session"
)

// ErrEntry reports a secret of a named admin that is no entry. It says why, and never quotes the secret.
var ErrEntry = errors.New("entry of an admin is not usable")

// maxSecret is the longest secret that the header takes, in octets.
const maxSecret = 1024

// Entry is the content of a named admin's secret.
type Entry struct {
	Secret       string   `json:"secret"`
	Role         Role     `json:"role"`
	Capabilities []string `json:"capabilities,omitempty"` // an enroller's alone
}

// ReadEntry reads the JSON of an entry. An entry with an unknown member or role is none: it admits no admin. Error:
// ErrEntry.
func ReadEntry(text []byte) (Entry, error) {
	var e Entry
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil { // the decoder's words may quote the secret
		return Entry{}, fmt.Errorf("%w: it takes JSON with the members secret, role and capabilities", ErrEntry)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Entry{}, fmt.Errorf("%w: something follows the JSON", ErrEntry)
	}
	return e, e.check()
}

func (e Entry) check() error {
	if len(e.Secret) < session.MinSecret || len(e.Secret) > maxSecret ||
		slices.ContainsFunc([]byte(e.Secret), func(c byte) bool { return c <= ' ' || c > '~' }) {
		return fmt.Errorf("%w: the secret takes %d to %d printable ASCII characters without a space", ErrEntry,
			session.MinSecret, maxSecret)
	}
	if !slices.Contains(Roles(), e.Role) {
		return fmt.Errorf("%w: the role is none of %v", ErrEntry, Roles())
	}
	if e.Capabilities != nil && e.Role != Enroller {
		return fmt.Errorf("%w: capabilities limit the role enroller, and no other role", ErrEntry)
	}
	if err := (agent.Profile{Capabilities: e.Capabilities}).Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrEntry, err)
	}
	return nil
}
