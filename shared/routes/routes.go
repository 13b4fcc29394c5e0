// Package routes is the table of every path the Mastio answers: the one list that the functions, the local gateway, the
// deployment and the tests share. It describes every route as an OpenAPI 3.1 document: the table gives a route's path
// and what its caller must show, operations.json and schemas.json its contents.
package routes

import (
	"slices"

	"github.com/mastio-aws/mastio/shared/admin"
)

// Host is the domain that serves a route. One API is never mapped on both: the agents' domain asks for a client
// certificate, the operators' does not.
type Host string

// The two domains.
const (
	Agents    Host = "agents"    // custom domain with mutual TLS
	Operators Host = "operators" // plain TLS
)

// Auth is what a caller of a route must show.
type Auth string

// The credentials that a route may require. There is no default: a route without one is a programming error.
const (
	None              Auth = "none"
	Admin             Auth = "admin"              // header X-Admin-Secret
	Scrape            Auth = "scrape"             // header X-Admin-Secret, or the metrics token as a bearer token
	ClientCertificate Auth = "client-certificate" // requestContext.identity.clientCert
	Session           Auth = "session"            // the cookie of a sign-in to the dashboard
)

// Route is one method on one path.
type Route struct {
	Method string
	// Path is an API Gateway resource path. {name} stands for one segment, {name+} at the end for all that follow.
	Path     string
	Function string // the folder below functions/ that serves it
	Auth     Auth
	Hosts    []Host
}

