package mastio

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
)

// ErrProps reports settings that nothing can be deployed with. It names every one that is wrong, and what it takes.
var ErrProps = errors.New("settings of the Mastio are wrong")

// TokenSigner says where access tokens are signed.
type TokenSigner string

// The token signers.
const (
	EpochKey  TokenSigner = "epoch" // by a key of the day, encrypted under KMS; no KMS call a token
	KMSSigner TokenSigner = "kms"   // in KMS, every token
)

// FirstCA says where an empty organisation's first Org CA comes from.
type FirstCA string

// The origins of a first Org CA.
const (
	Mint  FirstCA = "mint"  // the deployment makes it
	Adopt FirstCA = "adopt" // an operator uploads an existing one after the deployment
)

// ArchiveLock says who may still delete a checkpoint before its retention ends.
type ArchiveLock string

// The locks.
const (
	Governance ArchiveLock = "governance" // s3:BypassGovernanceRetention lifts it, so that an installation can be removed
	Compliance ArchiveLock = "compliance" // no caller can delete, not even the account's root user, for archiveYears
)

// Target says what is deployed to.
type Target string

// The targets.
const (
	AWS        Target = "aws"
	LocalStack Target = "localstack" // without what its open version lacks: see localstack/README.md
)

// Architecture is the processor that the functions are built for.
type Architecture string

// The architectures.
const (
	ARM64 Architecture = "arm64"
	X86   Architecture = "x86_64"
)

// APIKind says which of API Gateway's two kinds the agents' API is.
type APIKind string

// The kinds of API.
const (
	HTTPAPI APIKind = "http" // $1.00 for a million requests
	RESTAPI APIKind = "rest" // $3.50; for those who want X-Ray or a firewall of their own before it
)

// Domain is a custom domain name of the Mastio. Without a HostedZone the platform team makes its DNS record, which
// points at the output TargetName.
type Domain struct {
	Name           string
	CertificateARN string // in ACM, in the region of the deployment
	// OwnershipCertificateARN names a certificate that ACM issued for the domain. API Gateway requires it if the domain
	// has mutual TLS and its own certificate was imported or issued by AWS Private CA.
	OwnershipCertificateARN string
}

// Props are the settings of a Mastio. OrgID and TrustDomain are required; New fills in the rest.
type Props struct {
	OrgID       string // names every resource; lower case
	TrustDomain string // of the agents' SPIFFE IDs

	AgentsAPI APIKind // empty: an HTTP API; on LocalStack, whose open version has none, a REST API
	// mutual TLS; nil: the API's default endpoint, which asks for no certificate, so that agents get no token
	Agents    *Domain
	Operators *Domain // plain TLS; nil: the API's default endpoint
	// HostedZone is the id of the Route 53 zone that gets the DNS records of both domains; empty: the operator points
	// the records at the outputs TargetName.
	HostedZone string
	Issuer     string // agents' base URL if it is neither of these, for example behind another gateway

	AlarmEmail string // gets every alarm; empty: alarms change state and send no mail
	// SPIFFETrustDomains are foreign trust domains whose SVIDs agents may be enrolled with.
	SPIFFETrustDomains  []string
	CertMaxAgeDays      int      // of certificates that the Mastio issues
	CertRenewBeforeDays int      // how long before that, or before its own end, a certificate is due
	RenewOverlapSeconds int      // how long the certificate before a renewal still counts at most
	AllowedSources      []string // CIDRs that may reach the operators' API; none: all may
	TokenSigner         TokenSigner
	TokenTTLSeconds     int // how long an access token lives
	RequireDPoP         bool
	RequireNonce        bool
	RegisteredDPoPOnly  bool // a login by assertion binds its token to the registered DPoP key too
	StrictPKI           bool
	AutoMigrate         bool
	AutoRotate          bool
	FirstCA             FirstCA
	StandbyMinutes      int // between two runs of the standby job

	CheckpointMinutes int // between two checkpoints of the audit trail, while anything happens
	ArchiveLock       ArchiveLock
	AuditTSA          string // URL of a time-stamping authority (RFC 3161) for them; empty: none

	TablePrefix          string // before the tables' names; a restore takes another one
	LogRetentionDays     int
	LogKey               bool // log groups and the alarms' topic are under a key of the installation, $1 a month
	Tracing              bool // AWS X-Ray
	SharedConcurrency    bool // reserve none: a young account has too little of it to reserve any
	SharedAccountLogging bool // the account has a role that API Gateway writes access logs with; false: make one
	Target               Target
	Architecture         Architecture
	BuildDir             string // holds <function>/bootstrap
	// First is the first deployment of the data, or another try of one that failed: nothing is protected from deletion
	// yet, so that a failure takes back what was made. The deployment after it sets the protection.
	First     bool
	EraseData string // the OrgID once more: the next removal of the data takes tables, keys and secret with it
}

