package verify

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mastio-aws/mastio/shared/audit/bundle"
)

type kind int

const (
	plain   kind = iota // rows
	packed              // rows
	archive             // a tar, packed or not
	folder
)

// A tar says so at octet 257 of its first header (POSIX ustar), whatever its first member is.
const (
	tarMagic   = "ustar"
	tarMagicAt = 257
)

func kindOf(name string, open func() (io.ReadCloser, error)) (kind, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return folder, nil
	}
	file, err := open()
	if err != nil {
		return plain, err
	}
	defer func() { _ = file.Close() }()
	in := bufio.NewReader(file)
	magic, _ := in.Peek(4) // an empty file has no rows
	switch {
	case string(magic) == "H4sI":
		return plain, fmt.Errorf("%w: it is base64: ask for it with Accept: application/gzip, or decode it with base64 -d",
			bundle.ErrForm)
	case !bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		if isTar(in) {
			return archive, nil
		}
		return plain, nil
	}
	zip, err := gzip.NewReader(in)
	if err != nil {
		return plain, fmt.Errorf("%w: %w", bundle.ErrForm, err)
	}
	if isTar(bufio.NewReader(zip)) {
		return archive, nil
	}
	return packed, nil
}

func isTar(in *bufio.Reader) bool {
	head, err := in.Peek(tarMagicAt + len(tarMagic))
	return err == nil && string(head[tarMagicAt:]) == tarMagic
}

// mostLine is how much of the first line is looked at, in octets: above the longest row.
const mostLine = 1 << 20

// firstRow returns an error that describes the first line if it is no row: most often another file was saved under
// the name. A changed row is still a row, and is broken.
func firstRow(in *bufio.Reader) error {
	text, err := in.Peek(mostLine)
	line, _, whole := bytes.Cut(text, []byte("\n"))
	var row struct {
		Hash *string `json:"hash"`
		Type *string `json:"event_type"`
	}
	if len(text) == 0 && err == io.EOF || json.Unmarshal(line, &row) == nil &&
		(row.Hash != nil || row.Type != nil) { //nolint:errorlint // Peek's own
		return nil
	}
	if err != nil && err != io.EOF { //nolint:errorlint // as above
		return fmt.Errorf("%w: %w", bundle.ErrForm, err)
	}
	return fmt.Errorf("%w: %s", bundle.ErrForm, instead(text, line, whole))
}

// instead says what a file is instead of rows, and what to do.
func instead(text, line []byte, whole bool) string {
	var refusal struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
		Text   string `json:"message"`
	}
	start := strings.ToLower(string(bytes.TrimSpace(text[:min(len(text), 64)])))
	switch {
	case bytes.HasPrefix(line, []byte("id,")) || bytes.Count(line, []byte(",")) > 3 && !bytes.HasPrefix(line, []byte("{")):
		return "it is CSV, which is for reading: export the rows with format=ndjson, or fetch a bundle"
	case strings.HasPrefix(start, "<"):
		return "it is a web page: look into it, and fetch the bundle again"
	case json.Unmarshal(text, &refusal) == nil && refusal.Title+refusal.Detail+refusal.Text != "":
		return fmt.Sprintf("it is the refusal of a request (%.200q): correct that, and fetch the bundle again",
			strings.TrimSpace(refusal.Code+" "+refusal.Title+" "+refusal.Detail+refusal.Text))
	case strings.HasPrefix(start, "{") && !whole:
		return "it ends within the first row: fetch it again"
	}
	return "it does not begin with a row, and is no archive of a bundle: look into it"
}
