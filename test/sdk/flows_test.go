package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/pki"
)

// What a login takes. The SDK sends no other request.
const (
	byMastio   = "POST /v1/auth/sign-assertion, POST /v1/auth/token"
	byLocalKey = "POST /v1/auth/login-challenge, POST /v1/auth/sign-challenged-assertion, POST /v1/auth/token"
	meCall     = "GET /v1/agent/me"
)

func id(name string) string { return "orga::" + name }

// Flows 1 and 2: BYOCA under an uploaded Org CA, before and after the guide's "After".
func TestBYOCA(t *testing.T) {
	m := running(t)
	for _, c := range []struct{ dpop, overlap bool }{{true, false}, {false, false}, {true, true}, {false, true}} {
		t.Run(fmt.Sprintf("dpop=%t,overlap=%t", c.dpop, c.overlap), func(t *testing.T) {
			f := flow{
				script: "byoca.py",
				agent:  id(fresh("byoca")),
				folder: t.TempDir(),
				given:  map[string]any{"dpop": c.dpop, "overlap": c.overlap},
			}
			pipeline := func(query string) {
				cert, key := leaf(t, m.upload(t, query), "")
				f.write(t, "pipeline-cert.pem", cert)
				f.write(t, "pipeline-key.pem", key)
			}
			pipeline("")
			query, files, old := "", "agent.json cert.pem key.pem", "refused: Certificate has been revoked"
			if c.overlap {
				query, old = "&overlap=600", "token: {agent} kyc:read DPoP"
			}
			if c.dpop {
				files = "agent.json cert.pem dpop.jwk key.pem"
			}
			f.asks = map[string]func(){"rotate the Org CA and issue again": func() { pipeline(query) }}
			f.run(t, m,
				"enrolled: {agent} "+files, "token: {agent} kyc:read DPoP", "calls: "+byMastio,
				"token: {agent} kyc:read DPoP", "me: {agent} kyc:read", "calls: "+byMastio+", "+meCall,
				old, "token: {agent} kyc:read DPoP", "me: {agent} kyc:read",
				"refused: Certificate has been revoked", "refused: Certificate has been revoked",
				"token: {agent} kyc:read DPoP", "calls: "+byLocalKey,
			)
			// The chain goes on, with one row for each certificate. The repetition has a row only with a proof key: the SDK
			// makes a new one for each enrolment.
			rows := []string{"agent.enrolled", "agent.cert_rotated", "agent.cert_rotated"}
			if !c.dpop {
				rows = rows[:2]
			}
			if diff := cmp.Diff(rows, m.chain(t, f.agent)); diff != "" {
				t.Errorf("audit chain (-want +got):\n%s", diff)
			}
		})
	}
	m.must(t, 200, "POST", "/pki/rotate-ca?mode=finalise", "", nil)
}

// chain reads an agent's audit chain by the export, verifies it, and returns the kinds of its rows.
func (m *mastio) chain(t *testing.T, agent string) (kinds []string) {
	t.Helper()
	var rows []audit.Row
	lines := bytes.Lines(m.must(t, 200, "GET", "/v1/admin/audit/export?subject="+url.QueryEscape(agent), "", nil))
	for line := range lines {
		var r audit.Row
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		rows, kinds = append(rows, r), append(kinds, string(r.EventType))
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Errorf("chain of %s: %v", agent, err)
	}
	return kinds
}

