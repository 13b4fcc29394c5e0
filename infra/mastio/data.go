package mastio

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/schema"
)

// TruststoreKey is the truststore object's key. The functions write it; the deployment never does, or it would
// overwrite live roots.
const TruststoreKey = "truststore.pem"

// Data is what a deployment must never lose: all of it is retained when its stack goes.
type Data struct {
	Scope       constructs.Construct
	Tables      map[string]awsdynamodb.TableV2 // by logical name
	Truststore  awss3.Bucket
	AdminSecret awssecretsmanager.Secret
	// MetricsToken opens GET /metrics, and nothing else.
	MetricsToken awssecretsmanager.Secret
	DataKey      awskms.Key   // encrypts tables and the admin secret at rest
	Archive      awss3.Bucket // checkpoints of the audit trail
	AuditKey     awskms.Key   // signs them
	TokenKEK     awskms.Key   // encrypts token keys
	// AgentSecretsKey encrypts the secrets that hygiene delivers to agents. The Mastio itself reads a secret only to
	// complete an interrupted delivery. The operators grant the right to read an agent's secret, on this key and on the
	// secret.
	AgentSecretsKey awskms.Key
	TokenKey        awskms.Key // signs tokens; nil unless TokenSigner is kms
	LogKey          awskms.Key // encrypts log groups and the alarms' topic; nil unless LogKey is set: AWS's own keys do
}

func newData(scope constructs.Construct, id string, p Props) *Data {
	d := &Data{Scope: constructs.NewConstruct(scope, &id), Tables: map[string]awsdynamodb.TableV2{}}
	d.DataKey = symmetric(d.Scope, p, "DataKey", "Mastio "+p.OrgID+": tables and the admin secret at rest")
	d.TokenKEK = symmetric(d.Scope, p, "TokenKEK", "Mastio "+p.OrgID+": token signing keys")
	d.AuditKey = signing(d.Scope, p, "AuditKey", "Mastio "+p.OrgID+": signs checkpoints of the audit trail")
	d.AgentSecretsKey = symmetric(d.Scope, p, "AgentSecretsKey",
		"Mastio "+p.OrgID+": certificates and keys delivered to agents")
	if p.TokenSigner == KMSSigner {
		d.TokenKey = signing(d.Scope, p, "TokenKey", "Mastio "+p.OrgID+": signs every access token")
	}
	d.makeLogKey(p)
	for _, t := range schema.Tables() {
		d.Tables[t.Name] = d.table(p, t)
	}
	d.Truststore, d.Archive = d.bucket(), d.archive(p)
	d.AdminSecret = d.secret(p, "AdminSecret", "X-Admin-Secret of the operators' API")
	d.MetricsToken = d.secret(p, "MetricsToken", "bearer token of GET /metrics")
	d.backups(p)
	output(d.Scope, "AgentSecretsKeyArn", *d.AgentSecretsKey.KeyArn(),
		"KMS key of the secrets mastio/agents/"+p.OrgID+"/…: a reader of a secret needs kms:Decrypt on this key")
	output(d.Scope, "AdminSecretArn", *d.AdminSecret.SecretArn(),
		"The admin secret: aws secretsmanager get-secret-value --secret-id ARN")
	output(d.Scope, "MetricsTokenArn", *d.MetricsToken.SecretArn(),
		"The token of GET /metrics: aws secretsmanager get-secret-value --secret-id ARN")
	return d
}

// secret makes a secret with a value of its own.
func (d *Data) secret(p Props, id, what string) awssecretsmanager.Secret {
	return awssecretsmanager.NewSecret(d.Scope, &id, &awssecretsmanager.SecretProps{
		// Without a name of its own: a name that is kept, or waits for its deletion, could not be made again.
		Description:   jsii.String("Mastio " + p.OrgID + ": " + what),
		EncryptionKey: d.DataKey,
		RemovalPolicy: p.removal(),
		// 256 bits in letters and digits, which need no quoting in a shell.
		GenerateSecretString: &awssecretsmanager.SecretStringGenerator{
			PasswordLength:     number(43),
			ExcludePunctuation: jsii.Bool(true),
		},
	})
}

// removal is the removal policy of tables, keys and secret. Buckets and backups stay either way: they hold nothing
// secret, and the proof of the past must outlive the installation.
func (p Props) removal() awscdk.RemovalPolicy {
	if p.EraseData != "" {
		return awscdk.RemovalPolicy_DESTROY
	}
	return kept
}

// kept keeps a resource when its stack is deleted, but not when the deployment that made it fails: a leftover under a
// fixed name would make the next deployment fail.
const kept = awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE

