//go:build unix && !linux

package lambda

import "syscall"

// processAttributes puts a function in a process group of its own, so that a Ctrl-C in the terminal
// reaches the service alone. If the service is killed, an idle function notices that its request for
// work was cut off, and exits.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
