package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// clocks reads the table of stored instants in the map: its rows, cell by cell.
func clocks(t *testing.T) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "shared", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Clocks\n")
	if !found {
		t.Fatal("shared/README.md has no section Clocks")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|"); len(cells) > 1 &&
			!strings.Contains(line, "|---") {
			rows = append(rows, cells)
		}
	}
	return rows[1:]
}

var (
	quoted   = regexp.MustCompile("`([^`]+)`")
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	subtest  = regexp.MustCompile(`(?m)^\t+\{"([^"]+)", `)
)

// testNames finds what tests there are: functions anywhere, and what package storetest runs against every store.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, dir := range []string{"shared", "test", "localstack", "infra"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			pattern := testFunc
			if strings.HasSuffix(path, filepath.Join("storetest", "storetest.go")) {
				pattern = subtest
			} else if !strings.HasSuffix(path, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			for _, found := range pattern.FindAllStringSubmatch(string(text), -1) {
				names[found[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// A clock that was wrong once locks nothing for longer than it was wrong. Each stored instant has its bound in the
// table, and a test that holds it.
func TestEveryStoredInstantNamesItsTest(t *testing.T) {
	rows, names := clocks(t), testNames(t)
	if len(rows) < 10 || len(names) < 100 {
		t.Fatalf("%d rows, %d tests: this test reads something else", len(rows), len(names))
	}
	for _, cells := range rows {
		if len(cells) != 4 {
			t.Errorf("row %q has %d cells", cells, len(cells))
			continue
		}
		named := quoted.FindAllStringSubmatch(cells[3], -1)
		if len(named) == 0 {
			t.Errorf("%q names no test", strings.TrimSpace(cells[0]))
		}
		for _, name := range named {
			if !names[name[1]] {
				t.Errorf("%q names the test %q, which there is not", strings.TrimSpace(cells[0]), name[1])
			}
		}
	}
}
