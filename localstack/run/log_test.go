package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// However much is printed, and however much there was before, at most two files of the cap are kept, with the last
// lines.
func TestLogIsCapped(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "functions.log")
	if err := os.WriteFile(path, []byte(strings.Repeat("of a run before\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.most = 10_000
	line := []byte(strings.Repeat("x", 99) + "\n")
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 300 {
				if n, err := l.Write(line); n != len(line) || err != nil {
					t.Errorf("wrote %d, %v", n, err)
				}
			}
		})
	}
	writers.Wait()
	last := []byte("the last line\n")
	if _, err := l.Write(last); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{path, path + ".1"} {
		if info, err := os.Stat(name); err != nil || info.Size() > 10_000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v (%v), want at most 10000 octets, mode 0600", name, info, err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !strings.HasSuffix(string(got), string(last)) {
		t.Errorf("the last line is gone (%v)", err)
	}
}

// A log on a disk that takes no more stops nothing.
func TestLogOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full:", err)
	}
	l := &cappedLog{path: "/dev/full", most: mostLog, file: full}
	defer l.Close()
	if n, err := l.Write([]byte("words")); n != 5 || err != nil {
		t.Errorf("wrote %d, %v; want 5 and no error", n, err)
	}
}
