package sdk

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/localstack/gateway"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// clocked is a Mastio in memory behind the local gateway: its clock moves when the test moves it.
func clocked(t *testing.T) (*mastio, *inmemory.Mastio) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("https://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	core := inmemory.At(url, memstore.Config{}, func(p *boot.Parts) { p.RequireNonce = true })
	if _, err := core.Standby.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	functions, err := core.Handlers()
	if err != nil {
		t.Fatal(err)
	}
	g := gateway.New(gateway.Config{
		HTTPAgents: true,
		Now:        core.Now,
		Invoke: func(ctx context.Context, function string, payload []byte) ([]byte, string, error) {
			answer, err := functions[function].Invoke(ctx, payload)
			return answer, "", err
		},
		Truststore: func(ctx context.Context) ([]byte, string, error) {
			o, err := core.Objects.Read(ctx)
			return o.PEM, o.Version, err
		},
	})
	files, err := gateway.SelfSigned(time.Now(), "localhost")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := files.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: g, TLSConfig: g.TLSConfig(pair), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { server.Close() })
	return newMastio(url, files.CA, inmemory.Secret, nil), core
}

// Where nonces are demanded, the SDK calls and logs in ten minutes after its last answer: by then the token has ended,
// and so has the nonce that it remembers.
func TestTenMinutesLater(t *testing.T) {
	m, core := clocked(t)
	i := m.mint(t)
	f := flow{script: "clock.py", agent: i.AgentID, folder: t.TempDir(), given: map[string]any{"now": core.Now().Unix()}}
	f.save(t, i)
	f.asks = map[string]func(){"move the clock by ten minutes": func() { core.Advance(10 * time.Minute) }}
	called, login := "me: {agent} kyc:read kyc:write", "token: {agent} kyc:read kyc:write DPoP"
	f.run(t, m,
		login, called, "calls: "+byLocalKey+", "+meCall,
		called, "calls: "+meCall+", "+byLocalKey+", "+meCall,
		login, "calls: "+byMastio, called,
	)
}
