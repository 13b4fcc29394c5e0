package identity

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// The files of an agent's folder, as the dashboard and the operator's guide name them.
const (
	CertFile  = "cert.pem"
	KeyFile   = "agent-key.pem"
	ProofFile = "dpop.jwk"
	// pendingFile holds a request whose answer is not in the folder yet, with the private keys that it is about.
	pendingFile = ".mastio-pending.json"
)

// memory is how long the Mastio knows a request by its Idempotency-Key, less an hour for clocks that differ.
const memory = 23 * time.Hour

// Folder is an agent's folder. Its methods are for one process at a time.
type Folder struct {
	Dir string
	Now func() time.Time
}

// Order is a request for a certificate. It is written down before it is sent. After a crash, or without an answer,
// the same command sends the same request once more and gets the same certificate: no key is lost on the way.
type Order struct {
	Path string          `json:"path"`
	Key  string          `json:"idempotency_key"`
	Body json.RawMessage `json:"body"`
	Made time.Time       `json:"made_at"`
	Keys Keys            `json:"keys"`
}

// Holds reports whether there is an agent's private key or certificate in the folder.
func (f Folder) Holds() bool {
	for _, name := range []string{CertFile, KeyFile} {
		if _, err := os.Lstat(filepath.Join(f.Dir, name)); err == nil {
			return true
		}
	}
	return false
}

// Agent returns the id that the folder's certificate names; empty if there is no certificate.
func (f Folder) Agent() (string, error) {
	pair, err := f.Pair()
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return pair.Leaf.Subject.CommonName, nil
}

// Pair reads the certificate and its key.
func (f Folder) Pair() (tls.Certificate, error) {
	return tls.LoadX509KeyPair(filepath.Join(f.Dir, CertFile), filepath.Join(f.Dir, KeyFile))
}

// Prepare returns the request to send to path: the one that is pending, or a new one with new keys whose body is what
// compose makes of their public side. The request is on the disk when Prepare returns.
func (f Folder) Prepare(path, key string, compose func(Offer) (any, error)) (Order, error) {
	if err := f.open(); err != nil {
		return Order{}, err
	}
	p, err := f.pending()
	switch {
	case err == nil && p.Path == path && f.Now().Sub(p.Made) < memory && (key == "" || key == p.Key):
		return p, nil
	case err == nil:
		name := filepath.Join(f.Dir, pendingFile)
		return p, fmt.Errorf("%s is of another request (%s, of %s) whose answer never came. Run that command again, or "+
			"look at the agent with mastio agents show; then remove the file", name, p.Path, p.Made.Format(time.RFC3339))
	case !errors.Is(err, fs.ErrNotExist):
		return p, err
	}
	keys, offer, err := NewKeys()
	if err != nil {
		return p, err
	}
	body, err := compose(offer)
	if err != nil {
		return p, err
	}
	if key == "" {
		key = rand.Text()
	}
	p = Order{Path: path, Key: key, Made: f.Now().UTC(), Keys: keys}
	if p.Body, err = json.Marshal(body); err != nil {
		return p, err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return p, err
	}
	return p, WriteFile(filepath.Join(f.Dir, pendingFile), text)
}

func (f Folder) pending() (p Order, err error) {
	text, err := os.ReadFile(filepath.Join(f.Dir, pendingFile))
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("%s: %w", filepath.Join(f.Dir, pendingFile), err)
	}
	return p, nil
}

// open makes the folder, and refuses one in which others could put files of their own.
func (f Folder) open() error {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(f.Dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", f.Dir)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others can write to %s (mode %04o): chmod 700 %s", f.Dir, info.Mode().Perm(), f.Dir)
	}
	return nil
}

// Drop forgets a request that was refused.
func (f Folder) Drop() error {
	if err := remove(filepath.Join(f.Dir, pendingFile)); err != nil {
		return err
	}
	return flush(f.Dir)
}

// Install puts the answer to a pending request in place. All files are on the disk before the first of them gets its
// name. The certificate is moved last: a crash in between leaves the request pending, and the same command mends it.
func (f Folder) Install(p Order, agent, certPEM string) error {
	pair, err := tls.X509KeyPair([]byte(certPEM), []byte(p.Keys.KeyPEM))
	if err != nil {
		return fmt.Errorf("the certificate is not of the key that was made for it: %w", err)
	}
	if _, ok := pair.PrivateKey.(*ecdsa.PrivateKey); !ok || pair.Leaf.Subject.CommonName != agent {
		return fmt.Errorf("the certificate is that of %q, not of %s", pair.Leaf.Subject.CommonName, agent)
	}
	files := []struct{ name, text string }{
		{KeyFile, p.Keys.KeyPEM}, {ProofFile, string(p.Keys.Proof) + "\n"}, {CertFile, certPEM},
	}
	for _, file := range files {
		next := filepath.Join(f.Dir, file.name+".new")
		if err := errors.Join(remove(next), write(next, []byte(file.text))); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := os.Rename(filepath.Join(f.Dir, file.name+".new"), filepath.Join(f.Dir, file.name)); err != nil {
			return err
		}
	}
	if err := flush(f.Dir); err != nil {
		return err
	}
	return f.Drop()
}
