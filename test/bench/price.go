package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/go-jose/go-jose/v4"
	"github.com/oklog/ulid/v2"

	"github.com/mastio-aws/mastio/localstack/aws/dynamodb"
	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/edge/secrets"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/verifier"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// spent is what is paid for, on average of one operation.
type spent struct {
	reads, writes float64 // DynamoDB's units
	signatures    float64 // of KMS
	logged        float64 // octets as CloudWatch ingests them, in all groups together
}

// logOverhead is what CloudWatch Logs counts for each line in addition to its text ("PutLogEvents", CloudWatch Logs
// API).
const logOverhead = 26

// shop is the part of a Mastio whose use is priced: the real use cases over DynamoDB, keys in memory, functions' logs
// as a deployment writes them.
type shop struct {
	token, rotate eventHandler
	status        eventHandler
	enroller      *enroll.Enroller
	sealer        *auditlog.Sealer
	keys          *inmemory.Keys
	parts         *boot.Parts // which every function is made of
	outside       *tally
	rotateCA      *rotateca.Rotator
	standby       *standby.Job
	hygiene       *hygiene.Job
	tokens        *token.Issuer
	secrets       *inmemory.Secrets
	issuer        string
	mu            sync.Mutex
	sum, added    spent
	log           bytes.Buffer
	ahead         atomic.Int64  // nanoseconds by which the clock is before this machine's
	between       time.Duration // two rotations of an agent
}

// into adds up in one of the sums.
func (s *shop) into(sum *spent) func(reads, writes float64) {
	return func(reads, writes float64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		sum.reads, sum.writes = sum.reads+reads, sum.writes+writes
	}
}

// now lets days pass between two rotations of an agent: at one instant an index entry would stay where it is.
func (s *shop) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// during runs n operations and returns what one of them used. access is the line that API Gateway writes about each.
func (s *shop) during(n int, access string, operation func(n int) error) (spent, error) {
	s.sum, s.added = spent{}, spent{}
	s.log.Reset()
	signed := s.keys.Calls()["Sign"]
	for i := range n {
		if err := operation(i); err != nil {
			return spent{}, err
		}
	}
	logged := n * (len(access) + logOverhead)
	for line := range bytes.Lines(s.log.Bytes()) {
		logged += len(bytes.TrimSpace(line)) + logOverhead
	}
	if access == "" {
		logged = 0
	}
	of := func(sum float64) float64 { return sum / float64(n) }
	return spent{
		reads:      of(s.sum.reads),
		writes:     of(s.sum.writes),
		signatures: of(float64(s.keys.Calls()["Sign"] - signed)),
		logged:     of(float64(logged)),
	}, nil
}

// openShop makes the tables and the first Org CA.
func openShop(ctx context.Context, client *awsdynamodb.Client, prefix string) (*shop, error) {
	if err := dynamodb.CreateTables(ctx, client, prefix); err != nil {
		return nil, err
	}
	m := inmemory.New(memstore.Config{})
	s := &shop{keys: m.Keys, issuer: m.Parts.Config.Issuer, between: 24 * time.Hour}
	services := m.Services(s.now)
	services.Store = dynamo.New(dynamo.Config{
		Client: meteredClient{client, s.into(&s.sum), s.into(&s.added)},
		Prefix: prefix,
	})
	s.outside = &tally{Objects: m.Objects, Archive: m.Archive, API: inmemory.AdminSecret{}}
	services.Objects, services.Archive = s.outside, s.outside
	services.Secret = &secrets.Admins{Secret: secrets.New(s.outside, "admin-secret", s.now)}
	parts := services.Over(m.Parts.Config, s.now, func() string { return ulid.Make().String() })
	parts.Log, parts.Metrics = boot.NewLog(&s.log), &s.log
	parts.Background = func(do func()) { do() } // so that it is counted where it belongs
	s.parts = parts
	p := m.Assemble(parts)
	s.enroller, s.sealer, s.rotateCA = p.Enroll, p.Checkpoint, p.RotateCA
	s.standby, s.hygiene, s.tokens, s.secrets = p.Standby, p.Hygiene, p.Token, m.Secrets
	if _, err := p.Standby.Run(ctx); err != nil {
		return nil, err
	}
	var err error
	if s.token, err = started[eventHandler](boot.Token(parts)); err != nil {
		return nil, err
	}
	if s.rotate, err = started[eventHandler](boot.RotateCert(parts)); err != nil {
		return nil, err
	}
	s.status, err = started[eventHandler](boot.Status(parts))
	return s, err
}

