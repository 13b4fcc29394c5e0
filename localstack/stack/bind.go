package stack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// bindTries is how often a free port is looked for that is free on both loopback addresses.
const bindTries = 10

// bind takes the gateway's port, on ::1 too where the machine has it: clients that try ::1 first for localhost must
// neither wait nor meet another process there. Nothing is served on the port before the rest is up.
func (s *Stack) bind() ([]net.Listener, error) {
	host, port, err := net.SplitHostPort(s.cfg.Addr)
	ip := net.ParseIP(host)
	if err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("address %q is not a loopback address and a port, such as 127.0.0.1:9443", s.cfg.Addr)
	}
	listeners, err := listen(s.cfg.Addr, ip.Equal(net.IPv4(127, 0, 0, 1)))
	for n := 1; n < bindTries && port == "0" && errors.Is(err, syscall.EADDRINUSE); n++ {
		listeners, err = listen(s.cfg.Addr, true)
	}
	if err != nil {
		return nil, explainBind(port, err)
	}
	for _, l := range listeners {
		s.onClose(func() error { l.Close(); return nil })
	}
	s.cfg.Addr = listeners[0].Addr().String()
	s.URL = "https://localhost:" + strconv.Itoa(listeners[0].Addr().(*net.TCPAddr).Port)
	return listeners, nil
}

// listen takes an address, and with both the same port of ::1, unless the machine has no such address.
func listen(addr string, both bool) ([]net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil || !both {
		return []net.Listener{l}, err
	}
	six, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(l.Addr().(*net.TCPAddr).Port)))
	switch {
	case err == nil:
		return []net.Listener{l, six}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		l.Close()
		return nil, err
	}
	return []net.Listener{l}, nil
}
