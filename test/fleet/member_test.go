package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
)

// kind is how an agent gets its certificates.
type kind int

const (
	inSecret kind = iota // out of its secret
	renews               // by renewing
	byoca                // from the operator's PKI, under the Org CA
	spiffe               // from a SPIRE server of its own CA
	kinds
)

// kindOf spreads the kinds over a fleet as 6, 2, 1 and 1 in ten.
func kindOf(n int) kind { return [10]kind{6: renews, 7: renews, 8: byoca, 9: spiffe}[n%10] }

// member is one agent at work.
type member struct {
	id   agent.ID
	kind kind

	mu   sync.Mutex
	cert tls.Certificate
	late bool // it has renewed after its slot, so that its owner may have been notified
}

func (m *member) present() tls.Certificate {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cert
}

// inPlace waits for one of the places of a kind, and returns what frees it.
func (f *fleet) inPlace(k kind) (free func()) {
	f.places[k] <- struct{}{}
	return func() { <-f.places[k] }
}

// atWork lets the agents work until the context ends. The channel is closed when all that can follow have a token
// under the new Org CA.
func (f *fleet) atWork(ctx context.Context) <-chan struct{} {
	var following sync.WaitGroup
	for _, m := range f.of(inSecret) {
		following.Go(func() { f.fetches(ctx, m) })
	}
	for _, m := range f.of(renews) {
		following.Go(func() { f.renewsInSlot(ctx, m) })
	}
	for range 4 {
		go f.asksAtRandom(ctx)
	}
	done := make(chan struct{})
	go func() { following.Wait(); close(done) }()
	return done
}

// asksAtRandom has agents of every kind ask for tokens with what they have, two a second.
func (f *fleet) asksAtRandom(ctx context.Context) {
	for ctx.Err() == nil {
		m := f.members[rand.IntN(len(f.members))]
		m.mu.Lock() // an agent does not ask with a certificate that it has replaced
		f.token(ctx, m, m.cert)
		m.mu.Unlock()
		rest(ctx, 500*time.Millisecond)
	}
}

// fetches waits for a delivery, and asks for a token with what came.
func (f *fleet) fetches(ctx context.Context, m *member) {
	name := hygiene.SecretName(m.id)
	select {
	case <-f.made.of(name):
	case <-ctx.Done():
		return
	}
	next, ok := f.fetch(ctx, name)
	if !ok {
		f.Errorf("%s: what was delivered cannot be used", m.id)
		return
	}
	f.goesOnWith(ctx, m, next)
}

// fetch returns what is in a secret, if something was delivered.
func (f *fleet) fetch(ctx context.Context, name string) (tls.Certificate, bool) {
	defer f.inPlace(inSecret)()
	out, err := f.system.Clients.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	var v struct {
		CertPEM string `json:"cert_pem"`
		KeyPEM  string `json:"key_pem"`
	}
	if err != nil || json.Unmarshal([]byte(aws.ToString(out.SecretString)), &v) != nil || v.CertPEM == "" {
		return tls.Certificate{}, false
	}
	pair, err := tls.X509KeyPair([]byte(v.CertPEM), []byte(v.KeyPEM))
	if err != nil {
		f.Errorf("%s: %v", name, err)
	}
	return pair, err == nil
}

// inTime is less than the length of a slot: one of 24 parts of two thirds of the overlap.
const inTime = overlap / 40

// renewsInSlot learns of the slot with a token, as agents do, and renews when it has come.
func (f *fleet) renewsInSlot(ctx context.Context, m *member) {
	rest(ctx, time.Duration(rand.Int64N(int64(10*time.Second))))
	old := m.present()
	client := f.client(&old)
	defer client.CloseIdleConnections()
	at := f.tokenOver(ctx, client, m)
	if at.IsZero() {
		f.Errorf("%s was not asked to renew", m.id)
		return
	}
	rest(ctx, time.Until(at))
	key, err := pki.NewKey()
	if err != nil {
		f.Error(err)
		return
	}
	names := &x509.CertificateRequest{RawSubject: old.Leaf.RawSubject, URIs: old.Leaf.URIs}
	var out enrolAnswer
	free := f.inPlace(renews)
	err = f.call(ctx, client, http.MethodPost, "/v1/agent/renew", csrOf(names, key), &out)
	if free(); err != nil {
		f.Errorf("%s renews: %v", m.id, err)
		return
	}
	m.mu.Lock()
	m.late = time.Since(at) > inTime
	m.mu.Unlock()
	f.goesOnWith(ctx, m, pairOf(out.CertPEM, key))
}

// goesOnWith replaces the agent's certificate, asks for a token with it, and counts the agent as one that follows.
func (f *fleet) goesOnWith(ctx context.Context, m *member, next tls.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cert = next
	if want := fmt.Sprintf("orga Mastio CA G%d", f.next); next.Leaf.Issuer.CommonName != want {
		f.Errorf("%s has a certificate of %s, want %s", m.id, next.Leaf.Issuer.CommonName, want)
		return
	}
	before := f.failed.Load()
	if f.token(ctx, m, next); f.failed.Load() == before {
		f.seen[m.kind].Add(1)
	}
}

// token asks for a token over a connection of its own.
func (f *fleet) token(ctx context.Context, m *member, cert tls.Certificate) time.Time {
	client := f.client(&cert)
	defer client.CloseIdleConnections()
	return f.tokenOver(ctx, client, m)
}

// tokenOver asks for a token, and returns when the Mastio wants the certificate renewed, once it wants that.
func (f *fleet) tokenOver(ctx context.Context, client *http.Client, m *member) time.Time {
	var out struct {
		Token      string    `json:"access_token"`
		RenewAfter time.Time `json:"renew_after"`
	}
	defer f.inPlace(m.kind)()
	err := f.call(ctx, client, http.MethodPost, "/v1/auth/token", nil, &out)
	if ctx.Err() != nil {
		return time.Time{}
	}
	if f.asked.Add(1); err != nil || out.Token == "" {
		if f.failed.Add(1) <= 10 {
			f.Errorf("%s: a token request of %s fails: %v", f.since(), m.id, err)
		}
	}
	return out.RenewAfter
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
