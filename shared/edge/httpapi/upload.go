package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// ErrUpload reports a body that is not the form, or the PEM file, of an uploaded CA.
var ErrUpload = problem.New(400, "upload_invalid", "request body is not an uploaded CA")

// The fields of the form, as the operator's guide has them.
const (
	fieldCertificate = "ca_cert"
	fieldKey         = "ca_key"
)

// uploaded takes the operator's CA out of a body: a form with two files, or one PEM file with certificates and key.
func uploaded(r *http.Request, body []byte) (*rotateca.Files, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	switch kind {
	case "multipart/form-data":
		return form(body, parameters["boundary"])
	case "application/x-pem-file", "application/pem-certificate-chain", "application/octet-stream", "text/plain":
		return split(body)
	}
	return nil, fmt.Errorf("%w: send Content-Type: multipart/form-data with the files %s and %s (curl -F), or "+
		"application/x-pem-file with both in one PEM file",
		ErrMediaType, fieldCertificate, fieldKey)
}

// form reads multipart/form-data (RFC 7578) with exactly the two fields. A part's own file name and type say nothing
// about its content, and are ignored.
func form(body []byte, boundary string) (*rotateca.Files, error) {
	if boundary == "" {
		return nil, fmt.Errorf("%w: the multipart Content-Type names no boundary", ErrUpload)
	}
	var f rotateca.Files
	fields := map[string]*[]byte{fieldCertificate: &f.Certificates, fieldKey: &f.Key}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: the form is malformed or cut off", ErrUpload)
		}
		field := fields[part.FormName()]
		if field == nil {
			return nil, fmt.Errorf("%w: unknown field %.64q; the form takes %s and %s", ErrUpload, part.FormName(),
				fieldCertificate, fieldKey)
		}
		if *field != nil {
			return nil, fmt.Errorf("%w: field %s is given twice", ErrUpload, part.FormName())
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, fmt.Errorf("%w: the form is malformed or cut off", ErrUpload)
		}
		*field = append([]byte{}, data...)
	}
	if !rotateca.FormClosed(body, boundary) {
		return nil, fmt.Errorf("%w: the form has no closing delimiter (--boundary--): it was cut off", ErrUpload)
	}
	return complete(f)
}

func complete(f rotateca.Files) (*rotateca.Files, error) {
	if len(f.Certificates) == 0 {
		return nil, fmt.Errorf("%w: %s is missing or empty", ErrUpload, fieldCertificate)
	}
	if len(f.Key) == 0 {
		return nil, fmt.Errorf("%w: %s is missing or empty", ErrUpload, fieldKey)
	}
	return &f, nil
}

// split parts one PEM file into certificates and the rest, block by block. split does not judge their content.
func split(body []byte) (*rotateca.Files, error) {
	var f rotateca.Files
	into := &f.Certificates
	for line := range bytes.Lines(body) {
		if label, begins := bytes.CutPrefix(bytes.TrimLeft(line, "\ufeff \t"), []byte("-----BEGIN ")); begins {
			if into = &f.Key; bytes.Contains(label, []byte("CERTIFICATE")) {
				into = &f.Certificates
			}
		}
		*into = append(*into, line...)
		if bytes.HasPrefix(line, []byte("-----END ")) {
			into = &f.Certificates // text between the blocks
		}
	}
	return complete(f)
}
