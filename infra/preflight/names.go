package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/backup"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// nameCheck is a kind of resource whose name the templates choose: CloudFormation makes none that is there already.
type nameCheck struct {
	kind, property string
	// there asks for one by its name. A code of gone says that the name is free.
	there func(ctx context.Context, cfg aws.Config, name string) error
	gone  []string
	mend  string // with the name in it
}

var kinds = []nameCheck{
	{"AWS::DynamoDB::GlobalTable", "TableName", func(ctx context.Context, cfg aws.Config, name string) error {
		_, err := dynamodb.NewFromConfig(cfg).DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
		return err
	}, []string{"ResourceNotFoundException"}, "%[1]s is the data of an earlier installation: take another orgId, or -c " +
		"tablePrefix=…; " +
		"only if nothing in it is needed: aws dynamodb update-table --table-name %[1]s --no-deletion-protection-enabled, " +
		"aws dynamodb delete-table --table-name %[1]s"},
	{"AWS::Logs::LogGroup", "LogGroupName", func(ctx context.Context, cfg aws.Config, name string) error {
		out, err := cloudwatchlogs.NewFromConfig(cfg).DescribeLogGroups(ctx,
			&cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &name})
		if err != nil {
			return err
		}
		for _, g := range out.LogGroups {
			if aws.ToString(g.LogGroupName) == name {
				return nil
			}
		}
		return errFree
	}, nil, "aws logs delete-log-group --log-group-name %[1]s"},
	{"AWS::SQS::Queue", "QueueName", func(ctx context.Context, cfg aws.Config, name string) error {
		_, err := sqs.NewFromConfig(cfg).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
		return err
	}, []string{"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"},
		`aws sqs delete-queue --queue-url "$(aws sqs get-queue-url --queue-name %[1]s --query QueueUrl --output text)"; a minute later the name is free`},
	{"AWS::Events::EventBus", "Name", func(ctx context.Context, cfg aws.Config, name string) error {
		_, err := eventbridge.NewFromConfig(cfg).DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &name})
		return err
	}, []string{"ResourceNotFoundException"}, "aws events delete-event-bus --name %[1]s"},
	{"AWS::Lambda::Function", "FunctionName", func(ctx context.Context, cfg aws.Config, name string) error {
		_, err := lambda.NewFromConfig(cfg).GetFunctionConfiguration(ctx,
			&lambda.GetFunctionConfigurationInput{FunctionName: &name})
		return err
	}, []string{"ResourceNotFoundException"}, "aws lambda delete-function --function-name %[1]s"},
	{"AWS::Backup::BackupVault", "BackupVaultName", func(ctx context.Context, cfg aws.Config, name string) error {
		_, err := backup.NewFromConfig(cfg).DescribeBackupVault(ctx, &backup.DescribeBackupVaultInput{BackupVaultName: &name})
		return err
		// what AWS Backup answers about a vault that is not there
	}, []string{"ResourceNotFoundException", "AccessDeniedException"},
		"%[1]s holds backups of an earlier installation: -c tablePrefix=… takes another name; an empty one: aws backup " +
			"delete-backup-vault --backup-vault-name %[1]s"},
	{"AWS::ApiGateway::DomainName", "DomainName", func(ctx context.Context, cfg aws.Config, name string) error {
		_, err := apigateway.NewFromConfig(cfg).GetDomainName(ctx, &apigateway.GetDomainNameInput{DomainName: &name})
		return err
	}, []string{"NotFoundException"}, "the domain is another API's: take another name, or aws apigateway " +
		"delete-domain-name --domain-name %[1]s"},
}

// errFree is a look that finds nothing, where the service has no error for it.
var errFree = errors.New("there is none")

// names looks for names that an earlier try or another stack has taken.
func (l *looker) names(ctx context.Context) (all []finding) {
	const check = "name"
	free := 0
	for _, k := range kinds {
		for _, r := range l.a.all(k.kind) {
			name := r.text(k.property)
			if name == "" || l.holds(r) {
				continue
			}
			err := k.there(ctx, l.cfg, name)
			switch {
			case err == nil:
				all = append(all, bad(check, fmt.Sprintf(k.mend, name), "%s is taken (%s), and not by this stack", name, k.kind))
			case errors.Is(err, errFree) || slices.Contains(k.gone, code(err)):
				free++
			default:
				all = append(all, unseen(check, fmt.Errorf("%s: %w", name, err)))
			}
		}
	}
	return append(all, ok(check, "%d names are free", free))
}
