package verifier

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vectorFile is what every implementation runs: each case by a verifier of its own that has the keys and no status.
type vectorFile struct {
	About    string          `json:"about"`
	Issuer   string          `json:"issuer"`
	Audience string          `json:"audience"`
	URL      string          `json:"url"`
	Now      int64           `json:"now"`       // what the steps' at counts from, in seconds
	MaxStale int             `json:"max_stale"` // seconds
	JWKS     json.RawMessage `json:"jwks"`
	Cases    []vectorCase    `json:"cases"`
}

type vectorCase struct {
	Name     string       `json:"name"`
	Proxy    *vectorProxy `json:"proxy,omitempty"`
	MaxStale int          `json:"max_stale,omitempty"` // instead of the file's
	Steps    []vectorStep `json:"steps"`
}

type vectorProxy struct {
	Networks []string `json:"networks"`
	Header   string   `json:"header"`
	Format   string   `json:"format"`
}

// vectorStep is a status that is learnt or a request that is verified, and the code of the error; ok: none.
type vectorStep struct {
	At      int64          `json:"at"`
	Status  *string        `json:"status,omitempty"`
	Request *vectorRequest `json:"request,omitempty"`
	Want    string         `json:"want"`
}

type vectorRequest struct {
	Method      string     `json:"method"`
	Path        string     `json:"path"` // as it is in the request, escaped
	Headers     [][]string `json:"headers"`
	Certificate string     `json:"certificate,omitempty"` // of the connection, DER in base64
	Remote      string     `json:"remote"`                // address and port
}

// The vectors say what is in them. The generator in this package makes them anew, byte for byte.
func TestVectorsAreWhatTheGeneratorMakes(t *testing.T) {
	for name, made := range vectors(t) {
		text, err := json.MarshalIndent(made, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		path, text := filepath.Join("testdata", "vectors", name+".json"), append(text, '\n')
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, text) {
			t.Errorf("%s is not what the generator makes (%v): go test ./shared/verifier -run Vectors -update", path, err)
		}
	}
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "*.json"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	cases, steps := 0, 0
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var f vectorFile
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatal(err)
		}
		for _, c := range f.Cases {
			v := f.verifier(t, c)
			for i, s := range c.Steps {
				if got := v.run(t, f, s); got != s.Want {
					t.Errorf("%s: %s, step %d: %s, want %s", filepath.Base(path), c.Name, i, got, s.Want)
				}
			}
			cases, steps = cases+1, steps+len(c.Steps)
		}
	}
	t.Logf("%d cases, %d steps", cases, steps)
	if cases < 150 {
		t.Errorf("%d cases: the vectors were not read", cases)
	}
}

// vectorRun is a verifier without fetches, whose clock the steps set.
type vectorRun struct {
	*Verifier
	now time.Time
}

func (f vectorFile) verifier(t *testing.T, c vectorCase) *vectorRun {
	t.Helper()
	v := &vectorRun{Verifier: &Verifier{}}
	cfg := Config{Issuer: f.Issuer, Audience: f.Audience, URL: f.URL, Now: func() time.Time { return v.now }}
	cfg.MaxStale = time.Duration(f.MaxStale) * time.Second
	if c.MaxStale != 0 {
		cfg.MaxStale = time.Duration(c.MaxStale) * time.Second
	}
	if c.Proxy != nil {
		cfg.Proxy = &Proxy{Header: c.Proxy.Header, Format: Format(c.Proxy.Format)}
		for _, n := range c.Proxy.Networks {
			cfg.Proxy.Networks = append(cfg.Proxy.Networks, netip.MustParsePrefix(n))
		}
	}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	v.setUp(cfg)
	v.keyFeed = &feed{now: cfg.Now, kick: make(chan struct{}, 1)} // its fetches end at once, and bring nothing
	v.statusFeed = &feed{kick: make(chan struct{}, 1)}            // has no fetches, and no patience
	keys, err := accesstoken.ReadJWKS(f.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	v.ring.keys = map[string]*ecdsa.PublicKey{}
	for _, k := range keys {
		v.ring.keys[k.ID] = k.Key
	}
	return v
}

func (v *vectorRun) run(t *testing.T, f vectorFile, s vectorStep) string {
	t.Helper()
	v.now = time.Unix(f.Now+s.At, 0)
	v.ring.at = v.now
	var err error
	if s.Status != nil {
		err = v.status.Learn(*s.Status, v.ring.find, f.Issuer, v.now, v.now)
	} else {
		_, err = v.Verify(s.Request.http(t))
	}
	var e *Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return e.Code
	}
	return err.Error()
}

func (q vectorRequest) http(t testing.TB) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(q.Path)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: q.Method, URL: u, Header: http.Header{}, RemoteAddr: q.Remote}
	for _, h := range q.Headers {
		r.Header.Add(h[0], h[1])
	}
	if q.Certificate != "" {
		der, err := base64.StdEncoding.DecodeString(q.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
	}
	return r.WithContext(t.Context())
}
