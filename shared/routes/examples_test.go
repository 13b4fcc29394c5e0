package routes_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mastio-aws/mastio/shared/routes"
)

// octets are the media types whose content no example in JSON can show.
var octets = []string{"application/gzip"}

const documentURL = "https://mastio.example.com/openapi.json"

// document is the OpenAPI document of the programs, parsed.
func document(t *testing.T) any {
	t.Helper()
	b, err := routes.Document()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// Every request body and every answer of every operation has an example, and the example has the form that its schema
// describes. The answers of the tests of edge/httpapi are held to the same schemas.
func TestEveryOperationHasExamples(t *testing.T) {
	parsed := document(t)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(documentURL, parsed); err != nil {
		t.Fatal(err)
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	check := func(what string, at []string, media string, example any) {
		pointer := ""
		for _, step := range append(at, "content", media, "schema") {
			pointer += "/" + escape.Replace(step)
		}
		schema, err := compiler.Compile(documentURL + "#" + (&url.URL{Path: pointer}).EscapedPath())
		if err != nil {
			t.Errorf("%s: no schema: %v", what, err)
		} else if err := schema.Validate(example); err != nil {
			t.Errorf("%s: the example does not fit: %v", what, err)
		}
	}
	for path, methods := range read(t, routes.Document).Paths {
		for method, o := range methods {
			at := []string{"paths", path, method}
			bodies := map[string]body{}
			if o.RequestBody != nil {
				bodies["requestBody"] = *o.RequestBody
			}
			for status, answer := range o.Responses {
				bodies["responses "+status] = answer
			}
			for _, where := range slices.Sorted(maps.Keys(bodies)) {
				for media, c := range bodies[where].Content {
					what := fmt.Sprintf("%s %s: %s %s", method, path, where, media)
					if c.Example == nil {
						if !slices.Contains(octets, media) {
							t.Errorf("%s: there is no example: add it to operations.json", what)
						}
						continue
					}
					check(what, append(slices.Clone(at), strings.Split(where, " ")...), media, c.Example)
				}
			}
		}
	}
}

// locals are names that templates of the generators use themselves: a member of such a name breaks the code that reads
// an answer, after the server has acted.
var locals = []string{"d", "cls", "self", "src_dict", "field_dict", "additional_properties", "types", "response"}

// Every schema has a type that all generators know: one type, or one type and null; no object without members; and no
// member whose name a generator uses itself.
func TestSchemasSuitGenerators(t *testing.T) {
	parsed := document(t)
	seen := 0
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for i, member := range v {
				walk(fmt.Sprintf("%s/%d", at, i), member)
			}
		case map[string]any:
			if strings.HasSuffix(at, "/if") || strings.HasSuffix(at, "/then") || strings.HasSuffix(at, "/else") {
				return
			}
			if strings.HasSuffix(at, "/schema") || strings.HasSuffix(at, "/items") || strings.Contains(at, "/schemas/") &&
				!strings.HasSuffix(at, "/properties") {
				seen++
				suits(t, at, v)
			}
			for name, member := range v {
				if name != "example" && name != "additionalProperties" {
					walk(at+"/"+name, member)
				}
			}
		}
	}
	walk("", parsed)
	if seen < 300 {
		t.Errorf("only %d schemas were seen", seen)
	}
}

func suits(t *testing.T, at string, schema map[string]any) {
	t.Helper()
	for _, other := range []string{"$ref", "oneOf", "allOf"} {
		if schema[other] != nil {
			return
		}
	}
	var types []string
	switch of := schema["type"].(type) {
	case string:
		types = []string{of}
	case []any:
		for _, name := range of {
			types = append(types, fmt.Sprint(name))
		}
	}
	types = slices.DeleteFunc(types, func(name string) bool { return name == "null" && len(types) == 2 })
	if len(types) != 1 {
		t.Errorf("%s: type %v, want one type, or one and null", at, schema["type"])
		return
	}
	members, _ := schema["properties"].(map[string]any)
	if types[0] == "object" && members == nil && schema["additionalProperties"] == nil {
		t.Errorf("%s: an object without properties: write additionalProperties", at)
	}
	for name := range members {
		if slices.Contains(locals, name) {
			t.Errorf("%s: a generator uses the name %q itself", at, name)
		}
	}
}
