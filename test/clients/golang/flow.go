// Command golang runs the operator's guide with the generated Go client: each step prints one line, as in the other
// languages. With the path of the document as argument it has the client read every answer that the document shows.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/mastio-aws/mastio/test/clients/golang/mastio"
)

const agentName = "kyc-screener"

func main() {
	log.SetFlags(0)
	run := flow
	if len(os.Args) > 1 {
		run = func(context.Context) error { return examples(os.Args[1]) }
	}
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// client is a client of the Mastio with an admin secret, or with a certificate.
func client(secret string, certificates ...tls.Certificate) (*mastio.ClientWithResponses, error) {
	ca, err := os.ReadFile(os.Getenv("MASTIO_CA"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs:      roots,
		Certificates: certificates,
		MinVersion:   tls.VersionTLS12,
	}}
	return mastio.NewClientWithResponses(os.Getenv("MASTIO_URL"),
		mastio.WithHTTPClient(&http.Client{Transport: transport}),
		mastio.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			if secret != "" {
				r.Header.Set("X-Admin-Secret", secret)
			}
			return nil
		}))
}

// token is what a token request comes to.
func token(ctx context.Context, cert, key string) (string, error) {
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		return "", err
	}
	agent, err := client("", pair)
	if err != nil {
		return "", err
	}
	grant := "client_credentials"
	answer, err := agent.IssueTokenWithResponse(ctx, nil, mastio.IssueTokenJSONRequestBody{GrantType: &grant})
	switch {
	case err != nil:
		return "", err
	case answer.JSON200 != nil:
		return fmt.Sprint(answer.StatusCode(), " ", answer.JSON200.TokenType, " ", answer.JSON200.Scope), nil
	case answer.JSON401 != nil:
		return fmt.Sprint(answer.StatusCode(), " ", answer.JSON401.Error), nil
	}
	return "", fmt.Errorf("token: %s: %s", answer.Status(), answer.Body)
}

// steps are the steps of the flow, which end with the first error.
type steps struct {
	ctx      context.Context
	operator *mastio.ClientWithResponses
	err      error
}

func flow(ctx context.Context) error {
	operator, err := client(os.Getenv("MASTIO_ADMIN_SECRET"))
	if err != nil {
		return err
	}
	s := &steps{ctx: ctx, operator: operator}
	first := s.enrol()
	second := s.rotate(first)
	s.manage(first.AgentId)
	s.rotateCA(second)
	s.audit(first.AgentId)
	s.deactivate(first.AgentId, second)
	return s.err
}

// say prints the line of a step.
func (s *steps) say(what string, values ...any) {
	if s.err == nil {
		fmt.Println(append([]any{what + ":"}, values...)...)
	}
}

// got is an answer's part, or its zero value with an error.
func got[T any](s *steps, part *T, err error, body []byte) T {
	if s.err == nil && err != nil {
		s.err = err
	}
	if s.err == nil && part == nil {
		s.err = fmt.Errorf("another answer: %s", body)
	}
	if s.err != nil {
		return *new(T)
	}
	return *part
}

func (s *steps) token(what, cert, key string) {
	if s.err != nil {
		return
	}
	var result string
	result, s.err = token(s.ctx, cert, key)
	s.say(what, result)
}

func (s *steps) enrol() mastio.Enrolled {
	h, err := s.operator.GetHealthWithResponse(s.ctx)
	if err != nil {
		s.err = err
		return mastio.Enrolled{}
	}
	health := got(s, h.JSON200, err, h.Body)
	s.say("health", health.Status, health.OrgId, "generation", health.Generation)
	capabilities := []string{"kyc:read"}
	body := mastio.EnrolAgentJSONRequestBody{AgentName: agentName, Capabilities: &capabilities}
	e, err := s.operator.EnrolAgentWithResponse(s.ctx, nil, body)
	if err != nil {
		s.err = err
		return mastio.Enrolled{}
	}
	enrolled := got(s, e.JSON201, err, e.Body)
	s.say("enrolled", enrolled.AgentId, "private key", truth(strings.Contains(text(enrolled.KeyPem), "PRIVATE KEY")))
	e, err = s.operator.EnrolAgentWithResponse(s.ctx, nil, mastio.EnrolAgentJSONRequestBody{AgentName: agentName})
	if err != nil {
		s.err = err
		return mastio.Enrolled{}
	}
	s.say("enrolled again", e.StatusCode(), got(s, e.ApplicationproblemJSON409, err, e.Body).Code)
	s.token("token", enrolled.CertPem, text(enrolled.KeyPem))
	return enrolled
}

func (s *steps) rotate(first mastio.Enrolled) mastio.Rotated {
	reason := "keyCompromise"
	r, err := s.operator.RotateAgentCertificateWithResponse(s.ctx, first.AgentId, nil,
		mastio.RotateAgentCertificateJSONRequestBody{Reason: &reason})
	if err != nil {
		s.err = err
		return mastio.Rotated{}
	}
	rotated := got(s, r.JSON200, err, r.Body)
	s.say("rotated", rotated.AgentId, "replaces", truth(rotated.PreviousThumbprint == first.CertThumbprint))
	s.token("token, old certificate", first.CertPem, text(first.KeyPem))
	s.token("token, new certificate", rotated.CertPem, text(rotated.KeyPem))
	return rotated
}

