package gateway

import (
	"crypto/x509"
	"errors"
	"sync"
	"testing"
	"time"
)

const tokenPath, operatorPath, healthPath = "/v1/auth/token", "/metrics", "/healthz"

func TestClientCertificates(t *testing.T) {
	var (
		root    = authority{}.sign(t, "root", isCA)
		issuing = root.sign(t, "issuing", isCA, noPathBelow)
		agent   = issuing.sign(t, "agent")
		old     = authority{}.sign(t, "old root", isCA, expired)
		legacy  = authority{}.sign(t, "legacy root", isCA, noPathBelow)
		below   = legacy.sign(t, "issuing below legacy", isCA)
		stray   = authority{}.sign(t, "stranger", isCA)
	)
	tests := []struct {
		name    string
		anchors []authority
		chain   []authority
		path    string
		status  int
		subject string // "" means that the function sees no certificate
	}{
		{"issued by an anchor", []authority{root, issuing}, []authority{agent}, tokenPath, 200,
			"CN=agent,O=Acme\\, Inc.,C=IT"},
		{"by an anchor that is no root", []authority{issuing}, []authority{agent}, tokenPath, 200,
			"CN=agent,O=Acme\\, Inc.,C=IT"},
		{"below what the client sends", []authority{root}, []authority{agent, issuing}, tokenPath, 200,
			"CN=agent,O=Acme\\, Inc.,C=IT"},
		{"by one anchor of many", []authority{stray, old, legacy, root, issuing}, []authority{agent}, tokenPath, 200,
			"CN=agent,O=Acme\\, Inc.,C=IT"},
		{"by a legacy root", []authority{legacy}, []authority{legacy.sign(t, "agent")}, tokenPath, 200,
			"CN=agent,O=Acme\\, Inc.,C=IT"},
		{"without key usages", []authority{root}, []authority{root.sign(t, "agent", forAnything)}, healthPath, 200,
			"CN=agent,O=Acme\\, Inc.,C=IT"},
		{"the anchor itself", []authority{stray}, []authority{stray}, tokenPath, 200, "CN=stranger,O=Acme\\, Inc.,C=IT"},

		{"none", []authority{root}, nil, tokenPath, 200, ""},
		{"of a stranger", []authority{root}, []authority{stray.sign(t, "agent")}, tokenPath, 403, ""},
		{"of a stranger, on a route of both domains", []authority{root}, []authority{stray.sign(t, "agent")}, healthPath, 403,
			""},
		{"with a missing link", []authority{root}, []authority{agent}, tokenPath, 403, ""},
		{"self-signed", []authority{root}, []authority{authority{}.sign(t, "agent")}, tokenPath, 403, ""},
		{"expired", []authority{root}, []authority{root.sign(t, "agent", expired)}, tokenPath, 403, ""},
		{"not yet valid", []authority{root}, []authority{root.sign(t, "agent", notYet)}, tokenPath, 403, ""},
		{"for servers", []authority{root}, []authority{root.sign(t, "agent", forServers)}, tokenPath, 403, ""},
		{"below an expired anchor", []authority{old}, []authority{old.sign(t, "agent")}, tokenPath, 403, ""},
		{"too far below a legacy root", []authority{legacy}, []authority{below.sign(t, "agent"), below}, tokenPath, 403, ""},
		{"with no anchors at all", nil, []authority{agent}, tokenPath, 403, ""},

		{"trusted, for operators", []authority{root, issuing}, []authority{agent}, operatorPath, 200, ""},
		{"of a stranger, for operators", []authority{root}, []authority{stray.sign(t, "agent")}, operatorPath, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Config{}, tt.anchors...)
			c := w.client(false, tt.chain...)
			for range 2 { // checked, and remembered
				res := w.do(c, "GET", tt.path, "", nil)
				if res.StatusCode != tt.status {
					t.Fatalf("status %d %s, want %d", res.StatusCode, res.body, tt.status)
				}
				if tt.status == 403 && res.body != `{"message": "Forbidden"}` {
					t.Errorf("body %s", res.body)
				}
			}
			if tt.status != 200 {
				if w.last() != nil {
					t.Error("a function ran")
				}
				return
			}
			got := ""
			if cert := w.last().RequestContext.Identity.ClientCert; cert != nil {
				got = cert.SubjectDN
			}
			if got != tt.subject {
				t.Errorf("subject %q, want %q", got, tt.subject)
			}
		})
	}
}

func TestTruststoreIsFollowed(t *testing.T) {
	first := authority{}.sign(t, "first", isCA)
	second := authority{}.sign(t, "second", isCA)
	at := now
	var mu sync.Mutex
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(d)
	}
	w := newWorld(t, Config{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return at
	}}, first)
	one, two := w.client(false, first.sign(t, "one")), w.client(false, second.sign(t, "two"))
	status := func(step string, asked, want1, want2 int) {
		t.Helper()
		before := w.asked
		got1 := w.do(one, "GET", tokenPath, "", nil).StatusCode
		got2 := w.do(two, "GET", tokenPath, "", nil).StatusCode
		if got1 != want1 || got2 != want2 {
			t.Errorf("%s: %d, %d, want %d, %d", step, got1, got2, want1, want2)
		}
		if got := w.asked - before; got != asked {
			t.Errorf("%s: the truststore was asked %d times, want %d", step, got, asked)
		}
	}
	status("at first", 2, 200, 403)
	w.trust("2", first, second)
	status("an anchor is added", 1, 200, 200)
	status("nothing has changed", 0, 200, 200)
	w.trust("3", second)
	status("an anchor was removed just now", 0, 200, 200)
	pass(time.Second)
	status("an anchor was removed a second ago", 1, 403, 200)
	w.trustErr = errors.New("no such bucket")
	status("the truststore is gone", 1, 503, 200)
	pass(time.Second)
	status("the truststore is gone for a second", 2, 503, 503)
	if got := w.do(w.client(false), "GET", tokenPath, "", nil).StatusCode; got != 200 {
		t.Errorf("a client without a certificate: %d", got)
	}
	w.trustErr = nil
	pass(2 * time.Hour)
	status("certificates have expired", 2, 403, 403)
}

func TestUnreadableAnchorsAreIgnored(t *testing.T) {
	ca := authority{}.sign(t, "ca", isCA)
	w := newWorld(t, Config{})
	w.trustPEM = "# comment\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" +
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + ca.pem() + "-----BEGIN CERT"
	if got := w.do(w.client(true, ca.sign(t, "agent")), "GET", tokenPath, "", nil).StatusCode; got != 200 {
		t.Errorf("status %d, want 200", got)
	}
}

func TestRememberedCertificatesAreBounded(t *testing.T) {
	ca := authority{}.sign(t, "ca", isCA)
	b := (&truststore{}).parse([]byte(ca.pem()), "1")
	for i := range maxVerified {
		b.verified[[32]byte{0: byte(i), 1: byte(i >> 8), 2: 1}] = validChain{}
	}
	if _, err := b.check([]*x509.Certificate{ca.sign(t, "agent").cert}, now); err != nil {
		t.Fatal(err)
	}
	if got := len(b.verified); got != 1 {
		t.Errorf("%d certificates remembered, want 1", got)
	}
}
