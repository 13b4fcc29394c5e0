package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// maxBody is the largest request body that a route reads unless it says otherwise.
const maxBody = 64 << 10

// read takes the whole body; more than maxBody is ErrBodySize.
func read(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJSON, err)
	}
	if len(data) > maxBody {
		return nil, fmt.Errorf("%w: at most %d octets", ErrBodySize, maxBody)
	}
	return data, nil
}

// decode reads a JSON object into v. It refuses members that v does not know: a misspelt option must not silently
// become the default. An empty body is an error unless it is optional.
func decode(r *http.Request, v any, optional bool) error {
	return decodeAs(r, v, optional, "application/json")
}

// decodeAs is decode for a body of one of these media types.
func decodeAs(r *http.Request, v any, optional bool, types ...string) error {
	data, err := read(r)
	if err != nil {
		return err
	}
	if optional && len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if err := mediaType(r, types...); err != nil {
		return err
	}
	if err := unique(data); err != nil {
		return fmt.Errorf("%w: %w", ErrJSON, err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %s", ErrJSON, plain(err, v))
	}
	return nil
}

var (
	errEmpty  = errors.New("it is empty")
	errSyntax = errors.New("it is not valid JSON")
)

var errShape = errors.New("want exactly one object, each of its members once")

// unique checks that data is one JSON object, and that no name occurs twice in it or in an object inside it: two
// parsers may read such an object differently.
func unique(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return errEmpty
	}
	if !json.Valid(data) {
		return errSyntax
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errShape
	}
	if err := uniqueWithin(d, true); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errShape
	}
	return nil
}

// uniqueWithin reads an object, or an array, whose opening token is read, to its end. encoding/json bounds the depth.
func uniqueWithin(d *json.Decoder, object bool) error {
	seen := map[string]bool{}
	for d.More() {
		if object {
			name, err := d.Token()
			if err != nil {
				return errShape
			}
			// As encoding/json matches names: it takes K (the Kelvin sign) for a k and ſ (the long s) for an s.
			key := strings.ToLower(strings.ToUpper(fmt.Sprint(name)))
			if seen[key] {
				return errShape
			}
			seen[key] = true
		}
		value, err := d.Token()
		if err != nil {
			return errShape
		}
		if open, ok := value.(json.Delim); ok {
			if err := uniqueWithin(d, open == '{'); err != nil {
				return err
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return errShape
	}
	return nil
}

// plain rewords encoding/json's errors about v without the names of Go types.
func plain(err error, v any) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Sprintf("member %q is of the wrong type or out of range", member(kind.Field, reflect.TypeOf(v).Elem()))
	}
	return fmt.Sprintf("%.100s", strings.TrimPrefix(err.Error(), "json: ")) // it quotes a member's name, of any length
}

// member is the path of a member without the structs that are embedded on the way: encoding/json names them.
func member(path string, in reflect.Type) string {
	var names []string
	for _, name := range strings.Split(path, ".") {
		if f, ok := in.FieldByName(name); ok && f.Anonymous {
			in = f.Type
			continue
		}
		names = append(names, name)
	}
	return strings.Join(names, ".")
}

// mediaType checks the body's type. Parameters, a charset say, are ignored.
func mediaType(r *http.Request, want ...string) error {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(want, got) {
		return fmt.Errorf("%w: send Content-Type: %s", ErrMediaType, strings.Join(want, " or "))
	}
	return nil
}

// onlyQuery refuses query parameters that a route does not know, and those that are given twice.
func onlyQuery(r *http.Request, known ...string) (url.Values, error) {
	values := r.URL.Query()
	for name, v := range values {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w: %.64q", ErrQuery, name)
		}
		if len(v) != 1 {
			return nil, fmt.Errorf("%w: %q is given %d times", ErrQuery, name, len(v))
		}
	}
	return values, nil
}

// tokenJSON reads a token request in JSON, ignoring members that it does not know.
func tokenJSON(data []byte) (form tokenForm, err error) {
	if err := unique(data); err != nil {
		return form, fmt.Errorf("%w: %w", ErrJSON, err)
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return form, fmt.Errorf("%w: %s", ErrJSON, plain(err, &form))
	}
	return form, form.checkAssertion(false)
}
