// Package process runs LocalStack 4.14.0, the last open one, as plain processes: no Docker, no account, no token.
//
// Everything it installs comes from PyPI and npm, pinned by hash, into one folder. Lambda functions run as processes
// too, through a plugin for LocalStack (executor/). Every listener is on loopback.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/mastio-aws/mastio/localstack/machine"
)

// Version is LocalStack's.
const Version = "4.14.0"

// DefaultPort is the one that every client of LocalStack takes for granted.
const DefaultPort = 4566

// Config says where LocalStack is installed and on which port of 127.0.0.1 it answers. Cache and Database are required.
type Config struct {
	Cache    string       // folder of all that is installed, logged or written; one LocalStack at a time
	Database string       // folder of the DynamoDB Local installation, which other packages share
	Port     int          // 0: DefaultPort
	Progress func(string) // called before each step, with a few words; nil: never called
}

var (
	// ErrSystem means that this machine's system cannot run LocalStack as processes.
	ErrSystem = errors.New("LocalStack runs as processes on Linux only; elsewhere it needs Docker")
	// ErrPortInUse means that something else answers on the port.
	ErrPortInUse = errors.New("something else answers there")
	// ErrNotUp means that LocalStack ended at its start, or did not answer in time.
	ErrNotUp = errors.New("LocalStack did not come up")
)

// LocalStack is one installation, running or not.
type LocalStack struct {
	Config
	cache string // absolute
}

// New returns the LocalStack of a folder.
func New(cfg Config) (*LocalStack, error) {
	if runtime.GOOS != "linux" {
		return nil, ErrSystem
	}
	if cfg.Port == 0 {
		cfg.Port = DefaultPort
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	cache, err := filepath.Abs(cfg.Cache)
	return &LocalStack{Config: cfg, cache: cache}, err
}

// Endpoint is where its clients find it.
func (l *LocalStack) Endpoint() string { return "http://127.0.0.1:" + strconv.Itoa(l.Port) }

// LogPath is the file of all that LocalStack prints.
func (l *LocalStack) LogPath() string { return filepath.Join(l.cache, "localstack.log") }

// startTimeout bounds the time from the first process to the first answer: 2 s on an idle machine.
const startTimeout = 3 * time.Minute

// Up installs what is missing, starts LocalStack and returns when it answers. It leaves a running LocalStack alone.
// LocalStack outlives this process, until Down.
func (l *LocalStack) Up(ctx context.Context) error {
	unlock, err := l.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if pid := l.PID(); pid != 0 && healthy(ctx, l.Endpoint()) {
		l.Progress(fmt.Sprintf("LocalStack is up already, process %d", pid))
		return nil
	}
	l.stop() // clears what a killed one left behind
	if err := l.install(ctx); err != nil {
		return err
	}
	if healthy(ctx, l.Endpoint()) {
		return fmt.Errorf("start LocalStack at %s: %w; stop it, or take it as it is with LOCALSTACK_ENDPOINT=%s",
			l.Endpoint(), ErrPortInUse, l.Endpoint())
	}
	l.Progress("starting LocalStack " + Version + " as processes")
	return l.start(ctx)
}

func (l *LocalStack) start(ctx context.Context) error {
	cmd, err := l.launch()
	if err != nil {
		return fmt.Errorf("start LocalStack: %w", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !healthy(ctx, l.Endpoint()) {
		select {
		case <-ended:
			err = ErrNotUp
		case <-ctx.Done():
			err = errors.Join(ErrNotUp, ctx.Err())
		case <-time.After(100 * time.Millisecond):
			continue
		}
		l.stop()
		return fmt.Errorf("%w; %s ends with:\n%s", err, l.LogPath(), tail(l.LogPath()))
	}
	return nil
}

// launch starts LocalStack in a session of its own, so that a Ctrl-C meant for this process does not reach it, and
// notes which process it is.
func (l *LocalStack) launch() (*exec.Cmd, error) {
	if err := os.MkdirAll(l.path("tmp"), 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(l.LogPath())
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has it
	cmd := exec.Command(l.path("venv", "bin", "python"), "-m", "localstack.runtime.main")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = l.cache, l.environment(os.LookupEnv), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return cmd, l.note().Write(cmd.Process.Pid)
}

// Down stops LocalStack and everything it started, and waits for the end; its state is gone. It reports whether there
// was anything to stop.
func (l *LocalStack) Down(ctx context.Context) (bool, error) {
	if _, err := os.Stat(l.cache); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	unlock, err := l.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	return l.stop(), nil
}

// stopGrace is how long LocalStack may take to stop after SIGTERM; its functions take up to 8 s.
const stopGrace = 15 * time.Second

func (l *LocalStack) stop() (stopped bool) {
	stopped = l.note().Stop(stopGrace)
	// Processes that outlived it: frozen functions, DynamoDB Local, all of a LocalStack that was killed.
	for _, pid := range l.members() {
		stopped = true
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = os.RemoveAll(l.path("tmp"))
	return stopped
}

func (l *LocalStack) lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(l.cache, 0o755); err != nil {
		return nil, err
	}
	return machine.Lock(ctx, l.path("lock"))
}

func (l *LocalStack) path(elements ...string) string {
	return filepath.Join(slices.Insert(elements, 0, l.cache)...)
}

// Healthy reports whether a LocalStack answers at an endpoint, and its version.
func Healthy(ctx context.Context, endpoint string) (version string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/_localstack/health", nil)
	if err != nil {
		return "", false
	}
	// No proxy of the environment: it is this machine that is asked.
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return "", false
	}
	defer answer.Body.Close()
	var state struct{ Version string }
	if answer.StatusCode != http.StatusOK || json.NewDecoder(answer.Body).Decode(&state) != nil {
		return "", false
	}
	return state.Version, state.Version != ""
}

func healthy(ctx context.Context, endpoint string) bool {
	_, ok := Healthy(ctx, endpoint)
	return ok
}
