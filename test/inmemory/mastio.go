// Package inmemory is a whole Mastio in one process: the real use cases over an in-memory store, key store and
// truststore. Its clock moves only when a test moves it.
package inmemory

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/edge/dashboard"
	"github.com/mastio-aws/mastio/shared/edge/delegate"
	"github.com/mastio-aws/mastio/shared/edge/httpapi"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony"
	"github.com/mastio-aws/mastio/shared/usecase/ceremony/ceremonytest"
	"github.com/mastio-aws/mastio/shared/usecase/checkpoint"
	"github.com/mastio-aws/mastio/shared/usecase/checkpoint/checkpointtest"
	"github.com/mastio-aws/mastio/shared/usecase/discovery"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/issue"
	"github.com/mastio-aws/mastio/shared/usecase/refusal"
	"github.com/mastio-aws/mastio/shared/usecase/renew"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/rotatecert"
	"github.com/mastio-aws/mastio/shared/usecase/signin"
	"github.com/mastio-aws/mastio/shared/usecase/standby"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/usecase/tokenkeys"
	"github.com/mastio-aws/mastio/shared/usecase/trail"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
	"github.com/mastio-aws/mastio/shared/usecase/whoami"
)

// What the Mastio in here is called.
const (
	OrgID       = "orga"
	TrustDomain = "mastio.test"
	// ForeignDomain is the trust domain of a foreign SPIRE. The Mastio accepts its SVIDs.
	ForeignDomain = "prod.example"
	Issuer        = "https://mastio.test:9443"
	Secret        = "admin-secret-of-the-tests"
)

// Start is where the clock begins.
var Start = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

// Mastio is a Mastio. Its parts are safe for concurrent use; the fields are not to be changed while it works.
type Mastio struct {
	Store   *memstore.Store
	Keys    *ceremonytest.Keys
	Objects *Objects
	Secrets *Secrets
	Over    func() bool // that the time of the function hygiene is; nil: it never is

	Ceremony   *ceremony.Ceremony
	RotateCA   *rotateca.Rotator
	RotateCert *rotatecert.Rotator
	Enroll     *enroll.Enroller
	Renew      *renew.Renewer
	Token      *token.Issuer
	WhoAmI     *whoami.Resource
	Ring       *tokenkeys.Ring
	Standby    *standby.Job
	Truststore *truststore.Keeper
	Hygiene    *hygiene.Job
	Health     *health.Checker
	Discovery  *discovery.Directory

	Archive    *checkpointtest.Archive
	AuditKey   checkpoint.Key
	Checkpoint *checkpoint.Job
	Trail      *trail.Trail
	Door       *signin.Door
	Dashboard  *dashboard.Dashboard

	clock  atomic.Int64 // Unix nanoseconds
	lastID atomic.Int64
}

// New returns a Mastio over a store; it has no Org CA until Standby has run.
func New(cfg memstore.Config) *Mastio { return At(Issuer, cfg) }

