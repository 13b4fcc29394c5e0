//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ownedByUs reports whether a file is this user's, and names its owner.
func ownedByUs(info fs.FileInfo) (mine bool, owner string) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false, "an unknown user"
	}
	return int(stat.Uid) == os.Geteuid(), fmt.Sprintf("user %d, and this is user %d", stat.Uid, os.Geteuid())
}

// lock takes the lock of an open directory, or reports that another process has it. It ends with the file.
func lock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
