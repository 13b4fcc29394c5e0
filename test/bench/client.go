package main

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The load's client is a process of its own, this very program in another mode, so that its CPU time is not taken for
// the servers'. They speak JSON over its standard input and output: load in, ready out, go in, outcome out.
const clientMode = "--load-client"

// load says what to ask for.
type load struct {
	URL     string        `json:"url"`
	CAPEM   []byte        `json:"ca_pem"`
	Warmup  time.Duration `json:"warmup"`
	Length  time.Duration `json:"length"`
	Callers []caller      `json:"callers"` // at once, each over one connection
}

// caller is one client of the load.
type caller struct {
	CertPEM string            `json:"cert_pem"`
	KeyPEM  string            `json:"key_pem"`
	Prove   *jose.JSONWebKey  `json:"prove"` // private key to make a DPoP proof with, for each request; nil: no proof
	Header  map[string]string `json:"header"`
	Paths   []string          `json:"paths"` // asked in turn, with POST
}

// outcome is what became of a load.
type outcome struct {
	Each []time.Duration `json:"each"` // sorted
	Took time.Duration   `json:"took"`
	CPU  time.Duration   `json:"cpu"`
}

func client(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	in, out := json.NewDecoder(stdin), json.NewEncoder(stdout)
	var l load
	if err := in.Decode(&l); err != nil {
		return fmt.Errorf("read the load: %w", err)
	}
	ask, err := l.connect()
	if err != nil {
		return err
	}
	if _, err := closedLoop(ctx, len(l.Callers), l.Warmup, ask); err != nil {
		return err
	}
	if err := out.Encode("ready"); err != nil {
		return err
	}
	var word string
	if err := in.Decode(&word); err != nil {
		return err
	}
	began := ownCPU()
	done, err := closedLoop(ctx, len(l.Callers), l.Length, ask)
	if err != nil {
		return err
	}
	return out.Encode(outcome{done.each, done.took, ownCPU() - began})
}

// connect makes the operation of the load.
func (l load) connect() (func(ctx context.Context, worker, n int) error, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(l.CAPEM) {
		return nil, errors.New("no certificate of the server's CA")
	}
	clients, provers := make([]*http.Client, len(l.Callers)), make([]*prover, len(l.Callers))
	for i, c := range l.Callers {
		cert, err := tls.X509KeyPair([]byte(c.CertPEM), []byte(c.KeyPEM))
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		clients[i] = &http.Client{
			Timeout: 30 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{
				RootCAs:      pool,
				Certificates: []tls.Certificate{cert},
				MinVersion:   tls.VersionTLS12,
			}},
		}
		if c.Prove == nil {
			continue
		}
		key, ok := c.Prove.Key.(*ecdsa.PrivateKey)
		if !ok {
			return nil, errors.New("proof key is not an EC private key")
		}
		if provers[i], err = newProver(key, l.URL+tokenPath); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, worker, n int) error {
		return l.Callers[worker].ask(ctx, clients[worker], l.URL, provers[worker], n)
	}, nil
}

// ask makes one request and reads the answer. Anything but a 200 is an error.
func (c caller) ask(ctx context.Context, client *http.Client, url string, p *prover, n int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+c.Paths[n%len(c.Paths)], nil)
	if err != nil {
		return err
	}
	for name, value := range c.Header {
		r.Header.Set(name, value)
	}
	if p != nil {
		proof, err := p.proof(time.Now())
		if err != nil {
			return err
		}
		r.Header.Set("DPoP", proof)
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("POST %s answered %d: %.300s", r.URL.Path, resp.StatusCode, body)
	}
	return err
}

// run has a process make the load. between is called when it is warm, and the function that it returns when it is done.
func (l load) run(
	ctx context.Context, between func() (func() error, error),
) (s sample, clientCPU time.Duration, err error) {
	self, err := os.Executable()
	if err != nil {
		return s, 0, err
	}
	cmd := exec.CommandContext(ctx, self, clientMode)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return s, 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return s, 0, err
	}
	if err := cmd.Start(); err != nil {
		return s, 0, fmt.Errorf("start the load's client: %w", err)
	}
	var o outcome
	talked := l.talk(json.NewEncoder(stdin), json.NewDecoder(stdout), between, &o)
	stdin.Close() // a client that still waits for a word ends
	if err := errors.Join(talked, cmd.Wait()); err != nil {
		return s, 0, fmt.Errorf("the load's client: %w", err)
	}
	slices.SortFunc(o.Each, cmp.Compare)
	return sample{o.Each, o.Took}, o.CPU, nil
}

func (l load) talk(out *json.Encoder, in *json.Decoder, between func() (func() error, error), o *outcome) error {
	if err := out.Encode(l); err != nil {
		return err
	}
	var ready string
	if err := in.Decode(&ready); err != nil {
		return err
	}
	after, err := between()
	if err != nil {
		return err
	}
	if err := out.Encode("go"); err != nil {
		return err
	}
	if err := in.Decode(o); err != nil {
		return err
	}
	return after()
}
