package tablecopy

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/localstack/aws/dynamodb/dynamodbtest"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/schema"
)

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// every is an item with an attribute of every type.
func every() item {
	return item{
		"pk": str("a"), "sk": str("é\n\"\u0000"), "n": &types.AttributeValueMemberN{Value: "-12.50"},
		"b":     &types.AttributeValueMemberB{Value: []byte{0, 255}},
		"empty": &types.AttributeValueMemberB{Value: []byte{}}, "t": &types.AttributeValueMemberBOOL{Value: true},
		"f":   &types.AttributeValueMemberBOOL{},
		"nil": &types.AttributeValueMemberNULL{Value: true}, "ss": &types.AttributeValueMemberSS{Value: []string{"x", "y"}},
		"ns": &types.AttributeValueMemberNS{Value: []string{"1", "2"}},
		"bs": &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}},
		"l": &types.AttributeValueMemberL{Value: []types.AttributeValue{str(""),
			&types.AttributeValueMemberL{Value: []types.AttributeValue{}}}},
		"m": &types.AttributeValueMemberM{Value: item{"in": &types.AttributeValueMemberM{Value: item{}}}},
	}
}

// values compares attributes, which have unexported parts.
var values = cmpopts.IgnoreUnexported(
	types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, types.AttributeValueMemberB{},
	types.AttributeValueMemberBOOL{}, types.AttributeValueMemberNULL{},
	types.AttributeValueMemberSS{}, types.AttributeValueMemberNS{}, types.AttributeValueMemberBS{},
	types.AttributeValueMemberL{}, types.AttributeValueMemberM{},
)

func TestItem(t *testing.T) {
	text, err := encode(every())
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(text)
	if diff := cmp.Diff(every(), got, values); diff != "" || err != nil {
		t.Errorf("%v; there and back (-want +got):\n%s", err, diff)
	}
	if bytes.ContainsRune(text, '\n') {
		t.Error("an item takes more than a line")
	}
	if _, err := encode(item{"x": nil}); !errors.Is(err, errItem) {
		t.Errorf("an attribute of no type: got %v, want %v", err, errItem)
	}
}

