package verifier_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier"
)

// A resource server of its own TLS.
func Example() {
	v, err := verifier.New(verifier.Config{
		Issuer:   "https://agents.mastio.example",
		Audience: "https://api.example",
		Mastio:   "https://mastio.example",
	})
	if err != nil {
		panic(err)
	}
	defer v.Close()
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := verifier.FromContext(r.Context())
		fmt.Fprintln(w, "hello", got.Claims.Subject)
	})
	server := &http.Server{
		Handler:           v.Handler(api),
		TLSConfig:         &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 5 * time.Second,
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := v.Ready(ctx); err != nil { // it may serve before: it then answers 503
		fmt.Println(err)
	}
	_ = server.ListenAndServeTLS("server.pem", "server-key.pem")
}
