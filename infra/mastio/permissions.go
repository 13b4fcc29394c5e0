package mastio

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/schema"
)

// permissions is the table of all rights of all functions. Each line names the calls that the function's use case
// makes; always has the rights that all functions share. A function without a line fails synthesis.
func (s *Service) permissions() map[string][]statement {
	return map[string][]statement{
		"token": {s.readAgentsSeen(), s.readOrg(), s.writeAgents(), s.appendAudit(), s.useProofs(), s.noteSeen(),
			s.findKeyHolders(), s.noteKeyHolders(), s.readTokenKeys(), s.makeTokenKeys(), s.openTokenKeys(), s.signTokens()},
		"audit": {s.readOrg(), s.readTrail(), s.readSeals(), s.readArchive(), s.publicAuditKey(), s.readAdminSecret(),
			s.openAdminSecret()},
		"checkpoint": {s.readTrail(), s.readSeals(), s.readOrg(), s.sealTrail(), s.moveHead(), s.appendAudit(),
			s.readAnswers(), s.keepAnswers(), s.readArchive(), s.writeArchive(), s.signCheckpoints(),
			s.readAdminSecret(), s.openAdminSecret()},
		"discovery": {s.publicAuditKey(), s.readOrg(), s.readTokenKeys(), s.publicTokenKey()},
		"status":    {s.readStatus(), s.noteStatus(), s.readTokenKeys(), s.makeTokenKeys(), s.openTokenKeys()},
		"healthz": {s.readOrg(), s.readEdgeCAs(), s.readTruststore(), s.readNotes(), s.findOrphans(), s.describeKeys(),
			s.findSeals(), s.listSeals(), s.findDue(), s.findSuspects(), s.readMetricsToken(), s.readAdminSecret(),
			s.openAdminSecret()},
		"events": {s.readStream(), s.listStreams(), s.readOwners(), s.listAgents(), s.tellOutside(), s.reportFailure()},
		"hygiene": {s.readOrg(), s.readAgents(), s.listAgents(schema.AgentsByName), s.readSeen(), s.followFleet(),
			s.findDue(), s.findJobs(), s.writeJobs(), s.writeAgents(), s.appendAudit(), s.issueLeaves(), s.deliverSecrets(),
			s.sealSecrets()},
		"startup": {s.readOrg(), s.readNotes(), s.findOrphans(), s.describeKeys(), s.findSeals(), s.listSeals(),
			s.readTruststore(), s.readTokenKeys(), s.openTokenKeys(), s.publicTokenKey(), s.readAdminSecret(),
			s.openAdminSecret()},
		"renew": {s.readAgents(), s.findKeyHolders(), s.readOrg(), s.writeAgents(), s.appendAudit(), s.issueLeaves()},
		"rotatecert": {s.readAgents(), s.findKeyHolders(), s.writeAgents(), s.appendAudit(), s.readAnswers(),
			s.keepAnswers(), s.issueLeaves(), s.readAdminSecret(), s.openAdminSecret()},
		"enroll": {s.readAgents(), s.findKeyHolders(), s.listAgents(schema.AgentsByName, schema.ActiveAgents),
			s.findDue(), s.readSeen(), s.readJobs(), s.writeJobs(), s.writeAgents(), s.writeAliases(),
			s.appendAudit(), s.readAnswers(), s.keepAnswers(), s.issueLeaves(), s.readOrg(), s.readEdgeCAs(),
			s.addEdgeCAs(), s.nameEdgeCAs(),
			s.readTruststore(), s.writeTruststore(), s.pointDomain(), s.showTruststore(), s.readAdminSecret(),
			s.openAdminSecret()},
		"rotateca": append(s.mintCAs(), s.readOrg(), s.readEdgeCAs(), s.readAgents(), s.listAgents(schema.ActiveAgents),
			s.readSeen(), s.readAnswers(), s.writeOrg(),
			s.appendAudit(), s.readTruststore(), s.writeTruststore(),
			s.backUp(), s.pointDomain(), s.showTruststore(), s.readSessions(), s.readAdminSecret(), s.openAdminSecret()),
		"dashboard": {s.askForRotations(), s.readOrg(), s.readEdgeCAs(), s.readTruststore(), s.readNotes(),
			s.findDue(), s.findSuspects(), s.readAgents(), s.findKeyHolders(),
			s.listAgents(schema.AgentsByName, schema.ActiveAgents), s.readSeen(), s.readBurndown(),
			s.writeAgents(), s.writeAliases(), s.readJobs(), s.writeJobs(), s.addEdgeCAs(), s.nameEdgeCAs(),
			s.writeTruststore(), s.pointDomain(), s.showTruststore(), s.appendAudit(), s.issueLeaves(), s.readTrail(),
			s.readSeals(), s.readArchive(), s.publicAuditKey(),
			s.keepSessions(), s.useProofs(), s.readAdminSecret(), s.openAdminSecret()},
		"standby": append(append(s.mintCAs(), s.forgetEdgeCAs()...), s.findOrphans(), s.describeKeys(), s.findSeals(),
			s.listSeals(), s.readNotes(), s.noteOnKeys(), s.findDue(), s.findSuspects(),
			s.plotBurndown(),
			s.readAgents(), s.listAgents(schema.ActiveAgents), s.readSeen(),
			s.backUp(), s.pointDomain(), s.showTruststore(),
			s.readOrg(), s.readEdgeCAs(), s.writeOrg(), s.appendAudit(), s.readTruststore(), s.writeTruststore(),
			s.readTokenKeys(), s.makeTokenKeys()),
	}
}

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
		Sid:       jsii.String(st.sid),
		Effect:    awsiam.Effect_ALLOW,
		Actions:   jsii.Strings(st.actions...),
		Resources: jsii.Strings(st.resources...),
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

