package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// What tools write around PEM.
var around = map[string]string{
	"openssl -text":    "Certificate:\n    Data:\n        Version: 3 (0x2)\n",
	"certtool":         "PKCS #10 Certificate Request Information:\n\tVersion: 1\n\n",
	"bag attributes":   "Bag Attributes\n    friendlyName: kyc\nsubject=CN = kyc\n",
	"byte order mark":  "\ufeff",
	"a comment":        "# ours\n",
	"form feed and so": "\f\x1a\n",
}

// It is skipped in every request that takes PEM, as it is in an uploaded CA; a damaged block never is.
func TestTextAroundPEMIsSkippedEverywhere(t *testing.T) {
	w := open(t, memstore.Config{})
	ca, server := w.orgCA(t), newSPIRE(t, inmemory.ForeignDomain, w.Now())
	bundle := string(pki.EncodeCertificates(server.root.Chain...))
	n := 0
	fresh := func() string { n++; return "a" + strings.Repeat("x", n) }
	byoca := func(edit func(string) string) answer {
		leaf := sign(t, ca, leafTemplate(w.Now()), newKey(t))
		return w.postBYOCA(t, byocaRequest(t, fresh(), leaf).with("cert_pem", edit(leaf.certPEM()), "private_key_pem",
			edit(leaf.keyPEM(t))))
	}
	spiffe := func(edit func(string) string) answer {
		name := fresh()
		id := svid(t, server.root, "spiffe://prod.example/ns/default/sa/"+name, w.Now())
		return w.postSPIFFE(t, members{"agent_name": name, "svid_pem": edit(id.certPEM()), "svid_key_pem": id.keyPEM(t),
			"trust_bundle_pem": edit(bundle)})
	}
	request := func(edit func(string) string) answer {
		h := w.enrol(t, fresh())
		return w.send(t, event("POST", "/v1/admin/agents", admin,
			jsonBody(members{"agent_name": fresh(), "csr_pem": edit(csrPEM(request(t, h.CertPEM, newKey(t))))}.text(t))))
	}
	for route, send := range map[string]func(func(string) string) answer{"byoca": byoca, "spiffe": spiffe,
		"csr_pem": request} {
		for name, text := range around {
			if a := send(func(pem string) string { return text + pem + "# end\n" }); a.status != http.StatusCreated {
				t.Errorf("%s, %s: %d %s", route, name, a.status, a.body)
			}
		}
		for name, damage := range map[string]func(string) string{
			"damaged":    func(s string) string { return s[:100] + "\n" + s },
			"glued":      func(s string) string { return strings.TrimSpace(s) + s },
			"literal \n": func(s string) string { return strings.ReplaceAll(s, "\n", `\n`) },
		} {
			if a := send(damage); a.status != http.StatusBadRequest ||
				!strings.Contains(string(a.body), "PEM block 1 is damaged") {
				t.Errorf("%s, %s: %d %s", route, name, a.status, a.body)
			}
		}
	}
}

// A chain file with the issuer first says what comes first.
func TestIssuerFirstIsNamed(t *testing.T) {
	w := open(t, memstore.Config{})
	ca := w.orgCA(t)
	leaf := sign(t, ca, leafTemplate(w.Now()), newKey(t))
	a := w.postBYOCA(t, byocaRequest(t, "byo", leaf).with("cert_pem",
		string(pki.EncodeCertificates(ca.Chain[0]))+leaf.certPEM()))
	if a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "put the agent's certificate first") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// The refusals of times name the cause, and RFC 3339's lower case is taken.
func TestTimesOfTheExport(t *testing.T) {
	w := open(t, memstore.Config{})
	for text, says := range map[string]string{
		"2026-01-01t00:00:00z":      "",
		"2026-01-01T02:00:00+02:00": "",
		"2026-01-01T02:00:00 02:00": "write it as %2B",
		"2026-01-01 02:00:00Z":      "period_invalid",
	} {
		a := w.send(t, event("GET", "/v1/admin/audit/export", admin, query("start", text)))
		if (says == "") != (a.status == http.StatusOK) || !strings.Contains(string(a.body), says) {
			t.Errorf("%s: %d %s", text, a.status, a.body)
		}
	}
}

// A name that occurs twice is refused at every depth: two readers may believe different ones.
func TestMembersTwiceAtAnyDepth(t *testing.T) {
	w := open(t, memstore.Config{})
	for _, text := range []string{
		`{"agent_name":"kyc","hygiene":{"deliver":"notify","deliver":"secretsmanager"}}`,
		`{"agent_name":"kyc","hygiene":{"deliver":"notify","DELIVER":"notify"}}`,
		`{"agent_name":"kyc","capabilities":[{"a":1,"a":2}]}`,
	} {
		a := w.send(t, event("POST", "/v1/admin/agents", admin, jsonBody(text)))
		if a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "each of its members once") {
			t.Errorf("%s: %d %s", text, a.status, a.body)
		}
	}
}
