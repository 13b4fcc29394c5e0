// Package s3 stands in for Amazon S3: buckets, versioned, with conditional writes that hold under concurrency.
package s3

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Config says which buckets there are and where their objects are kept.
type Config struct {
	Dir     string           // folder for the journal; empty: memory only
	Buckets []string         // made at the start, with versioning on
	Now     func() time.Time // nil: time.Now
}

// Server answers the S3 REST API, path-style. It is safe for concurrent use: changes happen one after the other, each
// on disk before it is answered. Signatures are package sigv4's affair.
type Server struct {
	now     func() time.Time
	clock   *clock
	backend *s3mem.Backend
	fake    http.Handler

	writes  sync.Mutex
	journal *os.File // nil: nothing is kept
	broken  error    // why nothing is written any more
}

// maxBody is far above a truststore of any size; the stand-in holds everything in memory.
const maxBody = 16 << 20

// New opens the store, redoing the changes of earlier runs, and makes the buckets that are not there.
func New(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &clock{now: cfg.Now}
	// Object versions get their names from a counter and this seed, so that redoing the journal gives the same ones.
	const seed = 1
	backend := s3mem.New(s3mem.WithTimeSource(c), s3mem.WithVersionSeed(seed))
	s := &Server{
		now:     cfg.Now,
		clock:   c,
		backend: backend,
		fake:    gofakes3.New(backend, gofakes3.WithTimeSource(c), gofakes3.WithTimeSkewLimit(0)).Server(),
	}
	if err := s.open(cfg.Dir); err != nil {
		return nil, fmt.Errorf("open S3 store: %w", err)
	}
	for _, name := range cfg.Buckets {
		if err := s.makeBucket(name); err != nil {
			s.Close()
			return nil, fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	return s, nil
}

// Close closes the journal; nothing can be written afterwards.
func (s *Server) Close() error {
	s.writes.Lock()
	defer s.writes.Unlock()
	s.broken = errors.New("closed")
	if s.journal == nil {
		return nil
	}
	err := s.journal.Close()
	s.journal = nil
	return err
}

func (s *Server) open(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "s3.journal"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := s.redo(f); err != nil {
		return errors.Join(err, f.Close())
	}
	s.journal = f
	return nil
}

func (s *Server) makeBucket(name string) error {
	if exists, err := s.backend.BucketExists(name); exists || err != nil {
		return err
	}
	const on = `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`
	path := "/" + url.PathEscape(name)
	for _, c := range []change{{Method: "PUT", URL: path}, {Method: "PUT", URL: path + "?versioning", Body: []byte(on)}} {
		if got := s.apply(c); got.Code != http.StatusOK {
			return fmt.Errorf("status %d: %s", got.Code, got.Body)
		}
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		s.fake.ServeHTTP(w, r)
		return
	}
	if !understood(r) {
		problem(w, http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not "+
			"implemented.")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		problem(w, http.StatusBadRequest, "IncompleteBody", "The body is incomplete or too long for this stand-in.")
		return
	}
	kept, ok := checksum(keep(r.Header), body)
	if !ok {
		problem(w, http.StatusBadRequest, "BadDigest", "The checksum you specified did not match what we received.")
		return
	}
	got := s.apply(change{Method: r.Method, URL: r.URL.RequestURI(), Header: kept, Body: body})
	for name, values := range got.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(got.Code)
	w.Write(got.Body.Bytes()) //nolint:errcheck // the client is gone: no one reads the error
}

// understood refuses what the fake would store wrongly instead of refusing it: chunks with a trailer end up inside
// the object, and a condition on another value than * is not looked at.
func understood(r *http.Request) bool {
	none := r.Header.Get("If-None-Match")
	return !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") && (none == "" || none == "*")
}

// crc32Header is the checksum that clients send by default, in base64 of four octets.
const crc32Header = "X-Amz-Checksum-Crc32"

// checksum compares the checksum that came with the body, or sets one if none came. The fake copies headers of an
// object's last version to the next one, and a stale checksum would make every later read fail.
func checksum(h http.Header, body []byte) (http.Header, bool) {
	want := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
	if got := h.Get(crc32Header); got != "" && got != want {
		return nil, false
	}
	h.Set(crc32Header, want)
	return h, true
}

// apply makes one change and has it on disk. Readers are not held up. The fake checks a condition and writes under one
// lock only when its memory backend does; the lock here makes it so for every change, and orders the journal.
func (s *Server) apply(c change) *httptest.ResponseRecorder {
	s.writes.Lock()
	defer s.writes.Unlock()
	got := httptest.NewRecorder()
	if s.broken != nil {
		problem(got, http.StatusInternalServerError, "InternalError", "The journal cannot be written: "+s.broken.Error())
		return got
	}
	if s.matchesNothing(c) {
		problem(got, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return got
	}
	c.Time = s.now()
	s.perform(got, c)
	if got.Code/100 != 2 {
		return got
	}
	if err := s.record(c); err != nil {
		// Memory is ahead of the disk now. Further writes would build on a change that a restart forgets.
		s.broken = err
		failed := httptest.NewRecorder()
		problem(failed, http.StatusInternalServerError, "InternalError", "The journal cannot be written: "+err.Error())
		return failed
	}
	return got
}

// matchesNothing is If-Match on an object that is not there: S3 answers 404 to that, the fake 412.
func (s *Server) matchesNothing(c change) bool {
	if c.Method != http.MethodPut || c.Header.Get("If-Match") == "" {
		return false
	}
	u, err := url.ParseRequestURI(c.URL)
	if err != nil {
		return false
	}
	bucket, key, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if exists, err := s.backend.BucketExists(bucket); !ok || !exists || err != nil {
		return false
	}
	o, err := s.backend.HeadObject(bucket, key)
	if err != nil {
		return gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchKey)
	}
	o.Contents.Close()
	return false
}

// perform hands a change to the fake, with the clock at the change's time.
func (s *Server) perform(w http.ResponseWriter, c change) {
	r, err := http.NewRequest(c.Method, "http://s3.local"+c.URL, bytes.NewReader(c.Body))
	if err != nil {
		problem(w, http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI.")
		return
	}
	for name, values := range c.Header {
		r.Header[name] = values
	}
	// The fake reads the header, where a server's own requests have only the field.
	r.Header.Set("Content-Length", fmt.Sprint(len(c.Body)))
	s.clock.hold(c.Time)
	defer s.clock.release()
	s.fake.ServeHTTP(w, r)
}

// problem answers as S3 does; the text must not need escaping in XML.
func problem(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", code,
		text)
}
