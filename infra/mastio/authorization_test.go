package mastio

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/test/awsmodel"
	"github.com/mastio-aws/mastio/test/python"
)

// arns are what a reference to a resource of a type stands for, where a policy needs it: %s is a name.
var arns = map[string]string{
	"AWS::DynamoDB::GlobalTable":  "arn:aws:dynamodb:eu-central-1:111111111111:table/%s",
	"AWS::Events::EventBus":       "arn:aws:events:eu-central-1:111111111111:event-bus/%s",
	"AWS::KMS::Key":               "arn:aws:kms:eu-central-1:111111111111:key/%s",
	"AWS::Lambda::Function":       "arn:aws:lambda:eu-central-1:111111111111:function:%s",
	"AWS::Logs::LogGroup":         "arn:aws:logs:eu-central-1:111111111111:log-group:%s:*",
	"AWS::S3::Bucket":             "arn:aws:s3:::%s",
	"AWS::SecretsManager::Secret": "arn:aws:secretsmanager:eu-central-1:111111111111:secret:%s-a1b2c3",
	"AWS::SNS::Topic":             "arn:aws:sns:eu-central-1:111111111111:%s",
	"AWS::SQS::Queue":             "arn:aws:sqs:eu-central-1:111111111111:%s",
}

// pseudo are what CloudFormation knows without a resource.
var pseudo = map[string]string{"AWS::Partition": "aws", "AWS::Region": "eu-central-1", "AWS::AccountId": "111111111111",
	"AWS::URLSuffix": "amazonaws.com"}

// arn writes a value of a template as a deployment would see it.
func (d *deployment) arn(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		if id, ok := v["Ref"].(string); ok {
			if known, ok := pseudo[id]; ok {
				return known
			}
			if r := d.resource(id); strings.HasSuffix(r.Type, "::Secret") || strings.HasSuffix(r.Type, "::Topic") {
				return fmt.Sprintf(arns[r.Type], id)
			}
			return id
		}
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			id, attribute := fmt.Sprint(get[0]), fmt.Sprint(get[1])
			arn := fmt.Sprintf(arns[d.resource(id).Type], id)
			if attribute == "StreamArn" {
				return arn + "/stream/2026-01-01T00:00:00.000"
			}
			return arn
		}
		if output, ok := v["Fn::GetStackOutput"].(map[string]any); ok {
			return d.arn(at(d.outputs[d.stackOf(output)], "Value"))
		}
		if exported, ok := v["Fn::ImportValue"].(string); ok {
			for _, o := range d.outputs {
				if at(o, "Export", "Name") == exported {
					return d.arn(at(o, "Value"))
				}
			}
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			var parts []string
			list, _ := join[1].([]any)
			for _, part := range list {
				parts = append(parts, d.arn(part))
			}
			return strings.Join(parts, fmt.Sprint(join[0]))
		}
	}
	return "?" + spell(v)
}

func (d *deployment) stackOf(output map[string]any) string {
	for _, stack := range []string{"MastioData", "Mastio"} {
		if name := stack + "/" + fmt.Sprint(output["OutputName"]); d.outputs[name] != nil {
			return name
		}
	}
	return ""
}

func (d *deployment) resource(id string) resource {
	for _, stack := range []string{"MastioData", "Mastio"} {
		if r, ok := d.resources[stack+"/"+id]; ok {
			return r
		}
	}
	return resource{}
}

// resourcePolicies returns the statements of the policies that resources have, by the resource. Statements for
// all actions of a kind are left out: the account's own right to its keys, and those that the CDK writes.
func (d *deployment) resourcePolicies() (all []policyStatement) {
	for _, r := range d.resources {
		for _, property := range []string{"KeyPolicy", "PolicyDocument"} {
			if strings.HasPrefix(r.Type, "AWS::IAM::") || r.Properties[property] == nil {
				continue
			}
			for _, g := range statementsIn(r.id, r.Properties[property]) {
				if !slices.ContainsFunc(g.actions, func(a string) bool { return strings.Contains(a, "*") }) {
					all = append(all, g)
				}
			}
		}
	}
	return all
}

// AWS publishes which resources and condition keys each action takes. A statement that names another grants nothing, or
// denies nothing.
func TestPoliciesMeanSomethingToIAM(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		ofResources := d.resourcePolicies()
		if len(ofResources) < 3 {
			t.Errorf("%d statements of resources: the search is broken", len(ofResources))
		}
		var statements []awsmodel.Statement
		for _, g := range append(d.policies(t), ofResources...) {
			s := awsmodel.Statement{Where: g.function + "/" + g.sid, Actions: g.actions, Conditions: map[string]map[string]any{}}
			raw, ok := g.raw["Resource"].([]any)
			if !ok {
				raw = []any{g.raw["Resource"]}
			}
			for _, r := range raw {
				s.Resources = append(s.Resources, d.arn(r))
			}
			for operator, keys := range g.conditions {
				s.Conditions[operator], _ = keys.(map[string]any)
			}
			statements = append(statements, s)
		}
		wrong, looked, err := awsmodel.CheckPolicies(t.Context(), statements)
		if errors.Is(err, python.ErrMissing) && os.Getenv("CI") == "" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Log(looked)
		for _, w := range wrong {
			t.Error(w)
		}
	})
}
