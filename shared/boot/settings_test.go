package boot

import (
	"testing"
)

// What Environment reads is explained, once each, and nothing else is.
func TestEverySettingHasItsMeaning(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Settings() {
		if s.Meaning == "" || s.Default == "" {
			t.Errorf("%s: meaning %q, default %q", s.Name, s.Meaning, s.Default)
		}
		if seen[s.Name] {
			t.Errorf("%s is read twice", s.Name)
		}
		seen[s.Name] = true
	}
	for name := range meanings {
		if !seen[name] {
			t.Errorf("%s is explained and not read", name)
		}
	}
}

// The bounds and the defaults of the table are those that Environment applies.
func TestSettingsSayWhatEnvironmentTakes(t *testing.T) {
	want := map[string]Setting{
		"RENEW_OVERLAP_SECONDS":              {Takes: "60 to 172800 seconds", Default: "3600"},
		"MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP": {Takes: "3600 to 7776000 seconds", Default: "604800"},
		"CERT_MAX_AGE_DAYS":                  {Takes: "2 to 825 days", Default: "365"},
		"TOKEN_SIGNER":                       {Takes: "epoch or kms", Default: "epoch"},
		"MASTIO_TOKEN_SIGNING_KEY":           {Default: "required"},
		"MASTIO_TABLE_PREFIX":                {Default: "none"},
	}
	for _, s := range Settings() {
		w, ok := want[s.Name]
		if ok && (s.Takes != w.Takes || s.Default != w.Default) {
			t.Errorf("%s takes %q, default %q; want %q, %q", s.Name, s.Takes, s.Default, w.Takes, w.Default)
		}
		delete(want, s.Name)
	}
	for name := range want {
		t.Errorf("%s is not in the table", name)
	}
}
