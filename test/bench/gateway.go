package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The load on the gateway: clients at once, and how many agents each of them rotates in turn.
const (
	clients         = 8
	agentsOfAClient = 5
	fleetOfClients  = clients * (1 + agentsOfAClient)
	warmUp          = 2 * time.Second // instances start, the database compiles
	shareBudget     = 80              // percent of the bare transactions
)

// gateway measures the whole system as a client sees it: TLS, the gateway, the functions' processes, DynamoDB Local.
func (b *bench) gateway(ctx context.Context) error {
	floors, err := b.gatewayFloors(ctx)
	if err != nil {
		return err
	}
	to := target{URL: b.system.URL, Secret: b.system.AdminSecret, CAPEM: b.system.CAPEM}
	b.say("gateway: enrolling %d agents", fleetOfClients)
	fleet, err := enrolFleet(ctx, to, fleetOfClients)
	if err != nil {
		return err
	}
	plain, proven, rotating := callers(fleet, b.system.AdminSecret)
	if err := b.loadGateway(ctx, "token", plain, floors.reads, "bare reads of two"); err != nil {
		return err
	}
	if err := b.loadGateway(ctx, "token with DPoP proof", proven, floors.puts, "bare conditional puts"); err != nil {
		return err
	}
	if err := b.loadGateway(ctx, "rotate-cert", rotating, floors.rotations, "the same three calls, bare"); err != nil {
		return err
	}
	for _, f := range b.report.Figures {
		if f.Section == gatewaySection && f.Name == "rotate-cert" {
			b.report.add(gatewaySection, figure{
				Name:  "  share of bare transactions of two",
				Value: 100 * f.Value / floors.transactions,
				Unit:  share,
			}.
				over(100, fmt.Sprintf("= %.0f/s", floors.transactions)).within(shareBudget))
		}
	}
	return nil
}

const gatewaySection = "through the gateway, real binaries, DynamoDB Local, 8 clients"

// callers splits the fleet: the first clients' own certificates fetch tokens, the others' are rotated, so that no
// certificate dies while it is needed.
func callers(fleet []enrolAnswer, secret string) (plain, proven, rotating []caller) {
	for n := range clients {
		me := fleet[n]
		c := caller{CertPEM: me.CertPEM, KeyPEM: me.KeyPEM, Paths: []string{tokenPath}}
		plain = append(plain, c)
		c.Prove = &me.DPoPJWK
		proven = append(proven, c)
		c.Prove, c.Paths, c.Header = nil, nil, map[string]string{"X-Admin-Secret": secret}
		for _, other := range fleet[clients+n*agentsOfAClient:][:agentsOfAClient] {
			c.Paths = append(c.Paths, rotatePath(other.AgentID))
		}
		rotating = append(rotating, c)
	}
	return plain, proven, rotating
}

// loadGateway makes one load and reports it.
func (b *bench) loadGateway(ctx context.Context, name string, callers []caller, floor float64, floorName string) error {
	b.say("gateway: %s, %d clients", name, len(callers))
	meter := &meter{system: b.system}
	l := load{URL: b.system.URL, CAPEM: b.system.CAPEM, Warmup: warmUp, Length: b.length(), Callers: callers}
	s, clientCPU, err := l.run(ctx, meter.start)
	if err != nil {
		return err
	}
	b.report.add(gatewaySection,
		figure{Name: name, Value: s.rate(), Unit: perSec}.over(floor, floorName),
		figure{
			Name:  "  p50",
			Value: ms(s.quantile(0.5)),
			Unit:  millis,
		}, figure{Name: "  p99", Value: ms(s.quantile(0.99)), Unit: millis})
	for _, p := range meter.used(clientCPU) {
		b.report.add(gatewaySection, figure{Name: "  CPU " + p.name, Value: ms(p.cpu) / float64(len(s.each)), Unit: millis})
	}
	return nil
}

// enrolAnswer is an agent as its enrolment's answer has it.
type enrolAnswer struct {
	AgentID string          `json:"agent_id"`
	CertPEM string          `json:"cert_pem"`
	KeyPEM  string          `json:"key_pem"`
	DPoPJWK jose.JSONWebKey `json:"dpop_jwk"`
}

// enrolFleet enrols agents through the gateway.
func enrolFleet(ctx context.Context, to target, size int) ([]enrolAnswer, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(to.CAPEM)
	web := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}},
	}
	defer web.CloseIdleConnections()
	fleet := make([]enrolAnswer, size)
	for n := range fleet {
		if err := enrol(ctx, web, to, fmt.Sprintf("bench-%03d", n), &fleet[n]); err != nil {
			return nil, err
		}
	}
	return fleet, nil
}

func enrol(ctx context.Context, web *http.Client, s target, name string, to *enrolAnswer) error {
	body := fmt.Sprintf(`{"agent_name": %q, "capabilities": ["kyc:read", "kyc:write"]}`, name)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/admin/agents", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header.Set("X-Admin-Secret", s.Secret)
	r.Header.Set("Content-Type", "application/json")
	resp, err := web.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = fmt.Errorf("enrolment answered %d: %.300s", resp.StatusCode, answer)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, to)
}
