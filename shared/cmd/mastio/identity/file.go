// Package identity keeps an agent's files: a certificate and its keys. A file is written next to its place, 0600 and
// flushed to the disk, and moved into place last. Private keys are made here and never leave the machine.
package identity

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// WriteFile puts a file in place in one step: mode 0600, on the disk when it returns. The folder is made if it is
// missing, for its owner alone.
func WriteFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	next := filepath.Join(dir, ".next-"+rand.Text())
	if err := write(next, content); err != nil {
		return errors.Join(err, remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return errors.Join(err, remove(next))
	}
	return flush(dir)
}

func write(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // next to the file to write
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// flush makes names last: a rename is in the folder, which has a cache of its own. Windows has no such call.
func flush(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(dir) //nolint:gosec // the folder of a file that was written
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
