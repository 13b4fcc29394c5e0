// Package routes is the table of every path the Mastio answers: the one list that the functions,
// the local gateway, the deployment and the tests share.
package routes

import (
	"net/url"
	"slices"
	"strings"
)

// Host tells on which of the two domains a route is served. One API is never mapped on both:
// the agents' domain asks for a client certificate, the operators' does not.
type Host string

// The two domains.
const (
	Agents    Host = "agents"    // custom domain with mutual TLS
	Operators Host = "operators" // plain TLS
)

// Auth tells what a caller of a route must show.
type Auth string

// What a route may ask for. There is no default: a route without one is a programming error.
const (
	None              Auth = "none"
	Admin             Auth = "admin"              // header X-Admin-Secret
	ClientCertificate Auth = "client-certificate" // requestContext.identity.clientCert
)

// Route is one method on one path.
type Route struct {
	Method   string
	Path     string // an API Gateway resource path, {name} standing for one segment
	Function string // the folder below functions/ that serves it
	Auth     Auth
	Hosts    []Host
}

// All returns every route. A path belongs to exactly one function, whatever its method, so that the
// function itself can answer 405 with an Allow header.
func All() []Route {
	agents, operators, both := []Host{Agents}, []Host{Operators}, []Host{Agents, Operators}
	return []Route{
		{"POST", "/registry/agents/{agent_id}/rotate-cert", "rotatecert", Admin, operators},
		{"POST", "/pki/rotate-ca", "rotateca", Admin, operators},
		{"GET", "/pki/rotate-ca", "rotateca", Admin, operators},
		{"POST", "/v1/auth/token", "token", ClientCertificate, agents},
		{"GET", "/healthz", "healthz", None, both},
		{"GET", "/metrics", "healthz", Admin, operators},
		{"POST", "/v1/admin/agents", "enroll", Admin, operators},
		{"GET", "/v1/admin/agents", "enroll", Admin, operators},
		{"GET", "/v1/admin/agents/{agent_id}", "enroll", Admin, operators},
		{"DELETE", "/v1/admin/agents/{agent_id}", "enroll", Admin, operators},
		{"GET", "/.well-known/oauth-authorization-server", "discovery", None, both},
		{"GET", "/.well-known/jwks.json", "discovery", None, both},
		{"GET", "/pki/ca.crt", "discovery", None, both},
		{"GET", "/pki/bundle.pem", "discovery", None, both},
	}
}

// Scheduled names the functions that no route reaches: a schedule runs them.
func Scheduled() []string { return []string{"standby"} }

// Functions returns the name of every function, sorted.
func Functions() []string {
	names := Scheduled()
	for _, r := range All() {
		names = append(names, r.Function)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Match finds the resource path that an escaped request path (RFC 3986) falls under, and the unescaped
// values of its parameters. ok is false for a path that no route has, whatever the method: a method
// that the path lacks is for the function to refuse.
func Match(escapedPath string) (resource string, params map[string]string, ok bool) {
	for _, r := range All() {
		if params, ok := match(r.Path, escapedPath); ok {
			return r.Path, params, true
		}
	}
	return "", nil, false
}

// On returns the routes of one resource path, in the table's order.
func On(resource string) []Route {
	return slices.DeleteFunc(All(), func(r Route) bool { return r.Path != resource })
}

// Methods returns the methods a resource path answers, for an Allow header (RFC 9110 section 10.2.1).
func Methods(resource string) []string {
	var methods []string
	for _, r := range On(resource) {
		methods = append(methods, r.Method)
	}
	slices.Sort(methods)
	return methods
}

func match(pattern, path string) (map[string]string, bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	params := map[string]string{}
	for i, w := range want {
		value, err := url.PathUnescape(got[i])
		if err != nil {
			return nil, false
		}
		if name, isParam := strings.CutPrefix(w, "{"); isParam {
			if value == "" {
				return nil, false
			}
			params[strings.TrimSuffix(name, "}")] = value
		} else if w != value {
			return nil, false
		}
	}
	return params, true
}
