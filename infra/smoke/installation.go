package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// installation is a deployed Mastio, by what its stacks say.
type installation struct {
	org               string
	agents, operators string // base URLs
	secret            string // the admin secret
	mutual            bool   // the agents' host asks for a client certificate
}

var errInstallation = errors.New("no installation is here")

var serviceStack = regexp.MustCompile(`^mastio-(.+)-service$`)

// find reads the outputs of the stacks. With several organisations in the region, one has to be named.
func find(ctx context.Context, cfg aws.Config, o options) (in installation, err error) {
	outputs := map[string]map[string]string{} // by stack
	pages := cloudformation.NewDescribeStacksPaginator(cloudformation.NewFromConfig(cfg),
		&cloudformation.DescribeStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return in, fmt.Errorf("list the stacks of %s: %w", cfg.Region, err)
		}
		for _, s := range page.Stacks {
			outputs[aws.ToString(s.StackName)] = outputsOf(s)
		}
	}
	var orgs []string
	for name := range outputs {
		if m := serviceStack.FindStringSubmatch(name); m != nil && (o.org == "" || o.org == m[1]) {
			orgs = append(orgs, m[1])
		}
	}
	slices.Sort(orgs)
	switch len(orgs) {
	case 1:
	case 0:
		return in, fmt.Errorf("%w: region %s has no stack mastio-%s-service; make deploy makes it, AWS_REGION takes "+
			"another region", errInstallation, cfg.Region, or(o.org, "ORG"))
	default:
		return in, fmt.Errorf("%w alone: there are %s; name one with ORG=", errInstallation, strings.Join(orgs, ", "))
	}
	in.org = orgs[0]
	service, data := outputs["mastio-"+in.org+"-service"], outputs["mastio-"+in.org+"-data"]
	in.agents, in.operators = or(o.agents, output(service, "AgentsURL")), or(o.operators, output(service, "OperatorsURL"))
	in.mutual = o.agents != "" || output(service, "AgentsTargetName") != ""
	in.secret, err = adminSecret(ctx, cfg, output(data, "AdminSecretArn"))
	return in, err
}

func outputsOf(s cfn.Stack) map[string]string {
	m := map[string]string{}
	for _, o := range s.Outputs {
		m[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return m
}

// output finds an output by its name, before and after which the CDK puts what makes it unique.
func output(all map[string]string, name string) string {
	for key, value := range all {
		if strings.Contains(key, name) {
			return value
		}
	}
	return ""
}

func adminSecret(ctx context.Context, cfg aws.Config, name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%w whole: the data stack does not name the admin secret", errInstallation)
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return "", fmt.Errorf("read the admin secret %s: %w", name, err)
	}
	return aws.ToString(out.SecretString), nil
}

func or(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}
