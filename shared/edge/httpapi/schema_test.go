//go:build !openapi

package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mastio-aws/mastio/shared/routes"
)

const documentURL = "https://mastio.example.com/openapi.json"

// description is the OpenAPI document, with the schemas that were needed so far, by their JSON pointers.
type description struct {
	mu       sync.Mutex
	document map[string]any
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

var contract = sync.OnceValues(func() (*description, error) {
	b, err := routes.Document()
	if err != nil {
		return nil, err
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	d := &description{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	d.document, _ = parsed.(map[string]any)
	d.compiler.AssertFormat()
	return d, d.compiler.AddResource(documentURL, parsed)
})

// differences says what of an answer, and of an accepted request, the document has otherwise.
func differences(t testing.TB, resource string, e events.APIGatewayProxyRequest, a answer) (wrong []string) {
	t.Helper()
	d, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	operation := []string{"paths", resource, strings.ToLower(e.HTTPMethod)}
	status := strconv.Itoa(a.status)
	described, ok := "", false
	for _, key := range []string{status, status[:1] + "XX", "default"} {
		if _, ok = d.at(append(operation, "responses", key)...); ok {
			described = key
			break
		}
	}
	if !ok {
		return []string{"it has no status " + status}
	}
	if err := d.holds(append(operation, "responses", described), a.header.Get("Content-Type"), a.body); err != nil {
		wrong = append(wrong, fmt.Sprintf("the answer: %v", err))
	}
	if accepted(e, a) {
		body := []byte(e.Body)
		if e.IsBase64Encoded {
			body, _ = base64.StdEncoding.DecodeString(e.Body)
		}
		kind := http.Header(e.MultiValueHeaders).Get("Content-Type")
		if err := d.holds(append(operation, "requestBody"), kind, body); err != nil {
			wrong = append(wrong, fmt.Sprintf("the request: %v", err))
		}
	}
	return wrong
}

// at follows references on its way.
func (d *description) at(pointer ...string) (any, bool) {
	var here any = d.document
	for _, step := range pointer {
		object, _ := here.(map[string]any)
		if to, ok := object["$ref"].(string); ok {
			here, _ = d.at(strings.Split(strings.TrimPrefix(to, "#/"), "/")...)
			object, _ = here.(map[string]any)
		}
		var ok bool
		if here, ok = object[step]; !ok {
			return nil, false
		}
	}
	return here, true
}

// holds reports how a body differs from what is described at a pointer: its media type, and JSON's form.
func (d *description) holds(pointer []string, contentType string, body []byte) error {
	if to, ok := d.at(append(pointer, "$ref")...); ok {
		pointer = strings.Split(strings.TrimPrefix(to.(string), "#/"), "/")
	}
	content, ok := d.at(append(pointer, "content")...)
	if !ok {
		if len(body) > 0 {
			return fmt.Errorf("no content is described, and it has %d octets", len(body))
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("content type %q: %w", contentType, err)
	}
	if _, ok := content.(map[string]any)[kind]; !ok {
		return fmt.Errorf("content type %q is not described", kind)
	}
	if kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	schema, err := d.schema(append(pointer, "content", kind, "schema"))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

var escape = strings.NewReplacer("~", "~0", "/", "~1")

func (d *description) schema(pointer []string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fragment := ""
	for _, step := range pointer {
		fragment += "/" + escape.Replace(step)
	}
	if s, ok := d.schemas[fragment]; ok {
		return s, nil
	}
	target := documentURL + "#" + (&url.URL{Path: fragment}).EscapedPath()
	s, err := d.compiler.Compile(target)
	d.schemas[fragment] = s
	return s, err
}

// The judge judges, or else its silence would mean nothing.
func TestJudgeFindsMistakes(t *testing.T) {
	post := event("POST", "/v1/admin/agents", admin)
	post.Body = `{"agent_name":"kyc","capabilities":"read"}`
	http.Header(post.MultiValueHeaders).Set("Content-Type", "application/json")
	for name, tt := range map[string]struct {
		status int
		kind   string
		body   string
		says   string
	}{
		"an answer":    {201, "application/json", "{}", "the answer: "},
		"a media type": {409, "text/html", "<p>", "is not described"},
		"a member":     {409, "application/problem+json", `{"code":7}`, "code"},
		"no JSON":      {409, "application/problem+json", `{`, "unexpected EOF"},
		"a status":     {404, "application/problem+json", "{}", "it has no status"},
		"a request":    {201, "application/json", "{}", "the request: "},
	} {
		t.Run(name, func(t *testing.T) {
			a := answer{status: tt.status, header: http.Header{"Content-Type": {tt.kind}}, body: []byte(tt.body)}
			wrong := differences(t, "/v1/admin/agents", post, a)
			if !strings.Contains(strings.Join(wrong, "\n"), tt.says) || len(wrong) == 0 {
				t.Errorf("found %q, want %q", wrong, tt.says)
			}
		})
	}
}
