package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// guide is the operator's guide, as far as it has gone.
type guide struct {
	in       installation
	name     string // of the agent that is enrolled for it
	insecure bool
	old, now material
}

// material is what an enrolment or a rotation hands out.
type material struct {
	AgentID string `json:"agent_id"`
	Cert    string `json:"cert_pem"`
	Key     string `json:"key_pem"`
}

func newGuide(in installation, run string, o options) *guide {
	return &guide{in: in, name: "smoke-" + run, insecure: o.insecure}
}

func (g *guide) log(function string) string {
	return fmt.Sprintf("aws logs tail /aws/lambda/mastio-%s-%s --since 10m", g.in.org, function)
}

// steps are the guide's, in its order, and what a browser and a program meet first.
func (g *guide) steps(rotateCA bool) []step {
	all := []step{
		{"health", g.log("healthz"), g.health},
		{"discovery", g.log("discovery"), g.discovery},
		{"dashboard", g.log("dashboard"), g.dashboard},
		{"a path that there is not", "the access log /aws/vendedlogs/mastio/" + g.in.org + "/access/agents", g.stray},
		{"enrol an agent", g.log("enroll"), g.enrol},
		{"token", g.log("token") + "; the truststore: " + g.log("standby") + "; a 401 without a certificate: its " +
			"place in the event, shared/edge/httpapi/event.go, call", g.token},
	}
	all = append(all, g.edgeSteps()...)
	all = append(all, []step{
		{"rotate its certificate", g.log("rotatecert"), g.rotate},
		{"the old certificate is refused", g.log("token"), g.refused},
		{"the new one gets a token", g.log("token"), g.token},
		{"the rotation is on record", g.log("audit"), g.onRecord},
		{"standby and truststore", g.log("standby"), g.standby},
	}...)
	if rotateCA {
		all = append(all, step{"rotate the Org CA", g.log("rotateca"), g.rotateCA},
			step{"the agent re-enrols", g.log("rotatecert"), g.rotate},
			step{"and gets a token", g.log("token") + "; API Gateway takes minutes for a new truststore", g.token})
	}
	return append(all, step{"deactivate the agent", g.log("enroll"), g.deactivate})
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// text is an answer in one line, for a message.
func (a answer) text() string {
	return fmt.Sprintf("status %d: %.300s", a.status, strings.Join(strings.Fields(string(a.body)), " "))
}

// send makes one request; m shows a client certificate.
func (g *guide) send(ctx context.Context, method, target, body string, m *material, header ...string) (answer, error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: g.insecure,
	}} //nolint:gosec // only with -insecure
	defer transport.CloseIdleConnections()
	if m != nil {
		pair, err := tls.X509KeyPair([]byte(m.Cert), []byte(m.Key))
		if err != nil {
			return answer{}, err
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	client := &http.Client{
		Transport:     transport,
		Timeout:       35 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	return answer{res.StatusCode, res.Header, b}, err
}

// operator asks the operators' API with the admin secret.
func (g *guide) operator(ctx context.Context, method, path, body string, want int) (answer, error) {
	a, err := g.send(ctx, method, g.in.operators+path, body, nil, "X-Admin-Secret", g.in.secret, "Content-Type",
		"application/json")
	if err == nil && a.status != want {
		err = fmt.Errorf("%s %s: want %d, %s", method, path, want, a.text())
	}
	return a, err
}

func (g *guide) health(ctx context.Context) (string, error) {
	a, err := g.operator(ctx, "GET", "/healthz", "", http.StatusOK)
	var h struct {
		Version  string
		Warnings []string
	}
	if err == nil {
		err = json.Unmarshal(a.body, &h)
	}
	if err == nil && len(h.Warnings) > 0 {
		err = fmt.Errorf("warnings: %s", strings.Join(h.Warnings, ", "))
	}
	return "version " + h.Version, err
}

func (g *guide) discovery(ctx context.Context) (string, error) {
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/pki/ca.crt"} {
		a, err := g.send(ctx, "GET", g.in.operators+path, "", nil)
		if err != nil || a.status != http.StatusOK || len(bytes.TrimSpace(a.body)) == 0 {
			return "", unexpected("GET "+path, err, a)
		}
	}
	return "keys, metadata and CA are public", nil
}

// dashboard follows what a browser would: to the sign-in page, and to its style.
func (g *guide) dashboard(ctx context.Context) (string, error) {
	at, err := url.Parse(g.in.operators + "/proxy")
	if err != nil {
		return "", err
	}
	var a answer
	for range 5 {
		if a, err = g.send(ctx, "GET", at.String(), "", nil); err != nil || a.status != http.StatusSeeOther {
			break
		}
		if at, err = at.Parse(a.header.Get("Location")); err != nil {
			return "", err
		}
	}
	if err != nil || a.status != http.StatusOK || !bytes.Contains(a.body, []byte(`name="secret"`)) {
		return "", unexpected(at.String(), err, a)
	}
	_, style, _ := strings.Cut(string(a.body), `rel="stylesheet" href="`)
	style, _, _ = strings.Cut(style, `"`)
	file, err := at.Parse(style)
	if err != nil {
		return "", err
	}
	if a, err = g.send(ctx, "GET", file.String(), "", nil); err != nil || a.status != http.StatusOK {
		return "", unexpected(file.String(), err, a)
	}
	return at.String(), nil
}

// stray asks for what no route has: the answer is the Mastio's, not the gateway's.
func (g *guide) stray(ctx context.Context) (string, error) {
	a, err := g.operator(ctx, "GET", "/v1/nothing/of/the/kind", "", http.StatusNotFound)
	switch kind := a.header.Get("Content-Type"); {
	case err != nil || strings.HasPrefix(kind, "application/problem+json"):
	case g.insecure:
		return "404 as " + kind + ": a gateway on this machine has no gateway responses", nil
	default:
		err = fmt.Errorf("%s as %s", a.text(), kind)
	}
	return "404 as application/problem+json", err
}

func (g *guide) enrol(ctx context.Context) (string, error) {
	a, err := g.operator(ctx, "POST", "/v1/admin/agents", `{"agent_name":"`+g.name+`","capabilities":["smoke:test"]}`,
		http.StatusCreated)
	if err == nil {
		err = json.Unmarshal(a.body, &g.now)
	}
	return g.now.AgentID, err
}

// token asks with the certificate that is the agent's now.
func (g *guide) token(ctx context.Context) (string, error) {
	a, err := g.asked(ctx, g.now)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("want 200, %s", a.text())
	}
	return "200", err
}

