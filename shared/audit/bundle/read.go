package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/mastio-aws/mastio/shared/audit"
)

// maxSmall is the most that is read of a member that is read whole, maxLine the longest line: far above what the product
// writes, and far below what hurts.
const (
	maxSmall = 1 << 20
	maxLine  = 1 << 20
)

// Reader reads a bundle. Checkpoints and Lines may be read side by side: each has the file open by itself.
type Reader struct {
	Manifest    Manifest
	Keys        []audit.Key
	Checkpoints *Checkpoints
	Lines       *Lines

	closers []io.Closer
}

// Open reads a bundle's head. open opens the file anew each time it is called. Everything that is wrong with the form of
// what is read, here or later, is ErrForm.
func Open(open func() (io.ReadCloser, error)) (*Reader, error) {
	r := &Reader{}
	if err := r.open(open); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Reader) open(open func() (io.ReadCloser, error)) error {
	first, err := r.archive(open)
	if err != nil {
		return err
	}
	manifest, err := first.small(ManifestFile)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(manifest))
	d.DisallowUnknownFields()
	if err := d.Decode(&r.Manifest); err != nil || r.Manifest.Type != Type {
		return malformed(err, "%s of the type %q", ManifestFile, r.Manifest.Type)
	}
	keys, err := first.small(KeyFile)
	if err != nil {
		return err
	}
	if r.Keys, err = audit.ParseKeys(keys); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrForm, KeyFile, err)
	}
	if err := first.next(CheckpointsFile); err != nil {
		return err
	}
	in := &bounded{in: first.tar, left: maxLine}
	r.Checkpoints = &Checkpoints{in: in, json: json.NewDecoder(in)}
	second, err := r.archive(open)
	if err != nil {
		return err
	}
	for _, name := range members {
		if err := second.next(name); err != nil {
			return err
		}
	}
	r.Lines = NewLines(second.tar)
	r.Lines.end = second.end
	return nil
}

// Close closes the file.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

type archive struct {
	tar *tar.Reader
	zip *gzip.Reader
}

func (r *Reader) archive(open func() (io.ReadCloser, error)) (*archive, error) {
	file, err := open()
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, file)
	zip, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return &archive{tar.NewReader(zip), zip}, nil
}

func (a *archive) next(name string) error {
	h, err := a.tar.Next()
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrForm, name, err)
	}
	if h.Name != name || h.Typeflag != tar.TypeReg {
		return fmt.Errorf("%w: %.100q where %s belongs", ErrForm, h.Name, name)
	}
	return nil
}

func (a *archive) small(name string) ([]byte, error) {
	if err := a.next(name); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(a.tar, maxSmall+1))
	if err != nil || len(data) > maxSmall {
		return nil, malformed(err, "%d octets of %s, at most %d are read", len(data), name, maxSmall)
	}
	return data, nil
}

// end checks that nothing stands behind the last member, and the archive's own checksum.
func (a *archive) end() error {
	if h, err := a.tar.Next(); !errors.Is(err, io.EOF) {
		name := ""
		if h != nil {
			name = h.Name
		}
		return malformed(err, "%.100q behind the last member", name)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(a.zip, maxSmall)); err != nil || n == maxSmall {
		return malformed(err, "%d octets behind the archive", n)
	}
	return nil
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
		return nil, malformed(err, "line %d", l.number+1)
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
	in    *bounded
	json  *json.Decoder
	begun bool
}

// Next reads a checkpoint but for its leaves; those of the one before must be read to their end. At the end it returns
// io.EOF.
func (c *Checkpoints) Next() (audit.Sealed, error) {
	if !c.begun {
		if err := c.want(json.Delim('[')); err != nil {
			return audit.Sealed{}, err
		}
		c.begun = true
	}
	if c.in.left = maxLine; !c.json.More() {
		if err := c.want(json.Delim(']')); err != nil {
			return audit.Sealed{}, err
		}
		if _, err := c.json.Token(); !errors.Is(err, io.EOF) {
			return audit.Sealed{}, fmt.Errorf("%w: %s goes on behind its end", ErrForm, CheckpointsFile)
		}
		return audit.Sealed{}, io.EOF
	}
	return c.sealed()
}

func (c *Checkpoints) sealed() (s audit.Sealed, err error) {
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
		return s, malformed(err, "%v where the leaves belong", name)
	}
	return s, c.want(json.Delim('['))
}

// Leaf reads the next leaf of the checkpoint read last. Behind the last one it returns io.EOF.
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
		return malformed(err, "%s: %v where %v belongs", CheckpointsFile, t, d)
	}
	return nil
}

func (c *Checkpoints) member(want string, v any) error {
	name, err := c.json.Token()
	if err != nil || name != want {
		return malformed(err, "%v where %s belongs", name, want)
	}
	return c.exactly(v)
}

// exactly reads a value from the very octets that writing it makes, and no others.
func (c *Checkpoints) exactly(v any) error {
	c.in.left = maxLine
	var raw json.RawMessage
	if err := c.json.Decode(&raw); err != nil {
		return malformed(err, CheckpointsFile)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return malformed(err, CheckpointsFile)
	}
	again, err := json.Marshal(v)
	if l, ok := v.(*audit.Leaf); ok {
		again, err = l.Encode()
	}
	if err != nil || !bytes.Equal(raw, again) {
		return malformed(err, "%s: %.200s is not spelt as it was written", CheckpointsFile, raw)
	}
	return nil
}

// bounded ends a value that is longer than any that was written.
type bounded struct {
	in   io.Reader
	left int
}

var errLong = errors.New("a value of over a million octets")

// Read reads.
func (b *bounded) Read(p []byte) (int, error) {
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
