package boot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const (
	// overhead is what CloudWatch Logs counts for each event in addition to its message ("PutLogEvents", CloudWatch
	// Logs API).
	overhead = 26
	// mostPerToken is what a token may leave in all log groups together, in octets.
	mostPerToken = 400
	requestID    = "JKJaXmPLvHcESHA="
)

// standardOutput runs f and returns what it has printed: on AWS that is the function's log too, and metrics go there.
func standardOutput(t *testing.T, f func()) []byte {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdout
	os.Stdout = w
	f()
	os.Stdout = before
	w.Close()
	printed, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return printed
}

func tokenEvent(certPEM []byte) httpapi.Event {
	e := httpapi.Event{Version: "1.0"}
	e.HTTPMethod, e.Path, e.StageVariables = "POST", "/v1/auth/token", map[string]string{"host": "agents"}
	e.RequestContext.RequestID, e.RequestContext.Identity.SourceIP = requestID, "203.0.113.177"
	if certPEM != nil {
		e.RequestContext.Identity.ClientCert = &events.APIGatewayCustomAuthorizerRequestTypeRequestIdentityClientCert{
			ClientCertPem: string(certPEM),
		}
	}
	return e
}

// tokens starts the function token in a process.
func tokens(
	t *testing.T, p *inmemory.Process,
) func(context.Context, httpapi.Event) (events.APIGatewayProxyResponse, error) {
	t.Helper()
	handler, err := boot.Token(p.Parts)
	if err != nil {
		t.Fatal(err)
	}
	return handler.(func(context.Context, httpapi.Event) (events.APIGatewayProxyResponse, error))
}

// leaf is the client certificate alone, as API Gateway passes it on.
func leaf(chain []byte) []byte {
	block, _ := pem.Decode(chain)
	return pem.EncodeToMemory(block)
}

// lines are those of a log that were ingested, with what CloudWatch counts for them.
func lines(t *testing.T, log []byte) (parsed []map[string]any, counted int) {
	t.Helper()
	for line := range bytes.Lines(log) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		parsed, counted = append(parsed, m), counted+len(bytes.TrimSuffix(line, []byte("\n")))+overhead
	}
	return parsed, counted
}

// accessLine is what API Gateway writes about a request that was answered.
func accessLine(format string) string {
	return strings.NewReplacer("$context.requestId", requestID, "$context.identity.sourceIp", "203.0.113.177",
		"$context.routeKey", "POST /v1/auth/token",
		"$context.status", "200", "$context.responseLatency", "127", "$context.error.message", "-",
		"$context.integrationErrorMessage", "-").Replace(format)
}

// A token is the request there are most of: it leaves one line in the function's log and one in the access log, and no
// metric. They have the request, the agent and the outcome.
func TestATokenLeavesFewOctetsOfLog(t *testing.T) {
	m, log := inmemory.New(memstore.Config{}), &bytes.Buffer{}
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	enrolled, err := m.Admit(t.Context(), "payments-reconciliation-eu-1", "kyc:read")
	if err != nil {
		t.Fatal(err)
	}
	slow := func() time.Time { m.Advance(12_345 * time.Microsecond); return m.Now() }
	serve := tokens(t, m.Spawn(slow, func(p *boot.Parts) { p.Log = boot.NewLog(log) }))
	printed := standardOutput(t, func() {
		if out, err := serve(t.Context(), tokenEvent(leaf(enrolled.Certificate.CertPEM))); err != nil ||
			out.StatusCode != http.StatusOK {
			t.Fatalf("%v: %+v", err, out)
		}
	})
	if len(printed) > 0 {
		t.Errorf("a token prints %q besides", printed)
	}
	written, counted := lines(t, log.Bytes())
	access := accessLine(routes.HTTPLog)
	if strings.Contains(access, "$") || !json.Valid([]byte(access)) {
		t.Fatalf("access log: %s", access)
	}
	total := counted + len(access) + overhead
	t.Logf("%d octets: %s %s", total, bytes.TrimSpace(log.Bytes()), access)
	if len(written) != 1 || total > mostPerToken {
		t.Errorf("a token leaves %d octets in %d lines and the access log's, want at most %d and one", total, len(written),
			mostPerToken)
	}
	got := written[0]
	if got["request_id"] != requestID || got["agent"] != string(enrolled.Agent.ID) || got["status"] != 200.0 ||
		got["route"] != "POST /v1/auth/token" || got["level"] != "INFO" {
		t.Errorf("line = %v", got)
	}
	if _, err := time.Parse(time.RFC3339, got["timestamp"].(string)); err != nil {
		t.Error(err)
	}
}

// Who was refused, and why, is in the line, and so is the agent once the certificate has authenticated it.
func TestARefusalIsLoggedWithItsCause(t *testing.T) {
	m, log := inmemory.New(memstore.Config{}), &bytes.Buffer{}
	if _, err := m.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	enrolled, err := m.Admit(t.Context(), "kyc", "kyc:read")
	if err != nil {
		t.Fatal(err)
	}
	serve := tokens(t, m.Spawn(m.Now, func(p *boot.Parts) { p.Log = boot.NewLog(log) }))
	ask := func(e httpapi.Event) map[string]any {
		t.Helper()
		log.Reset()
		if _, err := serve(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		written, _ := lines(t, log.Bytes())
		if len(written) != 1 {
			t.Fatalf("%d lines: %s", len(written), log)
		}
		return written[0]
	}
	e := tokenEvent(leaf(enrolled.Certificate.CertPEM))
	e.Body, e.MultiValueHeaders = "scope=other", map[string][]string{"content-type": {"application/x-www-form-urlencoded"}}
	if got := ask(e); got["agent"] != string(enrolled.Agent.ID) || got["code"] == nil || got["cause"] == nil ||
		got["claimed"] != nil {
		t.Errorf("a scope it may not have: %v", got)
	}
	if _, err := m.Rotate(t.Context(), enrolled.Agent.ID); err != nil {
		t.Fatal(err)
	}
	got := ask(tokenEvent(leaf(enrolled.Certificate.CertPEM)))
	if claimed, _ := got["claimed"].(string); got["agent"] != nil || !strings.Contains(claimed, "kyc") ||
		got["status"] != 401.0 || got["code"] == nil || got["cause"] == nil || got["request_id"] != requestID {
		t.Errorf("a certificate that was rotated away: %v", got)
	}
	if got := ask(tokenEvent(nil)); got["claimed"] != nil || got["agent"] != nil || got["code"] == nil {
		t.Errorf("no certificate: %v", got)
	}
}

// The members that Lambda looks for are there, so that it adds none, and groups keep theirs.
func TestLogLines(t *testing.T) {
	var log bytes.Buffer
	boot.NewLog(&log).Warn("w", slog.Group("g", slog.Time("time", time.Unix(0, 0).UTC())))
	written, _ := lines(t, log.Bytes())
	stamp, _ := written[0]["timestamp"].(string)
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", stamp); err != nil || written[0]["time"] != nil ||
		written[0]["level"] != "WARN" {
		t.Errorf("line = %v, %v", written[0], err)
	}
	if g, _ := written[0]["g"].(map[string]any); g["time"] != "1970-01-01T00:00:00Z" {
		t.Errorf("group = %v", g)
	}
}
