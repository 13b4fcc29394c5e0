package verifier

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

// The bounds of Config.MaxStale, and what it is if nothing is said.
const (
	LeastStale   = 5 * time.Second
	MostStale    = 5 * time.Minute
	DefaultStale = 30 * time.Second
)

// Config is what a Verifier is made of. Issuer and Audience are required.
type Config struct {
	Issuer   string // the Mastio's issuer identifier, as it is in tokens
	Audience string // this resource server's own name: the resource that agents ask tokens for
	// URL is how clients know this server: scheme, host and, behind a proxy that removes it, the path's beginning. A
	// proof names it. Empty: the origin of Audience, which then has to be a URL.
	URL string
	// Mastio is the base URL that keys and status are fetched from. Empty: Issuer. That host may ask for a client
	// certificate, which Transport then has; the operators' host asks for none.
	Mastio string
	// MaxStale is how old the status document may be, 5 to 300 s; zero: 30 s. A revocation holds here so many seconds
	// later at the latest, and this server outlasts an outage of the Mastio that is shorter.
	MaxStale  time.Duration
	Transport http.RoundTripper // for the Mastio; nil: as http.DefaultTransport
	Proxy     *Proxy            // that ends TLS before this server; nil: none, and no header is believed
	// UseProof remembers a proof until then and returns ErrReplayed where it was used before. It is called at the same
	// time by many requests. nil: the memory of this process, which other processes do not share.
	UseProof func(ctx context.Context, jkt, jti string, until time.Time) error
	Log      *slog.Logger     // of failed fetches; nil: slog.Default
	Now      func() time.Time // nil: the clock
}

// Verifier verifies requests to a resource server. It keeps the Mastio's keys and the status document up to date in the
// background, until Close. It is safe for concurrent use.
type Verifier struct {
	cfg     Config
	ring    ring
	status  Status
	memory  memory
	opened  claimCache
	keyFeed *feed
	// statusFeed is asked for a document that is newer than a token.
	statusFeed *feed
	feeds      []*feed
	stop       context.CancelFunc
	running    sync.WaitGroup
}

// New returns a Verifier, which refuses everything until both documents were fetched: Ready waits for them. An error
// names everything that is wrong with the configuration.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	v := &Verifier{}
	v.setUp(cfg)
	keys := v.feed("/.well-known/jwks.json", "application/json", keysSize, v.takeKeys)
	keys.every, keys.most, keys.timeout = keysEvery, time.Minute, 5*time.Second
	status := v.feed(StatusPath, StatusMediaType, StatusSize, v.takeStatus)
	status.every = min(2*time.Second, cfg.MaxStale/3)
	status.most, status.timeout = min(30*time.Second, cfg.MaxStale/3), min(5*time.Second, cfg.MaxStale/2)
	status.apart, status.patience = behindApart, behindWait
	v.keyFeed, v.statusFeed, v.feeds = keys, status, []*feed{keys, status}
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	v.running.Go(func() { keys.run(ctx) })
	v.running.Go(func() {
		if keys.wait(ctx) == nil {
			status.run(ctx)
		}
	})
	return v, nil
}

// setUp takes over a complete configuration.
func (v *Verifier) setUp(cfg Config) {
	v.cfg = cfg
	if v.cfg.UseProof == nil {
		v.cfg.UseProof = func(_ context.Context, jkt, jti string, until time.Time) error {
			return v.memory.use(jkt, jti, until, v.cfg.Now())
		}
	}
}

