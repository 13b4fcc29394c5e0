package lambda

import "syscall"

// processAttributes puts a function in a process group of its own, so that a Ctrl-C in the terminal
// reaches the service alone, and lets it die with the service, however that ends.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
