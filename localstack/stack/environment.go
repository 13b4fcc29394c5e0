package stack

import (
	"maps"

	"github.com/mastio-aws/mastio/shared/routes"
)

func functionNames() []string { return routes.Functions() }

// environment is what every function is told. On AWS the deployment says the same but for the endpoints, the
// credentials and the last three.
func (s *Stack) environment(function string) map[string]string {
	env := map[string]string{
		"MASTIO_ORG_ID":            s.cfg.OrgID,
		"MASTIO_TRUST_DOMAIN":      s.cfg.TrustDomain,
		"MASTIO_ISSUER":            s.URL,
		"MASTIO_TABLE_PREFIX":      tablePrefix,
		"MASTIO_TRUSTSTORE_BUCKET": bucket,
		"MASTIO_TRUSTSTORE_KEY":    truststoreKey,
		"MASTIO_AGENTS_DOMAIN":     agentsDomain,
		"MASTIO_ADMIN_SECRET_ID":   adminSecretID,
		"MASTIO_TOKEN_KEK":         s.kek,
		"MASTIO_AUDIT_BUCKET":      auditBucket,
		"MASTIO_AUDIT_KEY":         s.audit,
		"MASTIO_AGENT_SECRETS_KEY": s.agentSecrets,
		"MASTIO_EVENT_BUS":         eventBus,
		"MASTIO_ROTATECA_FUNCTION": "rotateca",

		"AWS_ENDPOINT_URL_DYNAMODB":        s.Endpoints[DynamoDB],
		"AWS_ENDPOINT_URL_KMS":             s.Endpoints[KMS],
		"AWS_ENDPOINT_URL_S3":              s.Endpoints[S3],
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": s.Endpoints[SecretsManager],
		"AWS_ENDPOINT_URL_EVENTBRIDGE":     s.Endpoints[EventBridge],
		"AWS_ENDPOINT_URL_API_GATEWAY":     s.Endpoints[APIGateway],
		"AWS_ENDPOINT_URL_LAMBDA":          s.Endpoints[Lambda],
		"AWS_REGION":                       region,
		"AWS_ACCESS_KEY_ID":                AccessKey + function,
		"AWS_SECRET_ACCESS_KEY":            AccessKey,

		// The developer's own profile must not turn a local function towards a real account.
		"AWS_CONFIG_FILE":             "/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_EC2_METADATA_DISABLED":   "true",
	}
	if s.signing != "" {
		env["MASTIO_TOKEN_SIGNING_KEY"] = s.signing
	}
	maps.Copy(env, s.cfg.Env)
	return env
}
