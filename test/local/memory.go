package local

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

// Memory is a Mastio in memory behind the local gateway. Its clock moves when the test moves it.
type Memory struct {
	*inmemory.Mastio
	URL   string
	CAPEM []byte // of the gateway's certificate
}

// InMemory starts one that ends with its test, with its first Org CA made. before is called before that; nil: nothing
// is to be done.
func InMemory(t *testing.T, before func(*inmemory.Mastio), options ...func(*boot.Parts)) Memory {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("https://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	core := inmemory.At(url, memstore.Config{}, options...)
	if before != nil {
		before(core)
	}
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
	return Memory{core, url, files.CA}
}
