package mastio

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// makeLogKey makes the key that encrypts the log groups and the alarms' topic, if the settings ask for it. The key
// stays when the setting is taken back or the stack is deleted: what was logged under it would become unreadable.
func (s *Service) makeLogKey() {
	if !s.props.LogKey {
		return
	}
	s.logKey = symmetric(s.Scope, s.props, "LogKey", "Mastio "+s.props.OrgID+": logs and alarms")
	s.letLogsEncrypt()
	s.letAlarmsEncrypt()
}

// letLogsEncrypt allows CloudWatch Logs to use the key for the log groups of this installation and no others: "Encrypt
// log data in CloudWatch Logs using AWS KMS", CloudWatch Logs user guide.
func (s *Service) letLogsEncrypt() {
	group := func(name string) *string {
		return s.stack.FormatArn(&awscdk.ArnComponents{
			Service:      str("logs"),
			Resource:     str("log-group"),
			ResourceName: &name,
			ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
		})
	}
	s.logKey.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String("LogsEncrypt"),
		Actions: jsii.Strings("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
			"kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"),
		Resources: jsii.Strings("*"), // of a key's policy: the key
		Principals: &[]awsiam.IPrincipal{
			awsiam.NewServicePrincipal(jsii.String("logs."+*s.stack.Region()+".amazonaws.com"), nil),
		},
		Conditions: &map[string]any{"ArnLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": []*string{
			group("/aws/lambda/" + s.props.name("*")), group("/aws/vendedlogs/mastio/" + s.props.OrgID + "/*"),
			group("aws-waf-logs-" + s.props.name("*")),
		}}},
	}), jsii.Bool(false))
}

// letAlarmsEncrypt allows CloudWatch to publish to a topic under the key: "Encrypting Amazon SNS topics ... from AWS
// services", SNS developer guide.
func (s *Service) letAlarmsEncrypt() {
	s.logKey.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("AlarmsEncrypt"),
		Actions:    jsii.Strings("kms:Decrypt", "kms:GenerateDataKey"),
		Resources:  jsii.Strings("*"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Conditions: ofOwnAlarms(s.stack, s.props),
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
	if s.logKey != nil { // an interface that holds a nil key would not be nil
		props.EncryptionKey = s.logKey
	}
	return awslogs.NewLogGroup(scope, &id, props)
}

// encryptedBy is the key of the alarms' topic; nil: none of its own.
func (s *Service) encryptedBy() awskms.IKey {
	if s.logKey == nil {
		return nil
	}
	return s.logKey
}
