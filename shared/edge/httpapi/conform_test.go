package httpapi_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/routes"
)

// conforms holds an answer, and the request if it was accepted, to the OpenAPI document: every answer of every test
// passes here. What no route has is not described.
//
// There are two judges. The one of make test compares status, media type and bodies. With the build tag openapi, which
// make check sets, a validator of OpenAPI compares everything else as well: parameters, headers, and the document
// itself. Its libraries take longer to compile than all that the product links.
func conforms(t testing.TB, e events.APIGatewayProxyRequest, a answer) {
	t.Helper()
	if _, isFuzz := t.(*testing.F); isFuzz || strings.HasPrefix(t.Name(), "Fuzz") ||
		strings.HasPrefix(t.Name(), "Benchmark") {
		return
	}
	resource, _, ok := routes.Match(e.Path)
	if !ok || !described(e.HTTPMethod, resource) {
		return
	}
	wrong := differences(t, resource, e, a)
	if len(wrong) > 0 {
		t.Errorf("%s %s, answered %d %.300s: not as the OpenAPI document has it:\n%s", e.HTTPMethod, e.Path, a.status,
			a.body, strings.Join(wrong, "\n"))
	}
}

func described(method, resource string) bool {
	for _, r := range routes.On(resource) {
		if r.Method == method {
			return true
		}
	}
	return false
}

// accepted reports whether a request's body is held to the document too.
func accepted(e events.APIGatewayProxyRequest, a answer) bool {
	return a.status < 300 && strings.TrimSpace(e.Body) != ""
}
