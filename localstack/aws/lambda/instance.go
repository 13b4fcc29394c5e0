package lambda

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// instance is one process of a function and the Runtime API it talks to: an execution environment.
type instance struct {
	pool    *pool
	secret  string        // first part of each path of its Runtime API
	jobs    chan *job     // room for one
	started chan struct{} // closed once the process runs, or could not be started
	gone    chan struct{} // closed once the process has exited and the pool has forgotten it
	process *os.Process   // set before started is closed; nil if it could not be started

	// Guarded by the pool's lock.
	state     state
	job       *job // busy, settling
	idleSince time.Time
}

func newInstance(p *pool) *instance {
	return &instance{
		pool:    p,
		secret:  rand.Text(),
		jobs:    make(chan *job, 1),
		started: make(chan struct{}),
		gone:    make(chan struct{}),
	}
}

// run is the whole life of an instance.
func (in *instance) run() {
	defer close(in.gone)
	in.pool.exited(in, in.live())
}

// live starts the process, serves it until it has exited, and returns why it exited.
func (in *instance) live() fault {
	out := &lines{sink: in.pool.out, prefix: in.pool.Name + " | "}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		close(in.started)
		return fault{kind: "Runtime.Unknown", text: fmt.Sprintf("listen for the runtime: %v", err)}
	}
	server := &http.Server{Handler: in.runtimeAPI(), ReadHeaderTimeout: time.Minute}
	in.pool.service.wg.Go(func() { _ = server.Serve(listener) })
	defer server.Close() // the connections ended with the process

	cmd := in.command(listener.Addr().String()+"/"+in.secret, out)
	err = in.pool.service.start.start(cmd)
	in.process = cmd.Process
	close(in.started)
	if err != nil {
		return fault{kind: "Runtime.InvalidEntrypoint", text: err.Error()}
	}
	timer := time.AfterFunc(in.pool.cfg.InitTimeout, in.initTooLong)
	defer timer.Stop()
	_ = cmd.Wait() // the state says it all
	out.flush()
	return exitFault(cmd.ProcessState)
}

func (in *instance) command(runtimeAPI string, out *lines) *exec.Cmd {
	f := in.pool.Function
	return &exec.Cmd{
		Path:        f.Path,
		Args:        []string{f.Path},
		Dir:         filepath.Dir(f.Path),
		Env:         environ(f, in.pool.cfg.Region, runtimeAPI),
		Stdout:      out,
		Stderr:      out,
		SysProcAttr: processAttributes(),
		WaitDelay:   time.Second, // a grandchild that keeps the pipe open must not hold Wait
	}
}

func (in *instance) initTooLong() {
	text := fmt.Sprintf("Init did not finish within %.2f seconds", in.pool.cfg.InitTimeout.Seconds())
	in.pool.initFailed(in, fault{kind: "Sandbox.Timedout", text: text})
}

// settle ends what the instance had to do with its job.
func (in *instance) settle() {
	if in.job != nil {
		in.job.timer.Stop()
		in.job = nil
	}
}

func (in *instance) pid() int {
	select {
	case <-in.started:
		if in.process != nil {
			return in.process.Pid
		}
	default:
	}
	return 0
}

// kill ends the process at once. It must not be called with the pool's lock held.
func (in *instance) kill() { in.signal(syscall.SIGKILL) }

// stop asks the process to end, and kills it if it has not after the grace. As kill.
func (in *instance) stop() {
	in.signal(syscall.SIGTERM)
	time.AfterFunc(in.pool.cfg.Grace, in.kill)
}

func (in *instance) signal(s os.Signal) {
	<-in.started
	if in.process != nil {
		_ = in.process.Signal(s) // it may have ended already
	}
}

func timedOut(limit time.Duration) fault {
	return fault{kind: "Sandbox.Timedout", text: fmt.Sprintf("Task timed out after %.2f seconds", limit.Seconds())}
}

func exitFault(s *os.ProcessState) fault {
	if s.Success() {
		return fault{kind: "Runtime.ExitError", text: "Runtime exited without providing a reason"}
	}
	return fault{kind: "Runtime.ExitError", text: "Runtime exited with error: " + s.String()}
}
