package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const adminSecret = "an admin secret of a test"

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// mastio is a Mastio that answers what a test gives it.
type mastio struct {
	*httptest.Server
	t         *testing.T
	routes    map[string]http.HandlerFunc
	requests  []string // method, path, query; those of healthz are left out
	keys      []string
	bodies    []string
	profile   string
	anonymous bool // it is the agents' host, which asks for no admin secret
}

func newMastio(t *testing.T) *mastio {
	t.Helper()
	m := &mastio{t: t, profile: filepath.Join(t.TempDir(), "profile.json")}
	m.routes = map[string]http.HandlerFunc{"GET /healthz": says(200, `{"status":"ok","version":"v1","org_id":"orga",
		"generation":2,"fingerprint":"ff","org_ca_not_before":null,"org_ca_not_after":null,"warnings":[]}`)}
	m.Server = httptest.NewTLSServer(http.HandlerFunc(m.serve))
	t.Cleanup(m.Close)
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Certificate().Raw})
	if err := os.WriteFile(m.roots(), root, 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mastio) roots() string { return filepath.Join(filepath.Dir(m.profile), "ca.pem") }

func (m *mastio) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		m.t.Error(err)
	}
	if r.URL.Path != "/healthz" {
		asked := r.Method + " " + r.URL.Path
		if q := r.URL.Query().Encode(); q != "" {
			asked += "?" + q
		}
		m.requests, m.bodies = append(m.requests, asked), append(m.bodies, string(body))
		m.keys = append(m.keys, r.Header.Get("Idempotency-Key"))
	}
	if got := r.Header.Get("X-Admin-Secret"); got != adminSecret && !m.anonymous {
		says(403, `{"code":"admin_secret_invalid","detail":"no"}`)(w, r)
		return
	}
	route, ok := m.routes[r.Method+" "+r.URL.Path]
	if !ok {
		says(404, `{"code":"route_not_found","detail":"No such route."}`)(w, r)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	route(w, r)
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut ends the connection without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// run carries a command line out and returns its exit status and what it wrote.
func (m *mastio) run(args ...string) (status int, stdout, stderr string) {
	m.t.Helper()
	return m.with(map[string]string{}, "", args...)
}

func (m *mastio) with(env map[string]string, in string, args ...string) (status int, stdout, stderr string) {
	m.t.Helper()
	settings := map[string]string{"MASTIO_URL": m.URL, "MASTIO_CA": m.roots(), "MASTIO_PROFILE": m.profile,
		"MASTIO_ADMIN_SECRET": adminSecret}
	for name, value := range env {
		settings[name] = value
	}
	var out, err bytes.Buffer
	a := &app{
		env:   func(name string) string { return settings[name] },
		now:   func() time.Time { return noon },
		vault: func(context.Context, string) (string, error) { return "", errors.New("no vault in a test") },
		in:    strings.NewReader(in),
		out:   &out,
		err:   &err,
		wait:  func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
	status = a.execute(m.t.Context(), args)
	return status, out.String(), err.String()
}

// issue answers as the Mastio does to a request with a CSR.
func issue(t *testing.T, id string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			CSR string `json:"csr_pem"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		block, _ := pem.Decode([]byte(body.CSR))
		if block == nil {
			t.Errorf("no CSR in %q", body.CSR)
			return
		}
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Error(err)
		}
		ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Error(err)
		}
		leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: id}}
		der, err := x509.CreateCertificate(rand.Reader, leaf, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}},
			csr.PublicKey, ca)
		if err != nil {
			t.Error(err)
		}
		answer, err := json.Marshal(map[string]any{"agent_id": id, "cert_thumbprint": "aa", "generation": 2,
			"cert_pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), "not_after": noon})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(answer)
	}
}
