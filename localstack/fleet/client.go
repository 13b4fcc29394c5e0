package fleet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"
)

// client is an operator with a script.
type client struct {
	cfg  Config
	http *http.Client
	org  string
}

func newClient(cfg Config) (*client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(cfg.CAPEM) {
		return nil, errors.New("no certificate in what the Mastio's chains to")
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}
	c := &client{cfg: cfg, http: &http.Client{Transport: transport, Timeout: time.Minute}}
	return c, c.whoAmI()
}

// whoAmI reads the organisation's id, the first part of every agent's id.
func (c *client) whoAmI() error {
	var health struct {
		OrgID string `json:"org_id"`
	}
	body, err := c.do(context.Background(), http.MethodGet, "/healthz", "", nil, http.StatusOK)
	if err != nil {
		return err
	}
	err = json.Unmarshal(body, &health)
	c.org = health.OrgID
	return err
}

func (c *client) enrol(ctx context.Context, m member) error {
	return c.json(ctx, http.MethodPost, "/v1/admin/agents", map[string]any{
		"agent_name": m.name, "display_name": m.shown, "capabilities": m.capabilities,
	}, http.StatusCreated)
}

func (c *client) rotate(ctx context.Context, m member, options map[string]any) error {
	return c.json(ctx, http.MethodPost, "/registry/agents/"+c.org+"::"+m.name+"/rotate-cert", options, http.StatusOK)
}

func (c *client) deactivate(ctx context.Context, m member) error {
	return c.json(ctx, http.MethodDelete, "/v1/admin/agents/"+c.org+"::"+m.name, nil, http.StatusNoContent)
}

func (c *client) enrolBYOCA(ctx context.Context, m member, a *authority) error {
	cert, key, err := a.issue(pkix.Name{CommonName: c.org + "::" + m.name, Organization: []string{c.org}}, "")
	if err != nil {
		return err
	}
	return c.json(ctx, http.MethodPost, "/v1/admin/agents/enroll/byoca", map[string]any{
		"agent_name": m.name, "display_name": m.shown, "capabilities": m.capabilities, "cert_pem": string(cert),
		"private_key_pem": string(key),
	}, http.StatusCreated)
}

func (c *client) enrolSPIFFE(ctx context.Context, m member, a *authority) error {
	svid, key, err := a.issue(pkix.Name{
		Country:      []string{"US"},
		Organization: []string{"SPIRE"},
	}, "spiffe://"+cmp.Or(c.cfg.TrustDomain, c.org+".local")+"/"+m.name)
	if err != nil {
		return err
	}
	return c.json(ctx, http.MethodPost, "/v1/admin/agents/enroll/spiffe", map[string]any{
		"agent_name": m.name, "display_name": m.shown, "capabilities": m.capabilities,
		"svid_pem": string(svid), "svid_key_pem": string(key), "trust_bundle_pem": string(a.certPEM),
	}, http.StatusCreated)
}

// rotateCA waits for its turn: the schedule may be making the next standby.
func (c *client) rotateCA(ctx context.Context, q url.Values) error {
	q.Set("mode", "mint")
	return c.inTurn(ctx, func() error {
		return c.json(ctx, http.MethodPost, "/pki/rotate-ca?"+q.Encode(), nil,
			http.StatusOK)
	})
}

func (c *client) inTurn(ctx context.Context, do func() error) error {
	for {
		err := do()
		var other *statusError
		if !errors.As(err, &other) || other.status != http.StatusConflict {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// bring makes the operator's CA current.
func (c *client) bring(ctx context.Context, a *authority) error {
	return c.inTurn(ctx, func() error { return c.upload(ctx, a.certPEM, a.keyPEM, http.StatusOK) })
}

// refused uploads what is no CA.
func (c *client) refused(ctx context.Context) error {
	noPEM := []byte("this is no PEM file\n")
	return c.inTurn(ctx, func() error { return c.upload(ctx, noPEM, noPEM, http.StatusUnprocessableEntity) })
}

func (c *client) upload(ctx context.Context, cert, key []byte, want int) error {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, data := range map[string][]byte{"ca_cert": cert, "ca_key": key} {
		part, err := w.CreateFormFile(name, name+".pem")
		if err == nil {
			_, err = part.Write(data)
		}
		if err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := c.do(ctx, http.MethodPost, "/pki/rotate-ca?mode=upload", w.FormDataContentType(), b.Bytes(), want)
	return err
}

func (c *client) json(ctx context.Context, method, path string, v map[string]any, want int) error {
	if v == nil {
		_, err := c.do(ctx, method, path, "", nil, want)
		return err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, method, path, "application/json", body, want)
	return err
}

// statusError is an answer that was not wanted.
type statusError struct {
	status int
	body   []byte
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %.300s", e.status, e.body) }

func (c *client) do(ctx context.Context, method, path, mediaType string, body []byte, want int) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Admin-Secret", c.cfg.Secret)
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != want {
		err = &statusError{answer.StatusCode, got}
	}
	return got, err
}
