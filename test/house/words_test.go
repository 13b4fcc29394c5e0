package house

import (
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oldWords are words of another style. A reader in a hurry, often not a native speaker, reads a sentence with one of
// them twice.
var oldWords = regexp.MustCompile(`(?i)\b(whoever|nobody|somebody|of\s+which|but\s+for|gets\s+on|has\s+it\s+that|` +
	`shall|told|beside|besides|by\s+itself|for\s+the\s+sake\s+of)\b`)

// prose is a run of text that a person wrote for a person, and the line that the run starts at.
type prose struct {
	line int
	text string
}

func TestCommentsAndReadmesUsePlainWords(t *testing.T) {
	all := allProse(t)
	if len(all) < 500 {
		t.Fatalf("read %d files: the walk is broken", len(all))
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		for _, found := range oldWordsIn(all[path]) {
			t.Errorf("%s:%s: say it in plain words: subject, verb, object", path, found)
		}
	}
}

// oldWordsIn returns "line: word" for every old word outside of quotation marks and code.
func oldWordsIn(runs []prose) []string {
	var found []string
	for _, run := range runs {
		text := withoutQuotes(run.text)
		for _, at := range oldWords.FindAllStringIndex(text, -1) {
			word := strings.Join(strings.Fields(text[at[0]:at[1]]), " ")
			found = append(found, fmt.Sprintf("%d: %s", run.line+strings.Count(text[:at[0]], "\n"), strings.ToLower(word)))
		}
	}
	return found
}

// allProse returns the comments and the READMEs of the tree by path.
func allProse(t *testing.T) map[string][]prose {
	t.Helper()
	root := filepath.Join("..", "..")
	all := map[string][]prose{}
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
		if !d.Type().IsRegular() {
			return nil
		}
		read := reader(path)
		if read == nil {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		all[filepath.ToSlash(rel)] = read(string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// reader returns what finds the prose in a file of that name, or nil for a file without prose.
func reader(path string) func(string) []prose {
	switch name := filepath.Base(path); filepath.Ext(name) {
	case ".go":
		return goComments
	case ".md":
		return markdown
	case ".py":
		return pythonComments
	case ".java", ".c", ".rs", ".js", ".css":
		return slashComments
	case ".sh", ".yml", ".yaml", ".toml":
		return hashComments
	case "":
		if name == "Makefile" || name == "setup" || name == "run" {
			return hashComments
		}
	}
	return nil
}

// goComments returns the comments of a Go file. Comments on consecutive lines are one run: a phrase can span two lines.
func goComments(text string) []prose {
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), nil, scanner.ScanComments)
	var lines []prose
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return joined(lines)
		}
		if tok == token.COMMENT {
			lit = strings.TrimPrefix(lit, "//")
			if strings.HasPrefix(lit, "\t") {
				lit = "" // code in a doc comment
			}
			lines = append(lines, prose{file.Line(pos), lit})
		}
	}
}

var (
	hash      = regexp.MustCompile(`(?m)(?:^|\s)#+(.*)$`)
	slash     = regexp.MustCompile(`(?m)(?:^|\s)//+(.*)$|(?s:/\*(.*?)\*/)`)
	docstring = regexp.MustCompile(`(?s)"""(.*?)"""`)
)

func hashComments(text string) []prose  { return matches(hash, text) }
func slashComments(text string) []prose { return matches(slash, text) }

func pythonComments(text string) []prose {
	return append(matches(hash, text), matches(docstring, text)...)
}

func matches(re *regexp.Regexp, text string) []prose {
	var lines []prose
	for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				lines = append(lines, prose{1 + strings.Count(text[:m[g]], "\n"), text[m[g]:m[g+1]]})
			}
		}
	}
	return joined(lines)
}

// joined makes one run of what stands on consecutive lines.
func joined(lines []prose) []prose {
	var runs []prose
	end := -1
	for _, l := range lines {
		if n := len(runs); n > 0 && l.line == end+1 {
			runs[n-1].text += "\n" + l.text
		} else {
			runs = append(runs, l)
		}
		end = l.line + strings.Count(l.text, "\n")
	}
	return runs
}

// markdown returns the paragraphs outside of fenced blocks.
func markdown(text string) []prose {
	var lines []prose
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced && strings.TrimSpace(line) != "" {
			lines = append(lines, prose{i + 1, line})
		}
	}
	return joined(lines)
}

var quotation = regexp.MustCompile("`[^`]*`|\"[^\"]*\"|“[^”]*”")

// withoutQuotes blanks what stands in quotation marks or backquotes and keeps the lines.
func withoutQuotes(text string) string {
	return quotation.ReplaceAllStringFunc(text, func(q string) string {
		return "\x00" + strings.Repeat("\n", strings.Count(q, "\n"))
	})
}

func TestOldWordsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		path, text string
		want       []string
	}{
		"Go": {
			"a.go", "package a\n\n// A is for whoever asks.\nvar A = 1 // Nobody reads it.\n",
			[]string{"3: whoever", "4: nobody"},
		},
		"two lines":       {"a.go", "package a\n\n// A has two parts, of\n// which one counts.\n", []string{"3: of which"}},
		"Go string":       {"a.go", "package a\n\nvar A = `// nobody`\n", nil},
		"quoted":          {"a.go", "package a\n\n// A answers \"nobody\" and `somebody`.\nvar A = 1\n", nil},
		"code in comment": {"a.go", "package a\n\n// A runs:\n//\n//\tnobody\nvar A = 1\n", nil},
		"part of a word":  {"a.go", "package a\n\n// A is a busybody, but forever.\nvar A = 1\n", nil},
		"Makefile":        {"Makefile", "all: # for somebody\n\techo nobody\n", []string{"1: somebody"}},
		"Python": {
			"a.py", "# It has it that\nx = 1\n\"\"\"All but for one.\"\"\"\n",
			[]string{"1: has it that", "3: but for"},
		},
		"Java":  {"A.java", "/* It\n gets on. */\nclass A {} // whoever\n", []string{"2: gets on", "3: whoever"}},
		"shell": {"setup", "#!/bin/sh\n# nobody\necho somebody\n", []string{"2: nobody"}},
		"README": {
			"README.md", "For somebody.\n\n```\nnobody\n```\n\nOf\nwhich one?\n",
			[]string{"1: somebody", "7: of which"},
		},
		"README in quotes": {"README.md", "It says \"nobody\n knows\", `whoever`.\nNobody.\n", []string{"3: nobody"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, oldWordsIn(reader(c.path)(c.text))); d != "" {
				t.Error(d)
			}
		})
	}
}
