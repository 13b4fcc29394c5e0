package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

var update = flag.Bool("update", false, "write the golden answers anew")

// volatile are the members that differ from run to run: keys, what is signed by them, and hashes of that.
var volatile = regexp.MustCompile(`"(cert_pem|key_pem|ca_chain_pem|cert_thumbprint|previous_thumbprint|fingerprint|hash|audit_hash|dpop_jkt|access_token|x|y|d|kid)":"[^"]+"`)

// rendered is an answer as a golden file shows it: media type, and the body with its members in their order.
func rendered(t *testing.T, a answer) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(a.header.Get("Content-Type") + "\n")
	text := volatile.ReplaceAll(a.body, []byte(`"$1":"…"`))
	if !json.Valid(text) {
		out.Write(text)
		return out.Bytes()
	}
	if err := json.Indent(&out, bytes.TrimSpace(text), "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}

// The names are spelled out here once more, as they were promised, so that renewing the golden files cannot change
// them.
func TestGoldenAnswers(t *testing.T) {
	w := open(t, memstore.Config{})
	agents := w.enrol(t, "other", "a", "b")
	certificate := []string{"agent_id", "cert_pem", "key_pem", "dpop_jwk", "cert_thumbprint", "generation", "not_before",
		"not_after", "ca_chain_pem"}
	rotation := []string{"generation", "fingerprint", "subject", "not_before", "not_after", "source", "reason", "previous",
		"overlap_until", "truststore"}
	problem := []string{"type", "title", "status", "detail", "code", "request_id"}
	for _, c := range []struct {
		name    string
		ask     func() answer
		members []string
	}{
		{"enrol", func() answer {
			return w.send(t, event("POST", "/v1/admin/agents", admin,
				jsonBody(`{"agent_name":"kyc","display_name":"Know your customer","capabilities":["kyc:read"]}`)))
		}, append([]string{"display_name", "capabilities", "dpop_bound_access_tokens"}, certificate...)},
		{"rotate-cert", func() answer {
			return w.send(t, event("POST", "/registry/agents/orga::kyc/rotate-cert", admin,
				jsonBody(`{"grace_seconds":3600,"validity_days":90}`)))
		}, append([]string{"previous_thumbprint", "previous_valid_until"}, certificate...)},
		{"token", func() answer { return w.send(t, tokenRequest(agents.CertPEM)) },
			[]string{"access_token", "token_type", "expires_in", "scope"}},
		{"token-refused", func() answer { return w.send(t, tokenRequest("")) }, []string{"error", "error_description"}},
		{"rotate-ca", func() answer {
			w.Advance(time.Hour)
			return w.send(t, event("POST", "/pki/rotate-ca", admin, query("mode", "mint"), query("reason", "superseded")))
		}, append([]string{"audit", "backup"}, rotation...)},
		{"rotate-ca-status", func() answer {
			if _, err := w.Standby.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			return w.send(t, event("GET", "/pki/rotate-ca", admin))
		}, append([]string{"rotation", "staged", "scheduled", "history", "progress", "reissue"}, rotation...)},
		{"agent", func() answer { return w.send(t, event("GET", "/v1/admin/agents/orga::kyc", admin)) }, nil},
		{"agents", func() answer { return w.send(t, event("GET", "/v1/admin/agents", admin)) }, []string{"agents", "total"}},
		{"healthz", func() answer { return w.send(t, event("GET", "/healthz")) },
			[]string{"status", "version", "org_id", "generation", "fingerprint", "org_ca_not_before", "org_ca_not_after",
				"warnings"}},
		{"metrics", func() answer { return w.send(t, event("GET", "/metrics", admin)) }, nil},
		{"metadata", func() answer { return w.send(t, event("GET", "/.well-known/oauth-authorization-server")) }, nil},
		{"jwks", func() answer { return w.send(t, event("GET", "/.well-known/jwks.json")) }, []string{"keys"}},
		{"problem", func() answer { return w.send(t, event("GET", "/v1/admin/agents")) }, problem},
	} {
		a := c.ask()
		if c.members != nil {
			var members map[string]json.RawMessage
			if err := json.Unmarshal(a.body, &members); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(c.members)), slices.Sorted(maps.Keys(members))); diff != "" {
				t.Errorf("%s: members (-want +got):\n%s", c.name, diff)
			}
		}
		golden(t, c.name, rendered(t, a))
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
