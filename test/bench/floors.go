package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"
)

// gatewayFloors are rates at as many clients as the gateway is measured with.
type gatewayFloors struct{ reads, puts, transactions, rotations float64 }

// gatewayFloors measures what the database and the TLS stack do alone.
func (b *bench) gatewayFloors(ctx context.Context) (f gatewayFloors, err error) {
	d, err := b.bare(ctx)
	if err != nil {
		return f, err
	}
	for _, call := range []struct {
		name string
		rate *float64
		do   func(context.Context, int) error
	}{
		{"strong get", nil, d.get},
		{"strong batch get of two", &f.reads, d.getTwo},
		{"conditional put", &f.puts, d.put},
		{"transaction of two", &f.transactions, func(ctx context.Context, n int) error { return d.transact(ctx, n, 1) }},
		{"transaction of three", nil, func(ctx context.Context, n int) error { return d.transact(ctx, n, 2) }},
		{"batch get, transaction of two, get", &f.rotations, d.rotation},
	} {
		for _, n := range []int{1, clients} {
			b.say("floor: DynamoDB Local, %s, %d clients", call.name, n)
			s, err := d.load(ctx, n, 1500*time.Millisecond, call.do)
			if err != nil {
				return f, fmt.Errorf("%s: %w", call.name, err)
			}
			if n == clients && call.rate != nil {
				*call.rate = s.rate()
			}
			b.report.add("floor: DynamoDB Local by itself", figure{
				Name:  fmt.Sprintf("%s, %d clients", call.name, n),
				Value: s.rate(),
				Unit:  perSec,
			}.
				remark("p50 %.2f ms, p99 %.2f ms", ms(s.quantile(0.5)), ms(s.quantile(0.99))))
		}
	}
	return f, b.tlsFloors(ctx)
}

// tlsFloors measures mutual TLS alone: the handshake, both its sides, and a request over a connection that stays.
func (b *bench) tlsFloors(ctx context.Context) error {
	b.say("floor: mutual TLS")
	cert, certPEM, keyPEM, err := selfSigned("localhost")
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	server := &tls.Config{
		Certificates: []tls.Certificate{cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		MinVersion:   tls.VersionTLS12,
	}
	client := &tls.Config{
		Certificates: []tls.Certificate{cert},
		RootCAs:      pool,
		ServerName:   "localhost",
		MinVersion:   tls.VersionTLS12,
	}
	var failed error
	handshake := cpuEach(func() {
		if failed == nil {
			failed = shakeHands(ctx, server, client)
		}
	})
	if failed != nil {
		return failed
	}
	s, serverCPU, err := b.plainRequests(ctx, server, certPEM, keyPEM)
	if err != nil {
		return err
	}
	b.report.add("floor: mutual TLS in net/http",
		figure{Name: "handshake, CPU of both sides", Value: ms(handshake), Unit: millis},
		figure{Name: "request, 8 clients, keep-alive", Value: s.rate(), Unit: perSec}.
			remark("p50 %.2f ms, p99 %.2f ms", ms(s.quantile(0.5)), ms(s.quantile(0.99))),
		figure{Name: "  CPU of the server", Value: ms(serverCPU) / float64(len(s.each)), Unit: millis})
	return nil
}

func shakeHands(ctx context.Context, server, client *tls.Config) error {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(far, server).HandshakeContext(ctx) }()
	c := tls.Client(near, client)
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	go io.Copy(io.Discard, c) //nolint:errcheck // the server's session tickets; it ends with the pipe
	return <-done
}

// plainRequests loads a server that does nothing but answer, with as much as a token answer has.
func (b *bench) plainRequests(
	ctx context.Context, cfg *tls.Config, certPEM, keyPEM []byte,
) (s sample, cpu time.Duration, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return s, 0, err
	}
	answer := strings.Repeat("a", 900)
	web := &http.Server{
		TLSConfig:         cfg,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }),
	}
	defer web.Close()
	go web.ServeTLS(l, "", "") //nolint:errcheck // it ends with Close
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return s, 0, err
	}
	callers := make([]caller, clients)
	for n := range callers {
		callers[n] = caller{CertPEM: string(certPEM), KeyPEM: string(keyPEM), Paths: []string{"/"}}
	}
	work := load{
		URL:     "https://localhost:" + port,
		CAPEM:   certPEM,
		Warmup:  500 * time.Millisecond,
		Length:  2 * time.Second,
		Callers: callers,
	}
	s, _, err = work.run(ctx, func() (func() error, error) {
		began := ownCPU()
		return func() error { cpu = ownCPU() - began; return nil }, nil
	})
	return s, cpu, err
}

// selfSigned makes a certificate for a name, good for both sides, and an hour.
func selfSigned(name string) (cert tls.Certificate, certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return cert, nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return cert, nil, nil, err
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	cert, err = tls.X509KeyPair(certPEM, keyPEM)
	return cert, certPEM, keyPEM, err
}
