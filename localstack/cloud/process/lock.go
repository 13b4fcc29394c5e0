package process

import (
	"errors"
	"os"
	"strings"
)

// lockedSetuptools writes the lock's entry of setuptools into a file of its own and returns its path.
func (l *LocalStack) lockedSetuptools() (string, error) {
	lock, err := sources.ReadFile("requirements.lock")
	if err != nil {
		return "", err
	}
	entry := entryOf(string(lock), "setuptools")
	if entry == "" {
		return "", errors.New("the lock has no setuptools")
	}
	path := l.path("setuptools.lock")
	return path, os.WriteFile(path, []byte(entry), 0o644)
}

// entryOf returns a package's lines in a lock: the first names it, the others are indented.
func entryOf(lock, name string) string {
	var entry strings.Builder
	for line := range strings.Lines(lock) {
		if strings.HasPrefix(line, name+"==") || entry.Len() > 0 && strings.HasPrefix(line, " ") {
			entry.WriteString(line)
		} else if entry.Len() > 0 {
			break
		}
	}
	return entry.String()
}
