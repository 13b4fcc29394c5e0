// Package boot turns the environment into a running function. It is the only package that imports every layer.
package boot

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/verifier/accesstoken"
	"github.com/mastio-aws/mastio/shared/version"
)

// ErrConfig reports an environment that a function cannot run in. It names every variable that is wrong.
var ErrConfig = errors.New("configuration is incomplete")

// Signer says where tokens are signed.
type Signer string

// The token signers.
const (
	EpochKey Signer = "epoch" // by a key of the day, encrypted under KMS; no KMS call per token
	KMS      Signer = "kms"   // in KMS, every token: at most 1,000 a second in a region
)

// Config is what the environment says. Settings lists the variables, and so does shared/REFERENCE.md.
type Config struct {
	OrgID       string
	TrustDomain string
	// SPIFFETrustDomains are foreign trust domains whose SVIDs agents may be enrolled with.
	SPIFFETrustDomains []string
	Issuer             string // the agents' base URL, without a slash at its end
	TablePrefix        string
	TruststoreBucket   string
	TruststoreKey      string
	AgentsDomain       string // custom domain with mutual TLS that serves the truststore; empty: there is none
	AdminSecret        string // id of the secret, not the secret
	MetricsToken       string // id of the secret with the token of GET /metrics; only the function healthz needs it
	TokenKEK           string // KMS key that encrypts token keys
	AuditBucket        string // keeps checkpoints of the audit trail
	AuditKey           string // KMS key that signs them
	TSA                string // URL of a time-stamping authority; empty: none
	AgentSecretsKey    string // KMS key that encrypts what hygiene delivers; only the function hygiene needs it
	EventBus           string // name of the EventBridge bus; only the function events needs it
	RotateCAFunction   string // name and alias of the function rotateca; only the function dashboard needs it
	TokenSigningKey    string // KMS key that signs tokens; only with Signer KMS
	Signer             Signer
	RequireDPoP        bool
	RequireNonce       bool
	TokenLife          time.Duration  // of an access token
	RegisteredDPoPOnly bool           // a login by assertion binds its token to the registered DPoP key too
	RenewOverlap       time.Duration  // how long the certificate before a renewal still counts at most
	StrictPKI          bool           // refuse to work under a legacy Org CA
	AutoRotate         time.Duration  // overlap of a minted Org CA's automatic rotation before its end; zero: none
	AutoMigrate        time.Duration  // overlap of a legacy Org CA's automatic migration; zero: none
	Schedule           agent.Schedule // when agents' certificates are due
	ReissuePace        int            // deliveries of a re-issue in a second; zero: as many as there are
	Adopt              bool           // the first Org CA is the operator's, by upload; none is minted
	Version            string
}

// Environment reads the configuration; getenv is os.Getenv but in tests. It returns ErrConfig.
func Environment(getenv func(string) string) (Config, error) {
	e := env{getenv: getenv}
	c := e.config()
	if len(e.wrong) > 0 {
		return Config{}, fmt.Errorf("%w: %s", ErrConfig, strings.Join(e.wrong, "; "))
	}
	return c, nil
}

// config reads every variable, the wrong ones too.
func (e *env) config() Config {
	c := Config{
		OrgID:              e.need("MASTIO_ORG_ID"),
		TrustDomain:        e.need("MASTIO_TRUST_DOMAIN"),
		Issuer:             e.url("MASTIO_ISSUER"),
		SPIFFETrustDomains: e.trustDomains("MASTIO_SPIFFE_TRUST_DOMAINS"),
		TablePrefix:        e.optional("MASTIO_TABLE_PREFIX"),
		TruststoreBucket:   e.need("MASTIO_TRUSTSTORE_BUCKET"),
		TruststoreKey:      e.need("MASTIO_TRUSTSTORE_KEY"),
		AgentsDomain:       e.optional("MASTIO_AGENTS_DOMAIN"),
		AdminSecret:        e.need("MASTIO_ADMIN_SECRET_ID"),
		MetricsToken:       e.optional("MASTIO_METRICS_TOKEN_ID"),
		TokenKEK:           e.need("MASTIO_TOKEN_KEK"),
		AuditBucket:        e.need("MASTIO_AUDIT_BUCKET"),
		AuditKey:           e.need("MASTIO_AUDIT_KEY"),
		TSA:                e.web("AUDIT_TSA_URL"),
		Signer:             Signer(e.oneOf("TOKEN_SIGNER", string(EpochKey), string(KMS))),
		RequireDPoP:        e.flag("TOKEN_REQUIRE_DPOP"),
		RequireNonce:       e.flag("TOKEN_REQUIRE_NONCE"),
		RegisteredDPoPOnly: e.flag("TOKEN_REGISTERED_DPOP_ONLY"),
		StrictPKI:          e.flag("MCP_PROXY_STRICT_PKI"),
		RotateCAFunction:   e.optional("MASTIO_ROTATECA_FUNCTION"),
		EventBus:           e.optional("MASTIO_EVENT_BUS"),
		AgentSecretsKey:    e.optional("MASTIO_AGENT_SECRETS_KEY"),
		Schedule:           e.schedule(),
		ReissuePace:        e.pace("MASTIO_REISSUE_PACE", usualPace, mostPace),
		Adopt:              e.oneOf("MASTIO_FIRST_CA", "mint", "adopt") == "adopt",
		Version:            version.Stamp,
	}
	c.TokenLife = e.seconds("TOKEN_TTL_SECONDS", accesstoken.DefaultLife, accesstoken.MinLife, accesstoken.MaxLife)
	c.RenewOverlap = e.seconds("RENEW_OVERLAP_SECONDS", agentcert.DefaultOverlap, agentcert.MinOverlap,
		agentcert.MaxOverlap)
	overlap := e.seconds("MCP_PROXY_PKI_AUTO_MIGRATE_OVERLAP", 7*24*time.Hour, time.Hour, orgca.MaxOverlap)
	if e.flag("MCP_PROXY_PKI_AUTO_MIGRATE") {
		c.AutoMigrate = overlap
	}
	overlap = e.seconds("MASTIO_ORG_CA_AUTO_ROTATE_OVERLAP", 30*24*time.Hour, time.Hour, orgca.MaxOverlap)
	if e.flag("MASTIO_ORG_CA_AUTO_ROTATE") {
		c.AutoRotate = overlap
	}
	if c.Signer == KMS {
		c.TokenSigningKey = e.need("MASTIO_TOKEN_SIGNING_KEY")
	}
	return c
}