// feed is one of a document of the Mastio. Redirects are answers as all others, and no documents.
func (v *Verifier) feed(path, accept string, limit int, take func(context.Context, []byte, time.Time) error) *feed {
	return &feed{
		url:    v.cfg.Mastio + path,
		accept: accept,
		limit:  limit,
		take:   take,
		client: &http.Client{
			Transport:     v.cfg.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:   v.cfg.Now,
		log:   v.cfg.Log,
		kick:  make(chan struct{}, 1),
		first: make(chan struct{}),
	}
}

// Ready returns nil once both documents were fetched, or the error of ctx.
func (v *Verifier) Ready(ctx context.Context) error {
	for _, f := range v.feeds {
		if err := f.wait(ctx); err != nil {
			return fmt.Errorf("fetch %s: %w", f.url, err)
		}
	}
	return nil
}

// Close ends the fetches and returns when they have ended. What was learnt gets stale: the Verifier then refuses
// everything.
func (v *Verifier) Close() {
	v.stop()
	v.running.Wait()
	if t, ok := v.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Verify returns what a request proves. Its errors are those of this package: errors.As finds the Error, and its Status
// says whether the request was refused (401), or could not be judged (503). It makes no call, unless a token names a
// key that is not known: then the keys are fetched anew, once in ten seconds at most. Right after a rotation of the Org
// CA it waits for the status document that names the new one: no longer than four seconds, or r's context.
func (v *Verifier) Verify(r *http.Request) (Caller, error) {
	if !v.ring.fresh(v.cfg.Now()) {
		return Caller{}, ErrKeys
	}
	certificate, err := v.certificate(r)
	if err != nil {
		return Caller{}, err
	}
	rules := Rules{
		Issuer:   v.cfg.Issuer,
		Audience: v.cfg.Audience,
		Open: func(token string) (accesstoken.Claims, error) {
			return v.opened.open(token, func(kid string) *ecdsa.PublicKey { return v.key(r.Context(), kid) })
		},
	}
	got, err := rules.Check(Request{
		Authorization: r.Header.Values("Authorization"),
		Proofs:        r.Header.Values("DPoP"),
		Certificate:   certificate,
		Method:        r.Method,
		URL:           v.cfg.URL + r.URL.EscapedPath(),
		Now:           v.cfg.Now(),
	})
	if err != nil {
		return Caller{}, err
	}
	if err := v.live(r.Context(), got.Claims); err != nil {
		return Caller{}, err
	}
	if got.JTI != "" {
		if err := v.cfg.UseProof(r.Context(), got.JKT, got.JTI, got.ReplayUntil); err != nil {
			return Caller{}, err
		}
	}
	return got, nil
}

// live judges a token by the status. A token of an Org CA that is newer than the status waits for another document:
// every instance of the Mastio, and a cache, hands one out for a second, so the third one names the new Org CA.
func (v *Verifier) live(ctx context.Context, c accesstoken.Claims) error {
	err := v.status.Live(c, v.cfg.MaxStale, v.cfg.Now())
	if !errors.Is(err, ErrStatusBehind) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, v.statusFeed.patience)
	defer cancel()
	for errors.Is(err, ErrStatusBehind) && v.statusFeed.soon(ctx) {
		err = v.status.Live(c, v.cfg.MaxStale, v.cfg.Now())
	}
	return err
}

// certificate is the client's, as the connection or the trusted proxy shows it; nil: none.
func (v *Verifier) certificate(r *http.Request) (*x509.Certificate, error) {
	if v.cfg.Proxy.sent(r.RemoteAddr) {
		return v.cfg.Proxy.certificate(r.Header)
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return r.TLS.PeerCertificates[0], nil
	}
	return nil, nil
}

// complete fills in what is left out, and checks all.
func (c *Config) complete() error {
	var errs []error
	if c.Now == nil {
		c.Now = clock
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Transport == nil {
		own := &http.Transport{Proxy: http.ProxyFromEnvironment}
		if t, ok := http.DefaultTransport.(*http.Transport); ok {
			own = t.Clone()
		}
		own.MaxResponseHeaderBytes = 64 << 10
		c.Transport = own
	}
	if c.MaxStale == 0 {
		c.MaxStale = DefaultStale
	}
	if c.MaxStale < LeastStale || c.MaxStale > MostStale {
		errs = append(errs, fmt.Errorf("MaxStale %s is not of %s to %s", c.MaxStale, LeastStale, MostStale))
	}
	if c.Audience == "" {
		errs = append(errs, errors.New("no Audience"))
	}
	if c.URL == "" {
		if u, err := url.Parse(c.Audience); err == nil {
			c.URL = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
		}
	}
	if c.Mastio == "" {
		c.Mastio = c.Issuer
	}
	for name, value := range map[string]*string{"Issuer": &c.Issuer, "Mastio": &c.Mastio, "URL": &c.URL} {
		if !secure(*value) {
			errs = append(errs, fmt.Errorf("%s %q is not an https URL without query, nor one of this machine", name, *value))
		}
	}
	c.Mastio, c.URL = strings.TrimSuffix(c.Mastio, "/"), strings.TrimSuffix(c.URL, "/")
	if err := c.Proxy.check(); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("verifier: %w", err)
	}
	return nil
}

// secure reports whether a URL is one of https, or of http to this very machine.
func secure(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}