// At returns a Mastio whose agents reach it under a URL of their own.
func At(url string, cfg memstore.Config) *Mastio {
	m := &Mastio{Store: memstore.New(cfg), Keys: ceremonytest.New(), Objects: &Objects{}, Secrets: &Secrets{}}
	m.clock.Store(Start.UnixNano())
	log := slog.New(slog.DiscardHandler)
	m.Truststore = truststore.NewKeeper(truststore.Config{Objects: m.Objects, Domain: truststore.NoDomain{}, Store: m.Store, Now: m.Now, NewID: m.NewID, Log: log})
	m.Ceremony = ceremony.New(ceremony.Config{Store: m.Store, Keys: m.Keys, OrgID: OrgID, TrustDomain: TrustDomain, Now: m.Now, NewID: m.NewID, Log: log})
	m.RotateCA = rotateca.New(rotateca.Config{Store: m.Store, Preparer: m.Ceremony, Trust: m.trust, OrgID: OrgID, Now: m.Now, NewID: m.NewID, Log: log})
	issuer := issue.Issuer{Store: m.Store, Keys: m.Keys, OrgID: OrgID, TrustDomain: TrustDomain, Now: m.Now, NewID: m.NewID}
	m.RotateCert = rotatecert.New(rotatecert.Config{Store: m.Store, Issuer: issuer, Log: log})
	m.Enroll = enroll.New(enroll.Config{
		Store: m.Store, Issuer: issuer, OrgID: OrgID, TrustDomains: []string{TrustDomain, ForeignDomain}, Trust: m.Truststore.Follow, Log: log, Now: m.Now, NewID: m.NewID,
	})
	m.Renew = renew.New(renew.Config{Store: m.Store, Issuer: issuer, Overlap: renew.DefaultOverlap, Log: log})
	m.Ring = m.NewRing()
	m.Token = token.New(token.Config{Store: m.Store, Keys: m.Ring, Issuer: url, Endpoint: url + "/v1/auth/token", Now: m.Now, NewID: m.NewID})
	m.WhoAmI = whoami.New(whoami.Config{Store: m.Store, Keys: m.Ring, Issuer: url, URL: url + httpapi.MePath, Now: m.Now})
	m.Standby = standby.New(standby.Config{
		OrgID: OrgID,
		Store: m.Store, Ceremony: m.Ceremony, Notes: m.Keys, Forgotten: m.forgotten, Rotator: m.RotateCA, Trust: m.trust, Keys: m.Ring.Ensure, Now: m.Now, NewID: m.NewID, Log: log,
	})
	m.Hygiene = hygiene.New(hygiene.Config{
		Store: m.Store, Issuer: issuer, Secrets: m.Secrets, Over: func(context.Context) bool { return m.Over != nil && m.Over() }, Now: m.Now, NewID: m.NewID, Log: log,
	})
	m.Health = &health.Checker{Store: m.Store, Objects: m.Objects, Noted: m.Keys.Noted, Left: m.Keys.Left, Forgotten: m.forgotten, Now: m.Now}
	m.Discovery = &discovery.Directory{Store: m.Store, Keys: m.Ring, Issuer: url, Endpoint: url + "/v1/auth/token", Now: m.Now}
	m.Archive, m.AuditKey = &checkpointtest.Archive{}, checkpointtest.NewKey()
	m.Checkpoint = checkpoint.New(checkpoint.Config{
		Store: m.Store, Archive: m.Archive, OrgID: OrgID, Now: m.Now, NewID: m.NewID, Log: log,
		Key: func(context.Context) (checkpoint.Key, error) { return m.AuditKey, nil },
	})
	m.Trail = trail.New(trail.Config{Store: m.Store, Archive: m.Archive, Key: m.auditKey, OrgID: OrgID, Now: m.Now})
	refusals := refusal.New(refusal.Config{Store: m.Store, OrgID: OrgID, Now: m.Now, NewID: m.NewID, Log: log})
	m.Door = signin.New(signin.Config{Store: m.Store, Check: Admin, Accepted: accepted, Refused: refusals.Record, Now: m.Now, Log: log})
	m.Dashboard = dashboard.New(dashboard.Config{
		OrgID: OrgID, Door: m.Door, Registry: m.Store,
		RotateCA: &delegate.Client{API: m, Function: "rotateca:live"}, Progress: &rotateca.Observer{Store: m.Store, Now: m.Now, Log: log},
		Enroll: m.Enroll, RotateCert: m.RotateCert, Health: m.Health, Trail: m.Trail, Rows: httpapi.WriteRows, Caller: boot.Caller, Mount: boot.Mount, Now: m.Now,
	})
	return m
}

func (m *Mastio) forgotten(ctx context.Context) (bool, error) {
	return checkpoint.Forgotten(ctx, m.Store.Checkpoint, m.Archive)
}

func (m *Mastio) auditKey(context.Context) (audit.Key, error) { return m.AuditKey.Key, nil }

// NewRing returns the token keys as an instance that has just started sees them.
func (m *Mastio) NewRing() *tokenkeys.Ring {
	return tokenkeys.New(tokenkeys.Config{Store: m.Store, Vault: m.Keys, OrgID: OrgID, TTL: token.TTL})
}

// Now is the Mastio's clock.
func (m *Mastio) Now() time.Time { return time.Unix(0, m.clock.Load()).UTC() }

// Advance moves the clock.
func (m *Mastio) Advance(d time.Duration) { m.clock.Add(int64(d)) }

// NewID returns ids in sequence.
func (m *Mastio) NewID() string { return "id-" + strconv.FormatInt(m.lastID.Add(1), 10) }

func (m *Mastio) trust(ctx context.Context) (string, error) {
	return m.Truststore.Reconcile(ctx)
}

// Admit enrols an agent by name.
func (m *Mastio) Admit(ctx context.Context, name string, capabilities ...string) (enroll.Result, error) {
	return m.Enroll.Enroll(ctx, enroll.Request{Name: name, Capabilities: capabilities, By: audit.By{Actor: "test"}})
}

