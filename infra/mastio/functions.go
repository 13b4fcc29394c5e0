package mastio

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Live is the alias through which everything calls a function. It moves to a new version only once the start-up check
// of the deployment has passed, so that code or settings that cannot work never take a request.
const Live = "live"

// size is what a function may take.
type size struct {
	memory   int // MB; the share of a processor goes with it
	timeout  int // seconds
	reserved int // concurrent executions set aside, and the most there can be; 0: what the account has
}

// request is the size of a function behind API Gateway, which waits for 29 seconds.
var request = size{memory: 512, timeout: 29}

// sizes lists the functions with another size than the default. A function that makes keys has a reserved
// concurrency, so that tokens do not starve it and it stays below KMS's five CreateKey a second.
var sizes = map[string]size{
	"rotateca": {memory: 512, timeout: 29, reserved: 5},
	"standby":  {memory: 512, timeout: 120, reserved: 2},
	"hygiene":  {memory: 512, timeout: 900, reserved: 1},
	"startup":  {memory: 256, timeout: 60},
	// It reads the fleet to notify every owner of a rotation.
	"events": {memory: 512, timeout: 300},
	// A bundle is built in memory, and so are the rows that it is built of.
	"audit":   {memory: 1024, timeout: 29},
	"healthz": {memory: 256, timeout: 29},
	"status":  {memory: 256, timeout: 29},
}

func sizeOf(function string) size {
	if s, ok := sizes[function]; ok {
		return s
	}
	if scheduled(function) {
		return size{memory: 512, timeout: 300}
	}
	return request
}

// Function is one deployed function.
type Function struct {
	Lambda awslambda.Function
	Alias  awslambda.Alias
	Role   awsiam.Role
	Policy awsiam.Policy
	Keys   awsiam.ManagedPolicy // what a function with many rights may do in KMS; nil for all others
	Log    awslogs.LogGroup
}

var retentions = map[int]awslogs.RetentionDays{
	30: awslogs.RetentionDays_ONE_MONTH, 60: awslogs.RetentionDays_TWO_MONTHS, 90: awslogs.RetentionDays_THREE_MONTHS,
	180: awslogs.RetentionDays_SIX_MONTHS, 365: awslogs.RetentionDays_ONE_YEAR, 400: awslogs.RetentionDays_THIRTEEN_MONTHS,
	731: awslogs.RetentionDays_TWO_YEARS, 3653: awslogs.RetentionDays_TEN_YEARS,
}

// function makes one function with a role of its own, which may do what permissions.go says and nothing else.
func (s *Service) function(name string) *Function {
	scope := constructs.NewConstruct(s.Scope, jsii.String(strings.ToUpper(name[:1])+name[1:]))
	f := &Function{Log: s.logGroup(scope, "Log", "/aws/lambda/"+s.props.name(name))}
	f.Role = awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String("Mastio " + s.props.OrgID + ": function " + name),
	})
	// The policy is a resource of its own: in the role it would count towards nothing that could be waited for.
	f.Policy = awsiam.NewPolicy(scope, jsii.String("Policy"), &awsiam.PolicyProps{Roles: &[]awsiam.IRole{f.Role}})
	s.allow(name, f, scope)
	code := filepath.Join(s.props.BuildDir, name)
	if _, err := os.Stat(filepath.Join(code, "bootstrap")); err != nil {
		panic(fmt.Errorf("%w: function %s is not built: make build writes it to buildDir (%s)", ErrProps, name,
			s.props.BuildDir))
	}
	z := sizeOf(name)
	// A version is kept, so that the alias can go back to it. The version of a failed deployment is not kept: Lambda
	// would publish no other version for the same code, and the deployment could not be repeated.
	props := &awslambda.FunctionProps{
		FunctionName: jsii.String(s.props.name(name)),
		Description:  jsii.String("Mastio " + s.props.OrgID + ": " + name),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Handler:      jsii.String("bootstrap"),
		Architecture: s.architecture(),
		Code:         awslambda.Code_FromAsset(jsii.String(code), nil),
		MemorySize:   number(z.memory),
		Timeout:      awscdk.Duration_Seconds(number(z.timeout)),
		Environment:  s.environment(name),
		// CDK adds statements to a role that it may change; this one it may not.
		Role:          f.Role.WithoutPolicyUpdates(nil),
		LogGroup:      f.Log,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		// Without START, END and REPORT, which are some 300 octets of log for each request. Lambda logs a failure as a
		// warning: an end by timeout, by memory, or before the first event.
		SystemLogLevelV2:      awslambda.SystemLogLevel_WARN,
		Tracing:               awslambda.Tracing_DISABLED,
		CurrentVersionOptions: &awslambda.VersionOptions{RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE},
	}
	if s.props.Tracing {
		props.Tracing = awslambda.Tracing_ACTIVE
	}
	if z.reserved > 0 && !s.props.SharedConcurrency {
		props.ReservedConcurrentExecutions = number(z.reserved)
	}
	if scheduled(name) {
		props.DeadLetterQueue = s.Failed
	}
	f.Lambda = awslambda.NewFunction(scope, jsii.String("Function"), props)
	f.Lambda.Node().AddDependency(f.Policy)
	if f.Keys != nil {
		f.Lambda.Node().AddDependency(f.Keys)
	}
	alias := &awslambda.AliasProps{AliasName: jsii.String(Live), Version: f.Lambda.CurrentVersion()}
	if scheduled(name) {
		alias.RetryAttempts = number(2)
	}
	f.Alias = awslambda.NewAlias(scope, jsii.String("Live"), alias)
	return f
}

