package stack

import (
	"errors"
	"fmt"
	"time"
)

// ErrDatabaseEnded means that DynamoDB Local has ended, and with it the stack.
var ErrDatabaseEnded = errors.New("DynamoDB Local ended unexpectedly; build/run/functions.log shows why; start again")

// ErrDiskFull means that the disk of the state folder is full, or about to be. DynamoDB Local loses writes that it has
// acknowledged once it is, so the stack ends before.
var ErrDiskFull = errors.New("no space is left for the state folder")

// Free space below which a stack does not start, and below which it ends. A second of the heaviest load writes less
// than 4 MB.
const (
	spaceToStart = 64 << 20
	spaceToRun   = 24 << 20
	lookAtSpace  = 200 * time.Millisecond
)

// checkSpace refuses a start that would soon end.
func (s *Stack) checkSpace() error {
	free, known := s.free()
	if !known || free >= spaceToStart {
		return nil
	}
	return fmt.Errorf("%w: %s has %d MB free, a start takes %d MB; free some, or take a folder on another disk (DATA=…)",
		ErrDiskFull, s.cfg.Dir, free>>20, spaceToStart>>20)
}

// free returns the free octets of the state folder's disk; false where there is no folder, or no way to know.
func (s *Stack) free() (octets uint64, known bool) {
	if s.cfg.Dir == "" {
		return 0, false
	}
	free, err := s.cfg.Space(s.cfg.Dir)
	return free, err == nil
}

// watch ends the stack when it cannot go on. Close stops watch first.
func (s *Stack) watch() {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(lookAtSpace)
		defer every.Stop()
		for {
			select {
			case <-stop:
				return
			case <-s.database.Done():
				s.end(ErrDatabaseEnded)
				return
			case <-s.database.Full():
				s.end(fmt.Errorf("%w: DynamoDB Local says that its disk is full. Free some space and start again; a write of the "+
					"last second may be lost", ErrDiskFull))
				return
			case <-every.C:
				if free, known := s.free(); known && free < spaceToRun {
					s.end(fmt.Errorf("%w: %s has %d MB free. Nothing is lost; free some space and start again", ErrDiskFull, s.cfg.Dir,
						free>>20))
					return
				}
			}
		}
	}()
	s.onClose(func() error { close(stop); <-ended; return nil })
}

// end marks the stack as ended, for a reason; the gateway answers nothing from now on. Only the first reason counts.
func (s *Stack) end(cause error) {
	s.ending.Do(func() {
		s.cause.Store(&cause)
		close(s.ended)
	})
}

// Done is closed when the stack cannot go on, or was closed. It is for the caller to Close it then.
func (s *Stack) Done() <-chan struct{} { return s.ended }

// Cause says why Done is closed: ErrDatabaseEnded or ErrDiskFull; nil before, and after a mere Close.
func (s *Stack) Cause() error {
	if c := s.cause.Load(); c != nil {
		return *c
	}
	return nil
}
