package mastio

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/schema"
)

// permissions is who may do what: the one place where a function is given anything. Each line names the calls that the
// function's use case makes; what is common to all is in always. A function without a line fails synthesis.
func (s *Service) permissions() map[string][]statement {
	return map[string][]statement{
		"token": {s.readAgents(), s.readOrg(), s.writeAgents(), s.appendAudit(), s.useProofs(), s.readTokenKeys(), s.makeTokenKeys(), s.openTokenKeys(), s.signTokens()},
		"audit": {s.readTrail(), s.readSeals(), s.readArchive(), s.publicAuditKey(), s.readAdminSecret(), s.openAdminSecret()},
		"checkpoint": {s.readTrail(), s.readSeals(), s.readOrg(), s.sealTrail(), s.moveOrgHead(), s.appendAudit(), s.readArchive(), s.writeArchive(), s.signCheckpoints(),
			s.readAdminSecret(), s.openAdminSecret()},
		"discovery":  {s.publicAuditKey(), s.readOrg(), s.readTokenKeys(), s.publicTokenKey()},
		"healthz":    {s.readOrg(), s.readEdgeCAs(), s.readTruststore(), s.readNotes(), s.findDue(), s.readAdminSecret(), s.openAdminSecret()},
		"events":     {s.readStream(), s.listStreams(), s.tellOutside(), s.reportFailure()},
		"hygiene":    {s.readAgents(), s.findDue(), s.writeAgents(), s.appendAudit(), s.issueLeaves(), s.deliverSecrets(), s.sealSecrets()},
		"startup":    {s.readOrg(), s.readTruststore(), s.readTokenKeys(), s.openTokenKeys(), s.publicTokenKey(), s.readAdminSecret(), s.openAdminSecret()},
		"renew":      {s.readAgents(), s.readOrg(), s.writeAgents(), s.appendAudit(), s.issueLeaves()},
		"rotatecert": {s.readAgents(), s.writeAgents(), s.appendAudit(), s.issueLeaves(), s.readAdminSecret(), s.openAdminSecret()},
		"enroll": {s.readAgents(), s.listAgents(), s.writeAgents(), s.writeAliases(), s.appendAudit(), s.issueLeaves(), s.readOrg(), s.readEdgeCAs(), s.addEdgeCAs(),
			s.readTruststore(), s.writeTruststore(), s.readAdminSecret(), s.openAdminSecret()},
		"rotateca": append(s.rotateCAs(), s.readAdminSecret(), s.openAdminSecret()),
		"dashboard": append(s.rotateCAs(), s.readNotes(), s.findDue(), s.readAgents(), s.listAgents(), s.findAgents(), s.writeAgents(), s.writeAliases(), s.issueLeaves(),
			s.readTrail(), s.readSeals(), s.readArchive(), s.publicAuditKey(), s.keepSessions(), s.useProofs(), s.readAdminSecret(), s.openAdminSecret()),
		"standby": append(s.mintCAs(), s.noteOnKeys(), s.findDue(), s.backUp(), s.pointDomain(), s.showTruststore(),
			s.readOrg(), s.readEdgeCAs(), s.readAnswers(), s.writeOrg(), s.appendAudit(), s.readTruststore(), s.writeTruststore(), s.readTokenKeys(), s.makeTokenKeys()),
	}
}

// rotateCAs is what a rotation of the Org CA takes, whoever asks for it.
func (s *Service) rotateCAs() []statement {
	return append(s.mintCAs(), s.readOrg(), s.readEdgeCAs(), s.countAgents(), s.readAnswers(), s.writeOrg(), s.appendAudit(), s.readTruststore(), s.writeTruststore(),
		s.backUp(), s.pointDomain(), s.showTruststore())
}

// Prefixes of the registry's partition keys, as shared/edge/dynamo spells them. A function that has no business with the
// organisation's records cannot write them, whatever its code does.
const (
	orgRecord     = "ORG"
	agentRecords  = "AGENT#*"
	answerRecords = "IDEM#*"
	aliasRecords  = "ALIAS#*"
	edgeRecords   = "EDGE"
	movedRecords  = "MOVED#*"
	sealRecord    = "CHECKPOINT"
)

// statement is one statement of a policy. The zero Effect is Allow.
type statement struct {
	sid        string
	deny       bool
	actions    []string
	resources  []string
	conditions conditions
}

