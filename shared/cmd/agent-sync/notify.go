//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kballard/go-shellquote"
)

// commandTime is how long the command may take. A command that hangs must not hold up the next certificate.
const commandTime = time.Minute

// signals are what may be sent: those that programs take as a request to read their files again, or to end.
var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1,
	"USR2": syscall.SIGUSR2,
}

// notifier makes the agent read its files again.
type notifier struct {
	command []string       // empty: none
	signal  syscall.Signal // 0: none
	pidFile string
	out     io.Writer // of the command; an *os.File is handed to it as it is
}

// words splits a command line as a shell does, and expands nothing.
func words(line string) ([]string, error) {
	list, err := shellquote.Split(line)
	if err == nil && len(list) == 0 {
		err = errors.New("it names no command")
	}
	return list, err
}

func signalNamed(name string) (syscall.Signal, error) {
	if s, ok := signals[strings.TrimPrefix(strings.ToUpper(name), "SIG")]; ok {
		return s, nil
	}
	return 0, fmt.Errorf("%q is none of HUP, INT, TERM, USR1, USR2", name)
}

func (n notifier) none() bool { return len(n.command) == 0 && n.signal == 0 }

// run runs the command, then sends the signal. After an error the caller repeats both.
func (n notifier) run(ctx context.Context) error {
	if len(n.command) > 0 {
		if err := n.execute(ctx); err != nil {
			return &trouble{unannounced, "the files are new, and the command failed",
				"it is run again after the next interval; try it by hand: " + shellquote.Join(n.command...), err}
		}
	}
	if n.signal == 0 {
		return nil
	}
	if err := n.send(); err != nil {
		return &trouble{unannounced, "the files are new, and the signal was not sent",
			"it is tried again after the next interval; start the agent, or correct --pid-file " + n.pidFile, err}
	}
	return nil
}

func (n notifier) execute(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, n.command[0], n.command[1:]...) //nolint:gosec // the command that was asked for
	cmd.Stdout, cmd.Stderr = n.out, n.out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it took longer than %s: %w", commandTime, err)
	}
	return err
}

// send reads the process's number anew each time: the agent may have been started again.
func (n notifier) send() error {
	pid, err := processIn(n.pidFile)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, n.signal); err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	return nil
}

// processIn reads the number of one process. 0 and negative numbers stand for many: -1 for all that there are.
func processIn(file string) (int, error) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return 0, fmt.Errorf("group or others can write %s, and so choose who gets the signal", file)
	}
	text, err := os.ReadFile(file) //nolint:gosec // the file that the operator names
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%s holds no process id", file)
	}
	return pid, nil
}

// signalNames is for the usage.
func signalNames() string {
	var names []string
	for name := range signals {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
