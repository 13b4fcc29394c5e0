package e2e

import "testing"

// What was deactivated as a BYOCA agent does not come back when the agent is enrolled by SPIRE: neither at the
// enrolment nor by a token request. A certificate that the PKI issued for a new key afterwards counts.
func TestDeadMeansDeadAcrossMethods(t *testing.T) {
	m := borrow(t)
	ca, name := m.uploadCA(t, ""), fresh("dead")
	id := "spiffe://orga.local/orga/" + name
	old := svid(t, ca, id)
	m.postJSON(t, 201, byocaPath, map[string]any{"agent_name": name, "cert_pem": old.certPEM(),
		"private_key_pem": old.keyPEM(t)})
	old.client(m).must(t, 200, "POST", tokenPath, nil, nil)
	m.operator().must(t, 204, "DELETE", "/v1/admin/agents/orga::"+name, m.admin(), nil)
	old.client(m).must(t, 401, "POST", tokenPath, nil, nil)

	if a := m.postJSON(t, 400, spiffePath,
		map[string]any{"agent_name": name, "svid_pem": old.certPEM(),
			"svid_key_pem": old.keyPEM(t)}); a.code() != "key_not_fresh" {
		t.Errorf("the deactivated certificate as SVID: %s", a.body)
	}
	next := svid(t, ca, id)
	m.postJSON(t, 201, spiffePath, map[string]any{"agent_name": name, "svid_pem": next.certPEM(),
		"svid_key_pem": next.keyPEM(t)})
	next.client(m).must(t, 200, "POST", tokenPath, nil, nil)
	old.client(m).must(t, 401, "POST", tokenPath, nil, nil)
	m.rotateCA(t)
}