// eventHandler is a function that takes events of both kinds.
type eventHandler = func(context.Context, httpapi.Event) (events.APIGatewayProxyResponse, error)

func started[F any](handler any, err error) (F, error) {
	f, ok := handler.(F)
	if err == nil && !ok {
		err = fmt.Errorf("a function is a %T", handler)
	}
	return f, err
}

// accessLine is what API Gateway writes about a request of this kind.
func accessLine(format, method, resource string) string {
	return strings.NewReplacer(
		"$context.requestId", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"[:map[bool]int{
			true:  16,
			false: 36,
		}[format == routes.HTTPLog]],
		"$context.identity.sourceIp", "203.0.113.177", "$context.routeKey", method+" "+resource, "$context.httpMethod",
		method,
		"$context.resourcePath", resource, "$context.status", "200", "$context.responseLatency", "127",
		"$context.integrationLatency", "125",
		"$context.integration.status", "200", "$context.error.responseType", "-", "$context.error.message", "-",
		"$context.integrationErrorMessage", "-", "$context.identity.clientCert.subjectDN", "-",
	).Replace(format)
}

func priced(method, path string, headers map[string][]string) httpapi.Event {
	e := httpapi.Event{}
	e.HTTPMethod, e.Path, e.MultiValueHeaders = method, path, headers
	e.RequestContext.RequestID, e.RequestContext.Identity.SourceIP = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
		"203.0.113.177"
	return e
}

func leafOf(chain []byte) string {
	block, _ := pem.Decode(chain)
	return string(pem.EncodeToMemory(block))
}

func (s *shop) ask(ctx context.Context, f eventHandler, e httpapi.Event) error {
	out, err := f(ctx, e)
	if err == nil && out.StatusCode != 200 {
		err = fmt.Errorf("%s %s answered %d: %.300s", e.HTTPMethod, e.Path, out.StatusCode, out.Body)
	}
	return err
}

// pricedAgents are enrolled to be measured. Each is rotated as often as it takes for its keys to be stored once, and
// so often that its certificates come late.
const pricedAgents, pricedRounds, lateRounds = 8, agent.MaxRecent + 1, 5

// pricedAgent is an agent that is measured.
type pricedAgent struct {
	id, leaf string
	proofs   *prover
}

// sold measures each operation of the price table.
func (s *shop) sold(ctx context.Context) (map[string]spent, error) {
	agents, err := s.enrolAll(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]spent{}
	if err := s.sellTokens(ctx, agents, all); err != nil {
		return nil, err
	}
	if all[opStatus], err = s.sellStatus(ctx); err != nil {
		return nil, err
	}
	if all[opAsk], err = s.sellIntrospections(ctx, agents); err != nil {
		return nil, err
	}
	if err := s.sellRotations(ctx, agents, all); err != nil {
		return nil, err
	}
	return all, s.sellReissues(ctx, all)
}

// sellStatus measures polls of the status document: each finds that of another second.
func (s *shop) sellStatus(ctx context.Context) (spent, error) {
	poll := func(int) error {
		s.ahead.Add(int64(statusPoll))
		e := priced("GET", verifier.StatusPath, nil)
		e.Version, e.StageVariables, e.RequestContext.RequestID = "1.0", map[string]string{"host": "agents"},
			"JKJaXmPLvHcESHA="
		return s.ask(ctx, s.status, e)
	}
	if err := poll(0); err != nil { // opens the key of the day, and notes the first number
		return spent{}, err
	}
	return s.during(pricedAgents, accessLine(routes.HTTPLog, "GET", verifier.StatusPath), poll)
}