// only reports whether all of a statement's actions are of one service.
func (st statement) only(service string) bool {
	return !slices.ContainsFunc(st.actions, func(a string) bool { return !strings.HasPrefix(a, service) })
}

// policy is the statement in the CDK's terms.
func (st statement) policy() awsiam.PolicyStatement {
	props := &awsiam.PolicyStatementProps{
		Sid: jsii.String(st.sid), Effect: awsiam.Effect_ALLOW, Actions: jsii.Strings(st.actions...), Resources: jsii.Strings(st.resources...),
	}
	if st.deny {
		props.Effect = awsiam.Effect_DENY
	}
	if len(st.conditions) > 0 {
		c := map[string]any{}
		for operator, keys := range st.conditions {
			c[operator] = keys
		}
		props.Conditions = &c
	}
	return awsiam.NewPolicyStatement(props)
}

// conditions are a policy's: operator, then key, then values.
type conditions map[string]map[string]any

// leading restricts calls to partition keys. Without the second condition, a call that names no key would pass the first.
func leading(keys ...string) conditions {
	return conditions{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}, "Null": {"dynamodb:LeadingKeys": "false"}}
}

func (s *Service) table(name string) string { return *s.data.Tables[name].TableArn() }

func (s *Service) readOrg() statement {
	return statement{
		sid: "ReadOrganisation", actions: []string{"dynamodb:GetItem", "dynamodb:Query"},
		resources: []string{s.table(schema.Registry)}, conditions: leading(orgRecord),
	}
}

// readAgents is the one batch of an agent and a copy of the pointer, the last look at the pointer, and what leads to an
// agent whose certificate does not name it.
func (s *Service) readAgents() statement {
	return statement{
		sid: "ReadAgentsAndPointer", actions: []string{"dynamodb:BatchGetItem", "dynamodb:GetItem"},
		resources: []string{s.table(schema.Registry)}, conditions: leading(orgRecord, agentRecords, aliasRecords),
	}
}

// writeAliases lets those of an agent be taken and given back, together with the agent.
func (s *Service) writeAliases() statement {
	conditions := leading(aliasRecords)
	conditions["StringEquals"] = map[string]any{"dynamodb:EnclosingOperation": "TransactWriteItems"}
	return statement{
		sid: "WriteAliases", actions: []string{"dynamodb:DeleteItem", "dynamodb:PutItem"}, resources: []string{s.table(schema.Registry)}, conditions: conditions,
	}
}

func (s *Service) readEdgeCAs() statement {
	return statement{sid: "ReadEdgeCAs", actions: []string{"dynamodb:Query"}, resources: []string{s.table(schema.Registry)}, conditions: leading(edgeRecords)}
}

func (s *Service) addEdgeCAs() statement {
	return statement{sid: "AddEdgeCAs", actions: []string{"dynamodb:PutItem"}, resources: []string{s.table(schema.Registry)}, conditions: leading(edgeRecords)}
}

func (s *Service) readAnswers() statement {
	return statement{
		sid: "ReadKeptAnswers", actions: []string{"dynamodb:GetItem"},
		resources: []string{s.table(schema.Registry)}, conditions: leading(answerRecords),
	}
}

func (s *Service) listAgents() statement {
	return statement{
		sid: "ListAgents", actions: []string{"dynamodb:Query"},
		resources: []string{s.table(schema.Registry) + "/index/" + schema.AgentsByGeneration},
	}
}

func (s *Service) findAgents() statement {
	return statement{
		sid: "FindAgents", actions: []string{"dynamodb:Query"}, resources: []string{s.table(schema.Registry) + "/index/" + schema.AgentsByName},
	}
}

func (s *Service) countAgents() statement {
	return statement{
		sid: "CountAgents", actions: []string{"dynamodb:Query"}, resources: []string{s.table(schema.Registry) + "/index/" + schema.ActiveAgents},
	}
}

// readStream is what Lambda reads the audit table's stream with, in the function's name.
func (s *Service) readStream() statement {
	return statement{
		sid: "ReadAuditStream", actions: []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
		resources: []string{*s.data.Tables[schema.Audit].TableStreamArn()},
	}
}

func (s *Service) listStreams() statement {
	return statement{sid: "ListStreams", actions: []string{"dynamodb:ListStreams"}, resources: []string{"*"}}
}

