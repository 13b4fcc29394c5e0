package screen_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

func printed(t *testing.T, s screen.Screen, r screen.Result) string {
	t.Helper()
	var out bytes.Buffer
	s.Out = &out
	if err := s.Write(r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestForms(t *testing.T) {
	r := screen.Result{
		Table: screen.Table{Head: []string{"A", "B"}, Rows: [][]string{{"1", "x\x1b[31m"}, {"22", "y"}}, Note: "2 shown"},
		Whole: map[string]any{"all": []int{1, 2}},
		Lines: []any{1, 2},
		Names: []string{"one", "two"},
	}
	for form, want := range map[screen.Form]string{
		screen.TableForm: "A   B\n1   x?[31m\n22  y\n2 shown\n",
		screen.JSON:      "{\n  \"all\": [\n    1,\n    2\n  ]\n}\n",
		screen.JSONL:     "1\n2\n",
		screen.Name:      "one\ntwo\n",
	} {
		if got := printed(t, screen.Screen{Form: form}, r); got != want {
			t.Errorf("%s: got %q, want %q", form, got, want)
		}
	}
	if got := printed(t, screen.Screen{Form: screen.TableForm, Colour: true}, r); !strings.HasPrefix(got, "\x1b[1mA   B") {
		t.Errorf("on a terminal the head is bold: %q", got)
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	r := screen.Result{Table: screen.Table{
		Head: []string{"NAME", "TEXT"},
		Rows: [][]string{{"short", strings.Repeat("long ", 40)}},
	}}
	for line := range strings.Lines(printed(t, screen.Screen{Form: screen.TableForm, Width: 40}, r)) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 40 {
			t.Errorf("a line of %d columns on a terminal of 40: %q", n, line)
		}
	}
	whole := printed(t, screen.Screen{Form: screen.TableForm}, r)
	if !strings.Contains(whole, strings.Repeat("long ", 39)) {
		t.Errorf("a pipe gets all of it: %q", whole)
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		done, all int64
		want      string
	}{
		{0, 10, "[" + strings.Repeat("-", 30) + "]   0 %"},
		{5, 10, "[" + strings.Repeat("#", 15) + strings.Repeat("-", 15) + "]  50 %"},
		{10, 10, "[" + strings.Repeat("#", 30) + "] 100 %"},
		{0, 0, "[" + strings.Repeat("#", 30) + "] 100 %"},
	} {
		if got := screen.Bar(c.done, c.all); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.done, c.all, got, c.want)
		}
	}
	if got, ok := screen.Remaining(30, 10, 50, time.Minute); !ok || got != time.Minute {
		t.Errorf("20 in a minute, 20 left: %v %v, want a minute", got, ok)
	}
	if _, ok := screen.Remaining(10, 10, 50, time.Minute); ok {
		t.Error("without a pace there is no estimate")
	}
}