func (s *steps) manage(id string) {
	q := "screener"
	l, err := s.operator.ListAgentsWithResponse(s.ctx, &mastio.ListAgentsParams{Q: &q})
	if err != nil {
		s.err = err
		return
	}
	var lines []string
	for _, a := range got(s, l.JSON200, err, l.Body).Agents {
		lines = append(lines, fmt.Sprint(a.AgentId, " ", a.Method, " ", a.Status))
	}
	s.say("listed", strings.Join(lines, ", "))
	owner := "team-kyc@example.com"
	u, err := s.operator.UpdateAgentWithResponse(s.ctx, id, mastio.UpdateAgentJSONRequestBody{Owner: &owner})
	if err != nil {
		s.err = err
		return
	}
	s.say("owner", text(got(s, u.JSON200, err, u.Body).Owner))
	h, err := s.operator.SetAgentHygieneWithResponse(s.ctx, id,
		mastio.SetAgentHygieneJSONRequestBody{Deliver: mastio.HygieneDeliverSecretsmanager})
	if err != nil {
		s.err = err
		return
	}
	s.say("hygiene", got(s, h.JSON200, err, h.Body).Hygiene.Deliver)
	yes := true
	f, err := s.operator.RotateAgentsWithResponse(s.ctx, nil,
		mastio.RotateAgentsJSONRequestBody{DryRun: &yes, All: &yes})
	if err != nil {
		s.err = err
		return
	}
	s.say("a job would re-issue", got(s, f.JSON200, err, f.Body).Reissue)
	b, err := s.operator.EnrolAgentBYOCAWithResponse(s.ctx, nil,
		mastio.EnrolAgentBYOCAJSONRequestBody{AgentName: "foreign", CertPem: "no certificate"})
	if err != nil {
		s.err = err
		return
	}
	s.say("foreign certificate", b.StatusCode(), got(s, b.ApplicationproblemJSON400, err, b.Body).Code)
}

func (s *steps) rotateCA(agent mastio.Rotated) {
	mint := mastio.RotateOrgCAParamsSourceMint
	r, err := s.operator.RotateOrgCAWithBodyWithResponse(s.ctx,
		&mastio.RotateOrgCAParams{Mode: mastio.RotateOrgCAParamsModeStage, Source: &mint}, "", nil)
	if err != nil {
		s.err = err
		return
	}
	staged := got(s, r.JSON200, err, r.Body)
	s.say("staged", text(staged.Status))
	overlap := 3600
	r, err = s.operator.RotateOrgCAWithBodyWithResponse(s.ctx, &mastio.RotateOrgCAParams{
		Mode:        mastio.RotateOrgCAParamsModeCommit,
		Fingerprint: staged.Fingerprint,
		Overlap:     &overlap,
	}, "", nil)
	if err != nil {
		s.err = err
		return
	}
	current := got(s, r.JSON200, err, r.Body)
	s.say("committed", truth(text(current.Fingerprint) == text(staged.Fingerprint)), "generation", current.Generation)
	c, err := s.operator.GetOrgCAWithResponse(s.ctx)
	if err != nil {
		s.err = err
		return
	}
	if p := got(s, c.JSON200, err, c.Body).Progress; p != nil {
		s.say("the fleet", p.Remaining, "of", p.Agents, "remain")
	}
	s.token("token in the overlap", agent.CertPem, text(agent.KeyPem))
}

func (s *steps) audit(id string) {
	h, err := s.operator.GetAuditHeadWithResponse(s.ctx, &mastio.GetAuditHeadParams{Subject: &id})
	if err != nil {
		s.err = err
		return
	}
	head := got(s, h.JSON200, err, h.Body)
	x, err := s.operator.ExportAuditWithResponse(s.ctx, &mastio.ExportAuditParams{Subject: &id})
	if err != nil {
		s.err = err
		return
	}
	rows := string(x.Body)
	s.say("audit rows", truth(head.Seq == strings.Count(rows, "\n")), "rotation",
		truth(strings.Contains(rows, `"agent.cert_rotated"`)))
}

func (s *steps) deactivate(id string, agent mastio.Rotated) {
	d, err := s.operator.DeactivateAgentWithResponse(s.ctx, id, nil)
	if err != nil {
		s.err = err
		return
	}
	s.say("deactivated", d.StatusCode())
	s.token("token, deactivated", agent.CertPem, text(agent.KeyPem))
	a, err := s.operator.GetAgentWithResponse(s.ctx, id)
	if err != nil {
		s.err = err
		return
	}
	s.say("status", got(s, a.JSON200, err, a.Body).Status)
}

// text is what a pointer leads to.
func text[T ~string](p *T) string {
	if p == nil {
		return ""
	}
	return string(*p)
}

// truth is a truth value as the flow in Python prints it.
func truth(v bool) string { return map[bool]string{true: "True", false: "False"}[v] }