// always is what every function has: its own log, the tables' key by way of DynamoDB, and where failures of events go.
func (s *Service) always(function string, f *Function) []statement {
	all := []statement{
		{
			sid:       "Log",
			actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
			resources: []string{*f.Log.LogGroupArn()},
		},
		{
			sid: "UseTables",
			actions: []string{"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom",
				"kms:ReEncryptTo"},
			resources:  []string{*s.data.DataKey.KeyArn()},
			conditions: conditions{"StringEquals": {"kms:ViaService": "dynamodb." + *s.stack.Region() + ".amazonaws.com"}},
		},
	}
	if scheduled(function) {
		all = append(all, s.reportFailure())
	}
	if s.props.Tracing {
		all = append(all, statement{
			sid:       "Trace",
			actions:   []string{"xray:PutTelemetryRecords", "xray:PutTraceSegments"},
			resources: []string{"*"},
		})
	}
	return all
}

// statementsOf returns all that a function may do.
func (s *Service) statementsOf(function string, f *Function) []statement {
	own, ok := s.permissions()[function]
	if !ok {
		panic(fmt.Errorf("function %q has no line in infra/mastio/permissions.go: name the calls it makes", function))
	}
	appends := slices.ContainsFunc(own, func(st statement) bool { return st.sid == appendAudit })
	var all []statement
	for _, st := range append(s.always(function, f), own...) {
		if len(st.actions) > 0 {
			all = append(all, st)
		}
		switch {
		case st.sid == writeAgents: // in the same transaction
			all = append(all, s.placeAgents(), s.markSuspects())
		case st.sid == appendAudit: // likewise
			all = append(all, s.noteMoved())
		case st.sid == readAdminSecret && function != startUpCheck: // every function that admits admins records refusals
			all = append(all, s.readNamedAdmins())
			all = append(all, s.recordRefusals(appends)...)
			if function != "dashboard" { // which keeps sessions, and gates with them
				all = append(all, s.countGuesses())
			}
		}
	}
	return together(merged(all))
}
