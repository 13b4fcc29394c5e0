package bundle

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// folder is a bundle that was unpacked. Other files in it do not matter.
type folder struct{ fs.FS }

func (f folder) member(name string) (io.Reader, io.Closer, error) {
	file, err := f.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: there is no %s in the folder", ErrForm, name)
	}
	if err != nil {
		return nil, nil, err
	}
	return file, file, nil
}

func (folder) end() error { return nil }

// archive is a bundle as a tar. Each member is read in a pass of its own, so that their order does not matter. The
// pass of the rows looks at the other members of the archive.
type archive struct {
	file func() (io.ReadCloser, error)
	rows *pass
}

// pass goes through an archive once.
type pass struct {
	tar  *tar.Reader
	in   io.Reader // below tar
	met  []string
	past bool // at its end
}

func (a *archive) member(name string) (io.Reader, io.Closer, error) {
	file, err := a.file()
	if err != nil {
		return nil, nil, err
	}
	p, err := begin(file)
	if err == nil {
		err = p.find(name)
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	if name == EventsFile {
		a.rows = p
	}
	return p.tar, file, nil
}

// begin unpacks a file, if it is packed.
func begin(file io.Reader) (*pass, error) {
	in := bufio.NewReader(file)
	p := &pass{in: in}
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		zip, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrForm, err)
		}
		p.in = zip
	}
	p.tar = tar.NewReader(p.in)
	return p, nil
}

// find goes on to a member.
func (p *pass) find(name string) error {
	for {
		met, err := p.next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: there is no %s in the archive", ErrForm, name)
		}
		if err != nil || met == name {
			return err
		}
	}
}

// next returns the name of the next file, without the folder that it is in; io.EOF after the last one.
func (p *pass) next() (string, error) {
	for {
		h, err := p.tar.Next()
		if errors.Is(err, io.EOF) {
			p.past = true
			return "", io.EOF
		}
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrForm, err)
		}
		name := path.Base(h.Name)
		if h.Typeflag == tar.TypeDir || strings.HasPrefix(name, "._") { // macOS adds the latter
			continue
		}
		if h.Typeflag != tar.TypeReg || !slices.Contains(members, name) {
			return "", fmt.Errorf("%w: %.100q is in the archive, which has no place in one", ErrForm, h.Name)
		}
		if slices.Contains(p.met, name) {
			return "", fmt.Errorf("%w: %s is in the archive twice", ErrForm, name)
		}
		p.met = append(p.met, name)
		return name, nil
	}
}

// end checks what follows the rows, and the archive's own checksum.
func (a *archive) end() error {
	for !a.rows.past {
		if _, err := a.rows.next(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	// tar fills the last record with zeros, some of them up to 10 KB.
	if n, err := io.Copy(io.Discard, io.LimitReader(a.rows.in, maxSmall)); err != nil || n == maxSmall {
		return malformed(err, "%d octets after the archive", n)
	}
	return nil
}
