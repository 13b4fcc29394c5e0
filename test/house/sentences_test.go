package house

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// longest is how many words a document's sentences have on average, at most.
const longest = 20

// A reader in a hurry loses the thread of long sentences. The log shows each document's number.
func TestSentencesOfDocumentsAreShort(t *testing.T) {
	documents := 0
	all := allProse(t)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if filepath.Ext(path) != ".md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", "..", path))
		if err != nil {
			t.Fatal(err)
		}
		said := sentences(string(text))
		if len(said) == 0 {
			continue
		}
		documents++
		words := 0
		for _, s := range said {
			words += len(strings.Fields(s))
		}
		average := float64(words) / float64(len(said))
		t.Logf("%-50s %4d sentences of %4.1f words", path, len(said), average)
		if average > longest {
			most := slices.MaxFunc(said, func(a, b string) int { return len(strings.Fields(a)) - len(strings.Fields(b)) })
			t.Errorf("%s: sentences have %.1f words on average, want at most %d; the longest: %s", path, average, longest, most)
		}
	}
	if documents < 10 {
		t.Fatalf("found %d documents: the walk is broken", documents)
	}
}

var (
	codeSpan  = regexp.MustCompile("`[^`]*`")
	linked    = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	listItem  = regexp.MustCompile(`^([-*]|\d+\.) `)
	endOfSaid = regexp.MustCompile(`([.!?]["”)]?)\s+(["“(]*[A-Z0-9])`)
)

// sentences returns the sentences of a document's paragraphs and lists. A code span counts as one word. Tables,
// headings and fenced blocks are not sentences. Neither a colon nor a semicolon ends a sentence.
func sentences(text string) []string {
	var found []string
	for _, p := range paragraphs(text) {
		p = codeSpan.ReplaceAllString(p, "X")
		p = strings.ReplaceAll(linked.ReplaceAllString(p, "$1"), "*", "")
		for _, s := range strings.Split(endOfSaid.ReplaceAllString(p, "$1\n$2"), "\n") {
			if s = strings.TrimSpace(s); s != "" {
				found = append(found, s)
			}
		}
	}
	return found
}

// paragraphs returns each paragraph and each item of a list as one line.
func paragraphs(text string) []string {
	var all []string
	for _, run := range markdown(text) {
		begin := true
		for _, line := range strings.Split(run.text, "\n") {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "|") || strings.HasPrefix(line, "#") {
				begin = true
				continue
			}
			if listItem.MatchString(line) {
				begin, line = true, listItem.ReplaceAllString(line, "")
			}
			if begin {
				all = append(all, line)
			} else {
				all[len(all)-1] += " " + line
			}
			begin = false
		}
	}
	return all
}

func TestSentencesAreTakenApart(t *testing.T) {
	text := "# A heading\n\nOne `a. b` is\none sentence. This: [is. two](x) of them.\n- An item\n  goes on\n- " +
		"*Another.* One\n\n" +
		"| a | table. Of two |\n\n```sh\ncode. More\n```\nThe end\n"
	want := []string{"One X is one sentence.", "This: is. two of them.", "An item goes on", "Another.", "One", "The end"}
	if diff := cmp.Diff(want, sentences(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
