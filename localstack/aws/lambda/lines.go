package lambda

import (
	"bytes"
	"io"
	"sync"
)

// maxLine is where a line without an end is cut, in bytes: CloudWatch's limit for an event.
const maxLine = 256 << 10

// sink is the writer that all functions share.
type sink struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sink) line(prefix string, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := make([]byte, 0, len(prefix)+len(text)+1)
	line = append(append(append(line, prefix...), text...), '\n')
	_, _ = s.w.Write(line) // a full disk must not stop the functions
}

// lines cuts what one process prints into lines, whatever the sizes of its writes.
type lines struct {
	sink   *sink
	prefix string
	rest   []byte
}

// Write never fails.
func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		switch {
		case found:
			l.sink.line(l.prefix, line)
			l.rest = rest
		case len(l.rest) >= maxLine:
			l.sink.line(l.prefix, l.rest)
			l.rest = nil
		default:
			return len(p), nil
		}
	}
}

// flush writes a last line that has no end.
func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.sink.line(l.prefix, l.rest)
		l.rest = nil
	}
}