func (s *Service) tellOutside() statement {
	return statement{sid: "TellOutside", actions: []string{"events:PutEvents"}, resources: []string{*s.Bus.EventBusArn()}}
}

func (s *Service) reportFailure() statement {
	return statement{sid: "ReportFailure", actions: []string{"sqs:SendMessage"}, resources: []string{*s.Failed.QueueArn()}}
}

func (s *Service) findDue() statement {
	return statement{
		sid: "FindDueAgents", actions: []string{"dynamodb:Query"}, resources: []string{s.table(schema.Registry) + "/index/" + schema.AgentsByDue},
	}
}

// deliverSecrets is hygiene's alone, on the agents' secrets alone, whose names are those of shared/usecase/hygiene.
func (s *Service) deliverSecrets() statement {
	return statement{
		sid: "DeliverToAgents",
		actions: []string{
			"secretsmanager:CreateSecret", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue",
			"secretsmanager:UpdateSecretVersionStage",
		},
		resources: []string{fmt.Sprintf("arn:%s:secretsmanager:%s:%s:secret:mastio/agents/%s/*", *s.stack.Partition(), *s.stack.Region(), *s.stack.Account(), s.props.OrgID)},
	}
}

func (s *Service) sealSecrets() statement {
	return statement{
		sid: "SealDeliveries", actions: []string{"kms:Decrypt", "kms:GenerateDataKey"}, resources: []string{*s.data.AgentSecretsKey.KeyArn()},
		conditions: conditions{"StringEquals": {"kms:ViaService": "secretsmanager." + *s.stack.Region() + ".amazonaws.com"}},
	}
}

