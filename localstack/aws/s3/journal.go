package s3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"
)

// change is one request that changed something. The journal is their list, a line of JSON each; doing them again in
// order gives the same objects, times and version names. The disk backends of the fake were not taken: none of them
// has versions.
type change struct {
	Time   time.Time
	Method string
	URL    string // path and query
	Header http.Header
	Body   []byte
}

// keep drops what only mattered on the way; a signature has no business on disk, and the fake would hand every
// X-Amz- header it got out again with the object.
func keep(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		switch {
		case strings.HasPrefix(name, "X-Amz-Meta-"), name == crc32Header,
			strings.HasPrefix(name, "X-Amz-Copy-Source"), strings.HasPrefix(name, "If-"), strings.HasPrefix(name, "Content-") &&
				name != "Content-Length":
			kept[name] = values
		}
	}
	return kept
}

// record appends a change and waits until it is on disk.
func (s *Server) record(c change) error {
	if s.journal == nil {
		return nil
	}
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if _, err := s.journal.Write(append(line, '\n')); err != nil {
		return err
	}
	return s.journal.Sync()
}

// redo brings the store to where the journal ends, and leaves f standing there. A crash while writing leaves half a
// line: that change was never answered, so it is cut off.
func (s *Server) redo(f *os.File) error {
	b, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	whole := b[:bytes.LastIndexByte(b, '\n')+1]
	n := 0
	for line := range bytes.Lines(whole) {
		n++
		if err := s.redoLine(line); err != nil {
			return fmt.Errorf("%s line %d: %w", f.Name(), n, err)
		}
	}
	if err := f.Truncate(int64(len(whole))); err != nil {
		return err
	}
	_, err = f.Seek(int64(len(whole)), io.SeekStart)
	return err
}

func (s *Server) redoLine(line []byte) error {
	var c change
	if err := json.Unmarshal(line, &c); err != nil {
		return err
	}
	if c.Method == "" || c.URL == "" || c.Time.IsZero() {
		return errors.New("not a change of this store")
	}
	got := httptest.NewRecorder()
	s.perform(got, c)
	if got.Code/100 != 2 {
		return errors.New("the change is refused now: " + got.Body.String())
	}
	return nil
}

// clock is the time source of the fake: the time of the change being made, else the machine's time.
type clock struct {
	now func() time.Time

	mu   sync.Mutex
	held *time.Time
}

func (c *clock) hold(t time.Time) { c.set(&t) }
func (c *clock) release()         { c.set(nil) }

func (c *clock) set(t *time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = t
}

// Now implements gofakes3.TimeSource. HTTP dates are in GMT (RFC 9110 section 5.6.7), and the fake prints the zone.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		return c.held.In(gmt)
	}
	return c.now().In(gmt)
}

// Since implements gofakes3.TimeSource.
func (c *clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

var gmt = time.FixedZone("GMT", 0)