// A line as DynamoDB's export to S3 has it.
func TestItemOfAnExport(t *testing.T) {
	got, err := decode([]byte(`{"Item":{"pk":{"S":"k"},"ttl":{"N":"1"},"raw":{"B":"AAE="},"on":{"BOOL":true}}}`))
	want := item{
		"pk": str("k"), "ttl": &types.AttributeValueMemberN{Value: "1"},
		"raw": &types.AttributeValueMemberB{Value: []byte{0, 1}}, "on": &types.AttributeValueMemberBOOL{Value: true},
	}
	if diff := cmp.Diff(want, got, values); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func FuzzDecode(f *testing.F) {
	text, err := encode(every())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, bad := range []string{``, `{}`, `{"Item":{}}`, `{"Item":{"a":{}}}`, `{"Item":{"a":{"L":[{}]}}}`,
		`{"Item":{"a":{"B":"%"}}}`, `{"Item":null}`} {
		f.Add([]byte(bad))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		i, err := decode(text)
		if err != nil {
			if !errors.Is(err, errItem) {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := encode(i)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decode(again); err != nil || !cmp.Equal(i, back, values) {
			t.Errorf("%s became %s: %v", text, again, err)
		}
	})
}

// tables makes a set of tables and returns how to copy them.
func tables(t *testing.T) Config {
	t.Helper()
	endpoint := dynamodbtest.Server(t, "../../..").Endpoint()
	c := awsdynamodb.New(awsdynamodb.Options{
		Region:                          "us-east-1",
		BaseEndpoint:                    &endpoint,
		Credentials:                     credentials.NewStaticCredentialsProvider("local", "local", ""),
		DisableValidateResponseChecksum: true,
	})
	prefix := strings.ToLower(rand.Text()[:8]) + "-"
	if err := dynamodb.CreateTables(t.Context(), c, prefix); err != nil {
		t.Fatal(err)
	}
	return Config{Client: c, Prefix: prefix, Dir: filepath.Join(t.TempDir(), "copy")}
}

func put(t *testing.T, c Config, table string, items ...item) {
	t.Helper()
	for _, i := range items {
		name := c.Prefix + table
		if _, err := c.Client.PutItem(t.Context(), &awsdynamodb.PutItemInput{TableName: &name, Item: i}); err != nil {
			t.Fatal(err)
		}
	}
}

// content is all that the tables hold, each table's items in the order of their spelling.
func content(t *testing.T, c Config) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range append(lasting(), places()) {
		err := c.scan(t.Context(), table.Name, nil, func(items []item) error {
			for _, i := range items {
				text, err := encode(i)
				if err != nil {
					return err
				}
				all[table.Name] = append(all[table.Name], string(text))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

var anyOrder = cmpopts.SortSlices(func(a, b string) bool { return a < b })

func fleet(n int) []item {
	var all []item
	for i := range n {
		all = append(all, item{"pk": str(fmt.Sprintf("AGENT#a::%d", i)), "sk": str("-"), "id": str(fmt.Sprintf("a::%d", i)),
			"version": &types.AttributeValueMemberN{Value: "1"}, "pad": str(strings.Repeat("x", 2000))})
	}
	return all
}

// The number of the status document only rises: a restore keeps the present one.
func TestTheStatusNoteIsNotRestored(t *testing.T) {
	c := tables(t)
	note := func(seq string) item { return item{"pk": str("STATUS"), "sk": str("-"), "seq": str(seq)} }
	put(t, c, schema.Registry, append(fleet(1), note("1"))...)
	if err := Out(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	put(t, c, schema.Registry, append(fleet(2), note("2"))...)
	want := content(t, c)
	if err := In(t.Context(), c, true); err != nil {
		t.Fatal(err)
	}
	got := content(t, c)
	if len(got[schema.Registry]) != 2 || !slices.Contains(got[schema.Registry], noteText(t, want[schema.Registry])) {
		t.Errorf("after the restore: %v, want one agent and the note of before it", got[schema.Registry])
	}
}

func noteText(t *testing.T, texts []string) string {
	t.Helper()
	i := slices.IndexFunc(texts, func(s string) bool { return strings.Contains(s, "STATUS") })
	if i < 0 {
		t.Fatal("there is no note")
	}
	return texts[i]
}

// Back is what was there at the time of the copy: changed items as they were, deleted ones again, later ones gone.
func TestThereAndBack(t *testing.T) {
	c := tables(t)
	agents := fleet(1100) // more than a page of a scan, and than one word of progress
	put(t, c, schema.Registry, append(agents, every())...)
	put(t, c, schema.Audit, item{"subject": str("orga"), "seq": str("1"), "row": str("{}")})
	put(t, c, schema.Keys, item{"pk": str("2026-11-24")})
	for _, a := range agents {
		entry, err := dynamo.EntryOf(a)
		if err != nil || entry["gen_sk"] == nil {
			t.Fatalf("entry of %v: %v, %v", a["pk"], entry, err)
		}
		put(t, c, schema.Fleet, entry)
	}
	before := content(t, c)
	if err := Out(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	moved, gone := item{"pk": agents[5]["pk"], "sk": str("-"), "gen_pk": str("00"), "gen_sk": str("000009#minted#a::5")},
		item{"pk": str("AGENT#a::late"), "sk": str("-")}
	put(t, c, schema.Fleet, moved, gone)

	changed := agents[3]
	changed["version"] = &types.AttributeValueMemberN{Value: "2"}
	put(t, c, schema.Registry, changed, item{"pk": str("LATE"), "sk": str("-")})
	put(t, c, schema.Keys, item{"pk": str("2026-11-25")})
	put(t, c, schema.Replay, item{"pk": str("proof")})
	name := c.Prefix + schema.Keys
	if _, err := c.Client.DeleteItem(t.Context(), &awsdynamodb.DeleteItemInput{
		TableName: &name,
		Key:       item{"pk": str("2026-11-24")},
	}); err != nil {
		t.Fatal(err)
	}
	after := content(t, c)
	if err := In(t.Context(), c, false); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("without leave: got %v, want %v", err, ErrNotEmpty)
	}
	if diff := cmp.Diff(after, content(t, c), anyOrder); diff != "" {
		t.Errorf("a refused copy changed (-before +after):\n%s", diff)
	}

	var said []string
	c.Progress = func(s string) { said = append(said, s) }
	if err := In(t.Context(), c, true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, content(t, c), anyOrder); diff != "" {
		t.Errorf("what is back (-want +got):\n%s", diff)
	}
	for _, want := range []string{"registry: put 1000", "registry: put 1101 items", "registry: deleted 1 items"} {
		if !strings.Contains(strings.Join(said, "\n"), c.Prefix+want) {
			t.Errorf("progress has no %q:\n%s", want, strings.Join(said, "\n"))
		}
	}

	replay := c.Prefix + schema.Replay
	seen, err := c.Client.GetItem(t.Context(), &awsdynamodb.GetItemInput{
		TableName: &replay,
		Key:       item{"pk": str("proof")},
	})
	if err != nil || seen.Item == nil {
		t.Errorf("a proof that was used may be used again: %v", err)
	}

	c.Prefix = "other-" // as after a restore: tables of another name
	if err := dynamodb.CreateTables(t.Context(), c.Client, c.Prefix); err != nil {
		t.Fatal(err)
	}
	if err := In(t.Context(), c, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, content(t, c), anyOrder); diff != "" {
		t.Errorf("in other tables (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	c := tables(t)
	if err := Out(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := Out(t.Context(), c); !errors.Is(err, ErrExists) {
		t.Errorf("a second copy into the folder: got %v, want %v", err, ErrExists)
	}
	info, err := os.Stat(c.file(schema.Registry))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of a file: %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(c.file(schema.Keys), []byte("{\"Item\":{\"pk\":{\"S\":\"a\"}}}\nhalf a li"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if err := In(t.Context(), c, false); !errors.Is(err, errItem) ||
		!strings.Contains(err.Error(), "keys.ndjson, line 2") {
		t.Errorf("a broken file: got %v, want %v and where", err, errItem)
	}
	if got := content(t, c); len(got) != 0 {
		t.Errorf("a refused copy left %v", got)
	}
	if err := os.Remove(filepath.Join(c.Dir, done)); err != nil {
		t.Fatal(err)
	}
	if err := In(t.Context(), c, false); !errors.Is(err, ErrIncomplete) {
		t.Errorf("a folder without its end: got %v, want %v", err, ErrIncomplete)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c.Dir = filepath.Join(t.TempDir(), "cut")
	if err := Out(ended, c); !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: got %v, want %v", err, context.Canceled)
	}
	if err := In(t.Context(), c, false); !errors.Is(err, ErrIncomplete) {
		t.Errorf("of a copy that was cut off: got %v, want %v", err, ErrIncomplete)
	}
}
