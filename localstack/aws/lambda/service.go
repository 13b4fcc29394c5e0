// Package lambda is a local Lambda service. It runs the same bootstrap binaries that are deployed, as processes that
// speak the Lambda Runtime API, and invokes them as AWS does.
package lambda

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Result is what a function answered.
type Result struct {
	Payload       []byte // the answer, or with a FunctionError AWS's error document (JSON: errorType, errorMessage)
	FunctionError string // "", "Handled" or "Unhandled"
	RequestID     string // UUID
}

// Service runs functions until Close. It is safe for concurrent use, and an http.Handler that speaks
// the Invoke operation of Lambda's own API.
type Service struct {
	pools  map[string]*pool
	api    http.Handler
	warmed func(string, time.Duration)
	start  *starter
	quit   chan struct{}
	wg     sync.WaitGroup // instances and the reaper
	close  sync.Once
}

// New checks the functions and returns a service that has started none of them yet.
func New(cfg Config) (*Service, error) {
	cfg = cfg.withDefaults()
	s := &Service{
		pools:  make(map[string]*pool, len(cfg.Functions)),
		warmed: cfg.Warmed,
		quit:   make(chan struct{}),
	}
	out := &sink{w: cfg.Stdout}
	for _, f := range cfg.Functions {
		f, err := f.checked()
		if err != nil {
			return nil, err
		}
		if s.pools[f.Name] != nil {
			return nil, fmt.Errorf("function %q is listed twice", f.Name)
		}
		arn := "arn:aws:lambda:" + cfg.Region + ":" + cfg.Account + ":function:" + f.Name
		s.pools[f.Name] = &pool{Function: f, cfg: cfg, arn: arn, service: s, out: out}
	}
	s.api = s.routes()
	s.start = newStarter()
	s.wg.Go(func() { s.reap(cfg.IdleAfter) })
	return s, nil
}

// Invoke runs a function with a JSON payload and waits for its answer. A function that fails is a
// Result with a FunctionError, not an error. Errors: ErrUnknownFunction, ErrThrottled,
// ErrPayloadTooLarge, ErrClosed, or the context's; a function whose caller went away runs on.
func (s *Service) Invoke(ctx context.Context, name string, payload []byte) (Result, error) {
	j, err := s.submit(name, payload)
	if err != nil {
		return Result{}, fmt.Errorf("invoke %s: %w", name, err)
	}
	select {
	case o := <-j.outcome:
		return o.Result, o.err
	case <-ctx.Done():
		s.pools[name].forget(j)
		return Result{RequestID: j.id}, fmt.Errorf("invoke %s: %w", name, ctx.Err())
	}
}

func (s *Service) submit(name string, payload []byte) (*job, error) {
	p := s.pools[name]
	if p == nil {
		return nil, ErrUnknownFunction
	}
	if len(payload) > MaxRequest {
		return nil, ErrPayloadTooLarge
	}
	j := newJob(payload)
	return j, p.submit(j)
}

// Warm starts one instance of every function that has none and waits until each has asked for work.
// The first failure is returned; the others still start.
func (s *Service) Warm(ctx context.Context) error {
	began := time.Now()
	probes := make(map[*job]string, len(s.pools))
	ready := make(chan *job, len(s.pools))
	for name, p := range s.pools {
		j := newProbe(ready)
		if err := p.submit(j); err != nil {
			return fmt.Errorf("warm %s: %w", name, err)
		}
		probes[j] = name
	}
	var first error
	for range probes {
		select {
		case j := <-ready:
			if err := s.warm(probes[j], <-j.outcome, time.Since(began)); first == nil {
				first = err
			}
		case <-ctx.Done():
			return fmt.Errorf("warm: %w", ctx.Err())
		}
	}
	return first
}

func (s *Service) warm(name string, o outcome, took time.Duration) error {
	if o.err != nil {
		return fmt.Errorf("warm %s: %w", name, o.err)
	}
	if o.FunctionError != "" {
		return fmt.Errorf("warm %s: %s", name, o.Payload)
	}
	if s.warmed != nil {
		s.warmed(name, took)
	}
	return nil
}

// Kill ends all instances of a function with SIGKILL, waits until they are gone and returns how many
// there were. An invocation under way answers Runtime.ExitError; the next one starts a new process.
func (s *Service) Kill(name string) int {
	p := s.pools[name]
	if p == nil {
		return 0
	}
	victims := p.doom()
	for _, in := range victims {
		in.kill()
	}
	for _, in := range victims {
		<-in.gone
	}
	return len(victims)
}

// Processes returns the process ids of every function's instances, sorted; a function without any is absent.
func (s *Service) Processes() map[string][]int {
	pids := map[string][]int{}
	for name, p := range s.pools {
		for _, in := range p.all() {
			if pid := in.pid(); pid != 0 {
				pids[name] = append(pids[name], pid)
			}
		}
		slices.Sort(pids[name])
	}
	return pids
}

// Close refuses further invocations, ends every process (SIGTERM, after the grace SIGKILL) and
// returns when all are gone. It always returns nil; calling it again is harmless.
func (s *Service) Close() error {
	s.close.Do(func() {
		for _, p := range s.pools {
			p.shut()
		}
		for _, p := range s.pools {
			for _, in := range p.all() {
				in.stop()
			}
		}
		close(s.quit)
		s.wg.Wait()
		s.start.close()
	})
	return nil
}

func (s *Service) reap(idle time.Duration) {
	tick := time.NewTicker(idle / 2)
	defer tick.Stop()
	for {
		select {
		case <-s.quit:
			return
		case now := <-tick.C:
			for _, p := range s.pools {
				p.reap(now.Add(-idle))
			}
		}
	}
}