// Rotate rotates an agent's certificate.
func (m *Mastio) Rotate(ctx context.Context, id agent.ID) (rotatecert.Result, error) {
	return m.RotateCert.Rotate(ctx, rotatecert.Request{Agent: id, By: audit.By{Actor: "test"}})
}

// Mint rotates the Org CA.
func (m *Mastio) Mint(ctx context.Context) (rotateca.Result, error) {
	return m.RotateCA.Do(ctx, rotateca.Request{Mode: rotateca.Mint, By: audit.By{Actor: "test"}})
}

// TokenFor asks for a token with the first certificate in a PEM text.
func (m *Mastio) TokenFor(ctx context.Context, certPEM []byte) (token.Token, error) {
	return m.Token.Issue(ctx, token.Request{CertificatePEM: string(certPEM)})
}

// OrgCA is the current Org CA with its key, as the PKI of an operator who uploaded it has it.
func (m *Mastio) OrgCA(ctx context.Context) (pki.Authority, error) {
	org, err := m.Store.Org(ctx)
	if err != nil {
		return pki.Authority{}, err
	}
	g, _ := org.Generation(org.Pointer.Current)
	a := pki.Authority{Key: m.Keys.Private(g.RootKey)}
	for _, der := range org.Pointer.CA() {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return a, err
		}
		a.Chain = append(a.Chain, cert)
	}
	return a, nil
}

// Handlers returns the handlers of every function that API Gateway reaches.
func (m *Mastio) Handlers() map[string]httpapi.Handlers {
	lookups := httpapi.Discovery(m.Discovery)
	maps.Copy(lookups, httpapi.AuditKey(m.auditKey))
	tokens := httpapi.Token(m.Token)
	maps.Copy(tokens, httpapi.Me(m.WhoAmI))
	return map[string]httpapi.Handlers{
		"audit": httpapi.Audit(m.Trail), "checkpoint": httpapi.Checkpoint(m.Checkpoint),
		"rotatecert": httpapi.RotateCert(m.RotateCert), "rotateca": httpapi.RotateCA(m.RotateCA), "enroll": httpapi.Enroll(m.Enroll),
		"token": tokens, "renew": httpapi.Renew(m.Renew), "discovery": lookups, "healthz": httpapi.Health(m.Health, "test", OrgID),
	}
}

// Lambda is a function as a REST API calls it.
func Lambda(h http.Handler) func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	serve := httpapi.Lambda(h)
	return func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		return serve(ctx, httpapi.Event{
			APIGatewayProxyRequest: e, RequestContext: httpapi.RequestContext{APIGatewayProxyRequestContext: e.RequestContext},
		})
	}
}

// Admin accepts the one secret.
func Admin(_ context.Context, shown string) (string, bool, error) {
	return "AWSCURRENT", shown == Secret, nil
}

func accepted(context.Context) ([]string, error) { return []string{"AWSCURRENT"}, nil }

// PublicKey finds a published token key, for verifiers.
func (m *Mastio) PublicKey(ctx context.Context, kid string) *ecdsa.PublicKey {
	keys, err := m.Ring.Published(ctx, m.Now())
	if err != nil {
		return nil
	}
	for _, k := range keys {
		if k.ID == kid {
			return k.Key
		}
	}
	return nil
}

// Leaf parses the first certificate of a PEM text.
func Leaf(certPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, fmt.Errorf("no PEM block in %d bytes", len(certPEM))
	}
	return x509.ParseCertificate(block.Bytes)
}

// Objects is a truststore object in memory.
type Objects struct {
	// Fault, if set, is asked before a replacement and after it.
	Fault func(after bool) error

	mu      sync.Mutex
	present truststore.Object
}

// Read returns the object.
func (o *Objects) Read(context.Context) (truststore.Object, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.present, nil
}

// Replace writes the object iff it still has the ETag.
func (o *Objects) Replace(_ context.Context, pem []byte, old string) (string, error) {
	if o.Fault != nil {
		if err := o.Fault(false); err != nil {
			return "", err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.present.ETag != old {
		return "", truststore.ErrChanged
	}
	number, _ := strconv.Atoi(old)
	next := strconv.Itoa(number + 1)
	o.present = truststore.Object{PEM: pem, ETag: next, Version: next}
	if o.Fault != nil {
		return next, o.Fault(true)
	}
	return next, nil
}

// CSR makes a key, and a certification request for it (PEM).
func CSR() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), err
}
