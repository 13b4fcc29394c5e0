package secrets_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	local "github.com/mastio-aws/mastio/localstack/aws/secrets"
	"github.com/mastio-aws/mastio/shared/edge/secrets"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
)

// agents are over the stand-in for Secrets Manager, by way of the real client.
func agents(t *testing.T) (*secrets.Agents, *secretsmanager.Client) {
	t.Helper()
	server, err := local.New(local.Config{})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	client := secretsmanager.New(secretsmanager.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(web.URL),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer:      aws.NopRetryer{},
	})
	return &secrets.Agents{API: client, KeyID: "arn:aws:kms:us-east-1:000000000000:key/agents"}, client
}

func current(t *testing.T, c *secretsmanager.Client) string {
	t.Helper()
	out, err := c.GetSecretValue(t.Context(),
		&secretsmanager.GetSecretValueInput{SecretId: aws.String("mastio/agents/orga/a")})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.SecretString)
}

func TestDeliveryToAnAgent(t *testing.T) {
	a, client := agents(t)
	const name = "mastio/agents/orga/a"
	one, two := strings.Repeat("1", 64), strings.Repeat("2", 64)
	for _, version := range []string{one, two} {
		if value, err := a.Version(t.Context(), name, version); err != nil || value != nil {
			t.Errorf("before it is staged: %q, %v", value, err)
		}
		for range 2 {
			if err := a.Stage(t.Context(), name, version, []byte("value "+version)); err != nil {
				t.Fatal(err)
			}
		}
		if value, err := a.Version(t.Context(), name, version); err != nil || string(value) != "value "+version {
			t.Errorf("staged: %q, %v", value, err)
		}
		if err := a.Stage(t.Context(), name, version, []byte("another")); !errors.Is(err, hygiene.ErrVersionTaken) {
			t.Errorf("staged with another value: %v, want ErrVersionTaken", err)
		}
		want := map[string]string{one: "{}", two: "value " + one}[version]
		if got := current(t, client); got != want {
			t.Errorf("current before the promotion: %q, want %q", got, want)
		}
		for range 2 {
			if err := a.Promote(t.Context(), name, version); err != nil {
				t.Fatal(err)
			}
		}
		if got := current(t, client); got != "value "+version {
			t.Errorf("current after the promotion: %q", got)
		}
	}
	if err := a.Promote(t.Context(), name, strings.Repeat("3", 64)); !errors.Is(err, secrets.ErrSecrets) {
		t.Errorf("promote a version that is not there: %v", err)
	}
	if err := a.Promote(t.Context(), "mastio/agents/orga/none", one); !errors.Is(err, secrets.ErrSecrets) {
		t.Errorf("promote in a secret that is not there: %v", err)
	}
}

// Several runs that make the same secret at once all end with it.
func TestSecretIsMadeOnce(t *testing.T) {
	a, client := agents(t)
	var runs sync.WaitGroup
	errs := make([]error, 8)
	for n := range errs {
		runs.Go(func() {
			errs[n] = a.Stage(t.Context(), "mastio/agents/orga/a", strings.Repeat("1", 64), []byte("value"))
		})
	}
	runs.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if got := current(t, client); got != "{}" {
		t.Errorf("current: %q", got)
	}
}
