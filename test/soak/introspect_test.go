package soak

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// grant returns the last token of a certificate, if it is young enough.
func (a *agent) grant(thumb string) (grant, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g, ok := a.tokens[thumb]
	return g, ok && time.Since(g.at) < lasting
}

func (a *agent) granted(thumb, token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens == nil {
		a.tokens = map[string]grant{}
	}
	a.tokens[thumb] = grant{token, time.Now()}
}

// enrolServer enrols the resource server.
func (w *world) enrolServer() *agent {
	a, key := &agent{id: "orga::soak-resource-server"}, newKeyPair()
	body := w.must(w.operator, "POST", "/v1/admin/agents", map[string]any{
		"agent_name": a.id[len("orga::"):], "csr_pem": key.csr, "capabilities": []string{"mastio:introspect"},
	})
	a.hold(w, key, body.Thumbprint, body.CertPEM)
	w.names = append(w.names, a.id)
	return a
}

// introspected asks for a token as the resource server does, and writes the answer into the history. The server's own
// certificate ends with the Org CA, as every other: it gets a new one then, and asks once more.
func (w *world) introspected(id int, q request, token string) {
	for range 20 {
		shown := w.server.last()
		call := time.Since(w.began)
		status, active := w.introspect(shown.client, token)
		returned := time.Since(w.began)
		if status == http.StatusOK {
			w.note(id, q, reply{ok: active}, status, call, returned)
			return
		}
		if status != http.StatusUnauthorized {
			w.Errorf("introspection answered %d", status)
			return
		}
		w.rotateServer(shown)
	}
	w.Error("the resource server gets no certificate that counts")
}

func (w *world) introspect(client *http.Client, token string) (status int, active bool) {
	form := url.Values{"token": {token}}.Encode()
	r, err := http.NewRequestWithContext(w.Context(), "POST", w.system.URL+"/v1/auth/introspect",
		strings.NewReader(form))
	if err != nil {
		w.Error(err)
		return 0, false
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, got := w.exchange(client, r)
	return status, got.Active
}

// rotateServer gives the resource server a new certificate, unless another client has since shown: two rotations
// at once would each end the other's certificate.
func (w *world) rotateServer(shown heldCert) {
	w.serving.Lock()
	defer w.serving.Unlock()
	if w.server.last().thumb != shown.thumb {
		return
	}
	key := newKeyPair()
	status, got := w.send(w.operator, "POST", "/registry/agents/"+w.server.id+"/rotate-cert",
		map[string]any{"csr_pem": key.csr})
	if status == http.StatusOK {
		w.server.hold(w, key, got.Thumbprint, got.CertPEM)
	}
}

func (a *agent) last() heldCert {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.certs[len(a.certs)-1]
}
