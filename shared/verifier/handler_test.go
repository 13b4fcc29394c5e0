package verifier

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/jose"
)

func (s scene) jkt() string { return jose.Thumbprint(&s.proof.PublicKey) }

func stdBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// A server of its own TLS: the connection's certificate is what counts.
func TestHandler(t *testing.T) {
	f := vectors(t)["tokens"]
	v := f.verifier(t, vectorCase{})
	v.run(t, f, f.Cases[0].Steps[0]) // a status that calls nothing dead
	server := httptest.NewUnstartedServer(v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, ok := FromContext(r.Context())
		_, _ = io.WriteString(w, got.Claims.Subject+" "+got.Scheme)
		if !ok {
			t.Error("the context says nothing")
		}
	})))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	m := newMaker(t)
	token := m.token(m.claims())
	certificate := fixedTLS(t, "agent")
	for name, c := range map[string]struct {
		certificate           *tls.Certificate
		authorization         string
		status                int
		code, challenge, body string
	}{
		"good": {certificate, "Bearer " + token, 200, "", "", "acme::kyc Bearer"},
		"no certificate": {nil, "Bearer " + token, 401, "access_token_bound_elsewhere",
			`DPoP algs="ES256", error="invalid_token"`, ""},
		"nothing": {certificate, "", 401, "access_token_required", `DPoP algs="ES256", Bearer`, ""},
		"another": {fixedTLS(t, "elsewhere"), "Bearer " + token, 401, "access_token_bound_elsewhere",
			`DPoP algs="ES256", error="invalid_token"`, ""},
		"no proof": {certificate, "DPoP " + token, 401, "access_token_scheme_wrong",
			`DPoP algs="ES256", error="invalid_token"`, ""},
		"forged": {certificate, "Bearer x" + token, 401, "access_token_invalid",
			`DPoP algs="ES256", error="invalid_token"`, ""},
	} {
		transport := server.Client().Transport.(*http.Transport).Clone()
		if c.certificate != nil {
			transport.TLSClientConfig.Certificates = []tls.Certificate{*c.certificate}
		}
		r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/orders", nil)
		r.Header.Set("Authorization", c.authorization)
		res, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		transport.CloseIdleConnections()
		var problem struct{ Code string }
		_ = json.Unmarshal(body, &problem)
		if res.StatusCode != c.status || problem.Code != c.code || res.Header.Get("WWW-Authenticate") != c.challenge ||
			c.body != "" && string(body) != c.body {
			t.Errorf("%s: %d, %s, challenge %q", name, res.StatusCode, body, res.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		err          error
		status       int
		code, header string
	}{
		"stale":   {ErrStale, 503, "status_stale", ""},
		"other":   {errors.New("dial 10.0.0.1"), 503, "verifier_failed", ""},
		"proof":   {ErrProof, 401, "dpop_proof_invalid", `DPoP algs="ES256", error="invalid_dpop_proof"`},
		"revoked": {ErrRevoked, 401, "access_token_revoked", `DPoP algs="ES256", error="invalid_token"`},
	} {
		w := httptest.NewRecorder()
		Answer(w, c.err)
		if w.Code != c.status || !strings.Contains(w.Body.String(), `"code":"`+c.code+`"`) ||
			w.Header().Get("WWW-Authenticate") != c.header || w.Header().Get("Cache-Control") != "no-store" ||
			(w.Header().Get("Retry-After") != "") != (c.status == 503) || strings.Contains(w.Body.String(), "10.0.0.1") {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
}

// Other processes may share the memory of proofs.
func TestUseProof(t *testing.T) {
	f := vectors(t)["proofs"]
	v := f.verifier(t, vectorCase{})
	asked := ""
	v.cfg.UseProof = func(_ context.Context, jkt, jti string, until time.Time) error {
		asked = jkt + " " + jti + " " + until.Sub(v.now).String()
		return ErrReplayed
	}
	for _, c := range f.Cases {
		if c.Name != "good" {
			continue
		}
		v.run(t, f, c.Steps[0])
		if got := v.run(t, f, c.Steps[1]); got != ErrReplayed.Code || !strings.HasSuffix(asked, " p-1 1m1s") {
			t.Errorf("%s, asked for %q", got, asked)
		}
	}
}