// sellIntrospections measures questions of one resource server about tokens of many agents.
func (s *shop) sellIntrospections(ctx context.Context, agents []pricedAgent) (spent, error) {
	const path = "/v1/auth/introspect"
	server, err := s.enroller.Enroll(ctx, enroll.Request{
		Name:    "ledger-resource-server-0001",
		Profile: agent.Profile{Capabilities: []string{agent.Introspect}},
		By:      audit.By{Actor: "test"},
	})
	if err != nil {
		return spent{}, err
	}
	tokens := make([]string, len(agents))
	for n, a := range agents {
		issued, err := s.tokens.Issue(ctx, token.Request{CertificatePEM: a.leaf})
		if err != nil {
			return spent{}, err
		}
		tokens[n] = issued.AccessToken
	}
	ask := func(n int) error {
		e := priced("POST", path, map[string][]string{"content-type": {"application/x-www-form-urlencoded"}})
		e.Body = url.Values{"token": {tokens[n%len(tokens)]}}.Encode()
		e.Version, e.StageVariables, e.RequestContext.RequestID = "1.0", map[string]string{"host": "agents"},
			"JKJaXmPLvHcESHA="
		e.RequestContext.Identity.ClientCert = &events.APIGatewayCustomAuthorizerRequestTypeRequestIdentityClientCert{
			ClientCertPem: leafOf(server.Certificate.CertPEM),
		}
		return s.ask(ctx, s.token, e)
	}
	if err := ask(0); err != nil { // reads the published keys
		return spent{}, err
	}
	return s.during(pricedAgents, accessLine(routes.HTTPLog, "POST", path), ask)
}

func (s *shop) enrolAll(ctx context.Context) (all []pricedAgent, err error) {
	for n := range pricedAgents {
		a, err := s.enroller.Enroll(ctx, enroll.Request{
			Name:    fmt.Sprintf("payments-reconciliation-%04d", n),
			Profile: agent.Profile{Capabilities: []string{"payments:read", "ledger:write"}},
			By:      audit.By{Actor: "test"},
		})
		if err != nil {
			return nil, err
		}
		var jwk jose.JSONWebKey
		if err := json.Unmarshal(a.Material.DPoPJWK, &jwk); err != nil {
			return nil, err
		}
		key, _ := jwk.Key.(*ecdsa.PrivateKey)
		p, err := newProver(key, s.issuer+tokenPath)
		if err != nil {
			return nil, err
		}
		all = append(all, pricedAgent{string(a.Agent.ID), leafOf(a.Certificate.CertPEM), p})
	}
	return all, nil
}

// sellTokens measures token requests.
func (s *shop) sellTokens(ctx context.Context, agents []pricedAgent, all map[string]spent) error {
	ask := func(n int, proofs ...string) error {
		e := priced("POST", tokenPath, map[string][]string{"dpop": proofs})
		e.Version, e.StageVariables, e.RequestContext.RequestID = "1.0", map[string]string{"host": "agents"},
			"JKJaXmPLvHcESHA="
		e.RequestContext.Identity.ClientCert = &events.APIGatewayCustomAuthorizerRequestTypeRequestIdentityClientCert{
			ClientCertPem: agents[n%pricedAgents].leaf,
		}
		return s.ask(ctx, s.token, e)
	}
	for n := range pricedAgents { // each has a note of an hour
		if err := ask(n); err != nil {
			return err
		}
	}
	// The clock is set to the beginning of an hour, so that the first tokens of the hour are measured, then the others.
	s.ahead.Add(int64(s.now().Truncate(time.Hour).Add(time.Hour).Sub(s.now())))
	if err := ask(0); err != nil { // opens the key of the day
		return err
	}
	access := accessLine(routes.HTTPLog, "POST", tokenPath)
	first, err := s.during(pricedAgents-1, access, func(n int) error { return ask(n + 1) })
	if err != nil {
		return err
	}
	if all[opToken], err = s.during(pricedAgents, access, func(n int) error { return ask(n) }); err != nil {
		return err
	}
	all[opSeen] = spent{reads: first.reads - all[opToken].reads, writes: first.writes - all[opToken].writes}
	prove := func(n int) error {
		proof, err := agents[n].proofs.proof(s.now())
		if err != nil {
			return err
		}
		return ask(n, proof)
	}
	if first, err = s.during(pricedAgents, access, prove); err != nil { // of a key that no instance has seen
		return err
	}
	if all[opDPoP], err = s.during(pricedAgents, access, prove); err != nil {
		return err
	}
	all[opKey] = spent{reads: first.reads - all[opDPoP].reads, writes: first.writes - all[opDPoP].writes}
	return nil
}

