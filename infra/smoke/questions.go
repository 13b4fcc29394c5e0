package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// questions are what about AWS no documentation answers and no emulator knows. They are asked with a table, a role and
// keys of their own, which clean removes.
type questions struct {
	cfg  aws.Config
	org  string
	name string        // of the table and of the role
	wait time.Duration // between two tries
	most time.Duration // for what becomes true after a while

	tableMade, roleMade bool
	as                  aws.Config // with the role's credentials
	keys                []string
}

func newQuestions(cfg aws.Config, org, run string) *questions {
	return &questions{cfg: cfg, org: org, name: "mastio-smoke-" + run, wait: 500 * time.Millisecond, most: time.Minute}
}

func (q *questions) steps() []step {
	return []step{
		{"AWS: set up", "these need rights to make a table, a role and keys; without them: go run ./infra/smoke " +
			"-questions=false", q.setUp},
		{"AWS: keys of one transaction", "infra/mastio/together.go", q.transaction},
		{"AWS: how soon a new key is known", "shared/edge/awskms/young.go", q.youngKey},
		{"AWS: import into a new key", "shared/edge/awskms/young.go", q.youngImport},
		{"AWS: an alarm reaches its topic",
			"aws cloudwatch describe-alarm-history --history-item-type Action --alarm-name " + q.alarm(), q.alarmArrives},
	}
}

// code is the error code of a service; empty: none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// mayNot turns a refusal of our own credentials into a skipped step: the installation is not at fault.
func mayNot(err error) error {
	if c := code(err); strings.HasPrefix(c, "AccessDenied") || c == "UnauthorizedOperation" {
		return skip("these credentials may not: %v", err)
	}
	return err
}

// until repeats a call while it returns an error that passes; the last one is returned.
func (q *questions) until(ctx context.Context, passes func(error) bool, call func() error) error {
	for end := time.Now().Add(q.most); ; {
		err := call()
		if err == nil || !passes(err) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(q.wait):
		}
	}
}

