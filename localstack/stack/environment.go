package stack

import (
	"maps"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/routes"
)

func functionNames() []string { return routes.Functions() }

// Settings are the names of the settings that the stack gives the functions itself.
func Settings() []string {
	s := &Stack{signing: "set"}
	return slices.Sorted(maps.Keys(s.environment("")))
}

// environment returns the environment variables of a function. On AWS the deployment sets the same variables except
// the endpoints, the credentials and the last three.
func (s *Stack) environment(function string) map[string]string {
	env := map[string]string{
		"MASTIO_ORG_ID":            s.cfg.OrgID,
		"MASTIO_TRUST_DOMAIN":      s.cfg.TrustDomain,
		"MASTIO_ISSUER":            s.URL,
		"MASTIO_TABLE_PREFIX":      s.tables,
		"MASTIO_TRUSTSTORE_BUCKET": bucket,
		"MASTIO_TRUSTSTORE_KEY":    truststoreKey,
		"MASTIO_AGENTS_DOMAIN":     agentsDomain,
		"MASTIO_ADMIN_SECRET_ID":   adminSecretID,
		"MASTIO_METRICS_TOKEN_ID":  metricsID,
		"MASTIO_TOKEN_KEK":         s.kek,
		"MASTIO_AUDIT_BUCKET":      auditBucket,
		"MASTIO_AUDIT_KEY":         s.audit,
		"MASTIO_AGENT_SECRETS_KEY": s.agentSecrets,
		"MASTIO_EVENT_BUS":         eventBus,
		"MASTIO_ROTATECA_FUNCTION": "rotateca",
		"MASTIO_REISSUE_PACE":      "0", // no quota has to be shared here

		"AWS_REGION":            region,
		"AWS_ACCESS_KEY_ID":     AccessKey + function,
		"AWS_SECRET_ACCESS_KEY": s.Keys[AccessKey+function],

		// The developer's own profile must not turn a local function towards a real account.
		"AWS_CONFIG_FILE":             "/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_EC2_METADATA_DISABLED":   "true",
	}
	if s.signing != "" {
		env["MASTIO_TOKEN_SIGNING_KEY"] = s.signing
	}
	for service, url := range s.Endpoints {
		env["AWS_ENDPOINT_URL_"+EndpointName(service)] = url
	}
	maps.Copy(env, s.cfg.Env)
	return env
}

// EndpointName is what follows AWS_ENDPOINT_URL_ for one of Services: the service's id in the SDKs, in capitals.
func EndpointName(service string) string {
	switch service {
	case SecretsManager:
		return "SECRETS_MANAGER"
	case APIGateway:
		return "API_GATEWAY"
	default:
		return strings.ToUpper(service)
	}
}