// sellRotations measures rotations of certificates, early and late, and the checkpoint over them.
func (s *shop) sellRotations(ctx context.Context, agents []pricedAgent, all map[string]spent) error {
	rotate := func(n int) error {
		s.ahead.Add(int64(s.between / pricedAgents))
		e := priced("POST", rotatePath(agents[n%pricedAgents].id), map[string][]string{"X-Admin-Secret": {inmemory.Secret}})
		return s.ask(ctx, s.rotate, e)
	}
	access := accessLine(routes.RESTLog, "POST", "/registry/agents/{agent_id}/rotate-cert")
	_, err := s.during(pricedAgents*pricedRounds, access, rotate) // from then on each has a record of keys
	if err != nil {
		return err
	}
	if all[opRotate], err = s.during(pricedAgents*pricedRounds, access, rotate); err != nil {
		return err
	}
	rotations := float64(pricedAgents * pricedRounds)
	all[opAdded] = spent{reads: s.added.reads / rotations, writes: s.added.writes / rotations}
	day := s.between
	s.between = 200 * day // of 335: more than half of the time until the certificates are due
	s.ahead.Add(int64(s.between))
	late, err := s.during(pricedAgents*lateRounds, access, rotate)
	if err != nil {
		return err
	}
	// These are fewer, so they have more or less than their share of the keys that are stored. And some of these
	// certificates ended long before, and nothing dies with them.
	late.reads += all[opAdded].reads - s.added.reads/(pricedAgents*lateRounds)
	late.writes += all[opAdded].writes - s.added.writes/(pricedAgents*lateRounds)
	all[opLate] = late
	s.between = day
	all[opSeal], err = s.seal(ctx, rotate)
	return err
}

// seal measures what the next checkpoint adds to each of the rotations before it, less what one costs alone.
func (s *shop) seal(ctx context.Context, rotate func(int) error) (spent, error) {
	run := func(chains int) (spent, error) {
		for n := range chains {
			if err := rotate(n); err != nil {
				return spent{}, err
			}
		}
		return s.during(1, "", func(int) error { _, err := s.sealer.Run(ctx, audit.By{Actor: "test"}); return err })
	}
	if _, err := run(pricedAgents); err != nil { // what the enrolments have left
		return spent{}, err
	}
	one, err := run(1)
	if err != nil {
		return spent{}, err
	}
	many, err := run(pricedAgents)
	more := float64(pricedAgents - 1)
	return spent{reads: (many.reads - one.reads) / more, writes: (many.writes - one.writes) / more}, err
}

// price measures the units and prints the price table.
func (b *bench) price(ctx context.Context) error {
	b.say("price: units of each operation")
	system, err := b.stack(ctx)
	if err != nil {
		return err
	}
	cfg := databaseConfig(system)
	s, err := openShop(ctx, dynamo.NewClient(cfg), "price-")
	if err != nil {
		return err
	}
	sold, err := s.sold(ctx)
	if err != nil {
		return err
	}
	b.table = "\nPRICES\n" + priceTable(sold)
	return nil
}
