//go:build unix && !linux

package dynamodb

import "syscall"

// dieWithParent only detaches the child from Ctrl-C; there is no parent-death signal here. The launcher ends when its
// standard input does, which covers every way this process can end.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
