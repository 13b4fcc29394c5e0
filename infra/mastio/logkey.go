package mastio

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// makeLogKey makes the key that encrypts the log groups and the alarms' topic, if the settings ask for it. Like every
// key of a deployment it stays when the setting is taken back: what was logged under it would become unreadable.
func (d *Data) makeLogKey(p Props) {
	if !p.LogKey {
		return
	}
	d.LogKey = symmetric(d.Scope, p, "LogKey", "Mastio "+p.OrgID+": logs and alarms")
	d.letLogsEncrypt(p)
	d.letAlarmsEncrypt(p)
}

// letLogsEncrypt allows CloudWatch Logs to use the key for the log groups of this installation and no others: "Encrypt
// log data in CloudWatch Logs using AWS KMS", CloudWatch Logs user guide.
func (d *Data) letLogsEncrypt(p Props) {
	stack := awscdk.Stack_Of(d.Scope)
	group := func(name string) *string {
		return stack.FormatArn(&awscdk.ArnComponents{
			Service:      str("logs"),
			Resource:     str("log-group"),
			ResourceName: &name,
			ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
		})
	}
	d.LogKey.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String("LogsEncrypt"),
		// Not kms:DescribeKey: its requests have no encryption context.
		Actions: jsii.Strings("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
			"kms:GenerateDataKeyWithoutPlaintext"),
		Resources: jsii.Strings("*"), // of a key's policy: the key
		Principals: &[]awsiam.IPrincipal{
			awsiam.NewServicePrincipal(jsii.String("logs."+*stack.Region()+".amazonaws.com"), nil),
		},
		Conditions: &map[string]any{"StringLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": []*string{
			group("/aws/lambda/" + p.name("*")), group("/aws/vendedlogs/mastio/" + p.OrgID + "/*"),
			group("aws-waf-logs-" + p.name("*")),
		}}},
	}), jsii.Bool(false))
}

// letAlarmsEncrypt allows CloudWatch to publish to a topic under the key: "Encrypting Amazon SNS topics ... from AWS
// services", SNS developer guide.
func (d *Data) letAlarmsEncrypt(p Props) {
	d.LogKey.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("AlarmsEncrypt"),
		Actions:    jsii.Strings("kms:Decrypt", "kms:GenerateDataKey"),
		Resources:  jsii.Strings("*"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Conditions: ofOwnAlarms(awscdk.Stack_Of(d.Scope), p),
	}), jsii.Bool(false))
}

// ofOwnAlarms is the condition that an alarm of this installation asks.
func ofOwnAlarms(stack awscdk.Stack, p Props) *map[string]any {
	return &map[string]any{
		"StringEquals": map[string]any{"aws:SourceAccount": *stack.Account()},
		"ArnLike": map[string]any{"aws:SourceArn": *stack.FormatArn(&awscdk.ArnComponents{
			Service:      str("cloudwatch"),
			Resource:     str("alarm"),
			ResourceName: jsii.String(p.name("*")),
			ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
		})},
	}
}

// logGroup makes a log group, which goes with its stack.
func (s *Service) logGroup(scope constructs.Construct, id, name string) awslogs.LogGroup {
	props := &awslogs.LogGroupProps{
		LogGroupName:  &name,
		Retention:     retentions[s.props.LogRetentionDays],
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	}
	if s.data.LogKey != nil { // an interface that holds a nil key would not be nil
		props.EncryptionKey = s.data.LogKey
	}
	return awslogs.NewLogGroup(scope, &id, props)
}

// encryptedBy is the key of the alarms' topic; nil: none of its own.
func (s *Service) encryptedBy() awskms.IKey {
	if s.data.LogKey == nil {
		return nil
	}
	return s.data.LogKey
}
