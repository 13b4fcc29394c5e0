package e2e

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const introspectPath = "/v1/auth/introspect"

// A resource server asks about a token until a rotation, and finds the metadata that clients look for.
func TestIntrospection(t *testing.T) {
	m := borrow(t)
	body := fmt.Sprintf(`{"agent_name": %q, "capabilities": ["mastio:introspect"]}`, fresh("resource"))
	server := read(t, m.operator().must(t, 201, "POST", "/v1/admin/agents",
		with(m.admin(), "Content-Type", "application/json"), []byte(body)))
	agent := m.enrol(t, fresh("introspected"))
	asks, holds := m.newClient(server.certificate(t)), m.newClient(agent.certificate(t))
	token, _ := holds.must(t, 200, "POST", tokenPath, nil, nil).decode(t)["access_token"].(string)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	introspect := func(c *client, want int, token string) map[string]any {
		t.Helper()
		a := c.must(t, want, "POST", introspectPath, form, []byte(url.Values{"token": {token}}.Encode()))
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q", got)
		}
		return a.decode(t)
	}
	_, claims := m.verified(t, token)
	want := map[string]any{"active": true, "token_type": "Bearer"}
	for _, name := range []string{"sub", "client_id", "scope", "aud", "iss", "iat", "exp", "jti", "cnf"} {
		want[name] = claims[name]
	}
	if diff := cmp.Diff(want, introspect(asks, 200, token)); diff != "" {
		t.Errorf("active token (-want +got):\n%s", diff)
	}
	inactive := map[string]any{"active": false}
	if diff := cmp.Diff(inactive, introspect(asks, 200, token[:len(token)-4]+"AAAA")); diff != "" {
		t.Errorf("forged token (-want +got):\n%s", diff)
	}
	for _, token := range []string{token, "x"} {
		if got := introspect(holds, 403, token)["error"]; got != "insufficient_scope" {
			t.Errorf("without the right: %v", got)
		}
	}
	m.rotate(t, agent.AgentID)
	if diff := cmp.Diff(inactive, introspect(asks, 200, token)); diff != "" {
		t.Errorf("after the rotation (-want +got):\n%s", diff)
	}
	metadata := m.operator().must(t, 200, "GET", "/.well-known/oauth-authorization-server", nil, nil).decode(t)
	if got := metadata["introspection_endpoint"]; got != m.URL+introspectPath {
		t.Errorf("introspection_endpoint = %v", got)
	}
}
