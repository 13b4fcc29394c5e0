package dynamo

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is one stored item. It is written and read by hand: reading an agent by struct tags took six times as long, on
// the path of every token.
type item = map[string]types.AttributeValue

func text(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func number(v int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(v, 10)}
}

func blob(v []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: v} }

// millis cuts off what is finer than a millisecond: the precision of every stored time.
func millis(t time.Time) types.AttributeValue { return number(t.UnixMilli()) }

// expiry is the whole second from which DynamoDB may delete an item, at some time within days: never early.
func expiry(t time.Time) types.AttributeValue {
	return number(t.Add(time.Second - time.Nanosecond).Unix())
}

// writer fills an item; zero values leave no attribute.
type writer struct{ item item }

func (w writer) text(name, v string) {
	if v != "" {
		w.item[name] = text(v)
	}
}

// digest writes a text that is the lower-case hex of octets as these octets, which are half as long; any other as it
// is. A write costs by the kilobyte, and an agent's record, with its digests in hex, is a little larger than one.
func (w writer) digest(name, v string) {
	if v != "" {
		w.item[name] = hexed(v)
	}
}

func hexed(v string) types.AttributeValue {
	if octets, err := hex.DecodeString(v); err == nil && hex.EncodeToString(octets) == v {
		return blob(octets)
	}
	return text(v)
}

// jkt writes a thumbprint of RFC 7638 as the octets that it spells; any other text as it is.
func (w writer) jkt(name, v string) {
	octets, err := base64.RawURLEncoding.DecodeString(v)
	if err != nil || base64.RawURLEncoding.EncodeToString(octets) != v {
		w.text(name, v)
		return
	}
	w.blob(name, octets)
}

func (w writer) number(name string, v int64) {
	if v != 0 {
		w.item[name] = number(v)
	}
}

func (w writer) blob(name string, v []byte) {
	if len(v) > 0 {
		w.item[name] = blob(v)
	}
}

func (w writer) flag(name string, v bool) {
	if v {
		w.item[name] = &types.AttributeValueMemberBOOL{Value: true}
	}
}

func (w writer) time(name string, t time.Time) {
	if !t.IsZero() {
		w.item[name] = millis(t)
	}
}

func (w writer) list(name string, n int, element func(int) types.AttributeValue) {
	if n == 0 {
		return
	}
	values := make([]types.AttributeValue, n)
	for i := range values {
		values[i] = element(i)
	}
	w.item[name] = &types.AttributeValueMemberL{Value: values}
}

// errMalformed reports an item that this program did not write.
var errMalformed = errors.New("stored item is malformed")

// reader reads an item. Missing attributes are zero values; err holds the first attribute of a wrong type.
type reader struct {
	item item
	err  error
}

func (r *reader) fail(name string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: attribute %q", errMalformed, name)
	}
}

// attribute returns the attribute's value if it has the type M; missing is no error.
func attribute[M types.AttributeValue](r *reader, name string) (m M, ok bool) {
	v, present := r.item[name]
	if !present {
		return m, false
	}
	if m, ok = v.(M); !ok {
		r.fail(name)
	}
	return m, ok
}

func (r *reader) text(name string) string {
	if v, ok := attribute[*types.AttributeValueMemberS](r, name); ok {
		return v.Value
	}
	return ""
}

// digest reads what writer.digest wrote.
func (r *reader) digest(name string) string { return r.octets(name, hex.EncodeToString) }

// jkt reads what writer.jkt wrote.
func (r *reader) jkt(name string) string { return r.octets(name, base64.RawURLEncoding.EncodeToString) }

// octets reads a text, or the octets that it spells.
func (r *reader) octets(name string, spell func([]byte) string) string {
	if v, ok := r.item[name].(*types.AttributeValueMemberB); ok {
		return spell(v.Value)
	}
	return r.text(name)
}

// digests reads a list of what hexed wrote.
func digests(r *reader, name string) []string {
	return elements(r, name, func(v types.AttributeValue) string {
		one := reader{item: item{name: v}, err: r.err}
		text := one.digest(name)
		r.err = one.err
		return text
	})
}

func (r *reader) number(name string) int64 {
	v, ok := attribute[*types.AttributeValueMemberN](r, name)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		r.fail(name)
	}
	return n
}

func (r *reader) blob(name string) []byte {
	if v, ok := attribute[*types.AttributeValueMemberB](r, name); ok {
		return v.Value
	}
	return nil
}

func (r *reader) flag(name string) bool {
	v, ok := attribute[*types.AttributeValueMemberBOOL](r, name)
	return ok && v.Value
}

func (r *reader) time(name string) time.Time {
	if _, ok := r.item[name]; !ok {
		return time.Time{}
	}
	return time.UnixMilli(r.number(name)).UTC()
}

func (r *reader) list(name string) []types.AttributeValue {
	if v, ok := attribute[*types.AttributeValueMemberL](r, name); ok {
		return v.Value
	}
	return nil
}

// elements reads a list whose elements are all of the type M.
func elements[M types.AttributeValue, T any](r *reader, name string, read func(M) T) []T {
	list := r.list(name)
	if len(list) == 0 {
		return nil
	}
	values := make([]T, len(list))
	for i, v := range list {
		m, ok := v.(M)
		if !ok {
			r.fail(name)
			return nil
		}
		values[i] = read(m)
	}
	return values
}