// Defaults returns the settings that New takes where a field is not set, and that differ from the zero value.
func Defaults() Props {
	return Props{
		TokenSigner:         EpochKey,
		FirstCA:             Mint,
		ArchiveLock:         Governance,
		StandbyMinutes:      2,
		CheckpointMinutes:   15,
		RenewOverlapSeconds: 3600,
		TokenTTLSeconds:     300,
		CertMaxAgeDays:      365,
		CertRenewBeforeDays: 30,
		LogRetentionDays:    365,
		Target:              AWS,
		Architecture:        ARM64,
		BuildDir:            "build/lambda",
	}
}

// filled fills in what was left out.
func (p Props) filled() Props {
	d, kind := Defaults(), p.AgentsAPI
	p.TokenSigner = or(p.TokenSigner, d.TokenSigner)
	p.FirstCA = or(p.FirstCA, d.FirstCA)
	p.ArchiveLock = or(p.ArchiveLock, d.ArchiveLock)
	p.StandbyMinutes = or(p.StandbyMinutes, d.StandbyMinutes)
	p.CertMaxAgeDays = or(p.CertMaxAgeDays, d.CertMaxAgeDays)
	p.CertRenewBeforeDays = or(p.CertRenewBeforeDays, d.CertRenewBeforeDays)
	p.RenewOverlapSeconds = or(p.RenewOverlapSeconds, d.RenewOverlapSeconds)
	p.TokenTTLSeconds = or(p.TokenTTLSeconds, d.TokenTTLSeconds)
	p.CheckpointMinutes = or(p.CheckpointMinutes, d.CheckpointMinutes)
	p.LogRetentionDays = or(p.LogRetentionDays, d.LogRetentionDays)
	p.Target = or(p.Target, d.Target)
	p.Architecture = or(p.Architecture, d.Architecture)
	p.BuildDir = or(p.BuildDir, d.BuildDir)
	p.AgentsAPI = or(p.AgentsAPI, HTTPAPI)
	if p.local() && kind == "" {
		p.AgentsAPI = RESTAPI
	}
	p.TablePrefix = or(p.TablePrefix, p.name("")) // ends with the hyphen
	return p
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// name is what a resource is called in the account.
func (p Props) name(what string) string { return "mastio-" + p.OrgID + "-" + what }

// DataStack is the name of the stack that NewStacks puts the data into.
func (p Props) DataStack() string { return p.name("data") }

// protected reports whether tables and their stack refuse to be deleted.
func (p Props) protected() bool { return p.EraseData == "" && !p.First }

// local reports whether a LocalStack is deployed to.
func (p Props) local() bool { return p.Target == LocalStack }

var (
	orgPattern    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	domainPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	prefixPattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
	certPattern   = regexp.MustCompile(`^arn:[a-z-]+:acm:[a-z0-9-]+:\d{12}:certificate/[a-zA-Z0-9-]+$`)
	zonePattern   = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	emailPattern  = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)
)

// check returns ErrProps with all that is wrong. A value that is only known at deployment (a token of the CDK's)
// passes.
func (p Props) check() error {
	var wrong []string
	say := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	if !known(p.OrgID, orgPattern.MatchString) {
		say("orgId is %q: set it to 1 to 32 lower-case letters, digits and inner hyphens, as in -c orgId=acme", p.OrgID)
	}
	if !known(p.TrustDomain, domainPattern.MatchString) {
		say("trustDomain is %q: set it to a DNS name in lower case, as in -c trustDomain=acme.example", p.TrustDomain)
	}
	if p.EraseData != "" && p.EraseData != p.OrgID {
		say("eraseData is %q: it takes the orgId, %q, and makes the next removal of the data final", p.EraseData, p.OrgID)
	}
	if !prefixPattern.MatchString(p.TablePrefix) {
		say("tablePrefix is %q: set it to at most 64 letters, digits, dots, hyphens and underscores", p.TablePrefix)
	}
	p.Agents.check("agents", say)
	p.Operators.check("operators", say)
	if p.Agents != nil && p.Operators != nil && p.Agents.Name == p.Operators.Name {
		say("agentsDomain and operatorsDomain are both %q: the agents' domain asks for a client certificate, the "+
			"operators' must not; take two names", p.Agents.Name)
	}
	switch {
	case p.HostedZone == "":
	case !known(p.HostedZone, zonePattern.MatchString):
		say("hostedZone is %q: set it to the id of the Route 53 zone of the domains, as aws route53 list-hosted-zones "+
			"prints it behind /hostedzone/", p.HostedZone)
	case p.Agents == nil && p.Operators == nil:
		say("hostedZone is %q, and neither agentsDomain nor operatorsDomain is set: there is nothing to point there",
			p.HostedZone)
	}
	if u, err := url.Parse(p.Issuer); p.Issuer != "" &&
		(err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
		say("issuer is %q: set it to the https URL under which agents reach the Mastio", p.Issuer)
	}
	if p.AlarmEmail != "" && !known(p.AlarmEmail, emailPattern.MatchString) {
		say("alarmEmail is %q: set it to one address", p.AlarmEmail)
	}
	for _, cidr := range p.AllowedSources {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			say("allowedSources holds %q: give networks, separated by commas, as in 192.0.2.0/24,2001:db8::/32", cidr)
		}
	}
	p.checkChoices(say)
	if len(wrong) > 0 {
		return fmt.Errorf("%w:\n  %s", ErrProps, strings.Join(wrong, "\n  "))
	}
	return nil
}

