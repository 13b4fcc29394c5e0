package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mastio-aws/mastio/shared/audit"
)

// maxSmall bounds a member that is read whole, maxLine bounds a line: both are far above what the product writes, and
// far below what hurts.
const (
	maxSmall = 1 << 20
	maxLine  = 1 << 20
)

// Reader reads a bundle. Checkpoints and Lines may be read in parallel: each opens the file separately.
type Reader struct {
	Manifest    Manifest
	Keys        []audit.Key
	Checkpoints *Checkpoints
	Lines       *Lines

	closers []io.Closer
}

// Open reads a bundle's head. open opens the file anew each time it is called: a tar, plain or packed with gzip, of the
// four members in any order, in one folder or none. A file that is no bundle, or only a part of one, is ErrForm, here
// and later; a bundle that is spelt differently than the product spells it is audit.ErrBroken.
func Open(open func() (io.ReadCloser, error)) (*Reader, error) { return read(&archive{file: open}) }

// OpenFolder reads the head of a bundle that was unpacked.
func OpenFolder(files fs.FS) (*Reader, error) { return read(folder{files}) }

// source is where the members are.
type source interface {
	// member opens one, which is closed with c.
	member(name string) (in io.Reader, c io.Closer, err error)
	// end is called when the rows are read to their end, and says what else is wrong.
	end() error
}

func read(from source) (*Reader, error) {
	r := &Reader{}
	if err := r.read(from); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Reader) read(from source) error {
	manifest, err := small(from, ManifestFile)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(manifest))
	d.DisallowUnknownFields()
	if err := d.Decode(&r.Manifest); err != nil || r.Manifest.Type != Type {
		return malformed(err, "%s of the type %q", ManifestFile, r.Manifest.Type)
	}
	keys, err := small(from, KeyFile)
	if err != nil {
		return err
	}
	if r.Keys, err = audit.ParseKeys(keys); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrForm, KeyFile, err)
	}
	checkpoints, err := r.member(from, CheckpointsFile)
	if err != nil {
		return err
	}
	in := &boundedReader{in: checkpoints, left: maxLine}
	r.Checkpoints = &Checkpoints{in: in, json: json.NewDecoder(in)}
	rows, err := r.member(from, EventsFile)
	if err != nil {
		return err
	}
	r.Lines = NewLines(rows)
	r.Lines.end = from.end
	return nil
}

// member opens a member that stays open as long as the bundle does.
func (r *Reader) member(from source, name string) (io.Reader, error) {
	in, c, err := from.member(name)
	if err == nil {
		r.closers = append(r.closers, c)
	}
	return in, err
}

// small reads a member whole.
func small(from source, name string) ([]byte, error) {
	in, c, err := from.member(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(in, maxSmall+1))
	if err := errors.Join(err, c.Close()); err != nil || len(data) > maxSmall {
		return nil, malformed(err, "%d octets of %s, at most %d are read", len(data), name, maxSmall)
	}
	return data, nil
}

// Close closes the file.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Lines reads lines without their ends.
type Lines struct {
	in     *bufio.Reader
	long   []byte // a line that is longer than in's buffer
	number int64
	end    func() error
}

// NewLines returns a reader of the lines of r.
func NewLines(r io.Reader) *Lines { return &Lines{in: bufio.NewReaderSize(r, 16<<10)} }

// Number is the number of the line that was read last, from 1.
func (l *Lines) Number() int64 { return l.number }

// Next reads a line, which is overwritten by the next one. At the end it returns io.EOF.
func (l *Lines) Next() ([]byte, error) {
	line, err := l.read()
	switch {
	case err == nil:
		l.number++
		return line[:len(line)-1], nil
	case !errors.Is(err, io.EOF):
		return nil, wrong(err, "line %d", l.number+1)
	case len(line) > 0:
		return nil, malformed(nil, "line %d is cut off", l.number+1)
	case l.end != nil:
		if err := l.end(); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

func (l *Lines) read() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	l.long = l.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) && len(l.long) < maxLine {
		l.long = append(l.long, line...)
		line, err = l.in.ReadSlice('\n')
	}
	l.long = append(l.long, line...)
	return l.long, err
}

// Checkpoints reads checkpoints one by one, and their leaves one by one.
type Checkpoints struct {
	in    *boundedReader
	json  *json.Decoder
	begun bool
}

