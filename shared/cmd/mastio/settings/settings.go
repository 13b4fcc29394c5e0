// Package settings finds out which Mastio the command talks to and with which secret: from options, from the
// environment, or from a profile that only its owner can read. The secret is never an option: other users of a machine
// see the options of every process.
package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/identity"
)

// The variables of the environment.
const (
	URLVariable      = "MASTIO_URL"
	AgentsVariable   = "MASTIO_AGENTS_URL"
	CAVariable       = "MASTIO_CA"
	SecretVariable   = "MASTIO_ADMIN_SECRET"    //nolint:gosec // a name
	SecretIDVariable = "MASTIO_ADMIN_SECRET_ID" //nolint:gosec // a name
	ProfileVariable  = "MASTIO_PROFILE"
)

// ErrMissing reports that it is not known which Mastio to talk to, or with which secret.
var ErrMissing = errors.New("not set")

// Profile is what login writes.
type Profile struct {
	URL       string `json:"url"`                  // operators' host
	AgentsURL string `json:"agents_url,omitempty"` // empty: as the discovery document says
	CA        string `json:"ca,omitempty"`         // file with the roots (PEM) of both hosts; empty: the system's
	Secret    string `json:"admin_secret,omitempty"`
	SecretID  string `json:"admin_secret_id,omitempty"` // of the secret in Secrets Manager, read at every use
}

// Options are those of the command line. Each goes before the environment, and that before the profile.
type Options struct {
	URL, AgentsURL, CA, Profile string
}

// Environment returns the value of a variable, empty if it is not set.
type Environment func(name string) string

// Path is the profile's file.
func (o Options) Path(env Environment) (string, error) {
	if o.Profile != "" {
		return o.Profile, nil
	}
	if name := env(ProfileVariable); name != "" {
		return name, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("%s is %w, and there is no folder for it: %w", ProfileVariable, ErrMissing, err)
	}
	return filepath.Join(dir, "mastio", "profile.json"), nil
}

// Resolve returns what applies. The profile's secret goes to the profile's host alone.
func (o Options) Resolve(env Environment) (Profile, error) {
	path, err := o.Path(env)
	if err != nil {
		return Profile{}, err
	}
	p, err := Read(path)
	if err != nil {
		return Profile{}, err
	}
	saved := p.URL
	for _, s := range []struct {
		into   *string
		option string
		name   string
	}{{&p.URL, o.URL, URLVariable}, {&p.AgentsURL, o.AgentsURL, AgentsVariable}, {&p.CA, o.CA, CAVariable}} {
		if v := env(s.name); v != "" {
			*s.into = v
		}
		if s.option != "" {
			*s.into = s.option
		}
	}
	if !sameHost(saved, p.URL) {
		p.Secret, p.SecretID = "", ""
		if o.AgentsURL == "" && env(AgentsVariable) == "" {
			p.AgentsURL = ""
		}
	}
	if v := env(SecretIDVariable); v != "" {
		p.Secret, p.SecretID = "", v
	}
	if v := env(SecretVariable); v != "" {
		p.Secret, p.SecretID = v, ""
	}
	return p, nil
}

func sameHost(a, b string) bool {
	x, err := url.Parse(a)
	y, err2 := url.Parse(b)
	return err == nil && err2 == nil && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host)
}

// Read reads a profile. A file that is not there is an empty profile; a file that others can read is refused.
func Read(path string) (p Profile, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return p, fmt.Errorf("%s has a secret in it, and others can read it (mode %04o): chmod 600 %s", path,
			info.Mode().Perm(), path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the file that was named
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("%s is no profile: %w", path, err)
	}
	return p, nil
}

// Save writes the profile's file, mode 0600, in one step.
func (p Profile) Save(path string) error {
	text, err := json.MarshalIndent(p, "", "  ") //nolint:gosec // the profile holds the secret; its file is private
	if err != nil {
		return err
	}
	return identity.WriteFile(path, append(text, '\n'))
}

// Vault reads a secret of Secrets Manager.
type Vault func(ctx context.Context, id string) (string, error)

// AdminSecret returns the admin secret, from the vault if only its name there is known.
func (p Profile) AdminSecret(ctx context.Context, vault Vault) (string, error) {
	switch {
	case p.Secret != "":
		return p.Secret, nil
	case p.SecretID != "":
		value, err := vault(ctx, p.SecretID)
		if err != nil {
			return "", fmt.Errorf("secret %s: %w", p.SecretID, err)
		}
		return shown(p.SecretID, strings.TrimSpace(value))
	}
	return "", fmt.Errorf("the admin secret is %w: mastio login, or the variable %s or %s", ErrMissing, SecretVariable,
		SecretIDVariable)
}

// named finds the name of an admin in the name or the ARN of a secret; an ARN ends in six characters of AWS's own.
var named = regexp.MustCompile(`(?:^|:secret:)mastio/admins/[^/]+/([a-z][a-z0-9._-]{0,30}?)(?:-[A-Za-z0-9]{6})?$`)

// shown is what the Mastio takes for a secret: of a named admin's entry NAME:SECRET.
func shown(id, value string) (string, error) {
	name := named.FindStringSubmatch(id)
	if name == nil {
		return value, nil
	}
	if !strings.HasPrefix(id, "arn:") {
		name[1] = id[strings.LastIndexByte(id, '/')+1:]
	}
	var entry struct{ Secret string }
	if err := json.Unmarshal([]byte(value), &entry); err != nil || entry.Secret == "" {
		return "", fmt.Errorf("secret %s is no entry of an admin", id) // the decoder's words may quote it
	}
	return name[1] + ":" + entry.Secret, nil
}

// Roots reads the file of the roots; nil for the system's.
func (p Profile) Roots() ([]byte, error) {
	if p.CA == "" {
		return nil, nil
	}
	return os.ReadFile(p.CA)
}
