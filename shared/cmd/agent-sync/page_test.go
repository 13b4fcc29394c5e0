package main

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/aws/secrets"
)

// The whole command against a stand-in of Secrets Manager, by the endpoint of the environment. It calls what the policy
// on the page for agent developers allows, and nothing else; the region is that of the ARN.
func TestPolicyOfThePage(t *testing.T) {
	service, err := secrets.New(secrets.Config{Region: "eu-south-1"})
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	counted := true
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if counted {
			called[strings.Replace(r.Header.Get("X-Amz-Target"), ".", ":", 1)] = true
			if !strings.Contains(r.Header.Get("Authorization"), "/eu-south-1/secretsmanager/") {
				t.Errorf("signed for another region: %s", r.Header.Get("Authorization"))
			}
		}
		service.ServeHTTP(w, r)
	}))
	defer web.Close()
	client := secretsmanager.New(secretsmanager.Options{
		Region:       "eu-south-1",
		BaseEndpoint: aws.String(web.URL),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	h := newHost(t)
	h.deliver(t, 0)
	counted = false
	made, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name:         aws.String("mastio/agents/orga/alice"),
		SecretString: aws.String(string(h.versions[0].value)),
	})
	if err != nil {
		t.Fatal(err)
	}
	counted = true
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": web.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local",
		"AWS_SECRET_ACCESS_KEY": "local", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
	mark := filepath.Join(t.TempDir(), "ran")
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), []string{"--once", "--secret", *made.ARN, "--dir", h.dir, "--exec", "touch '" + mark + "'"},
		&stdout, &stderr); got != done {
		t.Fatalf("status %d\n%s", got, stderr.String())
	}
	if _, err := os.Stat(mark); err != nil || h.sets(t) != 1 || stdout.Len() > 0 {
		t.Errorf("%v %s %s", err, stdout.String(), stderr.String())
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "AGENTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, policy, _ := strings.Cut(string(page), "```json\n{\n  \"Version\"")
	policy, _, _ = strings.Cut(policy, "```")
	allowed := regexp.MustCompile(`secretsmanager:[A-Z][a-z]\w+`).FindAllString(policy, -1)
	slices.Sort(allowed)
	if diff := cmp.Diff(allowed, slices.Sorted(maps.Keys(called))); diff != "" {
		t.Errorf("(-the page's policy +calls):\n%s", diff)
	}
	web.Close()
	began := time.Now()
	if got := run(t.Context(), []string{"--once", "--secret", *made.ARN, "--dir", h.dir}, &stdout,
		&stderr); got != failed || !strings.Contains(stderr.String(), "check network") {
		t.Errorf("status %d after %s\n%s", got, time.Since(began), stderr.String())
	}
	if _, err := os.Stat(filepath.Join(h.dir, certFile)); err != nil {
		t.Error(err)
	}
}
