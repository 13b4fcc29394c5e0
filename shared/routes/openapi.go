package routes

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrDocument reports that the route table and operations.json do not fit together, and says what to write where.
var ErrDocument = problem.Internal("the OpenAPI document does not fit the route table")

var (
	//go:embed operations.json
	operationsJSON []byte // by "METHOD path", as the route table spells them
	//go:embed schemas.json
	schemasJSON []byte
)

type object = map[string]any

// Document returns the document as JSON. It fails for a route without an operation and for an operation without a
// route; a test sees to it that neither is ever deployed.
func Document() ([]byte, error) { return document() }

var document = sync.OnceValues(func() ([]byte, error) {
	operations, schemas, err := parts()
	if err != nil {
		return nil, err
	}
	paths := object{}
	for _, r := range All() {
		key := r.Method + " " + r.Path
		operation, ok := operations[key].(object)
		if !ok {
			if r.Auth != Session && !strings.HasPrefix(r.Path, "/proxy") {
				return nil, fmt.Errorf("%w: add %q to shared/routes/operations.json", ErrDocument, key)
			}
			operation = page(r)
		}
		delete(operations, key)
		item, ok := paths[r.Path].(object)
		if !ok {
			item = object{}
			paths[r.Path] = item
		}
		item[strings.ToLower(r.Method)] = complete(r, operation)
	}
	for _, key := range slices.Sorted(maps.Keys(operations)) {
		return nil, fmt.Errorf("%w: shared/routes/operations.json has %q, which is no route", ErrDocument, key)
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Mastio", "version": "1",
			"description": "Key rotation for the certificates of AI agents. Agents and operators have a host each: the " +
				"agents' asks for a client certificate.",
		},
		"servers": []any{server(Operators)}, "paths": paths,
		"components": object{"schemas": schemas, "securitySchemes": schemes},
	})
})

func parts() (operations, schemas object, err error) {
	if err := json.Unmarshal(operationsJSON, &operations); err != nil {
		return nil, nil, fmt.Errorf("operations.json: %w", err)
	}
	if err := json.Unmarshal(schemasJSON, &schemas); err != nil {
		return nil, nil, fmt.Errorf("schemas.json: %w", err)
	}
	return operations, schemas, compose(schemas)
}

// page describes a route of the dashboard. Its pages are HTML for people, so only their existence is documented.
func page(r Route) object {
	html := object{"text/html": object{"schema": object{"type": "string"}}}
	return object{
		"summary": "A page of the dashboard: " + r.Path,
		"responses": object{
			"200": object{"description": "The page, or a file that it uses.",
				"content": object{"text/html": object{}, "*/*": object{}}},
			"303":     object{"description": "Another page."},
			"default": object{"description": "A page that says what is wrong.", "content": html},
		},
	}
}

// complete adds what the route table knows: hosts, parameters of the path, what a caller must show, and refusals.
func complete(r Route, operation object) object {
	operation["operationId"] = OperationID(r)
	operation["tags"] = []any{r.Function}
	if _, own := operation["security"]; !own {
		operation["security"] = security(r.Auth)
	}
	var servers []any
	for _, h := range r.Hosts {
		servers = append(servers, server(h))
	}
	operation["servers"] = servers
	parameters, _ := operation["parameters"].([]any)
	for _, name := range pathParameters(r.Path) {
		parameters = append(parameters,
			object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	if responses, ok := operation["responses"].(object); ok && r.Auth == ClientCertificate {
		responses["403"] = refusedByEdge(responses["403"])
	}
	if responses, ok := operation["responses"].(object); ok && responses["default"] == nil {
		responses["default"] = object{
			"description": "Refused; code names the reason, and detail says what to do next.",
			"content":     object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}},
		}
	}
	return operation
}

// refusedByEdge is the answer 403 of a route that asks for a client certificate; own is the route's own answer 403, if
// it has one.
func refusedByEdge(own any) object {
	const text = "The agents' edge refused the client certificate, before any function saw the request: it is under " +
		"no CA of the truststore, or outside its validity."
	edge := object{"$ref": "#/components/schemas/EdgeRefusal"}
	described, ok := own.(object)
	if !ok {
		return object{
			"description": text,
			"content":     object{"application/json": object{"schema": edge}},
		}
	}
	content, _ := described["content"].(object)
	media, _ := content["application/json"].(object)
	return object{
		"description": fmt.Sprint(described["description"], " Or: ", text),
		"content": object{"application/json": object{
			"schema": object{"anyOf": []any{media["schema"], edge}},
		}},
	}
}

// OperationID is the route in a form that generators make a method's name of.
func OperationID(r Route) string {
	clean := strings.NewReplacer("/", "_", "{", "", "}", "", ".", "_", "-", "_")
	return strings.ToLower(r.Method) + clean.Replace(r.Path)
}

func pathParameters(path string) []string {
	var names []string
	for _, s := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(s, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

func server(h Host) object {
	return object{
		"url": "https://{" + string(h) + "}", "description": "The host of the " + string(h) + ".",
		"variables": object{string(h): object{"default": string(h) + ".mastio.example.com"}},
	}
}

// schemes are the ways in, by the words of the route table.
var schemes = object{
	string(Admin): object{"type": "apiKey", "in": "header", "name": "X-Admin-Secret"},
	string(ClientCertificate): object{"type": "mutualTLS",
		"description": "A certificate that is pinned under an accepted generation."},
	string(Session): object{"type": "apiKey", "in": "cookie", "name": "__Host-mastio-session"},
}

func security(a Auth) []any {
	if a == None {
		return []any{}
	}
	return []any{object{string(a): []any{}}}
}
