package main

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// mostLog is how large the log becomes, in octets, before it is put aside: with the one before it there are twice as
// many on disk at most.
const mostLog = 16 << 20

// cappedLog is functions.log. A full one becomes functions.log.1, in place of the one before; tail -F follows. It is
// safe for concurrent use.
type cappedLog struct {
	path string
	most int64

	mu   sync.Mutex
	file *os.File
	size int64
}

func openLog(run string) (*cappedLog, error) {
	l := &cappedLog{path: filepath.Join(run, "functions.log"), most: mostLog}
	return l, l.open()
}

func (l *cappedLog) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write never fails: what prints must not stop because its words cannot be kept, on a full disk for one.
func (l *cappedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(p)) > l.most {
		l.turn()
	}
	n, _ := l.file.Write(p)
	l.size += int64(n)
	return len(p), nil
}

// turn begins a new file. If that fails, the old one begins anew: the cap holds.
func (l *cappedLog) turn() {
	old := l.file
	if os.Rename(l.path, l.path+".1") == nil && l.open() == nil {
		_ = old.Close()
		return
	}
	_ = old.Truncate(0)
	l.size = 0
}

// Close closes the file.
func (l *cappedLog) Close() error { return l.file.Close() }
