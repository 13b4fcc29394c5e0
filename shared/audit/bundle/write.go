package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
)

// Builder collects a bundle. The zero Builder is empty; it is not safe for concurrent use.
type Builder struct {
	manifest    Manifest
	keys        []audit.Key
	checkpoints bytes.Buffer
	events      bytes.Buffer
	packed      *sizeMeter
}

// Seal appends a checkpoint and the rows that its leaves cover, in the order of the leaves.
func (b *Builder) Seal(c FullCheckpoint, rows []audit.Row) error {
	if b.manifest.Last == 0 {
		b.manifest.First = c.Checkpoint.Number
	} else {
		b.checkpoints.WriteByte(',')
	}
	b.manifest.Last = c.Checkpoint.Number
	b.checkpoints.WriteByte('\n')
	if err := writeCheckpoint(&b.checkpoints, c); err != nil {
		return err
	}
	return b.append(rows)
}

// Rest appends rows that no checkpoint in the bundle covers, by subject and then by number.
func (b *Builder) Rest(rows []audit.Row) error {
	b.manifest.UnsealedRows += int64(len(rows))
	return b.append(rows)
}

func (b *Builder) append(rows []audit.Row) error {
	for _, r := range rows {
		line, err := r.Encode()
		if err != nil {
			return fmt.Errorf("row %d of %s: %w", r.Seq, r.Subject, err)
		}
		b.events.Write(line)
		b.events.WriteByte('\n')
	}
	b.manifest.Rows += int64(len(rows))
	return nil
}

// Keys adds keys that signed checkpoints, each once.
func (b *Builder) Keys(keys ...audit.Key) {
	for _, k := range keys {
		if !b.has(k.Fingerprint) {
			b.keys = append(b.keys, k)
		}
	}
}

func (b *Builder) has(fingerprint string) bool {
	for _, k := range b.keys {
		if k.Fingerprint == fingerprint {
			return true
		}
	}
	return false
}

// Size is about how many octets the archive would take by now.
func (b *Builder) Size() (int64, error) {
	if b.packed == nil {
		b.packed = newPacked()
	}
	return b.packed.size(b.checkpoints.Bytes(), b.events.Bytes())
}

// sizeMeter measures a bundle by compressing only the additions since the last measurement, so that growing a bundle
// costs no more than making it.
type sizeMeter struct {
	zip                 *gzip.Writer
	out                 counter
	checkpoints, events int
}

func newPacked() *sizeMeter {
	p := &sizeMeter{}
	p.zip = gzip.NewWriter(&p.out)
	return p
}

func (p *sizeMeter) size(checkpoints, events []byte) (int64, error) {
	if _, err := p.zip.Write(checkpoints[p.checkpoints:]); err != nil {
		return 0, err
	}
	if _, err := p.zip.Write(events[p.events:]); err != nil {
		return 0, err
	}
	p.checkpoints, p.events = len(checkpoints), len(events)
	err := p.zip.Flush()
	return int64(p.out), err
}

type counter int64

// Write counts.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// Write writes the archive.
func (b *Builder) Write(w io.Writer, orgID string, now time.Time, complete bool) (Manifest, error) {
	m := b.manifest
	m.Type, m.OrgID, m.MadeAt, m.Complete = Type, orgID, audit.Stamp(now), complete
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	var keys []byte
	for _, k := range b.keys {
		encoded, err := k.EncodePEM()
		if err != nil {
			return m, err
		}
		keys = append(keys, encoded...)
	}
	zip := gzip.NewWriter(w)
	archive := tar.NewWriter(zip)
	for i, content := range [][][]byte{
		{manifest, []byte("\n")}, {keys}, {[]byte("["), b.checkpoints.Bytes(), []byte("\n]\n")}, {b.events.Bytes()},
		{b.readme(m)},
	} {
		if err := add(archive, members[i], now, content); err != nil {
			return m, fmt.Errorf("write %s: %w", members[i], err)
		}
	}
	if err := archive.Close(); err != nil {
		return m, err
	}
	return m, zip.Close()
}

func add(archive *tar.Writer, name string, now time.Time, content [][]byte) error {
	var size int64
	for _, part := range content {
		size += int64(len(part))
	}
	header := &tar.Header{
		Name:     name,
		Mode:     0o644,
		Size:     size,
		ModTime:  now.UTC().Truncate(time.Second),
		Typeflag: tar.TypeReg,
		Format:   tar.FormatUSTAR,
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	for _, part := range content {
		if _, err := archive.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// writeCheckpoint spells a checkpoint the one way in which it is read: a line for each leaf.
func writeCheckpoint(w *bytes.Buffer, c FullCheckpoint) error {
	sealed, err := json.Marshal(c.SignedCheckpoint)
	if err != nil {
		return err
	}
	w.Write(sealed[:len(sealed)-1])
	w.WriteString(`,"leaves":[`)
	for i, l := range c.Leaves {
		encoded, err := l.Encode()
		if err != nil {
			return err
		}
		if i > 0 {
			w.WriteByte(',')
		}
		w.WriteByte('\n')
		w.Write(encoded)
	}
	w.WriteString("\n]}")
	return nil
}