func symmetric(scope constructs.Construct, p Props, id, description string) awskms.Key {
	return awskms.NewKey(scope, &id, &awskms.KeyProps{
		Description:       &description,
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     p.removal(),
		PendingWindow:     awscdk.Duration_Days(number(30)),
	})
}

func signing(scope constructs.Construct, p Props, id, description string) awskms.Key {
	return awskms.NewKey(scope, &id, &awskms.KeyProps{
		Description:   &description,
		KeySpec:       awskms.KeySpec_ECC_NIST_P256,
		KeyUsage:      awskms.KeyUsage_SIGN_VERIFY,
		RemovalPolicy: p.removal(),
		PendingWindow: awscdk.Duration_Days(number(30)),
	})
}

// archiveYears is how long the lock protects a checkpoint from replacement and deletion. Only a caller with the right
// to bypass the lock gets around it; Compliance grants no such right.
const archiveYears = 7

// archive keeps the audit trail's checkpoints under object lock, so that it shows rows that are missing in the
// tables. On LocalStack there is no lock: an emulator keeps nothing for years.
func (d *Data) archive(p Props) awss3.Bucket {
	props := privateBucket()
	if !p.local() {
		props.ObjectLockEnabled = jsii.Bool(true)
		retention := awss3.ObjectLockRetention_Governance
		if p.ArchiveLock == Compliance {
			retention = awss3.ObjectLockRetention_Compliance
		}
		props.ObjectLockDefaultRetention = retention(awscdk.Duration_Days(number(365 * archiveYears)))
	}
	return awss3.NewBucket(d.Scope, jsii.String("AuditArchive"), props)
}

func (d *Data) table(p Props, t schema.Table) awsdynamodb.TableV2 {
	props := &awsdynamodb.TablePropsV2{
		TableName:          jsii.String(p.TablePrefix + t.Name),
		PartitionKey:       key(t.PartitionKey),
		Billing:            awsdynamodb.Billing_OnDemand(nil),
		Encryption:         awsdynamodb.TableEncryptionV2_CustomerManagedKey(d.DataKey, nil),
		DeletionProtection: jsii.Bool(p.protected()),
		RemovalPolicy:      p.removal(),
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
			RecoveryPeriodInDays:       number(35),
		},
	}
	if t.SortKey != "" {
		props.SortKey = key(t.SortKey)
	}
	if t.Stream {
		props.DynamoStream = awsdynamodb.StreamViewType_NEW_IMAGE
	}
	if t.TTL != "" {
		props.TimeToLiveAttribute = &t.TTL
	}
	table := awsdynamodb.NewTableV2(d.Scope, jsii.String("Table-"+t.Name), props)
	for _, i := range t.Indexes {
		table.AddGlobalSecondaryIndex(index(i))
	}
	return table
}

func key(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: &name, Type: awsdynamodb.AttributeType_STRING}
}

func index(i schema.Index) *awsdynamodb.GlobalSecondaryIndexPropsV2 {
	props := &awsdynamodb.GlobalSecondaryIndexPropsV2{
		IndexName:      &i.Name,
		PartitionKey:   key(i.PartitionKey),
		ProjectionType: awsdynamodb.ProjectionType_KEYS_ONLY,
	}
	if i.SortKey != "" {
		props.SortKey = key(i.SortKey)
	}
	if i.Include != nil {
		props.ProjectionType, props.NonKeyAttributes = awsdynamodb.ProjectionType_INCLUDE, jsii.Strings(i.Include...)
	}
	return props
}

// bucket makes the truststore's bucket. Its content is public: certificates. API Gateway reads them with the rights
// of the caller that names the object. So S3's own key encrypts the bucket, and no caller needs a grant on a key of
// ours.
func (d *Data) bucket() awss3.Bucket {
	props := privateBucket()
	// A version is a few kilobytes and one is made a rotation; a hundred of them are a long way back.
	props.LifecycleRules = &[]*awss3.LifecycleRule{{
		NoncurrentVersionExpiration:         awscdk.Duration_Days(number(400)),
		NoncurrentVersionsToRetain:          number(100),
		AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(number(1)),
	}}
	return awss3.NewBucket(d.Scope, jsii.String("Truststore"), props)
}

// privateBucket is what every bucket of the installation has: versions, TLS, and no access from outside.
func privateBucket() *awss3.BucketProps {
	return &awss3.BucketProps{
		Versioned:         jsii.Bool(true),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: number(1.2),
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		RemovalPolicy:     kept,
	}
}
