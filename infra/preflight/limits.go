package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// unreserved is the concurrency that Lambda requires to stay unreserved. Accounts with a small quota have a smaller,
// undocumented value: there the deployment may work although this check reports a problem.
const unreserved = 100

// concurrency adds up what the functions reserve and are not given yet.
func (l *looker) concurrency(ctx context.Context) []finding {
	const check = "concurrency"
	reserved := 0
	for _, f := range l.a.all("AWS::Lambda::Function") {
		if n, ok := f.Properties["ReservedConcurrentExecutions"].(float64); ok && !l.holds(f) {
			reserved += int(n)
		}
	}
	out, err := l.lambda.GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	if err != nil || out.AccountLimit == nil {
		return []finding{unseen(check, err)}
	}
	quota, left := int(out.AccountLimit.ConcurrentExecutions),
		int(aws.ToInt32(out.AccountLimit.UnreservedConcurrentExecutions))
	const raise = "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 " +
		"--desired-value 1000"
	switch {
	case reserved == 0 && quota < unreserved:
		return []finding{{warns, check, fmt.Sprintf("the account's quota is %d: bursts of tokens are throttled; raise it "+
			"before production", quota), raise}}
	case reserved > 0 && left-reserved < unreserved:
		return []finding{bad(check, raise+"; until then CDK_ARGS=\"… -c sharedConcurrency=true\"",
			"the functions reserve %d of %d, and Lambda keeps %d for the rest", reserved, left, unreserved)}
	}
	return []finding{ok(check, "%d of a quota of %d are free, %d are reserved", left, quota, reserved)}
}

// logRole looks at the account's one role with which API Gateway writes logs.
func (l *looker) logRole(ctx context.Context) []finding {
	const check = "API logs"
	out, err := l.gateway.GetAccount(ctx, &apigateway.GetAccountInput{})
	if err != nil {
		return []finding{unseen(check, err)}
	}
	role, ours := aws.ToString(out.CloudwatchRoleArn), l.a.all("AWS::ApiGateway::Account")
	switch {
	case role == "" && len(ours) == 0:
		return []finding{bad(check, "leave out sharedAccountLogging: the deployment then makes the role",
			"sharedAccountLogging is set and the account has no role with which API Gateway writes logs")}
	case role != "" && len(ours) > 0 && !l.holds(ours[0]):
		return []finding{{warns, check,
			"API Gateway writes logs with " + role + ", which the deployment would replace, for every API of the account",
			"CDK_ARGS=\"… -c sharedAccountLogging=true\" keeps it"}}
	case len(ours) > 0:
		return []finding{ok(check, "the deployment makes the account's role")}
	}
	return []finding{ok(check, "the account has %s", role)}
}
