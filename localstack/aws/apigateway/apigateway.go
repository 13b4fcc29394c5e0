// Package apigateway stands in for the part of API Gateway's control plane that a custom domain with mutual TLS
// needs: one domain with GetDomainName and UpdateDomainName. A new version of the truststore takes effect later, as
// on AWS.
package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Config says which domain there is. Name, URI and Object are required.
type Config struct {
	Dir  string // folder that keeps the domain's state; empty: memory only
	Name string // of the domain
	URI  string // of the truststore object, s3://bucket/key
	// Object reads a version of it. fs.ErrNotExist: there is no such version.
	Object func(ctx context.Context, version string) ([]byte, error)
	Now    func() time.Time // nil: time.Now
}

// Server answers the REST API for the one domain. It is safe for concurrent use. Package sigv4 checks the signatures.
type Server struct {
	cfg Config

	mu       sync.Mutex
	domain   domain
	takes    time.Duration // an update
	failing  string        // why updates fail; empty: they do not
	injected []string      // warnings of every object to come
}

// domain is what is kept. An update is through once its time has come; nothing has to happen for that.
type domain struct {
	Version  string    `json:"version"`  // as UpdateDomainName set it
	Through  time.Time `json:"through"`  // when it is served
	Before   string    `json:"before"`   // served until then
	Warnings []string  `json:"warnings"` // about Version
	Failure  string    `json:"failure"`  // of the last update; empty: it did not fail
}

// New returns the domain as an earlier run left it. A new domain has no version and trusts no client.
func New(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg}
	kept, err := os.ReadFile(s.path())
	if cfg.Dir == "" || errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(kept, &s.domain)
	}
	if err != nil {
		return nil, fmt.Errorf("read the domain's state in %s: %w", s.path(), err)
	}
	return s, nil
}

func (s *Server) path() string { return filepath.Join(s.cfg.Dir, "domain.json") }

// Served returns the object that the domain serves now, and its version; nothing, as long as it was pointed at none.
func (s *Server) Served(ctx context.Context) (pem []byte, version string, err error) {
	s.mu.Lock()
	version = s.domain.served(s.cfg.Now())
	s.mu.Unlock()
	if version == "" {
		return nil, "", nil
	}
	pem, err = s.cfg.Object(ctx, version)
	return pem, version, err
}

// Takes sets how long updates take from now on; at first they take no time, and are through once they are answered.
func (s *Server) Takes(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes = d
}

// Finish ends an update that is under way.
func (s *Server) Finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.cfg.Now(); s.domain.Through.After(now) {
		s.domain.Through = now
	}
}

// Fail lets updates from now on fail for a reason; the empty one ends that.
func (s *Server) Fail(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = reason
}

// Warn adds warnings to those about every object that comes from now on; none ends that.
func (s *Server) Warn(warnings ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.injected = slices.Clone(warnings)
}

func (d domain) served(now time.Time) string {
	if now.Before(d.Through) {
		return d.Before
	}
	return d.Version
}

func (d domain) status(now time.Time) string {
	switch {
	case d.Failure != "":
		return "FAILED"
	case now.Before(d.Through):
		return "UPDATING"
	default:
		return "AVAILABLE"
	}
}

// keep replaces the state, in memory only if it is on disk.
func (s *Server) keep(d domain) error {
	if s.cfg.Dir != "" {
		if err := s.write(d); err != nil {
			return err
		}
	}
	s.domain = d
	return nil
}

func (s *Server) write(d domain) error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	out, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path()+".new", out, 0o600); err != nil {
		return err
	}
	return os.Rename(s.path()+".new", s.path())
}