// setUp makes a table, and a role that may what a function of the Mastio may, by statements that are each for one kind
// of key.
func (q *questions) setUp(ctx context.Context) (string, error) {
	who, err := sts.NewFromConfig(q.cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	account := aws.ToString(who.Account)
	db := dynamodb.NewFromConfig(q.cfg)
	_, err = db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:   &q.name,
		BillingMode: ddb.BillingModePayPerRequest,
		AttributeDefinitions: []ddb.AttributeDefinition{{
			AttributeName: aws.String("pk"),
			AttributeType: ddb.ScalarAttributeTypeS,
		}},
		KeySchema: []ddb.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: ddb.KeyTypeHash}},
	})
	if err != nil {
		return "", mayNot(err)
	}
	q.tableMade = true
	roles := iam.NewFromConfig(q.cfg)
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"sts:AssumeRole"}]}`, account)
	made, err := roles.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &q.name, AssumeRolePolicyDocument: &trust})
	if err != nil {
		return "", mayNot(err)
	}
	q.roleMade = true
	policy := q.policy(account)
	if _, err = roles.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
		RoleName:       &q.name,
		PolicyName:     aws.String("p"),
		PolicyDocument: &policy,
	}); err != nil {
		return "", mayNot(err)
	}
	if err = dynamodb.NewTableExistsWaiter(db).Wait(ctx, &dynamodb.DescribeTableInput{TableName: &q.name},
		q.most); err != nil {
		return "", err
	}
	err = q.until(ctx, func(error) bool { return true }, func() error { // a new role takes some seconds
		out, err := sts.NewFromConfig(q.cfg).AssumeRole(ctx, &sts.AssumeRoleInput{
			RoleArn:         made.Role.Arn,
			RoleSessionName: aws.String("smoke"),
		})
		if err != nil {
			return err
		}
		q.as = q.cfg.Copy()
		c := out.Credentials
		q.as.Credentials = credentials.NewStaticCredentialsProvider(aws.ToString(c.AccessKeyId),
			aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken))
		return q.put(ctx, "A#1")
	})
	return q.name, err
}

// policy has two statements for one action on one table, and keys by their tag, as infra/permissions.md.
func (q *questions) policy(account string) string {
	table := fmt.Sprintf("arn:aws:dynamodb:%s:%s:table/%s", q.cfg.Region, account, q.name)
	put := func(keys string) map[string]any {
		return map[string]any{
			"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": table,
			"Condition": map[string]any{"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": []string{keys}},
				"Null": map[string]any{"dynamodb:LeadingKeys": "false"}},
		}
	}
	b, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []map[string]any{
		put("A#*"), put("B#*"),
		{
			"Effect": "Allow", "Action": []string{"kms:CreateKey", "kms:TagResource"}, "Resource": "*",
			"Condition": map[string]any{"StringEquals": map[string]any{"aws:RequestTag/mastio:smoke": q.name}},
		},
		{
			"Effect": "Allow", "Action": []string{"kms:GetPublicKey", "kms:Sign", "kms:GetParametersForImport"},
			"Resource":  fmt.Sprintf("arn:aws:kms:%s:%s:key/*", q.cfg.Region, account),
			"Condition": map[string]any{"StringEquals": map[string]any{"aws:ResourceTag/mastio:smoke": q.name}},
		},
	}})
	if err != nil {
		panic(err) // texts always have a JSON form
	}
	return string(b)
}

func (q *questions) put(ctx context.Context, keys ...string) error {
	var items []ddb.TransactWriteItem
	for _, key := range keys {
		items = append(items, ddb.TransactWriteItem{Put: &ddb.Put{
			TableName: &q.name,
			Item:      map[string]ddb.AttributeValue{"pk": &ddb.AttributeValueMemberS{Value: key}},
		}})
	}
	_, err := dynamodb.NewFromConfig(q.as).TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	return err
}

func (q *questions) ready() error {
	if q.as.Credentials == nil {
		return skip("nothing was set up")
	}
	return nil
}

// transaction asks whether IAM judges a transaction item by item. Either answer does: the policies allow both.
func (q *questions) transaction(ctx context.Context) (string, error) {
	if err := q.ready(); err != nil {
		return "", err
	}
	if err := q.put(ctx, "B#1"); err != nil {
		return "", err
	}
	switch err := q.put(ctx, "A#2", "B#2"); {
	case err == nil:
		return "IAM judges each item separately", nil
	case code(err) == "AccessDeniedException":
		return "IAM judges the keys of all items together; the statements …Together permit the call", nil
	default:
		return "", err
	}
}

// create makes a key as the Mastio does, and remembers it for clean.
func (q *questions) create(ctx context.Context, origin kmstypes.OriginType) (string, error) {
	out, err := kms.NewFromConfig(q.as).CreateKey(ctx, &kms.CreateKeyInput{
		KeySpec:     kmstypes.KeySpecEccNistP256,
		KeyUsage:    kmstypes.KeyUsageTypeSignVerify,
		Origin:      origin,
		Tags:        []kmstypes.Tag{{TagKey: aws.String("mastio:smoke"), TagValue: &q.name}},
		Description: aws.String("Mastio smoke test: to be deleted"),
	})
	if err != nil {
		return "", err
	}
	id := aws.ToString(out.KeyMetadata.Arn)
	q.keys = append(q.keys, id)
	return id, nil
}

// settle asks until a call on a new key is answered, and says how long that took and what came before.
func (q *questions) settle(ctx context.Context, call func() error) (string, error) {
	begun, refused := time.Now(), map[string]bool{}
	err := q.until(ctx, func(err error) bool {
		refused[code(err)] = true
		return code(err) == "NotFoundException" || code(err) == "KMSInvalidStateException" ||
			code(err) == "AccessDeniedException"
	}, call)
	if err != nil {
		return "", fmt.Errorf("after %s: %w", time.Since(begun).Round(time.Millisecond), err)
	}
	seen := "at once"
	if len(refused) > 0 {
		seen = fmt.Sprintf("after %s, first %v", time.Since(begun).Round(time.Millisecond), refused)
	}
	return seen, nil
}

// youngKey measures what shared/edge/awskms has patience with: 15 seconds, 45 in a deployment.
func (q *questions) youngKey(ctx context.Context) (string, error) {
	if err := q.ready(); err != nil {
		return "", err
	}
	id, err := q.create(ctx, kmstypes.OriginTypeAwsKms)
	if err != nil {
		return "", mayNot(err)
	}
	api := kms.NewFromConfig(q.as)
	return q.settle(ctx, func() error {
		if _, err := api.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &id}); err != nil {
			return err
		}
		_, err := api.Sign(ctx, &kms.SignInput{
			KeyId:            &id,
			Message:          make([]byte, 32),
			MessageType:      kmstypes.MessageTypeDigest,
			SigningAlgorithm: kmstypes.SigningAlgorithmSpecEcdsaSha256,
		})
		return err
	})
}

func (q *questions) youngImport(ctx context.Context) (string, error) {
	if err := q.ready(); err != nil {
		return "", err
	}
	id, err := q.create(ctx, kmstypes.OriginTypeExternal)
	if err != nil {
		return "", mayNot(err)
	}
	return q.settle(ctx, func() error {
		_, err := kms.NewFromConfig(q.as).GetParametersForImport(ctx, &kms.GetParametersForImportInput{
			KeyId:             &id,
			WrappingAlgorithm: kmstypes.AlgorithmSpecRsaAesKeyWrapSha256,
			WrappingKeySpec:   kmstypes.WrappingKeySpecRsa3072,
		})
		return err
	})
}

var errNoAction = errors.New("the history of the alarm names no action")

func (q *questions) alarm() string { return "mastio-" + q.org + "-failed-events" }

// alarmArrives sets an alarm of the installation off, by hand, and looks whether its topic took it. CloudWatch sets it
// back with its next look, and who is subscribed gets two mails.
func (q *questions) alarmArrives(ctx context.Context) (string, error) {
	api, name := cloudwatch.NewFromConfig(q.cfg), q.alarm()
	begun := time.Now().Add(-time.Minute) // by CloudWatch's clock
	_, err := api.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{
		AlarmName:   &name,
		StateValue:  cw.StateValueAlarm,
		StateReason: aws.String("make smoke: a test"),
	})
	if err != nil {
		return "", mayNot(err)
	}
	said := errNoAction
	err = q.until(ctx, func(error) bool { return true }, func() error {
		out, err := api.DescribeAlarmHistory(ctx, &cloudwatch.DescribeAlarmHistoryInput{
			AlarmName:       &name,
			HistoryItemType: cw.HistoryItemTypeAction,
		})
		if err != nil {
			return err
		}
		for _, item := range out.AlarmHistoryItems {
			if item.HistoryItemType != cw.HistoryItemTypeAction || item.Timestamp != nil && item.Timestamp.Before(begun) {
				continue // of another kind, which LocalStack answers too, or of another time
			}
			if strings.HasPrefix(aws.ToString(item.HistorySummary), "Successfully") {
				return nil
			}
			said = errors.New(aws.ToString(item.HistorySummary))
		}
		return said
	})
	if errors.Is(err, errNoAction) && q.cfg.BaseEndpoint != nil { // LocalStack keeps no such history
		err = skip("%v, at an endpoint that is not AWS's", err)
	}
	return name + " was published", err
}

// clean removes what the questions were asked with, and returns what it could not remove.
func (q *questions) clean(ctx context.Context) (left []error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	note := func(err error) {
		if err != nil {
			left = append(left, err)
		}
	}
	for _, id := range q.keys {
		_, err := kms.NewFromConfig(q.cfg).ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{
			KeyId:               &id,
			PendingWindowInDays: aws.Int32(7),
		})
		note(err)
	}
	if q.roleMade {
		roles := iam.NewFromConfig(q.cfg)
		_, err := roles.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &q.name, PolicyName: aws.String("p")})
		note(err)
		_, err = roles.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &q.name})
		note(err)
	}
	if q.tableMade {
		_, err := dynamodb.NewFromConfig(q.cfg).DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &q.name})
		note(err)
	}
	return left
}
