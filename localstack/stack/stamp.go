package stack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// ErrDirForeign means that a state folder, or a part of it, does not belong to what this version keeps: it is of
// another version, or was put together from two folders, or a part is gone. A stack that accepted it would present the
// rest as a new organisation.
var ErrDirForeign = errors.New("state folder does not hold together")

// stateVersion is the version of what a state folder holds, raised with every change of a stored form.
const stateVersion = 4

// stampFile is in the state folder and in each of its parts; the same id in all of them says that they belong together.
// The database holds it in a table as well, because its folder is one file that is copied easily.
const (
	stampFile  = "stamp.json"
	stampTable = "local-stamp"
)

// parts are the folders of a state folder, each with a file that is there once a start was completed; empty: none is
// sure.
var parts = map[string]string{"apigateway": "", "dynamodb": "*.db", "kms": "aliases.json", "s3": "s3.journal",
	"secrets": "secrets.json"}

// stamp says which state a folder belongs to.
type stamp struct {
	ID       string `json:"id"`
	Version  int    `json:"version"`
	Complete bool   `json:"complete,omitempty"` // of the whole: a start has made every part
}

// remedy ends every refusal of a state folder.
func (s *Stack) remedy() string {
	return fmt.Sprintf("restore the whole folder %s from one backup, or start with a new folder (DATA=…)", s.cfg.Dir)
}

func (s *Stack) foreign(format string, values ...any) error {
	return fmt.Errorf("%w: %s; %s", ErrDirForeign, fmt.Sprintf(format, values...), s.remedy())
}

// checkStamps compares the stamps of a state folder, and makes those of a new one.
func (s *Stack) checkStamps() error {
	if s.cfg.Dir == "" {
		return nil
	}
	var err error
	if s.stamp, err = s.wholeStamp(); err != nil {
		return err
	}
	for part, file := range parts {
		if err := s.partStamp(part, file); err != nil {
			return err
		}
	}
	return nil
}

// wholeStamp reads the stamp of the state folder; an empty folder gets one.
func (s *Stack) wholeStamp() (stamp, error) {
	st, err := readStamp(s.cfg.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if others, err := contents(s.cfg.Dir); err != nil || len(others) > 0 {
			return st, errors.Join(err, s.foreign("%s has no %s, but %s: it is of an older version, or no state folder",
				s.cfg.Dir, stampFile, strings.Join(others, ", ")))
		}
		st = stamp{ID: rand.Text(), Version: stateVersion}
		return st, writeStamp(s.cfg.Dir, st)
	case err != nil:
		return st, s.foreign("%v", err)
	case st.Version != stateVersion:
		return st, s.foreign("%s is of version %d, this is version %d", s.cfg.Dir, st.Version, stateVersion)
	}
	return st, nil
}

// partStamp checks one part. Until a start was completed, parts may be missing: a first start was cut short.
func (s *Stack) partStamp(part, file string) error {
	dir := s.dir(part)
	st, err := readStamp(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		others, listed := contents(dir)
		if s.stamp.Complete || len(others) > 0 {
			return s.foreign("%s is missing, or has no %s", dir, stampFile)
		}
		if err := errors.Join(listed, os.MkdirAll(dir, 0o700)); err != nil {
			return err
		}
		return writeStamp(dir, stamp{ID: s.stamp.ID, Version: stateVersion})
	case err != nil:
		return s.foreign("%v", err)
	case st.ID != s.stamp.ID || st.Version != s.stamp.Version:
		return s.foreign("%s is of another state than the folder (stamp %s, not %s)", dir, st.ID, s.stamp.ID)
	}
	if found, err := filepath.Glob(filepath.Join(dir, file)); s.stamp.Complete && file != "" &&
		(err != nil || len(found) == 0) {
		return s.foreign("%s has lost what it held: there is no %s", dir, file)
	}
	return nil
}

// completeStamp says, once everything is up, that no part may be missing from now on.
func (s *Stack) completeStamp() error {
	if s.cfg.Dir == "" || s.stamp.Complete {
		return nil
	}
	s.stamp.Complete = true
	return writeStamp(s.cfg.Dir, s.stamp)
}

// databaseStamp compares the stamp in the database with the folder's, and makes it in a new one.
func (s *Stack) databaseStamp(ctx context.Context) error {
	if s.cfg.Dir == "" {
		return nil
	}
	c, table, key := s.Clients.DynamoDB, aws.String(s.tables+stampTable),
		map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "STAMP"}}
	got, err := c.GetItem(ctx, &awsdynamodb.GetItemInput{TableName: table, Key: key, ConsistentRead: aws.Bool(true)})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); err != nil && !missing {
		return s.damaged("dynamodb", err)
	}
	if err == nil && got.Item != nil {
		if id, ok := got.Item["id"].(*types.AttributeValueMemberS); !ok || id.Value != s.stamp.ID {
			return s.foreign("the database in %s is of another state", s.dir("dynamodb"))
		}
		return nil
	}
	if s.stamp.Complete {
		return s.foreign("the database in %s has no stamp: it is of another state, or was made anew", s.dir("dynamodb"))
	}
	_, err = c.CreateTable(ctx, &awsdynamodb.CreateTableInput{
		TableName:   table,
		BillingMode: types.BillingModePayPerRequest,
		KeySchema:   []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{
			AttributeName: aws.String("pk"),
			AttributeType: types.ScalarAttributeTypeS,
		}},
	})
	if _, exists := errors.AsType[*types.ResourceInUseException](err); err != nil && !exists {
		return s.damaged("dynamodb", err)
	}
	key["id"] = &types.AttributeValueMemberS{Value: s.stamp.ID}
	_, err = c.PutItem(ctx, &awsdynamodb.PutItemInput{TableName: table, Item: key})
	return err
}

// damaged names the part of the state folder that a service could not be started with, and the remedy. A refusal by
// the machine (rights, a full disk) is no damage.
func (s *Stack) damaged(part string, err error) error {
	if err == nil || s.cfg.Dir == "" || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) ||
		errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return fmt.Errorf("%w; %s cannot be read: %s", err, s.dir(part), s.remedy())
}

// contents are the names in a folder, less those that say nothing about what it holds; none if there is no folder.
func contents(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if name := e.Name(); !slices.Contains([]string{"lock", stampFile, "lost+found"}, name) &&
			!strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names, err
}

func readStamp(dir string) (st stamp, err error) {
	path := filepath.Join(dir, stampFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(raw, &st); err != nil || st.ID == "" {
		return st, fmt.Errorf("%s is damaged", path)
	}
	return st, nil
}

// writeStamp replaces the file whole.
func writeStamp(dir string, st stamp) error {
	raw, err := json.Marshal(st)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, stampFile)
	if err := os.WriteFile(path+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