// Next reads a checkpoint without its leaves. The caller must first read the leaves of the checkpoint before to their
// end. At the end it returns io.EOF.
func (c *Checkpoints) Next() (audit.SignedCheckpoint, error) {
	if !c.begun {
		if err := c.want(json.Delim('[')); err != nil {
			return audit.SignedCheckpoint{}, err
		}
		c.begun = true
	}
	if c.in.left = maxLine; !c.json.More() {
		if err := c.want(json.Delim(']')); err != nil {
			return audit.SignedCheckpoint{}, err
		}
		if _, err := c.json.Token(); !errors.Is(err, io.EOF) {
			return audit.SignedCheckpoint{}, fmt.Errorf("%w: data follows the end of %s", audit.ErrBroken, CheckpointsFile)
		}
		return audit.SignedCheckpoint{}, io.EOF
	}
	return c.sealed()
}

func (c *Checkpoints) sealed() (s audit.SignedCheckpoint, err error) {
	if err := c.want(json.Delim('{')); err != nil {
		return s, err
	}
	if err := c.member("checkpoint", &s.Checkpoint); err != nil {
		return s, err
	}
	if err := c.member("signature", &s.Signature); err != nil {
		return s, err
	}
	name, err := c.json.Token()
	if name == "timestamp_token" {
		if err := c.exactly(&s.Token); err != nil {
			return s, err
		}
		name, err = c.json.Token()
	}
	if err != nil || name != "leaves" {
		return s, wrong(err, "%v where the leaves belong", name)
	}
	return s, c.want(json.Delim('['))
}

// Leaf reads the next leaf of the checkpoint read last. After the last one it returns io.EOF.
func (c *Checkpoints) Leaf() (audit.Leaf, error) {
	var l audit.Leaf
	if c.json.More() {
		if err := c.exactly(&l); err != nil {
			return l, err
		}
		return l, nil
	}
	if err := c.want(json.Delim(']')); err != nil {
		return l, err
	}
	if err := c.want(json.Delim('}')); err != nil {
		return l, err
	}
	return l, io.EOF
}

func (c *Checkpoints) want(d json.Delim) error {
	c.in.left = maxLine
	t, err := c.json.Token()
	if err != nil || t != d {
		return wrong(err, "%s: %v where %v belongs", CheckpointsFile, t, d)
	}
	return nil
}

func (c *Checkpoints) member(want string, v any) error {
	name, err := c.json.Token()
	if err != nil || name != want {
		return wrong(err, "%v where %s belongs", name, want)
	}
	return c.exactly(v)
}

// exactly reads a value from the very octets that writing it makes, and no others.
func (c *Checkpoints) exactly(v any) error {
	c.in.left = maxLine
	var raw json.RawMessage
	if err := c.json.Decode(&raw); err != nil {
		return wrong(err, "%s", CheckpointsFile)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return wrong(err, "%s", CheckpointsFile)
	}
	again, err := json.Marshal(v)
	if l, ok := v.(*audit.Leaf); ok {
		again, err = l.Encode()
	}
	if err != nil || !bytes.Equal(raw, again) {
		return wrong(err, "%s: %.200s is not spelt as it was written", CheckpointsFile, raw)
	}
	return nil
}

// boundedReader ends a value that is longer than any that was written.
type boundedReader struct {
	in   io.Reader
	left int
}

var errLong = errors.New("a value of over a million octets")

// Read reads.
func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLong
	}
	n, err := b.in.Read(p)
	b.left -= n
	return n, err
}

// malformed says what is wrong with the form; the cause may be nil.
func malformed(cause error, format string, values ...any) error {
	err := fmt.Errorf("%w: %s", ErrForm, fmt.Sprintf(format, values...))
	if cause != nil {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// wrong classifies an error in a member of a bundle: half of a file is not a bundle, everything else was changed.
func wrong(cause error, format string, values ...any) error {
	if damaged(cause) {
		return malformed(cause, "the file is cut off or damaged: "+format, values...)
	}
	err := fmt.Errorf("%w: %s", audit.ErrBroken, fmt.Sprintf(format, values...))
	if cause != nil {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// damaged reports whether an error means a file that transport damaged, not a file that was changed on purpose.
func damaged(err error) bool {
	var corrupt flate.CorruptInputError
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, gzip.ErrChecksum, gzip.ErrHeader, tar.ErrHeader} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, &corrupt)
}
