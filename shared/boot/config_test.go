package boot

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/version"
)

func complete() map[string]string {
	return map[string]string{
		"MASTIO_ORG_ID": "orga", "MASTIO_TRUST_DOMAIN": "mastio.test", "MASTIO_ISSUER": "https://mastio.test:9443",
		"MASTIO_TRUSTSTORE_BUCKET": "b",
		"MASTIO_TRUSTSTORE_KEY":    "k", "MASTIO_ADMIN_SECRET_ID": "s", "MASTIO_TOKEN_KEK": "kek",
		"MASTIO_AUDIT_BUCKET": "a", "MASTIO_AUDIT_KEY": "ak",
	}
}

func read(t *testing.T, changes map[string]string) (Config, error) {
	t.Helper()
	environment := complete()
	maps.Copy(environment, changes)
	return Environment(func(name string) string { return environment[name] })
}

func TestEnvironment(t *testing.T) {
	base := Config{
		OrgID:            "orga",
		TrustDomain:      "mastio.test",
		Issuer:           "https://mastio.test:9443",
		TruststoreBucket: "b",
		TruststoreKey:    "k",
		AdminSecret:      "s",
		TokenKEK:         "kek",
		AuditBucket:      "a",
		AuditKey:         "ak",
		Signer:           EpochKey,
		RenewOverlap:     time.Hour,
		TokenLife:        5 * time.Minute,
		Schedule:         agent.Annually,
		ReissuePace:      15,
		Version:          version.Stamp,
	}
	with := func(change func(*Config)) Config {
		c := base
		change(&c)
		return c
	}
	for _, c := range []struct {
		name    string
		changes map[string]string
		want    Config
	}{
		{"the least", nil, base},
		{"defaults spelled out", map[string]string{"TOKEN_SIGNER": "epoch", "TOKEN_REQUIRE_DPOP": "0",
			"TOKEN_REQUIRE_NONCE": "0"}, base},
		{"a slash at the end", map[string]string{"MASTIO_ISSUER": "https://mastio.test:9443/"}, base},
		{"a prefix", map[string]string{"MASTIO_TABLE_PREFIX": "dev-"}, with(func(c *Config) { c.TablePrefix = "dev-" })},
		{"a domain", map[string]string{"MASTIO_AGENTS_DOMAIN": "agents.mastio.test"},
			with(func(c *Config) { c.AgentsDomain = "agents.mastio.test" })},
		{"strict tokens", map[string]string{"TOKEN_REQUIRE_DPOP": "1", "TOKEN_REQUIRE_NONCE": "1",
			"TOKEN_REGISTERED_DPOP_ONLY": "1"}, with(func(c *Config) {
			c.RequireDPoP, c.RequireNonce, c.RegisteredDPoPOnly = true, true, true
		})},
		{"tokens by KMS", map[string]string{"TOKEN_SIGNER": "kms", "MASTIO_TOKEN_SIGNING_KEY": "arn"},
			with(func(c *Config) { c.Signer, c.TokenSigningKey = KMS, "arn" })},
		{"strict PKI", map[string]string{"MCP_PROXY_STRICT_PKI": "1"}, with(func(c *Config) { c.StrictPKI = true })},
		{"migration by itself", map[string]string{"MCP_PROXY_PKI_AUTO_MIGRATE": "1"},
			with(func(c *Config) { c.AutoMigrate = 7 * 24 * time.Hour })},
		{"a day's overlap", map[string]string{"MCP_PROXY_PKI_AUTO_MIGRATE": "1",
			"MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP": "86400"}, with(func(c *Config) { c.AutoMigrate = 24 * time.Hour })},
		{"rotation by itself", map[string]string{"MASTIO_ORG_CA_AUTO_ROTATE": "1"},
			with(func(c *Config) { c.AutoRotate = 30 * 24 * time.Hour })},
		{"rotation by itself with an overlap",
			map[string]string{"MASTIO_ORG_CA_AUTO_ROTATE": "1", "MASTIO_ORG_CA_AUTO_ROTATE_OVERLAP": "3600"},
			with(func(c *Config) { c.AutoRotate = time.Hour })},
		{"an overlap without rotation", map[string]string{"MASTIO_ORG_CA_AUTO_ROTATE_OVERLAP": "3600"}, base},
		{"an overlap without migration",
			map[string]string{"MCP_PROXY_PKI_AUTO_MIGRATE": "0", "MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP": "86400"}, base},
		{"trust domains of others", map[string]string{"MASTIO_SPIFFE_TRUST_DOMAINS": "a.example, b.example",
			"RENEW_OVERLAP_SECONDS": "60", "TOKEN_TTL_SECONDS": "3600"}, with(func(c *Config) {
			c.TokenLife = time.Hour
			c.SPIFFETrustDomains, c.RenewOverlap = []string{"a.example", "b.example"}, time.Minute
		})},
		{"certificates of a quarter", map[string]string{"CERT_MAX_AGE_DAYS": "90", "CERT_RENEW_BEFORE_DAYS": "14",
			"MASTIO_AGENT_SECRETS_KEY": "arn", "MASTIO_EVENT_BUS": "bus"}, with(func(c *Config) {
			c.Schedule, c.AgentSecretsKey, c.EventBus = agent.Schedule{
				MaxAge:      90 * 24 * time.Hour,
				RenewBefore: 14 * 24 * time.Hour,
			}, "arn", "bus"
		})},
		{"an adopted first CA", map[string]string{"MASTIO_FIRST_CA": "adopt"}, with(func(c *Config) { c.Adopt = true })},
		{"a time-stamping authority", map[string]string{"AUDIT_TSA_URL": "http://tsa.test/x"},
			with(func(c *Config) { c.TSA = "http://tsa.test/x" })},
		{"a signing key that is not used", map[string]string{"MASTIO_TOKEN_SIGNING_KEY": "arn"}, base},
	} {
		got, err := read(t, c.changes)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
}

func TestEnvironmentIsRefused(t *testing.T) {
	for _, c := range []struct{ name, value string }{
		{"MASTIO_ORG_ID", ""}, {"MASTIO_TRUST_DOMAIN", ""}, {"MASTIO_ISSUER", ""}, {"MASTIO_TRUSTSTORE_BUCKET", ""},
		{"MASTIO_TRUSTSTORE_KEY", ""},
		{"MASTIO_ADMIN_SECRET_ID", ""}, {"MASTIO_TOKEN_KEK", ""}, {"MASTIO_AUDIT_BUCKET", ""}, {"MASTIO_AUDIT_KEY", ""},
		{"AUDIT_TSA_URL", "tsa.test"}, {"AUDIT_TSA_URL", "ftp://tsa.test"}, {"AUDIT_TSA_URL", "https://"},
		{"AUDIT_TSA_URL", "https://tsa.test/#a"}, {"AUDIT_TSA_URL", "%"},
		{"MASTIO_ISSUER", "http://mastio.test"}, {"MASTIO_ISSUER", "mastio.test"}, {"MASTIO_ISSUER", "https://"},
		{"MASTIO_ISSUER", "https://%zz"}, {"MASTIO_ISSUER", "/"}, {"MASTIO_ISSUER", "https:///path"},
		{"MASTIO_ISSUER", "https://mastio.test/?a=b"}, {"MASTIO_ISSUER", "https://mastio.test#a"},
		{"MASTIO_ISSUER", "https://mastio.test?"}, {"MASTIO_ISSUER", "https://user:pass@mastio.test"},
		{"TOKEN_SIGNER", "KMS"}, {"TOKEN_SIGNER", "none"}, {"TOKEN_REQUIRE_DPOP", "true"}, {"TOKEN_REQUIRE_DPOP", "yes"},
		{"TOKEN_REQUIRE_NONCE", "2"}, {"TOKEN_REGISTERED_DPOP_ONLY", "true"},
		{"MCP_PROXY_STRICT_PKI", "yes"}, {"MCP_PROXY_PKI_AUTO_MIGRATE", "on"}, {"MASTIO_FIRST_CA", "upload"},
		{"CERT_MAX_AGE_DAYS", "1"}, {"CERT_MAX_AGE_DAYS", "826"}, {"CERT_MAX_AGE_DAYS", "30"},
		{"CERT_RENEW_BEFORE_DAYS", "0"}, {"CERT_RENEW_BEFORE_DAYS", "1.5"}, {"RENEW_OVERLAP_SECONDS", "59"},
		{"TOKEN_TTL_SECONDS", "59"}, {"TOKEN_TTL_SECONDS", "3601"}, {"TOKEN_TTL_SECONDS", "5m"},
		{"RENEW_OVERLAP_SECONDS", "1h"}, {"RENEW_OVERLAP_SECONDS", "172801"}, {"MASTIO_SPIFFE_TRUST_DOMAINS", "a.example,B"},
		{"MASTIO_SPIFFE_TRUST_DOMAINS", "spiffe://a.example"},
		{"MASTIO_ORG_CA_AUTO_ROTATE", "yes"}, {"MASTIO_ORG_CA_AUTO_ROTATE_OVERLAP", "3599"},
		{"MASTIO_ORG_CA_AUTO_ROTATE_OVERLAP", "7776001"},
		{"MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP", "0"}, {"MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP", "7d"},
		{"MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP", "7776001"}, {"MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP", "-1"},
	} {
		got, err := read(t, map[string]string{c.name: c.value})
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.name) || !reflect.DeepEqual(got, Config{}) {
			t.Errorf("%s=%q: %+v, %v; want ErrConfig that names it", c.name, c.value, got, err)
		}
	}
	if _, err := read(t, map[string]string{"TOKEN_SIGNER": "kms"}); !errors.Is(err, ErrConfig) ||
		!strings.Contains(err.Error(), "MASTIO_TOKEN_SIGNING_KEY") {
		t.Errorf("tokens by KMS without a key: %v", err)
	}
}

// One look at the log mends all of it.
func TestEnvironmentNamesEverythingThatIsWrong(t *testing.T) {
	_, err := Environment(func(string) string { return "" })
	if err == nil {
		t.Fatal("an empty environment is accepted")
	}
	for name := range complete() {
		if strings.Count(err.Error(), name) != 1 {
			t.Errorf("%s is not named once in: %v", name, err)
		}
	}
}
