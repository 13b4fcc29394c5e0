package mastio

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsbackup"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/schema"
)

// lasting are the tables whose content cannot be made again. Proofs seen and token keys live for hours; point-in-time
// recovery is more than they need.
var lasting = []string{schema.Registry, schema.Audit}

// backups keep what lasts for longer than the 35 days of point-in-time recovery, in a vault that outlives the tables.
func (d *Data) backups(p Props) {
	if p.local() {
		return
	}
	vault := awsbackup.NewBackupVault(d.Scope, jsii.String("Vault"), &awsbackup.BackupVaultProps{
		BackupVaultName: jsii.String(p.vault()),
		EncryptionKey:   d.DataKey,
		RemovalPolicy:   kept,
	})
	rule := func(name string, schedule *awsevents.CronOptions, days int) awsbackup.BackupPlanRule {
		return awsbackup.NewBackupPlanRule(&awsbackup.BackupPlanRuleProps{
			RuleName:           &name,
			ScheduleExpression: awsevents.Schedule_Cron(schedule),
			DeleteAfter:        awscdk.Duration_Days(number(days)),
			StartWindow:        awscdk.Duration_Hours(number(1)),
			CompletionWindow:   awscdk.Duration_Hours(number(4)),
		})
	}
	plan := awsbackup.NewBackupPlan(d.Scope, jsii.String("BackupPlan"), &awsbackup.BackupPlanProps{
		BackupPlanName: jsii.String(p.name("backups")),
		BackupVault:    vault,
		BackupPlanRules: &[]awsbackup.BackupPlanRule{
			rule("Daily", &awsevents.CronOptions{Hour: jsii.String("3"), Minute: jsii.String("17")}, 35),
			rule("Monthly", &awsevents.CronOptions{
				Day:    jsii.String("1"),
				Hour:   jsii.String("4"),
				Minute: jsii.String("17"),
			}, 400),
		},
	})
	var resources []awsbackup.BackupResource
	for _, name := range lasting {
		resources = append(resources, awsbackup.BackupResource_FromDynamoDbTable(d.Tables[name]))
	}
	plan.AddSelection(jsii.String("Tables"), &awsbackup.BackupSelectionOptions{
		Resources:           &resources,
		BackupSelectionName: jsii.String(p.name("tables")),
		Role:                d.backupRole(p),
		// The service's own policy would reach every resource of the account.
		DisableDefaultBackupPolicy: jsii.Bool(true),
	})
}

// vault is the name of the vault. The vault stays when an installation is erased, as the tables do when it is only
// removed: a new installation takes another tablePrefix.
func (p Props) vault() string { return p.TablePrefix + "vault" }

// backupRole may back up these tables and nothing else. It may not restore: a restore runs under another role.
func (d *Data) backupRole(p Props) awsiam.IRole {
	var tables, backups []string
	for _, name := range lasting {
		arn := *d.Tables[name].TableArn()
		tables, backups = append(tables, arn), append(backups, arn+"/backup/*")
	}
	role := awsiam.NewRole(d.Scope, jsii.String("BackupRole"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("backup.amazonaws.com"), nil),
		Description: jsii.String("Mastio " + p.OrgID + ": backs up its tables"),
	})
	policy := awsiam.NewPolicy(d.Scope, jsii.String("BackupPolicy"), &awsiam.PolicyProps{Roles: &[]awsiam.IRole{role}})
	for _, st := range []statement{
		{
			sid: "BackUp",
			actions: []string{"dynamodb:CreateBackup", "dynamodb:DescribeTable", "dynamodb:ListTagsOfResource",
				"dynamodb:StartAwsBackupJob"},
			resources: tables,
		},
		{sid: "KeepBackups", actions: []string{"dynamodb:DeleteBackup", "dynamodb:DescribeBackup"}, resources: backups},
		{
			sid:     "IntoTheVault",
			actions: []string{"backup:CopyIntoBackupVault", "backup:DescribeBackupVault"},
			resources: []string{*awscdk.Stack_Of(d.Scope).FormatArn(&awscdk.ArnComponents{
				Service:      str("backup"),
				Resource:     str("backup-vault"),
				ResourceName: jsii.String(p.vault()),
				ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
			})},
		},
		{
			sid:       "UseTheKey",
			actions:   []string{"kms:Decrypt", "kms:GenerateDataKey"},
			resources: []string{*d.DataKey.KeyArn()},
			conditions: conditions{"StringLike": {"kms:ViaService": []string{"backup.*.amazonaws.com",
				"dynamodb.*.amazonaws.com"}}},
		},
		// AWS Backup looks at the key, and grants its use to itself, directly: such a call has no ViaService.
		{sid: "SeeTheKey", actions: []string{"kms:DescribeKey"}, resources: []string{*d.DataKey.KeyArn()}},
		{
			sid:        "GrantTheKey",
			actions:    []string{"kms:CreateGrant"},
			resources:  []string{*d.DataKey.KeyArn()},
			conditions: conditions{"Bool": {"kms:GrantIsForAWSResource": "true"}},
		},
	} {
		policy.AddStatements(st.policy())
	}
	return role.WithoutPolicyUpdates(nil)
}

// keepFailedBackups keeps the event of a backup that failed, expired or was stopped in the queue of failed events,
// whose alarm then fires: the event has the cause. No request and no job of the Mastio makes these backups, so nothing
// else would show that one is missing.
func (s *Service) keepFailedBackups(after constructs.IDependable) {
	if s.props.local() {
		return
	}
	awsevents.NewRule(s.Scope, jsii.String("BackupFailed"), &awsevents.RuleProps{
		RuleName:    jsii.String(s.props.name("backup-failed")),
		Description: jsii.String("Mastio " + s.props.OrgID + ": keeps the event of a failed backup"),
		EventPattern: &awsevents.EventPattern{
			Source:     jsii.Strings("aws.backup"),
			DetailType: jsii.Strings("Backup Job State Change"),
			Detail: &map[string]any{
				"state":           []string{"ABORTED", "EXPIRED", "FAILED"},
				"backupVaultName": []string{s.props.vault()},
			},
		},
		Targets: &[]awsevents.IRuleTarget{awseventstargets.NewSqsQueue(s.Failed, nil)},
	}).Node().AddDependency(after)
}
