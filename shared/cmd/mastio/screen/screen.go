// Package screen writes results: tables for people, JSON and names for programs.
package screen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Form is how a result is written.
type Form string

// The forms.
const (
	TableForm Form = "table"
	JSON      Form = "json"  // the API's own members, indented
	JSONL     Form = "jsonl" // one object a line
	Name      Form = "name"  // one name a line
)

// Forms are all of them.
func Forms() []string { return []string{string(TableForm), string(JSON), string(JSONL), string(Name)} }

// Screen is where results go to. Colour and Width are those of a terminal; zero for a file or a pipe.
type Screen struct {
	Out    io.Writer
	Form   Form
	Width  int // columns; 0: no limit
	Colour bool
}

// Result is one result in every form.
type Result struct {
	Table Table
	Whole any   // for JSON; json.RawMessage keeps the API's own members and their order
	Lines []any // for JSONL; nil: Whole
	Names []string
}

// Write writes a result in the form that was asked for.
func (s Screen) Write(r Result) error {
	switch s.Form {
	case JSON:
		return s.object(r.Whole, true)
	case JSONL:
		if r.Lines == nil {
			return s.object(r.Whole, false)
		}
		for _, l := range r.Lines {
			if err := s.object(l, false); err != nil {
				return err
			}
		}
		return nil
	case Name:
		for _, n := range r.Names {
			if _, err := fmt.Fprintln(s.Out, n); err != nil {
				return err
			}
		}
		return nil
	case TableForm:
	}
	return s.table(r.Table)
}

func (s Screen) object(v any, indent bool) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if indent {
		err = json.Indent(&b, text, "", "  ")
	} else {
		err = json.Compact(&b, text)
	}
	if err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = s.Out.Write(b.Bytes())
	return err
}

// Table is rows of cells under a head. Without a head it is a list of labels and values.
type Table struct {
	Head []string
	Rows [][]string
	Note string // a line below
}

// gap is between two columns.
const gap = "  "

func (s Screen) table(t Table) error {
	rows := t.Rows
	if len(t.Head) > 0 {
		rows = append([][]string{t.Head}, rows...)
	}
	widths := s.fit(measure(rows))
	var b strings.Builder
	for i, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			if c == len(row)-1 {
				line.WriteString(cut(clean(cell), widths[c]))
				break
			}
			fmt.Fprintf(&line, "%s%s", pad(cut(clean(cell), widths[c]), widths[c]), gap)
		}
		text := strings.TrimRight(line.String(), " ")
		if i == 0 && len(t.Head) > 0 {
			text = s.Bold(text)
		}
		b.WriteString(text + "\n")
	}
	if t.Note != "" {
		b.WriteString(t.Note + "\n")
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

func measure(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for c, cell := range row {
			if c == len(widths) {
				widths = append(widths, 0)
			}
			widths[c] = max(widths[c], utf8.RuneCountInString(clean(cell)))
		}
	}
	return widths
}

// least is what a column is not narrowed below.
const least = 8

// fit narrows the widest columns until a row fits the terminal.
func (s Screen) fit(widths []int) []int {
	total := func() int {
		sum := len(gap) * (len(widths) - 1)
		for _, w := range widths {
			sum += w
		}
		return sum
	}
	for s.Width > 0 && total() > s.Width {
		widest := slices.Max(widths)
		if widest <= least {
			break
		}
		widths[slices.Index(widths, widest)]--
	}
	return widths
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(0, width-1)]) + "…"
}

// clean replaces what a terminal would carry out: names and texts come from others.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, text)
}

// Bold is text in bold, on a terminal.
func (s Screen) Bold(text string) string { return s.style("1", text) }

// Warn is text in yellow, on a terminal.
func (s Screen) Warn(text string) string { return s.style("33", text) }

func (s Screen) style(code, text string) string {
	if !s.Colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
