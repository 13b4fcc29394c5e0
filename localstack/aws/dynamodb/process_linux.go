package dynamodb

import "syscall"

// dieWithParent has the kernel kill the child when this process ends, even by SIGKILL. The group of its own keeps
// Ctrl-C from reaching it before the functions that still write to it have stopped.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