// Flow 3: SVIDs, under a bundle of SPIRE's own and under the Org CA.
func TestSPIFFE(t *testing.T) {
	m := running(t)
	for _, bundle := range []bool{true, false} {
		t.Run(fmt.Sprintf("bundle=%t", bundle), func(t *testing.T) {
			name := fresh("spiffe")
			f := flow{script: "spiffe.py", agent: id(name), folder: t.TempDir(), given: map[string]any{"bundle": bundle}}
			var root pki.Authority // what SPIRE's server is below
			issue := func() {
				server := authority(t, fresh("SPIRE"), 0, &root)
				cert, key := leaf(t, server, "spiffe://orga.local/ns/prod/sa/"+name)
				f.write(t, "svid.pem", cert)
				f.write(t, "svid-key.pem", key)
			}
			move := func() {
				root = authority(t, fresh("SPIRE root"), -1, nil)
				f.write(t, "bundle.pem", pki.EncodeCertificates(root.Chain...))
				issue()
			}
			ours := func() { m.must(t, 200, "POST", "/pki/rotate-ca?mode=mint&backup=skip", "", nil) }
			second := "token: {agent} - DPoP"
			if !bundle {
				second = "refused: Certificate has been revoked"
				move = func() {
					if root.Key == nil {
						root = m.upload(t, "")
					}
					issue()
				}
				ours = func() { root = m.upload(t, "") }
			}
			move()
			f.asks = map[string]func(){
				"tell the edge of the bundle": func() { m.settle(t) }, "rotate our Org CA": ours, "rotate the CA of SPIRE": move,
				"issue the next SVID under a new intermediate": issue,
			}
			f.run(t, m,
				"enrolled: {agent} agent.json cert.pem dpop.jwk key.pem", "token: {agent} - DPoP", "token: {agent} - DPoP",
				"me: {agent} -",
				second, "token: {agent} - DPoP", "me: {agent} -", "calls: "+byLocalKey+", "+meCall, "token: {agent} - DPoP",
			)
		})
	}
}

// credential is what an enrolment and a rotation answer, as the guide saves it.
type credential struct {
	AgentID    string          `json:"agent_id"`
	CertPEM    string          `json:"cert_pem"`
	KeyPEM     string          `json:"key_pem"`
	DPoPJWK    json.RawMessage `json:"dpop_jwk"`
	CAChainPEM string          `json:"ca_chain_pem"`
}

func (m *mastio) mint(t *testing.T) credential {
	t.Helper()
	body := fmt.Sprintf(`{"agent_name": %q, "capabilities": ["kyc:read", "kyc:write"]}`, fresh("minted"))
	return decode(t, m.must(t, 201, "POST", "/v1/admin/agents", "application/json", []byte(body)))
}

func (m *mastio) rotate(t *testing.T, agent string) credential {
	t.Helper()
	return decode(t, m.must(t, 200, "POST", "/registry/agents/"+agent+"/rotate-cert", "", nil))
}

func decode(t *testing.T, body []byte) credential {
	t.Helper()
	var i credential
	if err := json.Unmarshal(body, &i); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return i
}

// save writes the files that the guide saves.
func (f flow) save(t *testing.T, i credential) {
	t.Helper()
	f.write(t, "cert.pem", []byte(i.CertPEM))
	f.write(t, "agent-key.pem", []byte(i.KeyPEM))
	f.write(t, "dpop.jwk", i.DPoPJWK)
}

// Flow 4: the guide's section 1.
func TestMinted(t *testing.T) {
	m := running(t)
	i := m.mint(t)
	f := flow{script: "minted.py", agent: i.AgentID, folder: t.TempDir()}
	f.save(t, i)
	f.asks = map[string]func(){"rotate the certificate": func() { f.save(t, m.rotate(t, i.AgentID)) }}
	f.run(t, m,
		"token: {agent} kyc:read kyc:write DPoP", "me: {agent} kyc:read kyc:write", "calls: "+byMastio+", "+meCall,
		"refused: Certificate has been revoked", "refused: Certificate has been revoked",
		"token: {agent} kyc:read kyc:write DPoP", "me: {agent} kyc:read kyc:write",
	)
}