func (g *guide) asked(ctx context.Context, m material) (answer, error) {
	switch {
	case m.Cert == "":
		return answer{}, skip("the step before has brought no certificate")
	case !g.in.mutual:
		return answer{}, skip("there is no agentsDomain: no host asks for a client certificate")
	}
	return g.send(ctx, "POST", g.in.agents+"/v1/auth/token", "", &m)
}

// twoProofs sends the header DPoP twice (RFC 9449 section 4.3): both have to reach the function, which refuses them.
func (g *guide) twoProofs(ctx context.Context) (string, error) {
	if _, err := g.asked(ctx, g.now); err != nil {
		return "", err
	}
	a, err := g.send(ctx, "POST", g.in.agents+"/v1/auth/token", "", &g.now, "DPoP", "a", "DPoP", "b")
	if err == nil && (a.status != http.StatusBadRequest || !bytes.Contains(a.body, []byte("invalid_dpop_proof"))) {
		err = fmt.Errorf("want 400 invalid_dpop_proof, %s", a.text())
	}
	return "400 invalid_dpop_proof", err
}

// agentsStray is what no route of the agents has. An HTTP API leaves that to a function.
func (g *guide) agentsStray(ctx context.Context) (string, error) {
	if _, err := g.asked(ctx, g.now); err != nil {
		return "", err
	}
	a, err := g.send(ctx, "GET", g.in.agents+"/v1/nothing/of/the/kind", "", &g.now)
	if err == nil && (a.status != http.StatusNotFound || !json.Valid(a.body)) {
		err = fmt.Errorf("want 404 and JSON, %s", a.text())
	}
	return "404", err
}

func (g *guide) rotate(ctx context.Context) (string, error) {
	if g.now.AgentID == "" {
		return "", skip("no agent is enrolled")
	}
	g.old = g.now
	a, err := g.operator(ctx, "POST", "/registry/agents/"+g.now.AgentID+"/rotate-cert", "", http.StatusOK)
	if err == nil {
		err = json.Unmarshal(a.body, &g.now)
	}
	g.now.AgentID = g.old.AgentID
	return "a new certificate and key", err
}

func (g *guide) refused(ctx context.Context) (string, error) {
	a, err := g.asked(ctx, g.old)
	if err == nil && (a.status != http.StatusUnauthorized ||
		!bytes.Contains(a.body, []byte("Certificate has been revoked"))) {
		err = fmt.Errorf("want 401 Certificate has been revoked, %s", a.text())
	}
	return "401 Certificate has been revoked", err
}

func (g *guide) onRecord(ctx context.Context) (string, error) {
	if g.now.AgentID == "" {
		return "", skip("no agent is enrolled")
	}
	a, err := g.operator(ctx, "GET", "/v1/admin/audit/export?subject="+url.QueryEscape(g.now.AgentID), "", http.StatusOK)
	if err == nil && !bytes.Contains(a.body, []byte("agent.cert_rotated")) {
		err = fmt.Errorf("no row agent.cert_rotated, %s", a.text())
	}
	return "agent.cert_rotated", err
}

func (g *guide) standby(ctx context.Context) (string, error) {
	a, err := g.operator(ctx, "GET", "/pki/rotate-ca", "", http.StatusOK)
	var s struct {
		Truststore struct{ Status string }
		Staged     *struct{ Fingerprint string } // the standby
	}
	if err == nil {
		err = json.Unmarshal(a.body, &s)
	}
	switch {
	case err != nil:
	case s.Staged == nil:
		err = fmt.Errorf("there is no standby CA yet: the job makes one every few minutes; %s", a.text())
	case g.in.mutual && s.Truststore.Status != "current" && s.Truststore.Status != "":
		err = fmt.Errorf("the truststore is %s: API Gateway takes minutes; ask again", s.Truststore.Status)
	}
	return "a standby CA is ready; truststore " + or(s.Truststore.Status, "without a domain"), err
}

func (g *guide) rotateCA(ctx context.Context) (string, error) {
	_, err := g.operator(ctx, "POST", "/pki/rotate-ca?mode=mint", "", http.StatusOK)
	return "every agent re-enrols", err
}

func (g *guide) deactivate(ctx context.Context) (string, error) {
	if g.now.AgentID == "" {
		return "", skip("no agent is enrolled")
	}
	_, err := g.operator(ctx, "DELETE", "/v1/admin/agents/"+g.now.AgentID, "", http.StatusNoContent)
	return g.now.AgentID, err
}

// unexpected names a request that failed, or that was answered otherwise than it should.
func unexpected(request string, err error, a answer) error {
	if err != nil {
		return fmt.Errorf("%s: %w", request, err)
	}
	return fmt.Errorf("%s: %s", request, a.text())
}
