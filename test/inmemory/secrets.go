package inmemory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
)

// Secrets holds agents' secrets in memory, by the rules of Secrets Manager.
type Secrets struct {
	// Fault, if set, is asked before every call and after it: an error before means that nothing happened, one after that
	// the answer was lost.
	Fault func(op string, after bool) error

	mu       sync.Mutex
	versions map[string]map[string][]byte // by name and version
	current  map[string]string            // by name
	calls    map[string]int
}

func (s *Secrets) do(op string, f func() error) error {
	if s.Fault != nil {
		if err := s.Fault(op, false); err != nil {
			return err
		}
	}
	s.mu.Lock()
	if s.versions == nil {
		s.versions, s.current, s.calls = map[string]map[string][]byte{}, map[string]string{}, map[string]int{}
	}
	s.calls[op]++
	err := f()
	s.mu.Unlock()
	if err == nil && s.Fault != nil {
		err = s.Fault(op, true)
	}
	return err
}

// Version reads a version.
func (s *Secrets) Version(_ context.Context, name, version string) (value []byte, err error) {
	err = s.do("Version", func() error { value = bytes.Clone(s.versions[name][version]); return nil })
	return value, err
}

// Stage adds a version.
func (s *Secrets) Stage(_ context.Context, name, version string, value []byte) error {
	return s.do("Stage", func() error {
		if s.versions[name] == nil {
			s.versions[name] = map[string][]byte{}
		}
		if old, taken := s.versions[name][version]; taken && !bytes.Equal(old, value) {
			return hygiene.ErrVersionTaken
		}
		s.versions[name][version] = bytes.Clone(value)
		return nil
	})
}

// Promote makes a version the current one.
func (s *Secrets) Promote(_ context.Context, name, version string) error {
	return s.do("Promote", func() error {
		if s.versions[name][version] == nil {
			return fmt.Errorf("secret %s has no version %s", name, version)
		}
		s.current[name] = version
		return nil
	})
}

// Current is what an agent reads; nil before the first delivery.
func (s *Secrets) Current(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions[name][s.current[name]]
}

// All returns every version of a secret, in no order.
func (s *Secrets) All(name string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.versions[name]))
}

// Calls returns how often each operation was carried out.
func (s *Secrets) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}
