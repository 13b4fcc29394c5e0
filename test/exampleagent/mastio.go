package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// identity is a certificate, with the CA that issued it, and its key.
type identity struct {
	pair   tls.Certificate
	client *http.Client
}

// generation is the name of the CA that issued the certificate, which counts the Org CA's generations.
func (i identity) generation() string { return i.pair.Leaf.Issuer.CommonName }

func (a *agent) load() (identity, error) {
	text, err := os.ReadFile(a.path)
	if err != nil {
		return identity{}, err
	}
	return a.identity(text)
}

func (a *agent) identity(text []byte) (identity, error) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return identity{}, err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if a.caPEM != nil {
		cfg.RootCAs = x509.NewCertPool()
		cfg.RootCAs.AppendCertsFromPEM(a.caPEM)
	}
	return identity{pair, &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}, Timeout: 15 * time.Second}}, nil
}

// become writes the new identity to a new file, renames it over the old one atomically, then uses it.
func (a *agent) become(certPEM string, key *ecdsa.PrivateKey) (identity, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return identity{}, err
	}
	text := append([]byte(certPEM), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	i, err := a.identity(text)
	if err != nil {
		return i, err
	}
	if err := os.MkdirAll(filepath.Dir(a.path), 0o700); err != nil {
		return i, err
	}
	next := a.path + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return i, err
	}
	return i, os.Rename(next, a.path)
}

// csr makes a fresh key and a request for it, with the names of the present certificate if there is one.
func csr(leaf *x509.Certificate) (*ecdsa.PrivateKey, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	template := &x509.CertificateRequest{}
	if leaf != nil {
		template.RawSubject, template.URIs = leaf.RawSubject, leaf.URIs
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), err
}

// enrol is what an operator, or a pipeline with the admin secret, does once; the key never leaves this host.
func (a *agent) enrol(ctx context.Context) (identity, error) {
	if a.secret == "" {
		return identity{}, errors.New("no identity yet, and MCP_PROXY_ADMIN_SECRET is not set")
	}
	key, request, err := csr(nil)
	if err != nil {
		return identity{}, err
	}
	plain := &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}},
		Timeout:   15 * time.Second,
	}
	if a.caPEM != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(a.caPEM)
		plain.Transport.(*http.Transport).TLSClientConfig.RootCAs = pool
	}
	var out struct {
		ID   string `json:"agent_id"`
		Cert string `json:"cert_pem"`
	}
	body := map[string]string{"agent_name": a.name, "csr_pem": request}
	if _, err := a.call(ctx, plain, http.MethodPost, a.operators+"/v1/admin/agents", body, &out); err != nil {
		return identity{}, fmt.Errorf("enrol: %w", err)
	}
	i, err := a.become(out.Cert, key)
	if err == nil {
		a.log.Info("enrolled", "agent_id", out.ID, "generation", i.generation(), "not_after",
			i.pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return i, err
}

// token fetches a token; renewAfter is when the Mastio wants the certificate renewed, once it wants that.
func (a *agent) token(ctx context.Context) (renewAfter time.Time, err error) {
	var out struct {
		Token      string    `json:"access_token"`
		RenewAfter time.Time `json:"renew_after"`
	}
	_, err = a.call(ctx, a.me.client, http.MethodPost, a.base+"/v1/auth/token", nil, &out)
	if err == nil && out.Token == "" {
		err = errors.New("no token in the answer")
	}
	return out.RenewAfter, err
}

func (a *agent) renewalInfo(ctx context.Context) (start time.Time, again time.Duration, err error) {
	var out struct {
		Window struct{ Start time.Time } `json:"suggestedWindow"`
	}
	header, err := a.call(ctx, a.me.client, http.MethodGet, a.base+"/v1/agent/renewal-info", nil, &out)
	if err != nil {
		return start, 0, err
	}
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	return out.Window.Start, time.Duration(seconds) * time.Second, err
}

// renew asks for a certificate of a fresh key and the same names, and goes on with it.
func (a *agent) renew(ctx context.Context) error {
	key, request, err := csr(a.me.pair.Leaf)
	if err != nil {
		return err
	}
	var out struct {
		Cert string `json:"cert_pem"`
	}
	if _, err := a.call(ctx, a.me.client, http.MethodPost, a.base+"/v1/agent/renew", map[string]string{"csr_pem": request},
		&out); err != nil {
		return err
	}
	before := a.me
	if a.me, err = a.become(out.Cert, key); err != nil {
		a.me = before
		return err
	}
	before.client.CloseIdleConnections()
	a.log.Info("renewed", "from", before.generation(), "to", a.me.generation(), "not_after",
		a.me.pair.Leaf.NotAfter.Format(time.RFC3339))
	return nil
}

// call sends JSON, if any, and reads the answer's. The admin secret goes to the operators' routes alone.
func (a *agent) call(ctx context.Context, c *http.Client, method, url string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c != a.me.client {
		r.Header.Set("X-Admin-Secret", a.secret)
	}
	res, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, url, res.Status, answer)
	}
	return res.Header, json.Unmarshal(answer, out)
}
