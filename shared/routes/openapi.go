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
	// operationsJSON has an operation for each route of a program, by "METHOD path", as the route table spells them:
	// operationId, tags, request, successful answers with an example each, and in refusals the codes that are its own.
	//go:embed operations.json
	operationsJSON []byte
	//go:embed schemas.json
	schemasJSON []byte
)

type object = map[string]any

// Document returns the operations of programs as JSON. It fails for a route without an operation, and for an operation
// without a route or a name; a test sees to it that none of them is ever deployed. The dashboard's pages are in
// PagesDocument, or they would fill every generated client.
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
			if IsPage(r) {
				continue
			}
			return nil, fmt.Errorf("%w: add %q to shared/routes/operations.json", ErrDocument, key)
		}
		delete(operations, key)
		for _, member := range []string{"operationId", "tags", "summary", "responses"} {
			if operation[member] == nil {
				return nil, fmt.Errorf("%w: add %q to %q in shared/routes/operations.json", ErrDocument, member, key)
			}
		}
		complete(r, operation)
		refuse(r, operation)
		add(paths, r, operation)
	}
	for _, key := range slices.Sorted(maps.Keys(operations)) {
		return nil, fmt.Errorf("%w: shared/routes/operations.json has %q, which is no route", ErrDocument, key)
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Mastio", "version": "1",
			"description": "Key rotation for the certificates of AI agents. Agents and operators have a host each: the " +
				"agents' asks for a client certificate. The dashboard's pages are in /openapi-pages.json.",
		},
		"servers": []any{server(Operators)}, "tags": tags, "paths": paths,
		"components": object{"schemas": schemas, "securitySchemes": schemes},
	})
})

// tags are the groups of the operations: generators make a module of each.
var tags = []any{
	object{"name": "agents", "description": "Enrol agents, look at them, change them, and rotate their certificates."},
	object{"name": "org-ca", "description": "Rotate the Org CA, and watch the fleet move."},
	object{"name": "tokens", "description": "Get an access token, and ask what a token proves."},
	object{"name": "renewal", "description": "An agent renews its own certificate."},
	object{"name": "audit", "description": "Read, export and seal the audit trail."},
	object{"name": "health", "description": "Whether it works, and its gauges."},
	object{"name": "discovery", "description": "Public keys, certificates and metadata."},
}

func parts() (operations, schemas object, err error) {
	if err := json.Unmarshal(operationsJSON, &operations); err != nil {
		return nil, nil, fmt.Errorf("operations.json: %w", err)
	}
	if err := json.Unmarshal(schemasJSON, &schemas); err != nil {
		return nil, nil, fmt.Errorf("schemas.json: %w", err)
	}
	return operations, schemas, compose(schemas)
}

func add(paths object, r Route, operation object) {
	path := strings.Replace(r.Path, "+}", "}", 1) // OpenAPI has no sign for more than one segment
	item, ok := paths[path].(object)
	if !ok {
		item = object{}
		paths[path] = item
	}
	item[strings.ToLower(r.Method)] = operation
}

// complete adds what the route table knows: hosts, parameters of the path, and what a caller must show.
func complete(r Route, operation object) {
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
		parameters = append(parameters, object{"name": name, "in": "path", "required": true, "schema": inPath[name]})
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
}

// inPath are the forms of the parameters of a path, by their names.
var inPath = object{
	"agent_id": object{"$ref": "#/components/schemas/AgentID"},
	"job_id":   object{"$ref": "#/components/schemas/JobID"},
	"page":     object{"type": "string"},
	"asset":    object{"type": "string", "pattern": "^[a-z0-9.-]{1,64}$"},
}

func pathParameters(path string) []string {
	var names []string
	for _, s := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(s, "{"); ok {
			names = append(names, strings.TrimRight(name, "+}"))
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
	string(Admin): object{"type": "apiKey", "in": "header", "name": "X-Admin-Secret",
		"description": "The one admin secret, or NAME:SECRET of a named admin, whose role says what it opens."},
	string(Scrape): object{"type": "http", "scheme": "bearer",
		"description": "The metrics token. An admin secret opens the same route."},
	string(ClientCertificate): object{"type": "mutualTLS",
		"description": "A certificate that is pinned under an accepted generation."},
	string(Session): object{"type": "apiKey", "in": "cookie", "name": "__Host-mastio-session"},
}

func security(a Auth) []any {
	if a == None {
		return []any{}
	}
	if a == Scrape {
		return []any{object{string(Scrape): []any{}}, object{string(Admin): []any{}}}
	}
	return []any{object{string(a): []any{}}}
}
