package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// An operator makes an entry in Secrets Manager as the page says, and the functions admit its admin at once, with its
// role and no more.
func TestNamedAdmins(t *testing.T) {
	m := borrow(t)
	secret := strings.Repeat("s3cret", 8)
	for name, entry := range map[string]string{
		"viv": `{"secret": "` + secret + `", "role": "viewer"}`,
		"enr": `{"secret": "` + secret + `", "role": "enroller", "capabilities": ["kyc:read"]}`,
	} {
		id := aws.String("mastio/admins/orga/" + name)
		if _, err := m.Clients.SecretsManager.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name:         id,
			SecretString: &entry,
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx := context.WithoutCancel(t.Context())
			_, err := m.Clients.SecretsManager.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{
				SecretId:                   id,
				ForceDeleteWithoutRecovery: aws.Bool(true),
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	as := func(name, secret string) map[string]string {
		return map[string]string{"X-Admin-Secret": name + ":" + secret, "Content-Type": "application/json"}
	}
	c := m.operator()
	c.must(t, 200, "GET", "/v1/admin/agents", as("viv", secret), nil)
	c.must(t, 200, "GET", "/metrics", as("viv", secret), nil)
	c.must(t, 201, "POST", "/v1/admin/agents", as("enr", secret),
		[]byte(`{"agent_name": "named-admins", "capabilities": ["kyc:read"]}`))
	for what, a := range map[string]answer{
		"a viewer enrols": c.must(t, 403, "POST", "/v1/admin/agents", as("viv", secret),
			[]byte(`{"agent_name": "x"}`)),
		"an enroller rotates":     c.must(t, 403, "POST", "/pki/rotate-ca?mode=mint", as("enr", secret), nil),
		"an enroller deactivates": c.must(t, 403, "DELETE", "/v1/admin/agents/orga::named-admins", as("enr", secret), nil),
	} {
		if a.code() != "role_insufficient" {
			t.Errorf("%s: %s", what, a.body)
		}
	}
	for _, name := range []string{"viv", "bob"} {
		if a := c.must(t, 403, "GET", "/v1/admin/agents", as(name, secret+"x"), nil); a.code() != "admin_secret_invalid" {
			t.Errorf("%s with a wrong secret: %s", name, a.body)
		}
	}
}