// A path belongs to exactly one function, whatever its method, so that the function itself can answer 405 with an
// Allow header.
var table = []Route{
	{"POST", "/registry/agents/{agent_id}/rotate-cert", "rotatecert", Admin, operators},
	{"POST", "/pki/rotate-ca", "rotateca", Admin, operators},
	{"GET", "/pki/rotate-ca", "rotateca", Admin, operators},
	{"POST", "/pki/rotate-ca/reissue", "rotateca", Admin, operators},
	{"POST", "/v1/auth/token", "token", ClientCertificate, agents},
	{"POST", "/v1/auth/login-challenge", "token", ClientCertificate, agents},
	{"POST", "/v1/auth/sign-challenged-assertion", "token", ClientCertificate, agents},
	{"POST", "/v1/auth/sign-assertion", "token", ClientCertificate, agents},
	{"POST", "/v1/auth/introspect", "token", ClientCertificate, agents},
	{"GET", "/v1/agent/me", "token", ClientCertificate, agents},
	{"POST", "/v1/agent/renew", "renew", ClientCertificate, agents},
	{"GET", "/v1/agent/renewal-info", "renew", ClientCertificate, agents},
	{"POST", "/.well-known/est/simplereenroll", "renew", ClientCertificate, agents},
	{"GET", "/healthz", "healthz", None, both},
	{"GET", "/metrics", "healthz", Scrape, operators},
	{"POST", "/v1/admin/agents", "enroll", Admin, operators},
	{"POST", "/v1/admin/agents/enroll/byoca", "enroll", Admin, operators},
	{"POST", "/v1/admin/agents/enroll/spiffe", "enroll", Admin, operators},
	{"GET", "/v1/admin/agents", "enroll", Admin, operators},
	{"GET", "/v1/admin/agents/{agent_id}", "enroll", Admin, operators},
	{"PATCH", "/v1/admin/agents/{agent_id}", "enroll", Admin, operators},
	{"DELETE", "/v1/admin/agents/{agent_id}", "enroll", Admin, operators},
	{"POST", "/v1/admin/agents:rotate", "enroll", Admin, operators},
	{"GET", "/v1/admin/jobs/{job_id}", "enroll", Admin, operators},
	{"GET", "/v1/admin/audit/export", "audit", Admin, operators},
	{"GET", "/v1/admin/audit/head", "audit", Admin, operators},
	{"POST", "/v1/admin/audit/bundle", "audit", Admin, operators},
	{"POST", "/v1/admin/audit/checkpoint", "checkpoint", Admin, operators},
	{"PUT", "/v1/admin/agents/{agent_id}/hygiene", "enroll", Admin, operators},
	{"GET", "/.well-known/oauth-authorization-server", "discovery", None, both},
	{"GET", "/.well-known/jwks.json", "discovery", None, both},
	{"GET", "/.well-known/mastio-status", "status", None, both},
	{"GET", "/.well-known/est/cacerts", "discovery", None, both},
	{"GET", "/pki/ca.crt", "discovery", None, both},
	{"GET", "/pki/bundle.pem", "discovery", None, both},
	{"GET", "/pki/audit-key.pem", "discovery", None, both},
	{"GET", "/openapi.json", "discovery", None, both},
	{"GET", "/openapi-pages.json", "discovery", None, operators},

	{"GET", "/proxy", "dashboard", Session, operators},
	{"GET", "/proxy/login", "dashboard", None, operators},
	{"POST", "/proxy/login", "dashboard", None, operators},
	{"POST", "/proxy/logout", "dashboard", Session, operators},
	{"GET", "/proxy/assets/{asset}", "dashboard", None, operators},
	{"GET", "/proxy/overview", "dashboard", Session, operators},
	{"GET", "/proxy/agents", "dashboard", Session, operators},
	{"GET", "/proxy/enrol", "dashboard", Session, operators},
	{"POST", "/proxy/enrol", "dashboard", Session, operators},
	{"GET", "/proxy/agents/{agent_id}", "dashboard", Session, operators},
	{"GET", "/proxy/agents/{agent_id}/rotate-cert", "dashboard", Session, operators},
	{"POST", "/proxy/agents/{agent_id}/rotate-cert", "dashboard", Session, operators},
	{"GET", "/proxy/agents/{agent_id}/deactivate", "dashboard", Session, operators},
	{"POST", "/proxy/agents/{agent_id}/deactivate", "dashboard", Session, operators},
	{"GET", "/proxy/pki", "dashboard", Session, operators},
	{"GET", "/proxy/pki/progress", "dashboard", Session, operators},
	{"GET", "/proxy/pki/rotation", "dashboard", Session, operators},
	{"GET", "/proxy/pki/rotate-ca", "dashboard", Session, operators},
	{"POST", "/proxy/pki/rotate-ca", "dashboard", Session, operators},
	{"GET", "/proxy/pki/rotate-ca/preflight", "dashboard", Session, operators},
	{"POST", "/proxy/pki/rotate-ca/preflight", "dashboard", Session, operators},
	{"GET", "/proxy/pki/rotate-ca/result", "dashboard", Session, operators},
	{"GET", "/proxy/pki/rollback", "dashboard", Session, operators},
	{"POST", "/proxy/pki/rollback", "dashboard", Session, operators},
	{"POST", "/proxy/pki/reissue", "dashboard", Session, operators},
	{"GET", "/proxy/audit", "dashboard", Session, operators},
	{"GET", "/proxy/audit/export", "dashboard", Session, operators},
	{"GET", "/proxy/audit/verify", "dashboard", Session, operators},
	{"POST", "/proxy/audit/verify", "dashboard", Session, operators},
	{"GET", "/proxy/audit/bundle", "dashboard", Session, operators},
	{"POST", "/proxy/audit/bundle", "dashboard", Session, operators},
	{"GET", "/proxy/pki/finalise", "dashboard", Session, operators},
	{"POST", "/proxy/pki/finalise", "dashboard", Session, operators},
	{"POST", "/proxy/pki/cancel", "dashboard", Session, operators},
	{"GET", "/proxy/rotate", "dashboard", Session, operators},
	{"POST", "/proxy/rotate", "dashboard", Session, operators},
	{"GET", "/proxy/jobs/{job_id}", "dashboard", Session, operators},
	{"GET", "/proxy/agents/{agent_id}/edit", "dashboard", Session, operators},
	{"POST", "/proxy/agents/{agent_id}/edit", "dashboard", Session, operators},
	{"POST", "/proxy/agents/{agent_id}/hygiene", "dashboard", Session, operators},
	{"GET", "/", "dashboard", None, operators},
	{"GET", "/proxy/{page+}", "dashboard", Session, operators}, // the last: it takes what no other path has
}

