package lambda

import (
	"os/exec"
	"runtime"
	"sync"
)

// starter forks every process on one OS thread that lives until close. Linux ties "die with your parent" to the thread
// that forked, not to its process, and Go may end threads at any time. Without this a finished goroutine could kill a
// healthy function.
type starter struct {
	work chan launch
	done sync.WaitGroup
}

type launch struct {
	cmd *exec.Cmd
	err chan error
}

func newStarter() *starter {
	s := &starter{work: make(chan launch)}
	s.done.Go(func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for l := range s.work {
			l.err <- l.cmd.Start()
		}
	})
	return s
}

func (s *starter) start(cmd *exec.Cmd) error {
	l := launch{cmd, make(chan error, 1)}
	s.work <- l
	return <-l.err
}

// close ends the thread, and with it whatever it started.
func (s *starter) close() {
	close(s.work)
	s.done.Wait()
}
