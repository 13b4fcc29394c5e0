package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"sync/atomic"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// spine is a Mastio on the in-memory store with a fleet of agents, driven by events.
type spine struct {
	*inmemory.Mastio
	functions map[string]lambda
	fleet     []agentHost
	csr       string // of enrolments; one does for all agents, as only its public key is used
	prover    *prover
	names     atomic.Int64
}

// agentHost is an agent as its host knows it.
type agentHost struct {
	id      string
	certPEM []byte
}

// newSpine enrols a fleet. The agents have registered no proof key, so that one prover speaks for all.
func newSpine(ctx context.Context, size int) (*spine, error) {
	s := &spine{Mastio: inmemory.New(memstore.Config{}, logged), functions: map[string]lambda{}}
	functions, err := s.Functions()
	if err != nil {
		return nil, err
	}
	for name, f := range functions {
		s.functions[name] = f
	}
	if _, err := s.Standby.Run(ctx); err != nil {
		return nil, err
	}
	key, err := pki.NewKey()
	if err != nil {
		return nil, err
	}
	if s.csr, err = newCSR(key); err != nil {
		return nil, err
	}
	if s.prover, err = newProver(key, inmemory.Issuer+tokenPath); err != nil {
		return nil, err
	}
	for range size {
		if err := s.enrol(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *spine) enrol(ctx context.Context) error {
	out, err := s.functions["enroll"].expect(ctx, s.enrolment(), 201)
	if err != nil {
		return err
	}
	var got struct {
		AgentID string `json:"agent_id"`
		CertPEM string `json:"cert_pem"`
	}
	if err := json.Unmarshal([]byte(out.Body), &got); err != nil {
		return fmt.Errorf("read the enrolment: %w", err)
	}
	s.fleet = append(s.fleet, agentHost{got.AgentID, []byte(got.CertPEM)})
	return nil
}

// enrolment asks for a new agent whose key stays at home.
func (s *spine) enrolment() request {
	return asAdmin("POST", "/v1/admin/agents", object(map[string]any{
		"agent_name": fmt.Sprintf("agent-%07d", s.names.Add(1)), "capabilities": []string{"kyc:read", "kyc:write"},
		"csr_pem": s.csr,
	}))
}

// mintedEnrolment asks for a new agent with keys made by the Mastio.
func (s *spine) mintedEnrolment() request {
	return asAdmin("POST", "/v1/admin/agents", object(map[string]any{
		"agent_name": fmt.Sprintf("agent-%07d", s.names.Add(1)), "capabilities": []string{"kyc:read", "kyc:write"},
	}))
}

// rotation asks for a new certificate of the n-th agent; its key is the CSR's, or made by the Mastio. A key is
// certified once, so each CSR has a new one.
func (s *spine) rotation(n int, csr bool) request {
	body := ""
	if csr {
		body = object(map[string]any{"csr_pem": freshCSR()})
	}
	return asAdmin("POST", rotatePath(s.fleet[n%len(s.fleet)].id), body)
}

func object(members map[string]any) string {
	text, err := json.Marshal(members)
	if err != nil {
		panic(err) // the members are texts
	}
	return string(text)
}

func freshCSR() string {
	key, err := pki.NewKey()
	if err != nil {
		panic(err) // of the system's generator
	}
	csr, err := newCSR(key)
	if err != nil {
		panic(err) // of the system's generator
	}
	return csr
}

func newCSR(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}