func (p Props) checkChoices(say func(string, ...any)) {
	oneOf(say, "tokenSigner", p.TokenSigner, EpochKey, KMSSigner)
	oneOf(say, "firstCa", p.FirstCA, Mint, Adopt)
	oneOf(say, "archiveLock", p.ArchiveLock, Governance, Compliance)
	if p.ArchiveLock == Compliance && p.local() {
		say("archiveLock is %q: LocalStack keeps nothing for years; leave it out", p.ArchiveLock)
	}
	oneOf(say, "target", p.Target, AWS, LocalStack)
	oneOf(say, "architecture", p.Architecture, ARM64, X86)
	oneOf(say, "agentsApi", p.AgentsAPI, HTTPAPI, RESTAPI)
	if p.AgentsAPI == HTTPAPI && p.Tracing {
		say("tracing is true: API Gateway traces no HTTP API; set agentsApi to rest as well, at $3.50 instead of $1.00 for " +
			"a million requests")
	}
	if p.AgentsAPI == HTTPAPI && p.local() {
		say("agentsApi is %q: LocalStack's open version has REST APIs only; leave it out", p.AgentsAPI)
	}
	if p.StandbyMinutes < 1 || p.StandbyMinutes > 60 {
		say("standbyMinutes is %d: set it to 1 to 60", p.StandbyMinutes)
	}
	if p.CertMaxAgeDays < 2 || p.CertMaxAgeDays > 825 {
		say("certMaxAgeDays is %d: set it to 2 to 825", p.CertMaxAgeDays)
	}
	if p.CertRenewBeforeDays < 1 || p.CertRenewBeforeDays >= p.CertMaxAgeDays {
		say("certRenewBeforeDays is %d: set it to at least 1, and less than certMaxAgeDays", p.CertRenewBeforeDays)
	}
	if p.RenewOverlapSeconds < 60 || p.RenewOverlapSeconds > 172800 {
		say("renewOverlapSeconds is %d: set it to 60 to 172800", p.RenewOverlapSeconds)
	}
	if p.TokenTTLSeconds < 60 || p.TokenTTLSeconds > 3600 {
		say("tokenTtlSeconds is %d: set it to 60 to 3600", p.TokenTTLSeconds)
	}
	for _, d := range p.SPIFFETrustDomains {
		if !known(d, domainPattern.MatchString) {
			say("spiffeTrustDomains holds %q: give trust domains in lower case, separated by commas", d)
		}
	}
	if p.CheckpointMinutes < 1 || p.CheckpointMinutes > 1440 {
		say("checkpointMinutes is %d: set it to 1 to 1440", p.CheckpointMinutes)
	}
	if u, err := url.Parse(p.AuditTSA); p.AuditTSA != "" &&
		(err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "") {
		say("auditTsa is %q: set it to the http or https URL of a time-stamping authority", p.AuditTSA)
	}
	if _, ok := retentions[p.LogRetentionDays]; !ok {
		say("logRetentionDays is %d: CloudWatch takes 30, 60, 90, 180, 365, 400, 731 or 3653", p.LogRetentionDays)
	}
}

func oneOf[T ~string](say func(string, ...any), name string, got T, values ...T) {
	var texts []string
	for _, v := range values {
		if got == v {
			return
		}
		texts = append(texts, string(v))
	}
	say("%s is %q: set it to %s", name, string(got), strings.Join(texts, " or "))
}

func (d *Domain) check(who string, say func(string, ...any)) {
	if d == nil {
		return
	}
	if !known(d.Name, domainPattern.MatchString) {
		say("%sDomain is %q: set it to a DNS name in lower case", who, d.Name)
	}
	if !known(d.CertificateARN, certPattern.MatchString) {
		say("%sCertificate is %q: set it to the ARN of the ACM certificate for %s, which must be in the region of "+
			"the deployment", who, d.CertificateARN, d.Name)
	}
	if d.OwnershipCertificateARN != "" && !known(d.OwnershipCertificateARN, certPattern.MatchString) {
		say("%sOwnershipCertificate is %q: set it to the ARN of a certificate that ACM issued for %s", who,
			d.OwnershipCertificateARN, d.Name)
	}
}

// known applies a check to a value unless it is one that only the deployment knows.
func known(v string, check func(string) bool) bool {
	return check(v) || *awscdk.Token_IsUnresolved(v)
}
