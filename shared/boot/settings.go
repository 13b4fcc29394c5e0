package boot

// Setting is a variable of the environment that functions read.
type Setting struct {
	Name    string
	Takes   string // what is accepted; empty: any text
	Default string // the value if it is not set; "none", or "required"
	Meaning string
}

// Settings returns every variable that Environment reads, in its order. Accepted values and defaults are those that
// Environment itself applies.
func Settings() []Setting {
	e := env{getenv: func(name string) string {
		if name == "TOKEN_SIGNER" {
			return string(KMS) // which has a variable of its own
		}
		return ""
	}}
	e.config()
	for i := range e.read {
		e.read[i].Meaning = meanings[e.read[i].Name]
	}
	return e.read
}

// meanings says what each variable is for.
var meanings = map[string]string{ //nolint:gosec // names of settings, no credentials
	"MASTIO_ORG_ID":       "the organisation",
	"MASTIO_TRUST_DOMAIN": "the trust domain of its agents' SPIFFE IDs",
	"MASTIO_SPIFFE_TRUST_DOMAINS": "trust domains of others whose SVIDs agents may be enrolled with; the " +
		"Mastio's own is always accepted",
	"MASTIO_ISSUER":            "the agents' base URL: issuer of tokens, and what a DPoP proof's `htu` must name",
	"MASTIO_TABLE_PREFIX":      "goes before the tables' names",
	"MASTIO_TRUSTSTORE_BUCKET": "the bucket of the agents' domain's truststore",
	"MASTIO_TRUSTSTORE_KEY":    "the truststore object in that bucket",
	"MASTIO_AGENTS_DOMAIN": "the agents' custom domain in API Gateway, which is pointed at each new " +
		"version of the truststore object; none: there is no such domain",
	"MASTIO_ADMIN_SECRET_ID": "the admin secret in Secrets Manager; AWSCURRENT and AWSPREVIOUS are " +
		"both accepted",
	"MASTIO_METRICS_TOKEN_ID": "the token of GET /metrics in Secrets Manager; AWSCURRENT and AWSPREVIOUS are " +
		"both accepted; none: only admins read the metrics",
	"MASTIO_AUDIT_BUCKET": "the archive of the audit trail's checkpoints",
	"MASTIO_AUDIT_KEY":    "the KMS key (P-256) that signs them",
	"AUDIT_TSA_URL": "a time-stamping authority (RFC 3161) for checkpoints. One that fails delays " +
		"no checkpoint, and the failure is on record",
	"MASTIO_TOKEN_KEK": "the KMS key under which token keys are encrypted",
	"TOKEN_SIGNER": "`epoch`: a key of the day, no KMS call per token; `kms`: every token in KMS, " +
		"with `MASTIO_TOKEN_SIGNING_KEY`",
	"MASTIO_TOKEN_SIGNING_KEY":           "the KMS key that signs tokens; read only with `TOKEN_SIGNER=kms`",
	"MASTIO_FIRST_CA":                    "`adopt`: the first Org CA is the operator's, by upload",
	"MCP_PROXY_STRICT_PKI":               "`1`: refuse to work under a legacy Org CA",
	"MCP_PROXY_PKI_AUTO_MIGRATE":         "`1`: replace a legacy Org CA automatically",
	"MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP": "the overlap of that replacement",
	"MASTIO_ORG_CA_AUTO_ROTATE": "`1`: replace a minted Org CA automatically before `org_ca_expiring` would warn, or " +
		"when it is not valid. " +
		"An operator's own CA is never replaced",
	"MASTIO_ORG_CA_AUTO_ROTATE_OVERLAP": "the overlap of that replacement",
	"TOKEN_REQUIRE_DPOP":                "`1`: refuse unbound tokens",
	"TOKEN_REQUIRE_NONCE":               "`1`: demand a nonce in proofs",
	"TOKEN_REGISTERED_DPOP_ONLY": "`1`: a login by assertion must use the registered DPoP key too, as every " +
		"other token request",
	"TOKEN_TTL_SECONDS": "how long an access token lives. More than 300 only where every resource server follows the " +
		"status document or introspects",
	"MASTIO_EVENT_BUS": "the EventBridge bus of the events; only the function events needs it",
	"MASTIO_ROTATECA_FUNCTION": "the function rotateca, with its alias, which the dashboard has rotate the Org " +
		"CA; only the function dashboard needs it",
	"MASTIO_AGENT_SECRETS_KEY": "the KMS key under which hygiene encrypts what it delivers to agents; only the " +
		"function hygiene needs it",
	"CERT_MAX_AGE_DAYS": "how old an agent's certificate becomes",
	"CERT_RENEW_BEFORE_DAYS": "how long before that age, or before its own end, a certificate is due; never before two " +
		"thirds of its life. " +
		"Less than `CERT_MAX_AGE_DAYS`",
	"MASTIO_REISSUE_PACE": "how many agents a second get a new certificate in their secret after a rotation of the Org " +
		"CA; `0`: as many as there are. One takes a signature in KMS and at most three of the 50 writes a second that " +
		"Secrets Manager allows an account",
	"RENEW_OVERLAP_SECONDS": "how long the certificate before a renewal still counts, unless the new one is used earlier",
}
