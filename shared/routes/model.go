package routes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Demand is what an edge can hold a request to before any function runs.
type Demand struct {
	Query []string       // parameters that must be there
	Body  map[string]any // JSON Schema (draft 4) of a body that must be there; nil: none, or in another form than JSON
}

// DemandOf returns what the document demands of a request to a route.
func DemandOf(method, path string) (Demand, error) {
	operations, schemas, err := parts()
	if err != nil {
		return Demand{}, err
	}
	operation, _ := operations[method+" "+path].(object)
	var d Demand
	parameters, _ := operation["parameters"].([]any)
	for _, p := range parameters {
		if p, _ := p.(object); p["in"] == "query" && p["required"] == true {
			d.Query = append(d.Query, fmt.Sprint(p["name"]))
		}
	}
	body, _ := operation["requestBody"].(object)
	content, _ := body["content"].(object)
	if body["required"] != true || len(content) != 1 {
		return d, nil
	}
	media, ok := content["application/json"].(object)
	if !ok {
		return d, nil
	}
	model, ok := draft4(media["schema"], schemas).(object)
	if !ok {
		return d, fmt.Errorf("%w: the body of %s %s is no schema", ErrDocument, method, path)
	}
	d.Body = model
	return d, nil
}

// kept are the keywords that draft 4 and API Gateway know and that mean the same there. A keyword that is left out
// only makes the edge forward more requests to the function, which refuses them itself.
var kept = []string{"additionalProperties", "enum", "items", "maximum", "maxLength", "minimum", "minLength",
	"properties", "required", "type"}

// draft4 writes a schema of OpenAPI 3.1 in the older draft, with every reference resolved: a model has no neighbours.
func draft4(schema any, schemas object) any {
	m, ok := schema.(object)
	if !ok {
		return schema
	}
	if target, ok := m["$ref"].(string); ok {
		return draft4(schemas[strings.TrimPrefix(target, "#/components/schemas/")], schemas)
	}
	out := object{}
	for _, keyword := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(kept, keyword) {
			continue
		}
		value := m[keyword]
		if properties, ok := value.(object); ok && keyword == "properties" {
			resolved := object{}
			for name, p := range properties {
				resolved[name] = draft4(p, schemas)
			}
			value = resolved
		} else if keyword == "items" {
			value = draft4(value, schemas)
		}
		out[keyword] = value
	}
	return out
}
