// Package kms is a KMS for one machine: it speaks AWS JSON 1.1 to the unmodified AWS SDK, makes real keys
// and real signatures, and refuses what AWS refuses.
//
// It exists because the obtainable emulators sign with keys that have no material and accept imported
// material of the wrong curve. It holds private keys in the clear, leaves request signatures to package sigv4 and
// enforces no key policy: it is for development and tests, never for keys that matter.
package kms

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

// Config says how a [Server] is built. The zero value is a working, memory-only server.
type Config struct {
	// Dir holds the keys between runs, one file each, readable by its owner only. The server owns the
	// folder, sets its mode to 0700 and must be the only process that uses it. Empty: memory only.
	Dir string
	// Account and Region appear in every ARN. Empty: 000000000000 and us-east-1.
	Account, Region string
	// Now is the clock that deletion windows, import tokens and expiring material run on, and must be
	// safe for concurrent use. Nil: [time.Now].
	Now func() time.Time
	// Before, if set, runs before every operation, and may delay it or refuse it: a [*Fault] is
	// answered as it is, any other error as an internal failure. It runs concurrently.
	Before func(op string) error
	// After, if set, runs once an operation has taken effect. An error from it is the answer instead of
	// the result: that is how a lost answer looks to the caller.
	After func(op string) error
	// Log receives the causes of internal failures, which no answer carries. Nil: nowhere.
	Log *slog.Logger
}

// Server is the KMS, as an [http.Handler]. All its methods are safe for concurrent use.
type Server struct {
	ring   *ring
	tokens tokenSeal
	calls  map[string]*atomic.Int64 // by operation; the map itself never changes
	now    func() time.Time
	before func(op string) error
	after  func(op string) error
	log    *slog.Logger
}

// maxBody bounds a request's body in bytes; the largest legal request, CreateKey with a policy and fifty
// tags, stays below it.
const maxBody = 256 << 10

var accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
var regionPattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// New builds a server and loads what an earlier one left in cfg.Dir.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if !accountPattern.MatchString(cfg.Account) || !regionPattern.MatchString(cfg.Region) {
		return nil, fmt.Errorf("new kms: account %q or region %q has the wrong form", cfg.Account, cfg.Region)
	}
	d, err := openDisk(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("new kms: %w", err)
	}
	tokens, err := openTokenSeal(d)
	if err != nil {
		return nil, fmt.Errorf("new kms: %w", err)
	}
	ring, err := openRing(d, arns{account: cfg.Account, region: cfg.Region})
	if err != nil {
		return nil, fmt.Errorf("new kms: %w", err)
	}
	calls := make(map[string]*atomic.Int64, len(operations))
	for name := range operations {
		calls[name] = new(atomic.Int64)
	}
	return &Server{
		ring:   ring,
		tokens: tokens,
		calls:  calls,
		now:    cfg.Now,
		before: cfg.Before,
		after:  cfg.After,
		log:    cfg.Log,
	}, nil
}

func (c Config) withDefaults() Config {
	if c.Account == "" {
		c.Account = "000000000000"
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	nothing := func(string) error { return nil }
	if c.Before == nil {
		c.Before = nothing
	}
	if c.After == nil {
		c.After = nothing
	}
	return c
}

// Calls returns how often each operation was asked for since the server was made, refused ones included.
// Operations that were never asked for are absent.
func (s *Server) Calls() map[string]int64 {
	counts := map[string]int64{}
	for name, n := range s.calls {
		if v := n.Load(); v > 0 {
			counts[name] = v
		}
	}
	return counts
}

// Close waits for a write in progress and refuses every later one, so that a second server can take over
// the folder. Nothing is flushed: what was answered is already on disk.
func (s *Server) Close() error {
	s.ring.close()
	return nil
}

// ServeHTTP answers one operation.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := s.answer(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	respond(w, http.StatusOK, out)
}

// answer runs the operation that r names. An error that is not a [*Fault] is internal.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	name, err := target(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, faultf("SerializationException", "The request body could not be read.")
	}
	s.calls[name].Add(1)
	if err := s.before(name); err != nil {
		return nil, err
	}
	if err := s.ring.sweep(s.now()); err != nil {
		return nil, err
	}
	out, err := operations[name](s, body)
	if err != nil {
		return nil, err
	}
	return out, s.after(name)
}

// target returns the operation that a request names, which is then sure to exist.
func target(r *http.Request) (string, error) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if _, known := operations[name]; !ok || !known || r.Method != http.MethodPost || r.URL.Path != "/" {
		return "", faultf("UnknownOperationException", "The operation is not known to this service.")
	}
	if mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(mediaType) != contentType {
		return "", faultf("UnknownOperationException", "The content type must be %s.", contentType)
	}
	if r.Header.Get("Authorization") == "" {
		return "", faultf("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	return name, nil
}