// least is the table of roles: the least role of each route that admits admins. A route that is not in it is open to no
// role.
var least = map[string]admin.Role{
	"GET /healthz":                                 admin.Viewer,
	"GET /metrics":                                 admin.Viewer,
	"GET /v1/admin/agents":                         admin.Viewer,
	"GET /v1/admin/agents/{agent_id}":              admin.Viewer,
	"GET /v1/admin/jobs/{job_id}":                  admin.Viewer,
	"GET /v1/admin/audit/export":                   admin.Viewer,
	"GET /v1/admin/audit/head":                     admin.Viewer,
	"POST /v1/admin/audit/bundle":                  admin.Viewer, // it takes a POST and changes nothing
	"GET /pki/rotate-ca":                           admin.Viewer,
	"POST /v1/admin/agents":                        admin.Enroller, // within the admin's Limit, as the next two
	"POST /v1/admin/agents/enroll/byoca":           admin.Enroller,
	"POST /v1/admin/agents/enroll/spiffe":          admin.Enroller,
	"PATCH /v1/admin/agents/{agent_id}":            admin.Operator,
	"DELETE /v1/admin/agents/{agent_id}":           admin.Operator,
	"PUT /v1/admin/agents/{agent_id}/hygiene":      admin.Operator,
	"POST /v1/admin/agents:rotate":                 admin.Operator,
	"POST /registry/agents/{agent_id}/rotate-cert": admin.Operator,
	"POST /pki/rotate-ca":                          admin.CAOfficer,
	"POST /pki/rotate-ca/reissue":                  admin.CAOfficer,
	"POST /v1/admin/audit/checkpoint":              admin.CAOfficer, // it accepts a trail that was set back

	"GET /proxy":                                admin.Viewer,
	"GET /proxy/{page+}":                        admin.Viewer,
	"GET /proxy/jobs/{job_id}":                  admin.Viewer,
	"GET /proxy/rotate":                         admin.Operator,
	"POST /proxy/rotate":                        admin.Operator,
	"GET /proxy/agents/{agent_id}/edit":         admin.Operator,
	"POST /proxy/agents/{agent_id}/edit":        admin.Operator,
	"POST /proxy/agents/{agent_id}/hygiene":     admin.Operator,
	"POST /proxy/logout":                        admin.Viewer,
	"GET /proxy/overview":                       admin.Viewer,
	"GET /proxy/agents":                         admin.Viewer,
	"GET /proxy/agents/{agent_id}":              admin.Viewer,
	"GET /proxy/pki":                            admin.Viewer,
	"GET /proxy/pki/progress":                   admin.Viewer,
	"GET /proxy/pki/rotation":                   admin.Viewer,
	"GET /proxy/pki/rotate-ca/result":           admin.Viewer,
	"GET /proxy/audit":                          admin.Viewer,
	"GET /proxy/audit/export":                   admin.Viewer,
	"GET /proxy/audit/verify":                   admin.Viewer,
	"POST /proxy/audit/verify":                  admin.Viewer,
	"GET /proxy/audit/bundle":                   admin.Viewer,
	"POST /proxy/audit/bundle":                  admin.Viewer,
	"GET /proxy/enrol":                          admin.Enroller,
	"POST /proxy/enrol":                         admin.Enroller,
	"GET /proxy/agents/{agent_id}/rotate-cert":  admin.Operator,
	"POST /proxy/agents/{agent_id}/rotate-cert": admin.Operator,
	"GET /proxy/agents/{agent_id}/deactivate":   admin.Operator,
	"POST /proxy/agents/{agent_id}/deactivate":  admin.Operator,
	"GET /proxy/pki/rotate-ca":                  admin.CAOfficer,
	"POST /proxy/pki/rotate-ca":                 admin.CAOfficer,
	"GET /proxy/pki/rotate-ca/preflight":        admin.CAOfficer,
	"POST /proxy/pki/rotate-ca/preflight":       admin.CAOfficer,
	"GET /proxy/pki/rollback":                   admin.CAOfficer,
	"POST /proxy/pki/rollback":                  admin.CAOfficer,
	"POST /proxy/pki/reissue":                   admin.CAOfficer,
	"GET /proxy/pki/finalise":                   admin.CAOfficer,
	"POST /proxy/pki/finalise":                  admin.CAOfficer,
	"POST /proxy/pki/cancel":                    admin.CAOfficer,
}

var agents, operators, both = []Host{Agents}, []Host{Operators}, []Host{Agents, Operators}

// All returns every route, in the table's order. The slice is the caller's own, what its Hosts hold is not.
func All() []Route { return slices.Clone(table) }

// Scheduled names the functions that a schedule runs; a route may reach them as well.
func Scheduled() []string { return []string{"checkpoint", "hygiene", "standby"} }

// Streamed names the functions that the stream of the audit table reaches, and nothing else.
func Streamed() []string { return []string{"events"} }

// Deployed names the functions that nothing reaches but a deployment, which runs them before it takes traffic.
func Deployed() []string { return []string{"startup"} }

// Functions returns the name of every function, sorted.
func Functions() []string {
	names := slices.Concat(Scheduled(), Streamed(), Deployed())
	for _, r := range table {
		names = append(names, r.Function)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// On returns the routes of one resource path, in the table's order.
func On(resource string) []Route {
	var found []Route
	for _, r := range table {
		if r.Path == resource {
			found = append(found, r)
		}
	}
	return found
}

// Served reports whether a host has a route of this resource path.
func Served(h Host, resource string) bool {
	return slices.ContainsFunc(On(resource), func(r Route) bool { return slices.Contains(r.Hosts, h) })
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

// Least returns the least role that may use the route; empty: no role may.
func (r Route) Least() admin.Role { return least[r.Method+" "+r.Path] }

// Permit returns admin.ErrRole unless the role may use the route.
func (r Route) Permit(role admin.Role) error { return role.Permit(r.Least()) }
