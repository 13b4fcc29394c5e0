//go:build openapi

package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strconv"
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

// differences says what of an answer, and of an accepted request, the document has otherwise.
func differences(t testing.TB, _ string, e events.APIGatewayProxyRequest, a answer) (wrong []string) {
	t.Helper()
	v, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	r := asSent(t, e)
	if a.header.Get("Content-Type") == "application/x-ndjson" { // the validator takes it for one JSON value
		a.body = []byte(strconv.Quote("lines"))
	}
	if ok, errs := v.ValidateHttpResponse(r, &http.Response{
		StatusCode: a.status,
		Header:     a.header,
		Body:       io.NopCloser(bytes.NewReader(a.body)),
		Request:    r,
	}); !ok {
		wrong = messages(errs)
	}
	if accepted(e, a) {
		if ok, errs := v.ValidateHttpRequest(asSent(t, e)); !ok {
			wrong = append(wrong, messages(errs)...)
		}
	}
	return wrong
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
