package awsmodel

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/test/python"
)

func needsPython(t *testing.T) {
	t.Helper()
	if _, err := Install(t.Context()); errors.Is(err, python.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

func target(name string) map[string]string {
	prefix, _, _ := strings.Cut(name, "_")
	version := "1.1"
	if prefix == "DynamoDB" {
		version = "1.0"
	}
	return map[string]string{"x-amz-target": name, "content-type": "application/x-amz-json-" + version}
}

// Each exchange has one thing that AWS would refuse or never answer, and what is said of it; an empty text: nothing.
func TestExchanges(t *testing.T) {
	needsPython(t)
	const key = "1234abcd-12ab-34cd-56ef-1234567890ab"
	sign := `{"KeyId":"` + key + `","Message":"aGFzaA==","MessageType":"DIGEST","SigningAlgorithm":"ECDSA_SHA_256"}`
	tests := []struct {
		name, service string
		headers       map[string]string
		method, path  string
		body          string
		status        int
		answer, want  string
	}{
		{"good", "kms", target("TrentService.Sign"), "POST", "/", sign, 200,
			`{"KeyId":"` + key + `","Signature":"c2ln","SigningAlgorithm":"ECDSA_SHA_256"}`, ""},
		{"operation", "kms", target("TrentService.Signs"), "POST", "/", sign, 200, `{}`, "no operation"},
		{"member", "kms", target("TrentService.Sign"), "POST", "/", strings.Replace(sign, "Message\"", "Mesage\"", 1), 200,
			`{}`, "no member Mesage"},
		{"enum", "kms", target("TrentService.Sign"), "POST", "/", strings.Replace(sign, "SHA_256", "SHA_257", 1), 200, `{}`,
			"is not one of SigningAlgorithmSpec"},
		{"type", "kms", target("TrentService.Sign"), "POST", "/", strings.Replace(sign, `"DIGEST"`, "1", 1), 200, `{}`,
			"want a string"},
		{"length", "kms", target("TrentService.Sign"), "POST", "/", strings.Replace(sign, key, "", 1), 200, `{}`,
			"0 characters"},
		{"missing", "kms", target("TrentService.Sign"), "POST", "/", `{"Message":"aGFzaA=="}`, 200, `{}`, "lacks KeyId"},
		{"base64", "kms", target("TrentService.Sign"), "POST", "/", strings.Replace(sign, "aGFzaA==", "?", 1), 200, `{}`,
			"not base64"},
		{"pattern", "kms", target("TrentService.CreateAlias"), "POST", "/", `{"AliasName":"a b","TargetKeyId":"` + key + `"}`,
			200, ``, "does not match"},
		{"answer's enum", "kms", target("TrentService.Sign"), "POST", "/", sign, 200, `{"SigningAlgorithm":"ES256"}`,
			"answer 200.SigningAlgorithm"},
		{"error", "kms", target("TrentService.Sign"), "POST", "/", sign, 400, `{"__type":"NoKeyException"}`,
			"no error of this operation"},
		{"known error", "kms", target("TrentService.Sign"), "POST", "/", sign, 400, `{"__type":"NotFoundException"}`, ""},
		{"union", "dynamodb", target("DynamoDB_20120810.GetItem"), "POST", "/",
			`{"TableName":"abc","Key":{"PK":{"S":"a","N":"1"}}}`, 200, `{}`, "want one"},
		{"content type", "dynamodb", target("TrentService.GetItem"), "POST", "/", `{}`, 200, `{}`, "no operation"},
		{"many", "dynamodb", target("DynamoDB_20120810.TransactWriteItems"), "POST", "/",
			`{"TransactItems":[` + strings.Repeat(`{},`, 100) + `{}]}`, 200, `{}`, "101 elements"},
		{"object", "s3", nil, "PUT", "/bucket/a/b", "text", 200, "", ""},
		{"object's path", "s3", nil, "POST", "/bucket/a/b", "text", 200, "", "no operation"},
		{"object's error", "s3", nil, "GET", "/bucket/a", "", 404, "<Error><Code>Gone</Code></Error>",
			"no error of this operation"},
		{"function", "lambda", nil, "POST", "/2015-03-31/functions/a:live/invocations", "{}", 200, "{}", ""},
		{"function's name", "lambda", nil, "POST", "/2015-03-31/functions/a%20b/invocations", "{}", 200, "{}",
			"does not match"},
		{"invocation", "lambda", map[string]string{"x-amz-invocation-type": "Later"}, "POST",
			"/2015-03-31/functions/a/invocations", "{}", 200, "{}", "is not one of InvocationType"},
	}
	var all []exchange
	for _, test := range tests {
		c := &Recorder{}
		h := c.Wrap(test.service, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			io.WriteString(w, test.answer)
		}))
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		for name, value := range test.headers {
			r.Header.Set(name, value)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		all = append(all, c.kept...)
	}
	found, looked, err := judge(t.Context(), all)
	if err != nil || !strings.HasPrefix(looked, fmt.Sprint(len(tests), " exchanges of ")) {
		t.Fatalf("%s %v", looked, err)
	}
	for i, test := range tests {
		if got := said(found, i); (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// said is everything that was found in one of several.
func said(found []finding, of int) string {
	var all []string
	for _, f := range found {
		if f.of == of {
			all = append(all, f.text)
		}
	}
	return strings.Join(all, "\n")
}

func TestPolicies(t *testing.T) {
	needsPython(t)
	const table = "arn:aws:dynamodb:eu-central-1:111111111111:table/t"
	equal := func(key string) map[string]map[string]any {
		return map[string]map[string]any{"StringEquals": {key: "a"}}
	}
	tests := []struct {
		name string
		s    Statement
		want string
	}{
		{"good", Statement{Actions: []string{"dynamodb:GetItem"}, Resources: []string{table}}, ""},
		{"action", Statement{Actions: []string{"dynamodb:FetchItem"}, Resources: []string{table}}, "no action"},
		{"every action", Statement{Actions: []string{"dynamodb:*"}, Resources: []string{table}}, "no action"},
		{"resource", Statement{Actions: []string{"dynamodb:GetItem"}, Resources: []string{table + "/index/i"}}, ""},
		{"resource of another service", Statement{
			Actions:   []string{"dynamodb:GetItem"},
			Resources: []string{"arn:aws:s3:::b"},
		}, "takes none"},
		{"one resource of another service", Statement{
			Actions:   []string{"dynamodb:GetItem"},
			Resources: []string{table, "arn:aws:s3:::b"},
		}, "no action takes arn:aws:s3:::b"},
		{"part", Statement{
			Actions:   []string{"logs:PutLogEvents"},
			Resources: []string{"arn:aws:logs:eu-central-1:111111111111:log-group:a:*"},
		}, ""},
		{"resource of an action without", Statement{
			Actions:   []string{"kms:CreateKey"},
			Resources: []string{"arn:aws:kms:eu-central-1:111111111111:key/*"},
		}, "* alone"},
		{"key", Statement{
			Actions:    []string{"kms:Sign"},
			Resources:  []string{"*"},
			Conditions: equal("kms:SigningAlgorithm"),
		}, ""},
		{"unknown key", Statement{
			Actions:    []string{"kms:Sign"},
			Resources:  []string{"*"},
			Conditions: equal("kms:Algorithm"),
		}, "no condition key"},
		{"key of another action", Statement{
			Actions:    []string{"kms:Sign"},
			Resources:  []string{"*"},
			Conditions: equal("aws:RequestTag/a"),
		}, "no condition key"},
		{"several values", Statement{
			Actions:    []string{"dynamodb:GetItem"},
			Resources:  []string{table},
			Conditions: equal("dynamodb:LeadingKeys"),
		}, "is not for it"},
	}
	var all []Statement
	for _, test := range tests {
		all = append(all, test.s)
	}
	found, _, err := judgePolicies(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	for i, test := range tests {
		if got := said(found, i); (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
