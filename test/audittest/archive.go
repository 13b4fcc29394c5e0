package audittest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// Member is a file of an archive.
type Member struct {
	Name string
	Data []byte
}

// Unpack takes a tar.gz apart.
func Unpack(data []byte) []Member {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	must(err)
	archive := tar.NewReader(zip)
	var members []Member
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return members
		}
		must(err)
		content, err := io.ReadAll(archive)
		must(err)
		members = append(members, Member{h.Name, content})
	}
}

// Pack puts a tar.gz together.
func Pack(members []Member) []byte {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.NoCompression) // thousands of archives are made, and none is kept
	must(err)
	archive := tar.NewWriter(zip)
	for _, m := range members {
		must(archive.WriteHeader(&tar.Header{
			Name:     m.Name,
			Mode:     0o644,
			Size:     int64(len(m.Data)),
			Typeflag: tar.TypeReg,
			Format:   tar.FormatUSTAR,
		}))
		_, err := archive.Write(m.Data)
		must(err)
	}
	must(archive.Close())
	must(zip.Close())
	return out.Bytes()
}