// keepSessions is the dashboard's alone: nothing else can open a session, or let a guess through.
func (s *Service) keepSessions() statement {
	return statement{
		sid: "KeepSessions", actions: []string{"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
		resources: []string{s.table(schema.Sessions)},
	}
}

// writeAgents and writeOrg are parts of transactions; IAM asks for the right to each item of one.
func (s *Service) writeAgents() statement {
	return statement{
		sid: "WriteAgents", actions: []string{"dynamodb:PutItem"},
		resources: []string{s.table(schema.Registry)}, conditions: leading(agentRecords),
	}
}

func (s *Service) writeOrg() statement {
	return statement{
		sid: "WriteOrganisation", actions: []string{"dynamodb:PutItem", "dynamodb:UpdateItem"},
		resources: []string{s.table(schema.Registry)}, conditions: leading(orgRecord, answerRecords),
	}
}

const appendAudit = "AppendAudit"

// appendAudit lets rows be put, and only together with the change that they tell of.
func (s *Service) appendAudit() statement {
	return statement{
		sid: appendAudit, actions: []string{"dynamodb:PutItem"}, resources: []string{s.table(schema.Audit)},
		conditions: conditions{"StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}},
	}
}

// noteMoved goes with appendAudit, whoever has that: the checkpoint finds the chains that moved by it.
func (s *Service) noteMoved() statement {
	conditions := leading(movedRecords)
	conditions["StringEquals"] = map[string]any{"dynamodb:EnclosingOperation": "TransactWriteItems"}
	return statement{sid: "NoteMovedChains", actions: []string{"dynamodb:UpdateItem"}, resources: []string{s.table(schema.Registry)}, conditions: conditions}
}

// readTrail is rows by their keys, by their chains and by their days; which chains moved, and the last checkpoint. The
// registry's batches and queries name their keys; the audit table's are all of one kind.
func (s *Service) readTrail() statement {
	return statement{
		sid: "ReadTrail", actions: []string{"dynamodb:BatchGetItem", "dynamodb:Query"},
		resources: []string{s.table(schema.Audit), s.table(schema.Audit) + "/index/" + schema.AuditByDay},
	}
}

func (s *Service) readSeals() statement {
	return statement{
		sid: "ReadSeals", actions: []string{"dynamodb:GetItem", "dynamodb:Query"},
		resources: []string{s.table(schema.Registry)}, conditions: leading(movedRecords, sealRecord),
	}
}

// sealTrail is the last checkpoint with the end of the organisation's chain, and what it covers.
func (s *Service) sealTrail() statement {
	return statement{
		sid: "SealTrail", actions: []string{"dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
		resources: []string{s.table(schema.Registry)}, conditions: leading(movedRecords, sealRecord),
	}
}

// moveOrgHead writes the end of the organisation's chain, which is one of its records: only in a transaction, and only
// with the attributes that it has. A pointer, with which certificates would count, cannot be written so.
func (s *Service) moveOrgHead() statement {
	conditions := leading(orgRecord)
	conditions["ForAllValues:StringEquals"] = map[string]any{"dynamodb:Attributes": []string{"pk", "sk", "seq", "hash", "version"}}
	conditions["StringEquals"] = map[string]any{"dynamodb:EnclosingOperation": "TransactWriteItems"}
	return statement{sid: "MoveOrgHead", actions: []string{"dynamodb:PutItem"}, resources: []string{s.table(schema.Registry)}, conditions: conditions}
}

func (s *Service) signCheckpoints() statement {
	return statement{
		sid: "SignCheckpoints", actions: []string{"kms:GetPublicKey", "kms:Sign"}, resources: []string{*s.data.AuditKey.KeyArn()},
		conditions: conditions{"StringEqualsIfExists": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}},
	}
}

func (s *Service) publicAuditKey() statement {
	return statement{sid: "ReadAuditKey", actions: []string{"kms:GetPublicKey"}, resources: []string{*s.data.AuditKey.KeyArn()}}
}

// readArchive needs ListBucket to find checkpoints that the tables have forgotten, and for S3 to answer 404.
func (s *Service) readArchive() statement {
	bucket := *s.data.Archive.BucketArn()
	return statement{sid: "ReadArchive", actions: []string{"s3:GetObject", "s3:ListBucket"}, resources: []string{bucket, bucket + "/*"}}
}

// writeArchive creates objects. To replace one is impossible for as long as it is locked, and it is from its creation on.
func (s *Service) writeArchive() statement {
	return statement{sid: "WriteArchive", actions: []string{"s3:PutObject"}, resources: []string{*s.data.Archive.BucketArn() + "/*"}}
}

// recordRefusals is the chain of refused admin secrets, and no other chain.
func (s *Service) recordRefusals() []statement {
	chain := s.props.OrgID + "/admin.login_refused"
	append := leading(chain)
	append["StringEquals"] = map[string]any{"dynamodb:EnclosingOperation": "TransactWriteItems"}
	note := s.noteMoved()
	note.sid = "NoteRefusals"
	return []statement{
		{sid: "ReadRefusals", actions: []string{"dynamodb:Query"}, resources: []string{s.table(schema.Audit)}, conditions: leading(chain)},
		{sid: "AppendRefusals", actions: []string{"dynamodb:PutItem"}, resources: []string{s.table(schema.Audit)}, conditions: append},
		note,
	}
}

func (s *Service) useProofs() statement {
	return statement{sid: "UseProofs", actions: []string{"dynamodb:PutItem"}, resources: []string{s.table(schema.Replay)}}
}

func (s *Service) readTokenKeys() statement {
	return statement{
		sid: "ReadTokenKeys", actions: []string{"dynamodb:BatchGetItem", "dynamodb:GetItem"}, resources: []string{s.table(schema.Keys)},
	}
}

// makeTokenKeys makes the key of an epoch. A function that serves tokens may too: the schedule may be late.
func (s *Service) makeTokenKeys() statement {
	return statement{
		sid: "MakeTokenKeys", actions: []string{"dynamodb:PutItem", "kms:GenerateDataKeyPairWithoutPlaintext"},
		resources: []string{s.table(schema.Keys), *s.data.TokenKEK.KeyArn()},
	}
}

// openTokenKeys opens what was sealed for this purpose and this organisation, and nothing else under the same key.
func (s *Service) openTokenKeys() statement {
	return statement{
		sid: "OpenTokenKeys", actions: []string{"kms:Decrypt"}, resources: []string{*s.data.TokenKEK.KeyArn()},
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
		sid: "SignTokens", actions: []string{"kms:GetPublicKey", "kms:Sign"}, resources: []string{*s.data.TokenKey.KeyArn()},
		conditions: conditions{"StringEqualsIfExists": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}},
	}
}

func (s *Service) publicTokenKey() statement {
	if s.data.TokenKey == nil {
		return statement{}
	}
	return statement{sid: "ReadTokenKey", actions: []string{"kms:GetPublicKey"}, resources: []string{*s.data.TokenKey.KeyArn()}}
}

// readTruststore needs ListBucket too: without it S3 answers 403 for an object that is not there yet, and 403 is an error.
func (s *Service) readTruststore() statement {
	bucket := *s.data.Truststore.BucketArn()
	return statement{
		sid: "ReadTruststore", actions: []string{"s3:GetObject", "s3:ListBucket"}, resources: []string{bucket, bucket + "/" + TruststoreKey},
	}
}

func (s *Service) writeTruststore() statement {
	return statement{sid: "WriteTruststore", actions: []string{"s3:PutObject"}, resources: []string{*s.data.Truststore.BucketArn() + "/" + TruststoreKey}}
}

// backUp lets backups be asked for, and neither read, restored nor deleted: that is the operator's to do.
func (s *Service) backUp() statement {
	return statement{
		sid: "BackUpBeforeARotation", actions: []string{"dynamodb:CreateBackup"}, resources: []string{s.table(schema.Registry), s.table(schema.Audit)},
	}
}

// pointDomain lets the agents' domain be pointed at a version of its truststore; empty where there is no domain. A change of
// a domain with mutual TLS takes AddCertificateToDomain besides the PATCH. Without RemoveCertificateFromDomain nobody
// takes mutual TLS off it.
func (s *Service) pointDomain() statement {
	if s.props.Agents == nil {
		return statement{}
	}
	domains := fmt.Sprintf("arn:%s:apigateway:%s::/domainnames", *s.stack.Partition(), *s.stack.Region())
	return statement{
		sid: "PointAgentsDomain", actions: []string{"apigateway:AddCertificateToDomain", "apigateway:GET", "apigateway:PATCH"},
		resources: []string{domains + "/" + s.props.Agents.Name},
	}
}

// showTruststore lets API Gateway read the version that its domain is pointed at: it does so with the rights of who points.
func (s *Service) showTruststore() statement {
	if s.props.Agents == nil {
		return statement{}
	}
	return statement{
		sid: "ShowTruststore", actions: []string{"s3:GetObjectVersion"}, resources: []string{*s.data.Truststore.BucketArn() + "/" + TruststoreKey},
	}
}

const readAdminSecret = "ReadAdminSecret"

func (s *Service) readAdminSecret() statement {
	return statement{
		sid: readAdminSecret, actions: []string{"secretsmanager:GetSecretValue"}, resources: []string{*s.data.AdminSecret.SecretArn()},
		conditions: conditions{"StringEquals": {"secretsmanager:VersionStage": []string{"AWSCURRENT", "AWSPREVIOUS"}}},
	}
}

func (s *Service) openAdminSecret() statement {
	return statement{
		sid: "OpenAdminSecret", actions: []string{"kms:Decrypt"}, resources: []string{*s.data.DataKey.KeyArn()},
		conditions: conditions{"StringEquals": {"kms:ViaService": "secretsmanager." + *s.stack.Region() + ".amazonaws.com"}},
	}
}

// always is what every function has: its own log, the tables' key by way of DynamoDB, and where failures of events go.
func (s *Service) always(function string, f *Function) []statement {
	all := []statement{
		{sid: "Log", actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, resources: []string{*f.Log.LogGroupArn()}},
		{
			sid: "UseTables", actions: []string{"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"},
			resources:  []string{*s.data.DataKey.KeyArn()},
			conditions: conditions{"StringEquals": {"kms:ViaService": "dynamodb." + *s.stack.Region() + ".amazonaws.com"}},
		},
	}
	if scheduled(function) {
		all = append(all, s.reportFailure())
	}
	if s.props.Tracing {
		all = append(all, statement{sid: "Trace", actions: []string{"xray:PutTelemetryRecords", "xray:PutTraceSegments"}, resources: []string{"*"}})
	}
	return all
}

// statementsOf returns all that a function may do.
func (s *Service) statementsOf(function string, f *Function) []statement {
	own, ok := s.permissions()[function]
	if !ok {
		panic(fmt.Errorf("function %q has no line in infra/mastio/permissions.go: name the calls it makes", function))
	}
	var all []statement
	for _, st := range append(s.always(function, f), own...) {
		if len(st.actions) > 0 {
			all = append(all, st)
		}
		switch st.sid {
		case appendAudit: // in the same transaction
			all = append(all, s.noteMoved())
		case readAdminSecret: // whoever is shown a wrong one
			all = append(all, s.recordRefusals()...)
		}
	}
	return all
}
