// Package dynamodb installs and runs DynamoDB Local, on the loopback interface only, and creates the Mastio's tables in
// it.
package dynamodb

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/localstack/aws/sigv4"
)

// Config says what to run and where.
type Config struct {
	Cache    string       // folder of the installation (npm packages, compiled launcher); made and filled on demand
	Dir      string       // folder of the data; empty: everything is gone when the server ends
	Port     int          // on 127.0.0.1; 0: a free one
	Log      io.Writer    // what the server prints; nil: dropped
	Progress func(string) // called before each slow step, with a few words; nil: never called

	// Keys are the access keys that requests have to be signed with; empty: none is asked for, which is for tests of the
	// database alone.
	Keys sigv4.Keys
}

// Server is one DynamoDB Local process. Its methods may be called from any goroutine.
type Server struct {
	pid     int
	port    int
	stdin   io.Closer
	process *os.Process
	done    chan struct{} // closed once the process has ended
	full    chan struct{} // closed once it has said that its disk is full
	close   sync.Once
}

// startTimeout is generous: a cold JVM on a busy machine takes 5 s, and a warm one 1.5 s.
const startTimeout = 60 * time.Second

// stopTimeout is how long the server may take to close its files before it is killed.
const stopTimeout = 5 * time.Second

// ErrPortInUse means that another process listens on the port that was asked for.
var ErrPortInUse = errors.New("port is in use by another process")

// Start installs DynamoDB Local if need be (npm, javac) and runs it. It returns once requests are answered. The
// server ends with Close, or with this process however that ends; ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Cache == "" {
		return nil, errors.New("start DynamoDB Local: Config.Cache is empty")
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	in, err := install(ctx, cfg.Cache, cfg.Progress)
	if err != nil {
		return nil, fmt.Errorf("install DynamoDB Local: %w", err)
	}
	cfg.Progress("starting DynamoDB Local")
	s, err := launch(ctx, cfg, in)
	if err != nil {
		return nil, fmt.Errorf("start DynamoDB Local: %w", err)
	}
	return s, nil
}

// Endpoint is the server's URL, for dynamodb.Options.BaseEndpoint.
func (s *Server) Endpoint() string { return "http://127.0.0.1:" + strconv.Itoa(s.port) }

// PID is the server's process id.
func (s *Server) PID() int { return s.pid }

// Done is closed once the server's process has ended, wanted or not.
func (s *Server) Done() <-chan struct{} { return s.done }

// Full is closed once the server has said that its disk is full. From then on it may lose writes that it has
// acknowledged.
func (s *Server) Full() <-chan struct{} { return s.full }

// Close stops the server and waits for its end. Further calls do nothing.
func (s *Server) Close() error {
	s.close.Do(func() {
		s.stdin.Close()
		select {
		case <-s.done:
			return
		case <-time.After(stopTimeout):
		}
		// Only this process, by the handle that started it: nothing else can be hit by a reused id.
		s.process.Kill() //nolint:errcheck // it fails only when the process is gone already, which is what is wanted
		<-s.done
	})
	return nil
}

func command(cfg Config, in installation) (*exec.Cmd, error) {
	args := []string{
		// A small heap keeps a whole stack below 600 MB. Most of it is the young generation, because next to nothing
		// lives longer than a request. That takes 7 % less CPU than the collector's own choice of 10 MB, for 54 MB
		// more. Both compilers: without the second one reads are 1.4 times as slow and transactions 1.3 times, for 56
		// MB less.
		"-Xms96m", "-Xmx256m", "-Xmn64m", "-XX:+UseSerialGC", "-Xss512k",
		"-Djava.library.path=" + filepath.Join(in.lib, "DynamoDBLocal_lib"),
		"-Dloopback.port=" + strconv.Itoa(cfg.Port),
		"-cp", in.classPath(), "LoopbackDynamoDB", "-sharedDb", "-disableTelemetry",
	}
	if cfg.Dir == "" {
		args = append(args, "-inMemory")
	} else {
		dir, err := filepath.Abs(cfg.Dir)
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		args = append(args, "-dbPath", dir)
	}
	cmd := exec.Command("java", args...)
	cmd.Dir = in.lib // it reads its native libraries relative to where it stands
	cmd.SysProcAttr = dieWithParent()
	cmd.Env = append(os.Environ(), "LOOPBACK_KEYS="+environment(cfg.Keys))
	return cmd, nil
}

// environment is the form that the launcher reads.
func environment(keys sigv4.Keys) string {
	var list []string
	for id, secret := range keys {
		list = append(list, id+"="+secret)
	}
	return strings.Join(list, " ")
}

func launch(ctx context.Context, cfg Config, in installation) (*Server, error) {
	cmd, err := command(cfg, in)
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	s := &Server{stdin: stdin, done: make(chan struct{}), full: make(chan struct{})}
	out := &output{log: cfg.Log, port: make(chan int, 1), full: sync.OnceFunc(func() { close(s.full) })}
	cmd.Stdout, cmd.Stderr = out, out

	if err := s.spawn(cmd); err != nil {
		return nil, err
	}
	select {
	case s.port = <-out.port:
		return s, nil
	case <-s.done:
		return nil, out.explain(cfg.Port)
	case <-time.After(startTimeout):
		err = fmt.Errorf("no answer within %v: %s", startTimeout, out.tail())
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.Close()
	return nil, err
}

// spawn starts cmd from a thread that lives as long as the process does: Linux sends the parent-death signal when the
// *thread* that started a child ends, not when the process does.
func (s *Server) spawn(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		s.process, s.pid = cmd.Process, cmd.Process.Pid
		started <- nil
		cmd.Wait() //nolint:errcheck // the server's output says how it ended
		close(s.done)
	}()
	return <-started
}

// output passes on what the server prints, finds the port in it and keeps the end for error messages.
type output struct {
	log  io.Writer
	port chan int
	full func() // called each time that the server says that its disk is full

	mu   sync.Mutex
	kept []byte
	sent bool
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, p...)
	if port, ok := portIn(o.kept); ok && !o.sent {
		o.sent = true
		o.port <- port
	}
	if diskFull(o.kept) {
		o.full()
	}
	o.kept = append(o.kept[:0], tail(o.kept)...)
	// A log that takes no more must not stop the server: to return the error would leave its output unread.
	_, _ = o.log.Write(p)
	return len(p), nil
}

// diskFull looks for the words of SQLite, and of the JVM for its own files.
func diskFull(printed []byte) bool {
	return bytes.Contains(printed, []byte("disk is full")) || bytes.Contains(printed, []byte("No space left on device"))
}

// portIn looks for a whole line: half of one could hold half of the number.
func portIn(printed []byte) (int, bool) {
	_, rest, found := bytes.Cut(printed, []byte("loopback.port="))
	line, _, whole := bytes.Cut(rest, []byte("\n"))
	if !found || !whole {
		return 0, false
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(line)))
	return port, err == nil
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.kept)
}

// explain says why the server ended before it answered.
func (o *output) explain(port int) error {
	printed := o.tail()
	if strings.Contains(printed, "BindException") || strings.Contains(printed, "Address already in use") {
		return fmt.Errorf("127.0.0.1:%d: %w", port, ErrPortInUse)
	}
	lines := bufio.NewScanner(strings.NewReader(printed))
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Exception") || strings.Contains(lines.Text(), "Error") {
			return fmt.Errorf("it ended at once: %s", lines.Text())
		}
	}
	return fmt.Errorf("it ended at once: %s", printed)
}
