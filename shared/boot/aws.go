package boot

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/mastio-aws/mastio/shared/edge/apigateway"
	"github.com/mastio-aws/mastio/shared/edge/awskms"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/edge/eventbridge"
	"github.com/mastio-aws/mastio/shared/edge/remoteca"
	"github.com/mastio-aws/mastio/shared/edge/s3"
	"github.com/mastio-aws/mastio/shared/edge/secrets"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/events"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// cloud is AWS, by the names that the settings give.
type cloud struct {
	parts  *Parts
	aws    aws.Config
	tables *dynamo.Store
}

func (c *cloud) store() registry.Store { return c.tables }

func (c *cloud) backups() rotateca.Backups {
	return dynamo.NewBackups(dynamo.NewClient(c.aws), c.parts.TablePrefix)
}

func (c *cloud) keys() Keys {
	return &awskms.Keys{API: kms.NewFromConfig(c.aws), OrgID: c.parts.OrgID, Now: c.parts.Now, Patience: c.parts.patience}
}

func (c *cloud) vault() token.Vault {
	return &awskms.Vault{
		API:      kms.NewFromConfig(c.aws),
		KeyID:    c.parts.TokenKEK,
		Now:      c.parts.Now,
		Patience: c.parts.patience,
	}
}

func (c *cloud) objects() truststore.Objects {
	return &s3.Objects{API: awss3.NewFromConfig(c.aws), Bucket: c.parts.TruststoreBucket, Key: c.parts.TruststoreKey}
}

// domain is the agents' custom domain, which a deployment for trying has not.
func (c *cloud) domain() truststore.Domain {
	if c.parts.AgentsDomain == "" {
		return truststore.NoDomain{}
	}
	return &apigateway.Domain{API: apigateway.NewClient(c.aws), Name: c.parts.AgentsDomain}
}

func (c *cloud) secret() Secret {
	api := secretsmanager.NewFromConfig(c.aws)
	return &secrets.Admins{
		Secret: secrets.New(api, c.parts.AdminSecret, c.parts.Now),
		Named:  secrets.NewDirectory(api, "mastio/admins/"+c.parts.OrgID+"/", c.parts.Now, c.parts.Log),
	}
}

func (c *cloud) metricsToken() Bearer {
	if c.parts.MetricsToken == "" {
		return nil
	}
	return secrets.New(secretsmanager.NewFromConfig(c.aws), c.parts.MetricsToken, c.parts.Now)
}

func (c *cloud) agentSecrets() hygiene.Secrets {
	return &secrets.Agents{API: secretsmanager.NewFromConfig(c.aws), KeyID: c.parts.AgentSecretsKey}
}

func (c *cloud) archive() auditlog.Archive {
	return &s3.Archive{API: awss3.NewFromConfig(c.aws), Bucket: c.parts.AuditBucket}
}

func (c *cloud) bus() events.Bus {
	return &eventbridge.Bus{API: awseventbridge.NewFromConfig(c.aws), Name: c.parts.EventBus}
}

func (c *cloud) functions() remoteca.API { return remoteca.NewClient(c.aws) }
