// Package tablecopy copies the Mastio's lasting tables into files and back. It is the backup where DynamoDB has none,
// and the way from restored tables into the tables of a deployment.
//
// A table is one file of lines {"Item": {…}} in DynamoDB's JSON, as DynamoDB's own export to S3 writes them.
package tablecopy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/schema"
)

// Config says between which tables and which folder. Client and Dir are required.
type Config struct {
	Client   *dynamodb.Client
	Prefix   string       // before the tables' names
	Dir      string       // of the files
	Progress func(string) // called before each step, with a few words; nil: never called
}

var (
	// ErrExists means that a copy would overwrite an earlier one.
	ErrExists = errors.New("there is a copy already")
	// ErrNotEmpty means that items would be replaced without leave.
	ErrNotEmpty = errors.New("the table is not empty")
	// ErrIncomplete means that a folder holds no whole copy: a copying out that did not reach its end.
	ErrIncomplete = errors.New("the copy is not whole")
)

// lasting are the tables that are copied. Two tables are not copied, because a restore must not revive their content:
// a used proof would count again, and an ended session would be open. The fleet's is made anew from the registry: a
// copy of another instant would lead past agents.
func lasting() []schema.Table {
	return slices.DeleteFunc(schema.Tables(), func(t schema.Table) bool {
		return t.Name == schema.Replay || t.Name == schema.Sessions || t.Name == schema.Fleet
	})
}

func places() schema.Table {
	all := schema.Tables()
	return all[slices.IndexFunc(all, func(t schema.Table) bool { return t.Name == schema.Fleet })]
}

// done is written last: a folder without it is not a copy.
const done = "COMPLETE"

func (c Config) say(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, args...))
	}
}

func (c Config) file(table string) string { return filepath.Join(c.Dir, table+".ndjson") }

// Out copies every lasting table into files. The files are as sensitive as the tables. Each item is read at some
// moment of the copy, so no other process should write meanwhile.
func Out(ctx context.Context, c Config) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	if old, err := os.ReadDir(c.Dir); err != nil || len(old) > 0 {
		return errors.Join(err, fmt.Errorf("copy tables into %s: %w", c.Dir, ErrExists))
	}
	for _, t := range lasting() {
		if err := c.out(ctx, t.Name); err != nil {
			return fmt.Errorf("copy table %s: %w", c.Prefix+t.Name, err)
		}
	}
	return os.WriteFile(filepath.Join(c.Dir, done), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o600)
}

func (c Config) out(ctx context.Context, table string) error {
	f, err := os.OpenFile(c.file(table), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w, count := bufio.NewWriter(f), 0
	err = c.scan(ctx, table, nil, func(items []item) error {
		for _, i := range items {
			if table == schema.Registry && dynamo.IsStatusNote(i) {
				continue
			}
			line, err := encode(i)
			if err != nil {
				return err
			}
			if _, err := w.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		count += len(items)
		c.say("%s: %d items", c.Prefix+table, count)
		return nil
	})
	return errors.Join(err, w.Flush(), f.Sync(), f.Close())
}

// In replaces the content of the tables by the content of the files, and that of the fleet's table by what follows. The
// tables must exist. It returns ErrNotEmpty for a table with items unless replace is set. The tables are never empty
// on the way, because a Mastio without an Org CA makes a first one. After an interruption, run In again from the
// beginning.
func In(ctx context.Context, c Config, replace bool) error {
	if _, err := os.Stat(filepath.Join(c.Dir, done)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrIncomplete
		}
		return fmt.Errorf("read %s: %w", c.Dir, err)
	}
	for _, t := range lasting() { // all that can fail without a change comes first
		if err := c.each(t.Name, func(item) error { return nil }); err != nil {
			return err
		}
		if err := c.refuse(ctx, t.Name, replace); err != nil {
			return err
		}
	}
	if err := c.entries(func(item) error { return nil }); err != nil {
		return err
	}
	for _, t := range lasting() {
		if err := c.in(ctx, t, func(do func(item) error) error { return c.each(t.Name, do) }); err != nil {
			return fmt.Errorf("copy into table %s: %w", c.Prefix+t.Name, err)
		}
	}
	if err := c.in(ctx, places(), c.entries); err != nil {
		return fmt.Errorf("make table %s: %w", c.Prefix+schema.Fleet, err)
	}
	return nil
}

// entries passes the fleet's items, which follow from the agents in the registry's file.
func (c Config) entries(do func(item) error) error {
	return c.each(schema.Registry, func(i item) error {
		entry, err := dynamo.EntryOf(i)
		if err != nil || entry == nil {
			return err
		}
		return do(entry)
	})
}

// each passes the items of a file, one at a time: a fleet may not fit into memory.
func (c Config) each(table string, do func(item) error) error {
	f, err := os.Open(c.file(table))
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20) // an item has at most 400 KB
	for n := 1; lines.Scan(); n++ {
		i, err := decode(lines.Bytes())
		if err == nil {
			err = do(i)
		}
		if err != nil {
			return fmt.Errorf("%s, line %d: %w", f.Name(), n, err)
		}
	}
	return lines.Err()
}

func (c Config) refuse(ctx context.Context, table string, replace bool) error {
	name, one := c.Prefix+table, int32(1)
	out, err := c.Client.Scan(ctx, &dynamodb.ScanInput{TableName: &name, Limit: &one})
	if err != nil {
		return fmt.Errorf("look into table %s: %w", name, err)
	}
	if len(out.Items) > 0 && !replace {
		return fmt.Errorf("%s: %w", name, ErrNotEmpty)
	}
	return nil
}

// in puts every item of the copy, then deletes what is not in it.
func (c Config) in(ctx context.Context, t schema.Table, each func(do func(item) error) error) error {
	kept := map[string]bool{}
	puts := c.writer(ctx, t.Name, "put")
	err := each(func(i item) error {
		kept[keyOf(t, i)] = true
		return puts.add(types.WriteRequest{PutRequest: &types.PutRequest{Item: i}})
	})
	if err := errors.Join(err, puts.flush()); err != nil {
		return err
	}
	deletes := c.writer(ctx, t.Name, "deleted")
	err = c.scan(ctx, t.Name, keyNames(t), func(found []item) error {
		for _, i := range found {
			if kept[keyOf(t, i)] || t.Name == schema.Registry && dynamo.IsStatusNote(i) {
				continue
			}
			if err := deletes.add(types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: i}}); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, deletes.flush())
}

func keyNames(t schema.Table) []string {
	if t.SortKey == "" {
		return []string{t.PartitionKey}
	}
	return []string{t.PartitionKey, t.SortKey}
}

// keyOf spells an item's key as one string.
func keyOf(t schema.Table, i item) string {
	var key string
	for _, name := range keyNames(t) {
		if s, ok := i[name].(*types.AttributeValueMemberS); ok { // every key of the schema is a string
			key += fmt.Sprintf("%d:%s", len(s.Value), s.Value)
		}
	}
	return key
}
