package routes

import (
	"encoding/json"
	"strings"
	"sync"
)

// IsPage reports whether a route is a page of the dashboard: HTML for people.
func IsPage(r Route) bool {
	return r.Path == "/" || r.Path == "/proxy" || strings.HasPrefix(r.Path, "/proxy/")
}

// PagesDocument returns the dashboard's pages as an OpenAPI document. It says which pages there are, and what they
// require: their content is for people.
func PagesDocument() ([]byte, error) { return pagesDocument() }

var pagesDocument = sync.OnceValues(func() ([]byte, error) {
	paths := object{}
	for _, r := range All() {
		if IsPage(r) {
			operation := page(r)
			complete(r, operation)
			add(paths, r, operation)
		}
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Mastio: the dashboard", "version": "1",
			"description": "Pages for people, in a browser. The operations for programs are in /openapi.json.",
		},
		"servers": []any{server(Operators)}, "paths": paths,
		"components": object{"securitySchemes": object{string(Session): schemes[string(Session)]}},
	})
})

// page describes a route of the dashboard.
func page(r Route) object {
	html := object{"text/html": object{"schema": object{"type": "string"}}}
	return object{
		"operationId": pageID(r),
		"tags":        []any{"pages"},
		"summary":     "A page of the dashboard: " + r.Path,
		"responses": object{
			"200": object{"description": "The page, or a file that it uses.",
				"content": object{"text/html": object{}, "*/*": object{}}},
			"303":     object{"description": "Another page."},
			"default": object{"description": "A page that says what is wrong.", "content": html},
		},
	}
}

// pageID is the method and path of a page as one word.
func pageID(r Route) string {
	words := strings.FieldsFunc(r.Path, func(c rune) bool { return strings.ContainsRune("/{}_-", c) })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.ToLower(r.Method) + strings.Join(words, "")
}
