package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents returns the Markdown files of the tree by path, slash-separated.
func documents(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join("..", "..")
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "build", "cdk.out", "node_modules", "target"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		all[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 15 {
		t.Fatalf("found %d documents: the walk is broken", len(all))
	}
	return all
}

// The front door is read in five minutes, or not at all.
func TestReadmeIsShort(t *testing.T) {
	if lines := strings.Count(documents(t)["README.md"], "\n"); lines > 150 {
		t.Errorf("README.md has %d lines, want at most 150: what operators need is in shared/OPERATING.md", lines)
	}
	picture, err := os.Stat(filepath.Join("..", "..", ".github", "dashboard.png"))
	if err != nil {
		t.Fatal(err)
	}
	if picture.Size() > 150<<10 {
		t.Errorf("the picture has %d octets, want at most 150 KiB: make screens makes it", picture.Size())
	}
}

var (
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	notKept  = regexp.MustCompile(`[^\p{L}\p{N}\p{M} _-]`)
	testName = regexp.MustCompile("`(?:[a-z]+\\.)?(Test[A-Z][A-Za-z0-9]*)(?:/[^`]*)?`")
)

// anchor is what a heading is called in an address, as GitHub makes it.
func anchor(heading string) string {
	return strings.ReplaceAll(notKept.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := documents(t)
	anchors := map[string][]string{}
	for path, text := range all {
		for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			anchors[path] = append(anchors[path], anchor(m[1]))
		}
	}
	links := 0
	for path, text := range all {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			file, fragment, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(path), file))
			}
			if _, err := os.Stat(filepath.Join("..", "..", target)); err != nil {
				t.Errorf("%s: %s: there is no such file", path, m[1])
			} else if fragment != "" && !slices.Contains(anchors[target], fragment) {
				t.Errorf("%s: %s: that page has no such heading", path, m[1])
			}
		}
	}
	if links < 50 {
		t.Errorf("found %d links: the search is broken", links)
	}
}

// A document that names a test as its proof names one that is there.
func TestDocumentsNameTestsThatAreThere(t *testing.T) {
	there := testNames(t)
	named := 0
	for path, text := range documents(t) {
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			named++
			if !there[m[1]] {
				t.Errorf("%s names %s, which is no test", path, m[1])
			}
		}
	}
	if named < 40 {
		t.Errorf("found %d names of tests: the search is broken", named)
	}
}