// Flow 5: the layout of the Connector, with the chain in a file next to the certificate.
func TestConnector(t *testing.T) {
	m := running(t)
	i := m.mint(t)
	f := flow{script: "connector.py", agent: i.AgentID, folder: t.TempDir()}
	save := func(i credential) {
		f.write(t, "identity/agent.crt", []byte(i.CertPEM))
		f.write(t, "identity/agent.key", []byte(i.KeyPEM))
		f.write(t, "identity/dpop.jwk", i.DPoPJWK)
		f.write(t, "identity/ca-chain.pem", m.CAPEM)
		f.write(t, "identity/metadata.json", fmt.Appendf(nil, `{"agent_id": %q, "site_url": %q}`, f.agent, m.URL))
		chained := f
		chained.folder += "/chained"
		chained.save(t, i)
		chained.write(t, "ca-chain.pem", []byte(i.CAChainPEM))
	}
	save(i)
	f.asks = map[string]func(){"rotate the certificate": func() { save(m.rotate(t, i.AgentID)) }}
	count := bytes.Count([]byte(i.CertPEM+i.CAChainPEM), []byte("BEGIN CERTIFICATE"))
	f.run(t, m,
		"token: {agent} kyc:read kyc:write DPoP", "me: {agent} kyc:read kyc:write", "calls: "+byLocalKey+", "+meCall,
		fmt.Sprint("certificates in x5c: ", count), "token: {agent} kyc:read kyc:write DPoP",
		"me: {agent} kyc:read kyc:write",
		"token: {agent} kyc:read kyc:write DPoP", "refused: Certificate has been revoked",
		"token: {agent} kyc:read kyc:write DPoP",
	)
}

// Flow 6: a call as the first thing that a client does, and a call with a token that no longer holds.
func TestCall(t *testing.T) {
	m := running(t)
	i := m.mint(t)
	f := flow{script: "call.py", agent: i.AgentID, folder: t.TempDir()}
	f.save(t, i)
	called := "me: {agent} kyc:read kyc:write"
	f.run(t, m,
		called, "token: {agent} kyc:read kyc:write DPoP", "calls: "+byLocalKey+", "+meCall,
		called, "calls: "+meCall, called, "calls: "+meCall+", "+byLocalKey+", "+meCall,
	)
}

// A resource server asks about a token with an OAuth library's client.
func TestIntrospectionByALibrary(t *testing.T) {
	m := running(t)
	i := m.mint(t)
	body := fmt.Sprintf(`{"agent_name": %q, "capabilities": ["mastio:introspect"]}`, fresh("resource"))
	server := decode(t, m.must(t, 201, "POST", "/v1/admin/agents", "application/json", []byte(body)))
	f := flow{script: "introspect.py", agent: server.AgentID, folder: t.TempDir()}
	f.save(t, i)
	f.write(t, "holder", []byte(i.AgentID))
	f.write(t, "server/cert.pem", []byte(server.CertPEM))
	f.write(t, "server/agent-key.pem", []byte(server.KeyPEM))
	f.asks = map[string]func(){"rotate the certificate": func() {
		active := func(want string) {
			if out := f.introspect(t, m); !strings.Contains(out, `"active":`+want) {
				t.Errorf("the page's introspect.sh prints %q, want active %s", out, want)
			}
		}
		active("true")
		m.rotate(t, i.AgentID)
		active("false")
	}}
	f.run(t, m, "active: "+i.AgentID+" kyc:read kyc:write Bearer", "inactive: active")
}

// introspect runs the page's introspect.sh on the token that the flow has left in its folder.
func (f flow) introspect(t *testing.T, m *mastio) string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(f.folder, "token"))
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "ca.pem", m.CAPEM)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", string(program(t, "introspect.sh")))
	cmd.Dir = f.folder
	cmd.Env = append(clean(os.Environ()), "MASTIO_AGENTS="+m.URL, "MASTIO_CA=ca.pem", "TOKEN="+string(token))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("introspect.sh: %v\n%s", err, out)
	}
	return string(out)
}

// A Mastio that demands nonces changes nothing for the SDK: it learns them from the answers before.
func TestNonceRequired(t *testing.T) {
	if deploymentFile() != "" {
		t.Skip("not on LocalStack: it needs a setting of its own")
	}
	m, end, err := begin(t, map[string]string{"TOKEN_REQUIRE_NONCE": "1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	}()
	i := m.mint(t)
	f := flow{script: "minted.py", agent: i.AgentID, folder: t.TempDir()}
	f.save(t, i)
	f.asks = map[string]func(){"rotate the certificate": func() { f.save(t, m.rotate(t, i.AgentID)) }}
	f.run(t, m,
		"token: {agent} kyc:read kyc:write DPoP", "me: {agent} kyc:read kyc:write", "calls: "+byMastio+", "+meCall,
		"refused: Certificate has been revoked", "refused: Certificate has been revoked",
		"token: {agent} kyc:read kyc:write DPoP", "me: {agent} kyc:read kyc:write",
	)
}
