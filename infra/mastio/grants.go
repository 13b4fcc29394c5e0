package mastio

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/mastio-aws/mastio/shared/schema"
)

func (s *Service) tellOutside() statement {
	return statement{sid: "TellOutside", actions: []string{"events:PutEvents"}, resources: []string{*s.Bus.EventBusArn()}}
}

// askForRotations has the function rotateca rotate the Org CA. Its log names who asked.
func (s *Service) askForRotations() statement {
	return statement{
		sid:     "AskForRotations",
		actions: []string{"lambda:InvokeFunction"},
		resources: []string{*s.stack.FormatArn(&awscdk.ArnComponents{
			Service:      str("lambda"),
			Resource:     str("function"),
			ResourceName: str(s.rotateCA()),
			ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
		})},
	}
}

func (s *Service) reportFailure() statement {
	return statement{sid: "ReportFailure", actions: []string{"sqs:SendMessage"}, resources: []string{*s.Failed.QueueArn()}}
}

// deliverSecrets is for hygiene alone, on the agents' secrets alone. shared/usecase/hygiene names the secrets.
func (s *Service) deliverSecrets() statement {
	return statement{
		sid: "DeliverToAgents",
		actions: []string{
			"secretsmanager:CreateSecret", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
			"secretsmanager:PutSecretValue",
			"secretsmanager:UpdateSecretVersionStage",
		},
		resources: []string{fmt.Sprintf("arn:%s:secretsmanager:%s:%s:secret:mastio/agents/%s/*", *s.stack.Partition(),
			*s.stack.Region(), *s.stack.Account(), s.props.OrgID)},
	}
}

func (s *Service) sealSecrets() statement {
	return statement{
		sid:        "SealDeliveries",
		actions:    []string{"kms:Decrypt", "kms:GenerateDataKey"},
		resources:  []string{*s.data.AgentSecretsKey.KeyArn()},
		conditions: conditions{"StringEquals": {"kms:ViaService": "secretsmanager." + *s.stack.Region() + ".amazonaws.com"}},
	}
}

func (s *Service) signCheckpoints() statement {
	return statement{
		sid:        "SignCheckpoints",
		actions:    []string{"kms:GetPublicKey", "kms:Sign"},
		resources:  []string{*s.data.AuditKey.KeyArn()},
		conditions: conditions{"StringEqualsIfExists": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}},
	}
}

func (s *Service) publicAuditKey() statement {
	return statement{
		sid:       "ReadAuditKey",
		actions:   []string{"kms:GetPublicKey"},
		resources: []string{*s.data.AuditKey.KeyArn()},
	}
}

// readArchive needs ListBucket to find checkpoints that the tables have forgotten, and for S3 to answer 404.
func (s *Service) readArchive() statement {
	bucket := *s.data.Archive.BucketArn()
	return statement{
		sid:       "ReadArchive",
		actions:   []string{"s3:GetObject", "s3:ListBucket"},
		resources: []string{bucket, bucket + "/*"},
	}
}

// listSeals finds checkpoints that the tables have forgotten, by their names: what is in them is not this function's
// business.
func (s *Service) listSeals() statement {
	return statement{
		sid:        "ListSeals",
		actions:    []string{"s3:ListBucket"},
		resources:  []string{*s.data.Archive.BucketArn()},
		conditions: conditions{"StringEquals": {"s3:prefix": "checkpoints/"}},
	}
}

// writeArchive permits creating objects. An object is locked from its creation, and a locked object cannot be replaced.
func (s *Service) writeArchive() statement {
	return statement{
		sid:       "WriteArchive",
		actions:   []string{"s3:PutObject"},
		resources: []string{*s.data.Archive.BucketArn() + "/*"},
	}
}

func (s *Service) readTokenKeys() statement {
	return statement{
		sid:       "ReadTokenKeys",
		actions:   []string{"dynamodb:BatchGetItem", "dynamodb:GetItem"},
		resources: []string{s.table(schema.Keys)},
	}
}

// makeTokenKeys makes the key of an epoch. A function that serves tokens may too: the schedule may be late.
func (s *Service) makeTokenKeys() statement {
	return statement{
		sid:       "MakeTokenKeys",
		actions:   []string{"dynamodb:PutItem", "kms:GenerateDataKeyPairWithoutPlaintext"},
		resources: []string{s.table(schema.Keys), *s.data.TokenKEK.KeyArn()},
	}
}

// openTokenKeys opens what was sealed for this purpose and this organisation, and nothing else under the same key.
func (s *Service) openTokenKeys() statement {
	return statement{
		sid:       "OpenTokenKeys",
		actions:   []string{"kms:Decrypt"},
		resources: []string{*s.data.TokenKEK.KeyArn()},
		conditions: conditions{"StringEquals": {
			"kms:EncryptionContext:mastio:purpose": "token-signing", "kms:EncryptionContext:mastio:org": s.props.OrgID,
		}},
	}
}