// inline is how many statements a function's own policy holds with room to spare.
const inline = 24

// allow gives a function its statements. With many, those for KMS are in a policy of their own: IAM takes 10,240
// characters of all inline policies of a role, and another 6,144 of each managed policy.
func (s *Service) allow(name string, f *Function, scope constructs.Construct) {
	all := s.statementsOf(name, f)
	if len(all) > inline {
		f.Keys = awsiam.NewManagedPolicy(scope, jsii.String("Keys"), &awsiam.ManagedPolicyProps{
			Description: jsii.String("Mastio " + s.props.OrgID + ": keys, for " + name),
			Roles:       &[]awsiam.IRole{f.Role},
		})
	}
	for _, st := range all {
		if f.Keys != nil && st.only("kms:") {
			f.Keys.AddStatements(st.policy())
			continue
		}
		f.Policy.AddStatements(st.policy())
	}
}

func (s *Service) architecture() awslambda.Architecture {
	if s.props.Architecture == X86 {
		return awslambda.Architecture_X86_64()
	}
	return awslambda.Architecture_ARM_64()
}

// environment is what shared/boot reads. The same for every function, so that a mistake in it fails the start-up check.
func (s *Service) environment(function string) *map[string]*string {
	p := s.props
	env := map[string]string{
		"MASTIO_ORG_ID": p.OrgID, "MASTIO_TRUST_DOMAIN": p.TrustDomain, "MASTIO_ISSUER": s.issuer(),
		"MASTIO_TABLE_PREFIX":      p.TablePrefix,
		"MASTIO_TRUSTSTORE_BUCKET": *s.data.Truststore.BucketName(), "MASTIO_TRUSTSTORE_KEY": TruststoreKey,
		"MASTIO_ADMIN_SECRET_ID": *s.data.AdminSecret.SecretArn(), "MASTIO_TOKEN_KEK": *s.data.TokenKEK.KeyArn(),
		"MASTIO_METRICS_TOKEN_ID":     *s.data.MetricsToken.SecretArn(),
		"MASTIO_SPIFFE_TRUST_DOMAINS": strings.Join(p.SPIFFETrustDomains, ","),
		"RENEW_OVERLAP_SECONDS":       strconv.Itoa(p.RenewOverlapSeconds),
		"TOKEN_TTL_SECONDS":           strconv.Itoa(p.TokenTTLSeconds),
		"MASTIO_EVENT_BUS":            p.name("events"), "MASTIO_ROTATECA_FUNCTION": s.rotateCA(),
		"CERT_MAX_AGE_DAYS": strconv.Itoa(p.CertMaxAgeDays), "CERT_RENEW_BEFORE_DAYS": strconv.Itoa(p.CertRenewBeforeDays),
		"MASTIO_AGENT_SECRETS_KEY": *s.data.AgentSecretsKey.KeyArn(),
		"MASTIO_AUDIT_BUCKET":      *s.data.Archive.BucketName(), "MASTIO_AUDIT_KEY": *s.data.AuditKey.KeyArn(),
		"AUDIT_TSA_URL": p.AuditTSA,
		"TOKEN_SIGNER":  string(p.TokenSigner), "MASTIO_FIRST_CA": string(p.FirstCA),
	}
	for name, on := range map[string]bool{
		"TOKEN_REQUIRE_DPOP": p.RequireDPoP, "TOKEN_REQUIRE_NONCE": p.RequireNonce,
		"TOKEN_REGISTERED_DPOP_ONLY": p.RegisteredDPoPOnly,
		"MCP_PROXY_STRICT_PKI":       p.StrictPKI, "MCP_PROXY_PKI_AUTO_MIGRATE": p.AutoMigrate,
		"MASTIO_ORG_CA_AUTO_ROTATE": p.AutoRotate,
	} {
		if on {
			env[name] = "1"
		}
	}
	if p.Agents != nil {
		env["MASTIO_AGENTS_DOMAIN"] = p.Agents.Name
	}
	if s.data.TokenKey != nil {
		env["MASTIO_TOKEN_SIGNING_KEY"] = *s.data.TokenKey.KeyArn()
	}
	if function == startUpCheck {
		env["MASTIO_RELEASE"] = s.release()
	}
	out := map[string]*string{}
	for k, v := range env {
		out[k] = jsii.String(v)
	}
	return &out
}

// rotateCA is the name and alias of the function that rotates the Org CA for the dashboard. It is spelled out, so
// that a deployment has no order between the two.
func (s *Service) rotateCA() string { return s.props.name("rotateca") + ":" + Live }

// release changes with the code of any function. The start-up check has it in its settings, so that it runs whenever
// there is something new to check.
func (s *Service) release() string {
	return *awscdk.FileSystem_Fingerprint(jsii.String(s.props.BuildDir), nil)
}

func (s *Service) mustFunction(name string) *Function {
	f, ok := s.Functions[name]
	if !ok {
		panic(fmt.Errorf("route table names function %q, which is not among routes.Functions()", name))
	}
	return f
}
