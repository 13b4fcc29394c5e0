package jose

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may be nested; the deepest real one, cnf or a jwk, is at 2.
const maxDepth = 16

// Object is a JSON object whose member names are unique, at every depth, and matched exactly: a struct would
// take "ALG" for "alg". The readers below report an absent member as the zero value, never as an error,
// and a member of another JSON type, null included, as ErrInvalid.
type Object map[string]json.RawMessage

// ParseObject reads one JSON object of at most MaxSize bytes in valid UTF-8, and nothing after it. Duplicate
// names are refused (RFC 7515, 4; RFC 7519, 4), since two readers could take two different ones of them.
// Every error is ErrInvalid.
func ParseObject(raw []byte) (Object, error) { return parseObject(raw, MaxSize) }

func parseObject(raw []byte, limit int) (Object, error) {
	if len(raw) > limit || !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: JSON too long or not UTF-8", ErrInvalid)
	}
	var o Object
	if err := json.Unmarshal(raw, &o); err != nil || o == nil {
		return nil, fmt.Errorf("%w: not a JSON object", ErrInvalid)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // a number too large for a float64 is still well-formed
	if err := checkUnique(dec, 0); err != nil {
		return nil, err
	}
	return o, nil
}

// checkUnique reads one value, known to be well-formed, and refuses a name that an object has twice.
func checkUnique(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: JSON nested too deeply", ErrInvalid)
	}
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("%w: not JSON", ErrInvalid)
	}
	open, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if open == '{' {
			if err := checkName(dec, seen); err != nil {
				return err
			}
		}
		if err := checkUnique(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing delimiter
	return err
}

// checkName reads a member's name, with its escapes resolved, and remembers it.
func checkName(dec *json.Decoder, seen map[string]bool) error {
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("%w: not JSON", ErrInvalid)
	}
	name, ok := tok.(string)
	if !ok || seen[name] {
		return fmt.Errorf("%w: duplicate member", ErrInvalid)
	}
	seen[name] = true
	return nil
}

// Text returns a string.
func (o Object) Text(name string) (string, error) {
	raw, ok := o[name]
	if !ok {
		return "", nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", fmt.Errorf("%w: %s is not a string", ErrInvalid, name)
	}
	return *s, nil
}

// Texts returns an array of strings.
func (o Object) Texts(name string) ([]string, error) {
	raw, ok := o[name]
	if !ok {
		return nil, nil
	}
	var list []*string
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, fmt.Errorf("%w: %s is not an array of strings", ErrInvalid, name)
	}
	texts := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return nil, fmt.Errorf("%w: %s is not an array of strings", ErrInvalid, name)
		}
		texts[i] = *s
	}
	return texts, nil
}

// Int returns an integer that fits 64 bits and is written without fraction or exponent.
func (o Object) Int(name string) (int64, error) {
	raw, ok := o[name]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is not an integer", ErrInvalid, name)
	}
	return n, nil
}

// maxDate is in the year 9999, the last one that RFC 3339 can write.
const maxDate = 253402300799

// Time returns a NumericDate (RFC 7519, 2): seconds since 1970, possibly with a fraction. Absent is the zero Time.
func (o Object) Time(name string) (time.Time, error) {
	raw, ok := o[name]
	if !ok {
		return time.Time{}, nil
	}
	var n *float64
	if err := json.Unmarshal(raw, &n); err != nil || n == nil || *n < 0 || *n > maxDate {
		return time.Time{}, fmt.Errorf("%w: %s is not a date", ErrInvalid, name)
	}
	sec, frac := math.Modf(*n)
	return time.Unix(int64(sec), int64(frac*1e9)).UTC(), nil
}

// Decode reads base64url in its one canonical spelling (RFC 7515, 2): no padding, no line break, no stray
// trailing bit. Every error is ErrInvalid.
func Decode(s string) ([]byte, error) {
	for i := range len(s) {
		if !isBase64URL(s[i]) {
			return nil, fmt.Errorf("%w: not base64url", ErrInvalid)
		}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not canonical base64url", ErrInvalid)
	}
	return b, nil
}

// isBase64URL is asked of every octet because encoding/base64 skips \r and \n even when strict, and one key
// or proof would have many spellings.
func isBase64URL(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
