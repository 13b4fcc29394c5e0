package e2e

import (
	"net/http"
	"testing"
	"time"

	resource "github.com/mastio-aws/mastio/shared/verifier"
)

// A key leaks on purpose, and the thief calls a resource server that follows the status. The operator rotates the
// certificate: how long do the thief's calls go on?
func TestCompromiseDrill(t *testing.T) {
	m := ownSystem(t)
	agent := m.enrol(t, fresh("leaked"))
	server := m.resourceServer(t, resource.LeastStale)

	t.Logf("0. a resource server, %s, accepts tokens of this Mastio and follows its status document; max_stale is %s",
		ledger, resource.LeastStale)
	t.Log("1. the agent's key leaks: certificate, key and access token are the thief's too")
	token := m.tokenOf(t, agent)
	thief := caller(t, server, agent)
	if got := thief(token); got != http.StatusOK {
		t.Fatalf("the thief's first call: %d", got)
	}
	calls := 0
	for until := time.Now().Add(time.Second); time.Now().Before(until); calls++ {
		if got := thief(token); got != http.StatusOK {
			t.Fatalf("before the rotation: %d", got)
		}
		<-time.After(callPace)
	}
	t.Logf("2. the thief calls the resource server: %d calls in a second, all answered", calls)

	body := []byte(`{"reason": "keyCompromise"}`)
	next := read(t, m.operator().must(t, 200, "POST", "/registry/agents/"+agent.AgentID+"/rotate-cert",
		with(m.admin(), "Content-Type", "application/json"), body))
	rotated := time.Now()
	t.Log("3. the operator rotates the certificate, with the reason keyCompromise")

	last, late := untilRefused(t, thief, token, rotated)
	t.Logf("4. %.1f seconds after the rotation the thief's last call was answered (%d in all); then every one is refused "+
		"(the bound is %s)", last.Seconds(), late, callBound)
	_, claims := m.verified(t, token)
	if ends, ok := claims["exp"].(float64); ok {
		t.Logf("   the token itself ends %d seconds after the rotation: so long the thief had gone on without the status",
			int64(ends)-rotated.Unix())
	}
	m.newClient(agent.certificate(t)).must(t, http.StatusUnauthorized, "POST", tokenPath, nil, nil)
	t.Log("5. the thief gets no new token")
	if got := caller(t, server, next)(m.tokenOf(t, next)); got != http.StatusOK {
		t.Errorf("the agent with its new certificate: %d", got)
	}
	t.Log("6. the agent works on with its new certificate")
}
