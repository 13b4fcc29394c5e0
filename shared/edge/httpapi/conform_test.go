package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"

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
	plain := e
	kind := http.Header(e.MultiValueHeaders).Get("Content-Type")
	if strings.HasPrefix(kind, "application/merge-patch+json") {
		// Described as application/json: generated clients cannot choose between two media types of one form.
		plain = with(e, header("Content-Type", "application/json"))
	}
	wrong := append(differences(t, resource, plain, a), undeclared(t, resource, e.HTTPMethod, a)...)
	if len(wrong) > 0 {
		t.Errorf("%s %s, answered %d %.300s: not as the OpenAPI document has it:\n%s", e.HTTPMethod, e.Path, a.status,
			a.body, strings.Join(wrong, "\n"))
	}
}

// refusals are the answers of the document that are no success: their descriptions list the codes.
var refusals = sync.OnceValues(func() (paths map[string]map[string]struct {
	Responses map[string]struct{ Description string }
}, err error,
) {
	b, err := routes.Document()
	if err != nil {
		return nil, err
	}
	var d struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct{ Description string }
		}
	}
	err = json.Unmarshal(b, &d)
	return d.Paths, err
})

// undeclared says which status, and which code, of a refusal the document does not list for the operation. The schema
// for statuses that API Gateway answers too requires no member: a function's own answer has them all.
func undeclared(t testing.TB, resource, method string, a answer) []string {
	t.Helper()
	if a.status < 400 {
		return nil
	}
	paths, err := refusals()
	if err != nil {
		t.Fatal(err)
	}
	listed, ok := paths[resource][strings.ToLower(method)].Responses[strconv.Itoa(a.status)]
	if !ok {
		return []string{fmt.Sprintf("status %d is not described: name its code in refusals of operations.json", a.status)}
	}
	var told struct {
		Code, Title, Detail string
		RequestID           string `json:"request_id"`
		Error               string
		Description         string `json:"error_description"`
	}
	if err := json.Unmarshal(a.body, &told); err != nil {
		return []string{err.Error()}
	}
	whole := told.Code != "" && told.Title != "" && told.Detail != "" && told.RequestID != ""
	if strings.HasPrefix(resource, "/v1/auth/") {
		told.Code, whole = told.Error, told.Error != "" && told.Description != ""
	}
	if !whole {
		return []string{"a member of the refusal is missing"}
	}
	words := strings.FieldsFunc(listed.Description, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) })
	if !slices.Contains(words, told.Code) {
		return []string{fmt.Sprintf("code %s is not in the description of %d: name it in refusals of operations.json",
			told.Code, a.status)}
	}
	return nil
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