// signTokens is empty unless tokens are signed in KMS.
func (s *Service) signTokens() statement {
	if s.data.TokenKey == nil {
		return statement{}
	}
	return statement{
		sid:        "SignTokens",
		actions:    []string{"kms:GetPublicKey", "kms:Sign"},
		resources:  []string{*s.data.TokenKey.KeyArn()},
		conditions: conditions{"StringEqualsIfExists": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}},
	}
}

func (s *Service) publicTokenKey() statement {
	if s.data.TokenKey == nil {
		return statement{}
	}
	return statement{
		sid:       "ReadTokenKey",
		actions:   []string{"kms:GetPublicKey"},
		resources: []string{*s.data.TokenKey.KeyArn()},
	}
}

// readTruststore needs ListBucket too: without it S3 answers 403 for an object that is not there yet, and 403 is an
// error.
func (s *Service) readTruststore() statement {
	bucket := *s.data.Truststore.BucketArn()
	return statement{
		sid:       "ReadTruststore",
		actions:   []string{"s3:GetObject", "s3:ListBucket"},
		resources: []string{bucket, bucket + "/" + TruststoreKey},
	}
}

func (s *Service) writeTruststore() statement {
	return statement{
		sid:       "WriteTruststore",
		actions:   []string{"s3:PutObject"},
		resources: []string{*s.data.Truststore.BucketArn() + "/" + TruststoreKey},
	}
}

// pointDomain lets a function point the agents' domain at a version of its truststore; empty where there is no
// domain. A change of a domain with mutual TLS takes AddCertificateToDomain in addition to the PATCH. No function
// gets RemoveCertificateFromDomain, which would remove mutual TLS from the domain.
func (s *Service) pointDomain() statement {
	if s.props.Agents == nil {
		return statement{}
	}
	domains := fmt.Sprintf("arn:%s:apigateway:%s::/domainnames", *s.stack.Partition(), *s.stack.Region())
	return statement{
		sid:       "PointAgentsDomain",
		actions:   []string{"apigateway:AddCertificateToDomain", "apigateway:GET", "apigateway:PATCH"},
		resources: []string{domains + "/" + s.props.Agents.Name},
	}
}

// showTruststore lets API Gateway read the version that its domain is pointed at: it does so with the rights of who
// points.
func (s *Service) showTruststore() statement {
	if s.props.Agents == nil {
		return statement{}
	}
	return statement{
		sid:       "ShowTruststore",
		actions:   []string{"s3:GetObjectVersion"},
		resources: []string{*s.data.Truststore.BucketArn() + "/" + TruststoreKey},
	}
}

const readAdminSecret = "ReadAdminSecret"

func (s *Service) readAdminSecret() statement {
	return statement{
		sid:        readAdminSecret,
		actions:    []string{"secretsmanager:GetSecretValue"},
		resources:  []string{*s.data.AdminSecret.SecretArn()},
		conditions: conditions{"StringEquals": {"secretsmanager:VersionStage": []string{"AWSCURRENT", "AWSPREVIOUS"}}},
	}
}

// readNamedAdmins is for the functions that admit admins. The operators make these secrets, under this name; AWS's own
// key of Secrets Manager, or the data key, encrypts them.
func (s *Service) readNamedAdmins() statement {
	return statement{
		sid:     "ReadNamedAdmins",
		actions: []string{"secretsmanager:GetSecretValue"},
		resources: []string{fmt.Sprintf("arn:%s:secretsmanager:%s:%s:secret:mastio/admins/%s/*", *s.stack.Partition(),
			*s.stack.Region(), *s.stack.Account(), s.props.OrgID)},
		conditions: conditions{"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}},
	}
}

// readMetricsToken is for the function that serves GET /metrics, alone.
func (s *Service) readMetricsToken() statement {
	return statement{
		sid:        "ReadMetricsToken",
		actions:    []string{"secretsmanager:GetSecretValue"},
		resources:  []string{*s.data.MetricsToken.SecretArn()},
		conditions: conditions{"StringEquals": {"secretsmanager:VersionStage": []string{"AWSCURRENT", "AWSPREVIOUS"}}},
	}
}

func (s *Service) openAdminSecret() statement {
	return statement{
		sid:        "OpenAdminSecret",
		actions:    []string{"kms:Decrypt"},
		resources:  []string{*s.data.DataKey.KeyArn()},
		conditions: conditions{"StringEquals": {"kms:ViaService": "secretsmanager." + *s.stack.Region() + ".amazonaws.com"}},
	}
}
