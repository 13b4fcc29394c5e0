package routes

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mastio-aws/mastio/shared/admin"
)

// oauthPaths begins the paths of the OAuth endpoints. Their clients read the errors of RFC 6749 section 5.2 alone.
const oauthPaths = "/v1/auth/"

// refuse adds the answers of a route that are no success: the codes of its own that operations.json lists in refusals,
// by status; those that every route of its kind has; and those of API Gateway, which answers before or instead of the
// function. There is no default: clients of oapi-codegen take it for the form of every answer whose media type has json
// in its name, application/x-ndjson for example.
func refuse(r Route, operation object) {
	codes := map[int][]string{}
	own, _ := operation["refusals"].(object)
	delete(operation, "refusals")
	for status, list := range own {
		n, _ := strconv.Atoi(status) // a test holds the keys to be statuses
		codes[n] = strings.Fields(fmt.Sprint(list))
	}
	for _, g := range ofItsKind(r, operation) {
		codes[g.status] = slices.Clip(codes[g.status]) // of the edge alone: no code
		for _, code := range g.codes {
			if !slices.Contains(codes[g.status], code) {
				codes[g.status] = append(codes[g.status], code)
			}
		}
	}
	responses, _ := operation["responses"].(object)
	for _, status := range slices.Sorted(maps.Keys(codes)) {
		slices.Sort(codes[status])
		responses[strconv.Itoa(status)] = refusal(r, status, codes[status])
	}
}

// answer is a status and its codes.
type answer struct {
	status int
	codes  []string
}

// ofItsKind are the refusals that a route has because of its input and of what its callers must show.
func ofItsKind(r Route, operation object) []answer {
	all := edgeRefusals(r)
	_, body := operation["requestBody"]
	if strings.HasPrefix(r.Path, oauthPaths) {
		all = append(all, answer{400, []string{"invalid_request"}}, answer{401, []string{"invalid_client"}},
			answer{500, []string{"server_error"}}, answer{503, []string{"temporarily_unavailable"}})
		if body {
			all = append(all, answer{413, []string{"invalid_request"}}, answer{415, []string{"invalid_request"}})
		}
		return all
	}
	all = append(all, answer{400, []string{"query_invalid", "request_malformed"}}, answer{500, []string{"internal"}},
		answer{503, []string{"store_unavailable"}})
	switch r.Auth {
	case None, Session:
	case Admin, Scrape:
		all = append(all, answer{403, []string{"admin_secret_invalid"}}, answer{429, []string{"too_many_attempts"}},
			answer{503, []string{"admin_secret_unavailable"}})
		if r.Least() != admin.Viewer {
			all = append(all, answer{403, []string{"role_insufficient"}})
		}
		if r.Auth == Scrape {
			all = append(all, answer{401, []string{"metrics_token_invalid"}})
		}
	case ClientCertificate:
		all = append(all, answer{401, []string{"client_certificate_invalid", "client_certificate_required"}})
	}
	if takesKey(operation) {
		all = append(all, answer{400, []string{"idempotency_key_invalid"}},
			answer{409, []string{"changed_concurrently"}}, answer{422, []string{"idempotency_key_reused"}})
	} else {
		all = append(all, answer{400, []string{"idempotency_key_not_supported"}})
	}
	if r.Method != http.MethodGet {
		all = append(all, answer{503, []string{"outcome_unknown"}})
	}
	if body {
		all = append(all, answer{400, []string{"json_invalid"}}, answer{413, []string{"body_too_large"}},
			answer{415, []string{"media_type_unsupported"}})
	}
	if strings.Contains(r.Path, "{agent_id}") {
		all = append(all, answer{400, []string{"agent_id_invalid"}}, answer{404, []string{"agent_not_found"}})
	}
	return all
}

// edgeRefusals are the answers of API Gateway to a route. At the operators' host they are problem documents; at the
// agents' host they have no code.
func edgeRefusals(r Route) []answer {
	if slices.Contains(r.Hosts, Agents) {
		return []answer{{403, nil}, {413, nil}, {429, nil}, {500, nil}, {502, nil}, {503, nil}, {504, nil}}
	}
	return []answer{{403, []string{"request_filtered", "source_not_allowed"}}, {413, []string{"body_too_large"}},
		{429, []string{"too_many_requests"}}, {500, []string{"internal"}}, {502, []string{"internal"}},
		{503, []string{"function_unavailable"}}, {504, []string{"outcome_unknown"}}}
}

func takesKey(operation object) bool {
	parameters, _ := operation["parameters"].([]any)
	return slices.ContainsFunc(parameters, func(p any) bool {
		described, _ := p.(object)
		return described["name"] == "Idempotency-Key"
	})
}

// byEdge reports whether API Gateway gives answers of this status too. No member of such an answer is certain: a
// generated client that requires one would fail on an answer whose request the function has carried out.
func byEdge(status int) bool {
	return status == 403 || status == 413 || status == 429 || status >= 500
}

// refusal describes one answer.
func refusal(r Route, status int, codes []string) object {
	oauth := strings.HasPrefix(r.Path, oauthPaths)
	schema, media := "Problem", []string{"application/problem+json"}
	if oauth {
		schema, media = "OAuthError", []string{"application/json"}
	}
	if byEdge(status) {
		schema = "Refusal"
		if slices.Contains(r.Hosts, Agents) && !oauth {
			media = append(media, "application/json")
		}
	}
	content := object{}
	for _, m := range media {
		content[m] = object{
			"schema":  object{"$ref": "#/components/schemas/" + schema},
			"example": exampleOf(status, codes, oauth, m),
		}
	}
	described := object{"description": refusalText(r, status, codes, oauth), "content": content}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		described["headers"] = object{"Retry-After": object{
			"schema": object{"type": "integer"}, "description": "Seconds; absent where nothing is known.",
		}}
	}
	return described
}

// refusalText is the description of a refusal.
func refusalText(r Route, status int, codes []string, oauth bool) string {
	var parts []string
	if len(codes) > 0 {
		member := "code"
		if oauth {
			member = "error"
		}
		parts = append(parts, "The values of "+member+" today: "+strings.Join(codes, ", ")+".")
	}
	if least := r.Least(); status == http.StatusForbidden && least != "" {
		parts = append(parts, "The least role that may make the request: "+string(least)+".")
	}
	if byEdge(status) && slices.Contains(r.Hosts, Agents) {
		words := `{"message": …} and no code.`
		if status == http.StatusForbidden && r.Auth == ClientCertificate {
			words = `{"message": "Forbidden"}: the client certificate is under no CA of the truststore, or outside its ` +
				`validity.`
		}
		parts = append(parts, "API Gateway itself answers "+words)
	}
	return strings.Join(parts, " ")
}

// exampleOf is an answer as a function gives it, or as the agents' edge does if a function never gives it.
func exampleOf(status int, codes []string, oauth bool, media string) object {
	const detail = "What is wrong, and what to do next."
	switch {
	case oauth && len(codes) > 0:
		return object{"error": codes[0], "error_description": detail}
	case len(codes) == 0, media == "application/json":
		return object{"message": http.StatusText(status)}
	}
	return object{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
		"code": codes[0], "request_id": "5f1d6c1e-0b7a-4f0e-9c55-3a8d4a2f7b10"}
}
