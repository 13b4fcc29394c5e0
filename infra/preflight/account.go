package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// looker makes the checks.
type looker struct {
	a   assembly
	cfg aws.Config

	sts     *sts.Client
	ssm     *ssm.Client
	cfn     *cloudformation.Client
	lambda  *lambda.Client
	gateway *apigateway.Client
	acm     *acm.Client
	route53 *route53.Client
	kms     *kms.Client

	// deployed are the stacks that there are, with the logical ids of what they hold.
	deployed map[string]map[string]bool
	states   map[string]cfn.StackStatus
}

func newLooker(a assembly, cfg aws.Config) *looker {
	return &looker{
		a:        a,
		cfg:      cfg,
		sts:      sts.NewFromConfig(cfg),
		ssm:      ssm.NewFromConfig(cfg),
		cfn:      cloudformation.NewFromConfig(cfg),
		lambda:   lambda.NewFromConfig(cfg),
		gateway:  apigateway.NewFromConfig(cfg),
		acm:      acm.NewFromConfig(cfg),
		route53:  route53.NewFromConfig(cfg),
		kms:      kms.NewFromConfig(cfg),
		deployed: map[string]map[string]bool{},
		states:   map[string]cfn.StackStatus{},
	}
}

// code is the error code of a service, empty for what is none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func (l *looker) credentials(ctx context.Context) finding {
	who, err := l.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	switch {
	case err != nil:
		return bad("credentials", "aws sts get-caller-identity", "no credentials work: %v", err)
	case aws.ToString(who.Account) != l.a.account:
		return bad("credentials", "make preflight with the credentials of the deployment: make synth takes account and "+
			"region from them",
			"they are of account %s, the templates of %s", aws.ToString(who.Account), l.a.account)
	}
	return ok("credentials", "account %s, region %s, as %s", l.a.account, l.a.region, aws.ToString(who.Arn))
}

// bootstrapped looks for what the CDK puts its files into.
func (l *looker) bootstrapped(ctx context.Context) []finding {
	const check = "bootstrap"
	const mend = "make bootstrap"
	out, err := l.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &l.a.parameter})
	switch {
	case code(err) == "ParameterNotFound":
		return []finding{bad(check, mend, "account %s was never bootstrapped for the CDK in %s", l.a.account, l.a.region)}
	case err != nil:
		return []finding{unseen(check, err)}
	}
	version, err := strconv.Atoi(aws.ToString(out.Parameter.Value))
	if err != nil || version < l.a.bootstrap {
		return []finding{bad(check, mend, "version %s is there, %d is needed", aws.ToString(out.Parameter.Value),
			l.a.bootstrap)}
	}
	return []finding{ok(check, "version %d", version)}
}

// stackStates looks at what an earlier try has left, and notes what the stacks hold.
func (l *looker) stackStates(ctx context.Context) (all []finding) {
	for _, t := range l.a.stacks {
		out, err := l.cfn.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(t.name)})
		switch {
		case code(err) == "ValidationError" && strings.Contains(err.Error(), "does not exist"):
			all = append(all, ok("stack", "%s is not there yet", t.name))
			continue
		case err != nil || len(out.Stacks) == 0:
			all = append(all, unseen("stack", err))
			continue
		}
		l.states[t.name] = out.Stacks[0].StackStatus
		all = append(all, stateOf(t.name, out.Stacks[0].StackStatus, aws.ToBool(out.Stacks[0].EnableTerminationProtection)))
		if err := l.hold(ctx, t.name); err != nil {
			all = append(all, unseen("stack", err))
		}
	}
	return all
}

func stateOf(name string, state cfn.StackStatus, protected bool) finding {
	const check = "stack"
	s := string(state)
	switch {
	case protected && (s == "ROLLBACK_COMPLETE" || s == "ROLLBACK_FAILED" || s == "CREATE_FAILED"):
		return bad(check, "aws cloudformation update-termination-protection --no-enable-termination-protection "+
			"--stack-name "+name, "%s is %s, and protected from the deletion that begins anew", name, s)
	case strings.HasSuffix(s, "_IN_PROGRESS"):
		return bad(check, "wait: aws cloudformation describe-stack-events --stack-name "+name, "%s is %s", name, s)
	case s == "UPDATE_ROLLBACK_FAILED":
		return bad(check, "aws cloudformation continue-update-rollback --stack-name "+name, "%s is %s", name, s)
	case s == "DELETE_FAILED", s == "ROLLBACK_FAILED", s == "CREATE_FAILED":
		return bad(check, "aws cloudformation describe-stack-events --stack-name "+name+
			"; then aws cloudformation delete-stack --stack-name "+name,
			"%s is %s", name, s)
	case s == "ROLLBACK_COMPLETE":
		return finding{warns, check, name +
			" is what a failed first deployment left; the next one removes it and begins anew", ""}
	}
	return ok(check, "%s is %s", name, s)
}

// hold notes what a stack holds. A stack that waits to be made anew holds nothing.
func (l *looker) hold(ctx context.Context, name string) error {
	l.deployed[name] = map[string]bool{}
	pages := cloudformation.NewListStackResourcesPaginator(l.cfn,
		&cloudformation.ListStackResourcesInput{StackName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.StackResourceSummaries {
			if r.ResourceStatus != cfn.ResourceStatusDeleteComplete && r.ResourceStatus != cfn.ResourceStatusDeleteSkipped {
				l.deployed[name][aws.ToString(r.LogicalResourceId)] = true
			}
		}
	}
	return nil
}

// holds reports whether a stack has a resource of a template already.
func (l *looker) holds(r resource) bool { return l.deployed[r.stack][r.id] }

// adoption looks for a domain that would be made before anything is in its truststore.
func (l *looker) adoption(context.Context) []finding {
	adopts := false
	for _, f := range l.a.all("AWS::Lambda::Function") {
		adopts = adopts || f.text("Environment", "Variables", "MASTIO_FIRST_CA") == "adopt"
	}
	for _, d := range l.a.all("AWS::ApiGateway::DomainName") {
		if _, mutual := d.Properties["MutualTlsAuthentication"]; mutual && adopts && !l.holds(d) &&
			len(l.deployed[d.stack]) == 0 {
			return []finding{bad("adoption", "deploy without agentsDomain, upload the CA (POST /pki/rotate-ca?mode=upload), "+
				"then deploy with it",
				"firstCa is adopt and %s is new: its truststore would not be there", d.text("DomainName"))}
		}
	}
	return nil
}
