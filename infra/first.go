package main

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"
)

// firstDeployment reports whether no deployment of a stack has worked yet: there is none, or only what a failed first
// deployment has left. The CDK deletes such a stack and makes it anew.
func firstDeployment(ctx context.Context, cfg aws.Config, stack string) (bool, error) {
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx,
		&cloudformation.DescribeStacksInput{StackName: &stack})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "ValidationError" && strings.Contains(err.Error(), "does not exist") {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	for _, s := range out.Stacks {
		switch s.StackStatus { //nolint:exhaustive // the states that a first deployment leaves
		case cfn.StackStatusReviewInProgress, cfn.StackStatusCreateFailed, cfn.StackStatusRollbackComplete,
			cfn.StackStatusRollbackFailed:
			return true, nil
		}
	}
	return false, nil
}
