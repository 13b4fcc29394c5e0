package mastio

import (
	"encoding/json"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/routes"
)

// refusal is an answer that API Gateway gives without a function, in the same words and form as the functions'
// answers.
type refusal struct {
	kind   awsapigateway.ResponseType
	status int // 0: whatever it is
	title  string
	code   string
	detail string
	oauth  string // RFC 6749 section 5.2 code, at the agents' API
}

func refusals() []refusal {
	return []refusal{
		{awsapigateway.ResponseType_BAD_REQUEST_BODY(), 400, "Bad Request", "json_invalid",
			"The request body has not the form that GET /openapi.json describes.", "invalid_request"},
		{awsapigateway.ResponseType_BAD_REQUEST_PARAMETERS(), 400, "Bad Request", "query_invalid",
			"A parameter is missing: see GET /openapi.json.", "invalid_request"},
		{awsapigateway.ResponseType_MISSING_AUTHENTICATION_TOKEN(), 404, "Not Found", "route_not_found", "No such route.",
			"invalid_request"},
		{awsapigateway.ResponseType_RESOURCE_NOT_FOUND(), 404, "Not Found", "route_not_found", "No such route.",
			"invalid_request"},
		{awsapigateway.ResponseType_ACCESS_DENIED(), 403, "Forbidden", "source_not_allowed",
			"This address may not reach the operators' API.", "access_denied"},
		{awsapigateway.ResponseType_WAF_FILTERED(), 403, "Forbidden", "request_filtered", "The firewall refused the request.",
			"access_denied"},
		{awsapigateway.ResponseType_REQUEST_TOO_LARGE(), 413, "Content Too Large", "body_too_large",
			"The request is too large.", "invalid_request"},
		{awsapigateway.ResponseType_UNSUPPORTED_MEDIA_TYPE(), 415, "Unsupported Media Type", "media_type_unsupported",
			"This media type is not expected here.", "invalid_request"},
		{awsapigateway.ResponseType_THROTTLED(), 429, "Too Many Requests", "too_many_requests",
			"Too many requests at once. Retry.", "temporarily_unavailable"},
		{awsapigateway.ResponseType_QUOTA_EXCEEDED(), 429, "Too Many Requests", "too_many_requests",
			"Too many requests at once. Retry.", "temporarily_unavailable"},
		{awsapigateway.ResponseType_INTEGRATION_TIMEOUT(), 504, "Gateway Timeout", "outcome_unknown",
			"No answer in time; the change may have happened. Read the present state before you retry.",
			"temporarily_unavailable"},
		{awsapigateway.ResponseType_INTEGRATION_FAILURE(), 503, "Service Unavailable", "function_unavailable",
			"The function did not answer. Read the present state before you retry.", "temporarily_unavailable"},
		{awsapigateway.ResponseType_DEFAULT_4XX(), 0, "Request refused", "request_refused",
			"API Gateway refused the request.", "invalid_request"},
		{awsapigateway.ResponseType_DEFAULT_5XX(), 0, "Something went wrong", "internal",
			"Something went wrong here. The log entry with this request id has the cause.", "server_error"},
	}
}

// gatewayResponses make API Gateway's refusals problem documents (RFC 9457). At the agents' API they have the media
// type application/json, the only one that OAuth clients read, and also the members that such clients look for.
func (s *Service) gatewayResponses(api awsapigateway.RestApi, host routes.Host) {
	for _, r := range refusals() {
		options := &awsapigateway.GatewayResponseOptions{
			Type: r.kind,
			Templates: &map[string]*string{"application/json": jsii.String(r.document(host == routes.Agents,
				"$context.requestId"))},
			ResponseHeaders: &map[string]*string{"Content-Type": quoted("application/problem+json"),
				"Cache-Control": quoted("no-store")},
		}
		if host == routes.Agents {
			(*options.ResponseHeaders)["Content-Type"] = quoted("application/json")
		}
		if r.status != 0 {
			options.StatusCode = jsii.String(strconv.Itoa(r.status))
		}
		if r.status == 429 || r.status == 503 {
			(*options.ResponseHeaders)["Retry-After"] = quoted("1")
		}
		api.AddGatewayResponse(jsii.String("Refusal-"+*r.kind.ResponseType()), options)
	}
}

// quoted is a constant in API Gateway's language of mappings.
func quoted(v string) *string { return jsii.String("'" + v + "'") }

// document is the answer. It has no status member where we set no status, because the template language does not know
// the status.
func (r refusal) document(oauth bool, requestID string) string {
	document := map[string]any{
		"type": "about:blank", "title": r.title, "code": r.code, "detail": r.detail,
	}
	if requestID != "" {
		document["request_id"] = requestID
	}
	if r.status != 0 {
		document["status"] = r.status
	}
	if oauth {
		document["error"], document["error_description"] = r.oauth, r.detail
	}
	b, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(b)
}
