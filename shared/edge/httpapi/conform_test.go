package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/errors"

	"github.com/mastio-aws/mastio/shared/routes"
)

// contract is the OpenAPI document, ready to hold requests and answers to.
var contract = sync.OnceValues(func() (validator.Validator, error) {
	b, err := routes.Document()
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(b)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return v, nil
})

func TestDocumentIsOpenAPI(t *testing.T) {
	v, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Error(e.Message, e.Reason)
		}
	}
}

// conforms holds an answer, and the request if it was accepted, to the document: every answer of every test passes
// here. What no route has is not described.
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
	v, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	r := asSent(t, e)
	checkers := []func() (bool, []string){func() (bool, []string) {
		ok, errs := v.ValidateHttpResponse(r, &http.Response{
			StatusCode: a.status,
			Header:     a.header,
			Body:       io.NopCloser(bytes.NewReader(a.body)),
			Request:    r,
		})
		return ok, messages(errs)
	}}
	if a.status < 300 && strings.TrimSpace(e.Body) != "" {
		checkers = append(checkers, func() (bool, []string) {
			ok, errs := v.ValidateHttpRequest(asSent(t, e))
			return ok, messages(errs)
		})
	}
	for _, check := range checkers {
		if ok, errs := check(); !ok {
			t.Errorf("%s %s, answered %d %.300s: not as the OpenAPI document has it:\n%s", e.HTTPMethod, e.Path, a.status,
				a.body, strings.Join(errs, "\n"))
		}
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

// asSent is what a client sent so that API Gateway made this event of it.
func asSent(t testing.TB, e events.APIGatewayProxyRequest) *http.Request {
	t.Helper()
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		body, _ = base64.StdEncoding.DecodeString(e.Body)
	}
	target := "https://operators.mastio.example.com" + e.Path
	if query := url.Values(e.MultiValueQueryStringParameters).Encode(); query != "" {
		target += "?" + query
	}
	r, err := http.NewRequestWithContext(t.Context(), e.HTTPMethod, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header(e.MultiValueHeaders).Clone()
	return r
}

func messages(errs []*errors.ValidationError) []string {
	var all []string
	for _, e := range errs {
		all = append(all, e.Message+": "+e.Reason)
		for _, s := range e.SchemaValidationErrors {
			all = append(all, "  "+s.FieldPath+": "+s.Reason)
		}
	}
	return all
}
