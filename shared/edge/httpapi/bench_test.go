package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// calls is how many remote calls have been made so far.
func (w *world) calls() (n int) {
	for _, counts := range []map[string]int{w.Store.Calls(), w.Keys.Calls()} {
		for _, c := range counts {
			n += c
		}
	}
	return n
}

// measure sends events through one function. prepare runs outside the measured time, before every batch of requests.
func (w *world) measure(b *testing.B, function string, next func() events.APIGatewayProxyRequest, prepare func()) {
	b.Helper()
	serve, ctx := w.functions[function], b.Context()
	if out, err := serve(ctx, next()); err != nil || out.StatusCode != http.StatusOK { // opens the epoch's key
		b.Fatalf("status %d, %v: %s", out.StatusCode, err, out.Body)
	}
	w.logs.take()
	before := w.calls()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if i%prepared == 0 {
			b.StopTimer()
			w.logs.take()
			prepare()
			b.StartTimer()
		}
		if out, err := serve(ctx, next()); err != nil || out.StatusCode != http.StatusOK {
			b.Fatalf("status %d, %v: %s", out.StatusCode, err, out.Body)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(w.calls()-before)/float64(b.N), "remote-calls/op")
}

const prepared = 512 // requests

// BenchmarkToken is a token without a proof. Budget: 1 remote call, half a millisecond of CPU.
func BenchmarkToken(b *testing.B) {
	w := open(b, memstore.Config{})
	request := tokenRequest(w.enrol(b, "kyc", "kyc:read").CertPEM, body(formType, "grant_type=client_credentials"))
	w.measure(b, "token", func() events.APIGatewayProxyRequest { return request }, func() {})
}

// BenchmarkTokenDPoP is a token with a proof, made outside the measured time. Budget: 2 remote calls.
func BenchmarkTokenDPoP(b *testing.B) {
	w := open(b, memstore.Config{})
	agent := w.enrol(b, "kyc", "kyc:read")
	key, i := agent.proofKey(b), 0
	requests := make([]events.APIGatewayProxyRequest, prepared)
	prepare := func() {
		for i := range requests {
			requests[i] = tokenRequest(agent.CertPEM, header("DPoP", prove(b, key, w.Now(), "")))
		}
	}
	prepare()
	w.measure(b, "token", func() events.APIGatewayProxyRequest { i++; return requests[i%prepared] },
		func() { i = 0; prepare() })
}

// BenchmarkRotateCert is a rotation with both keys made here, and one with a CSR. Budget: 4 remote calls, 0.7 ms of CPU
// beyond making the keys.
func BenchmarkRotateCert(b *testing.B) {
	for _, c := range []struct {
		name    string
		request func(b *testing.B) edit
	}{
		{"minted", func(*testing.B) edit { return jsonBody(`{}`) }},
		{"csr", func(b *testing.B) edit { return object(b, map[string]any{"csr_pem": csr(b, mustKey(b))}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := open(b, memstore.Config{})
			request := event("POST", "/registry/agents/"+w.enrol(b, "kyc", "kyc:read").ID+"/rotate-cert", admin, c.request(b))
			w.measure(b, "rotatecert", func() events.APIGatewayProxyRequest { return request }, func() {})
		})
	}
}
