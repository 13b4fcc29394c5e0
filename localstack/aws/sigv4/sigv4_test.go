package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mastio-aws/mastio/localstack/aws/sigv4"
)

// echo is a service behind the check that answers what reached it.
func echo(t *testing.T, keys sigv4.Keys, service string) (endpoint string, reached *[]string) {
	t.Helper()
	reached = new([]string)
	web := httptest.NewServer(keys.Check(service, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("body: %v", err)
		}
		*reached = append(*reached, r.Method+" "+r.RequestURI+" "+string(body))
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		io.WriteString(w, "{}") //nolint:errcheck // the test's own client reads it
	})))
	t.Cleanup(web.Close)
	return web.URL, reached
}

func config(endpoint string, p aws.CredentialsProvider) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials:  p,
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// The unmodified SDK passes, whatever the service makes of paths, queries and checksums.
func TestSDKPasses(t *testing.T) {
	keys := sigv4.NewKeys("local", "localtoken")
	for _, id := range []string{"local", "localtoken"} {
		endpoint, reached := echo(t, keys, "kms")
		if _, err := kms.NewFromConfig(config(endpoint, keys.Provider(id))).ListKeys(t.Context(),
			&kms.ListKeysInput{}); err != nil {
			t.Errorf("KMS as %s: %v", id, err)
		}
		if len(*reached) != 1 || (*reached)[0] != "POST / {}" {
			t.Errorf("KMS was reached with %q", *reached)
		}
	}
	endpoint, reached := echo(t, keys, "s3")
	objects := s3.NewFromConfig(config(endpoint, keys.Provider("local")), func(o *s3.Options) { o.UsePathStyle = true })
	key := aws.String("a folder/ü +&=~*%2F.pem")
	if _, err := objects.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("b"),
		Key:    key,
		Body:   bytes.NewReader([]byte("text")),
	}); err != nil {
		t.Errorf("S3 put: %v", err)
	}
	if _, err := objects.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{
		Bucket: aws.String("b"),
		Prefix: key,
	}); err != nil {
		t.Errorf("S3 list: %v", err)
	}
	if len(*reached) != 2 || !strings.HasSuffix((*reached)[0], " text") {
		t.Errorf("S3 was reached with %q", *reached)
	}
	endpoint, reached = echo(t, keys, "lambda")
	calls := lambda.NewFromConfig(config(endpoint, keys.Provider("local")))
	if _, err := calls.Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("rotateca:live"),
		Payload:      []byte(`{"a":1}`),
	}); err != nil {
		t.Errorf("Lambda: %v", err)
	}
	if len(*reached) != 1 {
		t.Errorf("Lambda was reached with %q", *reached)
	}
}

// signed is a request to KMS as the SDK would send it.
func signed(t *testing.T, endpoint string, c aws.Credentials, service, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/?a=b", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "TrentService.ListKeys")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), c, r, hex.EncodeToString(sum[:]), service, "us-east-1",
		time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

// What is not signed with a key of this run, or is not what was signed, reaches nothing.
func TestRefused(t *testing.T) {
	keys, others := sigv4.NewKeys("local", "localtoken"), sigv4.NewKeys("local", "stranger")
	own := aws.Credentials{AccessKeyID: "local", SecretAccessKey: keys["local"]}
	for name, tt := range map[string]struct {
		with    aws.Credentials
		service string
		change  func(*http.Request)
		code    string
	}{
		"as signed": {own, "kms", func(*http.Request) {}, ""},
		"no signature": {own, "kms", func(r *http.Request) { r.Header.Del("Authorization") },
			"MissingAuthenticationTokenException"},
		"another scheme": {own, "kms", func(r *http.Request) { r.SetBasicAuth("local", keys["local"]) },
			"MissingAuthenticationTokenException"},
		"the id without the secret": {aws.Credentials{
			AccessKeyID:     "local",
			SecretAccessKey: "local",
		}, "kms", func(*http.Request) {}, "InvalidSignatureException"},
		"another run": {aws.Credentials{
			AccessKeyID:     "local",
			SecretAccessKey: others["local"],
		}, "kms", func(*http.Request) {}, "InvalidSignatureException"},
		"another id's secret": {aws.Credentials{
			AccessKeyID:     "localtoken",
			SecretAccessKey: keys["local"],
		}, "kms", func(*http.Request) {}, "InvalidSignatureException"},
		"an unknown id": {aws.Credentials{
			AccessKeyID:     "stranger",
			SecretAccessKey: others["stranger"],
		}, "kms", func(*http.Request) {}, "UnrecognizedClientException"},
		"another service": {own, "s3", func(*http.Request) {}, "InvalidSignatureException"},
		"another body": {own, "kms", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("{\"x\":2}")), 7
		}, "InvalidSignatureException"},
		"a body said to be unsigned": {own, "kms",
			func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, "InvalidSignatureException"},
		"another operation": {own, "kms",
			func(r *http.Request) { r.Header.Set("X-Amz-Target", "TrentService.Sign") }, "InvalidSignatureException"},
		"another path": {own, "kms", func(r *http.Request) { r.URL.Path = "/other" },
			"InvalidSignatureException"},
		"another query": {own, "kms", func(r *http.Request) { r.URL.RawQuery = "a=c" },
			"InvalidSignatureException"},
		"another method": {own, "kms", func(r *http.Request) { r.Method = http.MethodPut },
			"InvalidSignatureException"},
		"another host": {own, "kms", func(r *http.Request) { r.Host = "kms.example" },
			"InvalidSignatureException"},
		"no date": {own, "kms", func(r *http.Request) { r.Header.Del("X-Amz-Date") },
			"InvalidSignatureException"},
		"no signed headers": {own, "kms", func(r *http.Request) {
			h := r.Header.Get("Authorization")
			start, end := strings.Index(h, "SignedHeaders="), strings.Index(h, ", Signature")
			r.Header.Set("Authorization", h[:start]+"SignedHeaders="+h[end:])
		}, "InvalidSignatureException"},
		"a cut signature": {own, "kms", func(r *http.Request) {
			r.Header.Set("Authorization", strings.TrimRight(r.Header.Get("Authorization"), "0123456789abcdef"))
		}, "MissingAuthenticationTokenException"},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint, reached := echo(t, keys, "kms")
			r := signed(t, endpoint, tt.with, tt.service, `{"x":1}`)
			tt.change(r)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got := res.Header.Get("X-Amzn-Errortype"); got != tt.code || (len(*reached) == 0) != (tt.code != "") ||
				(res.StatusCode == 403) != (tt.code != "") {
				t.Errorf("status %d, code %q, reached with %q; want code %q", res.StatusCode, got, *reached, tt.code)
			}
		})
	}
}

// A hostname in the request line (a proxy's form) is not a way around the path that was signed.
func TestAbsoluteTarget(t *testing.T) {
	keys := sigv4.NewKeys("local")
	endpoint, reached := echo(t, keys, "kms")
	r := signed(t, endpoint, aws.Credentials{AccessKeyID: "local", SecretAccessKey: keys["local"]}, "kms", `{}`)
	proxy, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
	defer transport.CloseIdleConnections()
	r.URL.Path = "/2"
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 403 || len(*reached) != 0 {
		t.Errorf("status %d, reached with %q", res.StatusCode, *reached)
	}
}
