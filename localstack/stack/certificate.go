package stack

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mastio-aws/mastio/localstack/gateway"
)

// renewBefore is how long before its end a kept certificate is replaced.
const renewBefore = 30 * 24 * time.Hour

// certificate returns the gateway's certificate. It reuses the stored certificate until shortly before its end, so
// that clients need not trust a new CA at every start.
func (s *Stack) certificate(now time.Time) (tls.Certificate, error) {
	path := s.dir("tls.pem")
	p, err := readCertificate(path, now)
	if err != nil {
		if p, err = gateway.SelfSigned(now); err != nil {
			return tls.Certificate{}, err
		}
		if err := keepCertificate(path, p); err != nil {
			return tls.Certificate{}, fmt.Errorf("keep the gateway's certificate: %w", err)
		}
	}
	s.CAPEM = p.CA
	return p.Certificate()
}

// readCertificate fails for whatever reason there is to make a new one.
func readCertificate(path string, now time.Time) (gateway.ServerPEM, error) {
	if path == "" {
		return gateway.ServerPEM{}, os.ErrNotExist
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return gateway.ServerPEM{}, err
	}
	var blocks [3][]byte // certificate, CA, key
	for i := range blocks {
		block, rest := pem.Decode(b)
		if block == nil {
			return gateway.ServerPEM{}, errors.New("incomplete")
		}
		blocks[i], b = pem.EncodeToMemory(block), rest
	}
	p := gateway.ServerPEM{Cert: blocks[0], CA: blocks[1], Key: blocks[2]}
	pair, err := p.Certificate()
	if err != nil {
		return gateway.ServerPEM{}, err
	}
	if now.Add(renewBefore).After(pair.Leaf.NotAfter) {
		return gateway.ServerPEM{}, errors.New("about to expire")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.CA)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: roots, CurrentTime: now})
	return p, err
}

// keepCertificate replaces the file whole.
func keepCertificate(path string, p gateway.ServerPEM) error {
	if path == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tls-*") // created 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when the rename was done
	_, err = f.Write(bytes.Join([][]byte{p.Cert, p.CA, p.Key}, nil))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
