package verify

import (
	_ "embed"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"
)

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"keys":    func(m map[string]int64) []string { return slices.Sorted(maps.Keys(m)) },
	"meaning": meaning,
	"around":  around,
}).Parse(pageHTML))

// Page writes the report as a page for people: who did what to which key, when, and what proves it. The page is one
// file without scripts, and needs nothing from elsewhere.
func Page(w io.Writer, r Report, files []string, made time.Time) error {
	return page.Execute(w, struct {
		Report
		Files []string
		Made  string
	}{r, files, made.UTC().Format(time.RFC3339)})
}
