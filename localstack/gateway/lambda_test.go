package gateway

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mastio-aws/mastio/localstack/aws/lambda"
	"github.com/mastio-aws/mastio/shared/routes"
)

// functions starts the program in testdata under the name of every function.
func functions(t testing.TB, instances int) *lambda.Service {
	t.Helper()
	bootstrap := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", bootstrap, "./testdata/bootstrap")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	var list []lambda.Function
	for _, name := range routes.Functions() {
		list = append(list, lambda.Function{Name: name, Path: bootstrap, MaxInstances: instances})
	}
	s, err := lambda.New(lambda.Config{Functions: list})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func invoking(s *lambda.Service) func(context.Context, string, []byte) ([]byte, string, error) {
	return func(ctx context.Context, function string, payload []byte) ([]byte, string, error) {
		result, err := s.Invoke(ctx, function, payload)
		return result.Payload, result.FunctionError, err
	}
}

// TestRealFunctions holds that a function built with AWS's library reads the events and is understood,
// from many clients at once.
func TestRealFunctions(t *testing.T) {
	ca := authority{}.sign(t, "ca", isCA)
	w := newWorld(t, Config{Invoke: invoking(functions(t, 2))}, ca)
	var wg sync.WaitGroup
	for i := range 6 {
		agent := ca.sign(t, fmt.Sprintf("agent %d", i))
		c := w.client(i%2 == 0, agent)
		wg.Go(func() {
			for n := range 10 {
				body := fmt.Sprintf("%d/%d", i, n)
				want := fmt.Sprintf(`{"body":%q,"resource":"/v1/auth/token","subject":"CN=agent %d,O=Acme\\, Inc.,C=IT"}`, body, i)
				if err := post(c, w.server.URL+tokenPath, body, want); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestThrottledByTheRealService(t *testing.T) {
	w := newWorld(t, Config{Invoke: answering("", "", fmt.Errorf("invoke token: %w", lambda.ErrThrottled))})
	if got := w.do(w.client(false), "GET", tokenPath, "", nil).StatusCode; got != http.StatusTooManyRequests {
		t.Errorf("status %d, want 429", got)
	}
}

func post(c *http.Client, url, body, want string) error {
	res, err := c.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var got strings.Builder
	if err := res.Write(&got); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !strings.HasSuffix(got.String(), want) {
		return fmt.Errorf("%d %s, want %s", res.StatusCode, got.String(), want)
	}
	return nil
}

// BenchmarkRequest is one keep-alive mTLS client: with a function in this process, and with a real one.
func BenchmarkRequest(b *testing.B) {
	ca := authority{}.sign(b, "ca", isCA)
	const small = `{"statusCode":200,"body":"{}"}`
	for name, invoke := range map[string]func(context.Context, string, []byte) ([]byte, string, error){
		"edge":     answering(small, "", nil),
		"function": invoking(functions(b, 1)),
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, Config{Invoke: invoke}, ca)
			c := w.client(false, ca.sign(b, "agent"))
			b.ReportAllocs()
			for b.Loop() {
				if res := w.do(c, "POST", tokenPath, "grant_type=client_credentials", nil); res.StatusCode != 200 {
					b.Fatal(res.StatusCode)
				}
			}
		})
	}
}

// BenchmarkServeHTTP is the gateway's own share: no network, no function.
func BenchmarkServeHTTP(b *testing.B) {
	ca := authority{}.sign(b, "ca", isCA)
	agent := ca.sign(b, "agent")
	g := New(Config{
		Invoke:     answering(`{"statusCode":200,"body":"{}"}`, "", nil),
		Truststore: func(context.Context) ([]byte, string, error) { return []byte(ca.pem()), "1", nil },
		Now:        clock,
	})
	b.ReportAllocs()
	for b.Loop() {
		serveOnce(b, g, agent)
	}
}