// env collects what is wrong, so that one look at the log mends all of it. It notes what it reads, for Settings.
type env struct {
	getenv func(string) string
	wrong  []string
	read   []Setting
}

// look reads a variable and notes which values it takes and its default.
func (e *env) look(name, takes, usual string) string {
	e.read = append(e.read, Setting{Name: name, Takes: takes, Default: usual})
	return e.getenv(name)
}

// optional reads a variable that may be empty.
func (e *env) optional(name string) string { return e.look(name, "", "none") }

func (e *env) need(name string) string {
	return e.needed(name, "")
}

func (e *env) needed(name, takes string) string {
	v := e.look(name, takes, "required")
	if v == "" {
		e.wrong = append(e.wrong, name+" is not set")
	}
	return v
}

// url reads an issuer identifier: RFC 8414 section 2 allows it neither query nor fragment.
func (e *env) url(name string) string {
	v := e.needed(name, "https URL without query and fragment")
	u, err := url.Parse(v)
	if v != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(v, "?#")) {
		e.wrong = append(e.wrong, name+" is not an https URL without query and fragment")
	}
	return strings.TrimSuffix(v, "/")
}

var trustDomain = regexp.MustCompile(`^[a-z0-9._-]{1,255}$`)

// trustDomains reads a list with commas between.
func (e *env) trustDomains(name string) []string {
	var domains []string
	for _, d := range strings.FieldsFunc(e.look(name, "trust domains, commas between", "none"),
		func(r rune) bool { return r == ',' || r == ' ' }) {
		if !trustDomain.MatchString(d) {
			e.wrong = append(e.wrong, fmt.Sprintf("%s holds %q, which is no trust domain", name, d))
		}
		domains = append(domains, d)
	}
	return domains
}

// web reads the URL of a service, which may be left out.
func (e *env) web(name string) string {
	v := e.look(name, "http or https URL", "none")
	if v == "" {
		return ""
	}
	if u, err := url.Parse(v); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" ||
		u.Fragment != "" {
		e.wrong = append(e.wrong, name+" is not an http or https URL")
	}
	return v
}

func (e *env) oneOf(name string, values ...string) string {
	v := e.look(name, strings.Join(values, " or "), values[0])
	if v == "" {
		return values[0]
	}
	for _, allowed := range values {
		if v == allowed {
			return v
		}
	}
	e.wrong = append(e.wrong, fmt.Sprintf("%s takes %s", name, strings.Join(values, " or ")))
	return ""
}

// seconds reads a duration in whole seconds.
func (e *env) seconds(name string, usual, least, most time.Duration) time.Duration {
	takes := fmt.Sprintf("%d to %d seconds", least/time.Second, most/time.Second)
	v := e.look(name, takes, strconv.Itoa(int(usual/time.Second)))
	if v == "" {
		return usual
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if d := time.Duration(n) * time.Second; err == nil && least <= d && d <= most {
		return d
	}
	e.wrong = append(e.wrong, name+" takes "+takes)
	return 0
}

// schedule reads when certificates are due.
func (e *env) schedule() agent.Schedule {
	age := e.days("CERT_MAX_AGE_DAYS", int(agent.Annually.MaxAge/day), 2, agentcert.MaxDays)
	before := e.days("CERT_RENEW_BEFORE_DAYS", int(agent.Annually.RenewBefore/day), 1, agentcert.MaxDays)
	if before >= age && age > 0 {
		e.wrong = append(e.wrong, "CERT_RENEW_BEFORE_DAYS is not less than CERT_MAX_AGE_DAYS")
	}
	return agent.Schedule{MaxAge: time.Duration(age) * day, RenewBefore: time.Duration(before) * day}
}

const day = 24 * time.Hour

// days reads a number of days.
func (e *env) days(name string, usual, least, most int) int {
	takes := fmt.Sprintf("%d to %d", least, most)
	v := e.look(name, takes+" days", strconv.Itoa(usual))
	if v == "" {
		return usual
	}
	if n, err := strconv.Atoi(v); err == nil && least <= n && n <= most {
		return n
	}
	e.wrong = append(e.wrong, name+" takes "+takes)
	return 0
}

// pace reads a number of operations in a second.
func (e *env) pace(name string, usual, most int) int {
	takes := fmt.Sprintf("0 to %d a second", most)
	v := e.look(name, takes, strconv.Itoa(usual))
	if v == "" {
		return usual
	}
	if n, err := strconv.ParseUint(v, 10, 16); err == nil && n <= uint64(most) {
		return int(n)
	}
	e.wrong = append(e.wrong, name+" takes "+takes)
	return 0
}

func (e *env) flag(name string) bool { return e.oneOf(name, "0", "1") == "1" }

func environment() (Config, error) { return Environment(os.Getenv) }
