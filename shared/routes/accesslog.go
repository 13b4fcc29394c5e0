package routes

// The formats in which API Gateway logs each request. The deployment sets them, and every request pays for their
// octets. No format contains a header or a body: both hold secrets.

// HTTPLog is the format of the agents' HTTP API: the caller's address, the route and the outcome. If a request reached
// a function, the function's own line under the same request id names the caller. The address identifies callers that
// API Gateway refused. Variables: "Customize HTTP API access logs", API Gateway developer guide.
const HTTPLog = `{"request_id":"$context.requestId","source":"$context.identity.sourceIp","route":"$context.routeKey",` +
	`"status":"$context.status","latency":"$context.responseLatency","error":"$context.error.message $context.integrationErrorMessage"}`

const restLog = `{"request_id":"$context.requestId","source":"$context.identity.sourceIp",` +
	`"route":"$context.httpMethod $context.resourcePath","status":"$context.status","latency":"$context.responseLatency",` +
	`"error":"$context.error.responseType"`

// The formats of a REST API. The time is CloudWatch's own for each line. How long the function took, and what it
// answered, is in the function's own line. Only agents have a certificate.
// Variables: "Variables for access logging for API Gateway", API Gateway developer guide.
const (
	RESTLog       = restLog + `}`
	AgentsRESTLog = restLog + `,"certificate":"$context.identity.clientCert.subjectDN"}`
)
