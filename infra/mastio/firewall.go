package mastio

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	waf "github.com/aws/aws-cdk-go/awscdk/v2/awswafv2"
	"github.com/aws/jsii-runtime-go"
)

const (
	maxBody = 64 << 10 // bytes; what the functions take too, and the most that the firewall looks at
	// maxFiveMinutes is requests from one address: a pipeline that re-enrols a fleet makes twenty a second.
	maxFiveMinutes = 6000
)

// firewall protects the operators' API. The agents' API needs none: the handshake checks the agents' certificates,
// and a firewall would add a cost to every token.
func (s *Service) firewall(api awsapigateway.RestApi) {
	if s.props.local() {
		return
	}
	acl := waf.NewCfnWebACL(s.Scope, jsii.String("Firewall"), &waf.CfnWebACLProps{
		Name:             jsii.String(s.props.name("operators")),
		Scope:            jsii.String("REGIONAL"),
		Description:      jsii.String("Mastio " + s.props.OrgID + ": before the API of the operators"),
		DefaultAction:    &waf.CfnWebACL_DefaultActionProperty{Allow: &waf.CfnWebACL_AllowActionProperty{}},
		VisibilityConfig: visible("Firewall"),
		AssociationConfig: &waf.CfnWebACL_AssociationConfigProperty{RequestBody: map[string]any{
			"API_GATEWAY": &waf.CfnWebACL_RequestBodyAssociatedResourceTypeConfigProperty{
				DefaultSizeInspectionLimit: jsii.String("KB_64"),
			},
		}},
		CustomResponseBodies: map[string]any{
			"TooMany": response(refusal{
				title:  "Too Many Requests",
				status: 429,
				code:   "too_many_requests",
				detail: "Too many requests from this address. Retry in five minutes.",
			}),
			"TooLarge": response(refusal{
				title:  "Content Too Large",
				status: 413,
				code:   "body_too_large",
				detail: "The request body is above 64 KiB.",
			}),
		},
		Rules: firewallRules(),
	})
	waf.NewCfnWebACLAssociation(s.Scope, jsii.String("FirewallOfOperators"), &waf.CfnWebACLAssociationProps{
		ResourceArn: api.DeploymentStage().StageArn(),
		WebAclArn:   acl.AttrArn(),
	})
	// The name's beginning is prescribed.
	log := s.logGroup(s.Scope, "FirewallLog", "aws-waf-logs-"+s.props.name("operators"))
	waf.NewCfnLoggingConfiguration(s.Scope, jsii.String("FirewallLogging"), &waf.CfnLoggingConfigurationProps{
		ResourceArn: acl.AttrArn(),
		LogDestinationConfigs: &[]any{awscdk.Stack_Of(s.Scope).FormatArn(&awscdk.ArnComponents{
			Service:      str("logs"),
			Resource:     str("log-group"),
			ResourceName: log.LogGroupName(),
			ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
		})},
		// Allowed requests are in the access log: a record of the firewall has some 2 KB, which are billed.
		LoggingFilter: map[string]any{
			"DefaultBehavior": "DROP",
			"Filters": []any{map[string]any{"Behavior": "KEEP", "Requirement": "MEETS_ANY", "Conditions": []any{
				map[string]any{"ActionCondition": map[string]any{"Action": "BLOCK"}},
			}}},
		},
		RedactedFields: &[]any{redacted("x-admin-secret"), redacted("cookie"), redacted("authorization")},
	})
}

// firewallRules are asked in their order; the first that blocks a request answers it.
func firewallRules() *[]any {
	return &[]any{
		&waf.CfnWebACL_RuleProperty{
			Name:             jsii.String("Rate"),
			Priority:         number(0),
			Action:           blocked(429, "TooMany"),
			VisibilityConfig: visible("Rate"),
			Statement: &waf.CfnWebACL_StatementProperty{RateBasedStatement: &waf.CfnWebACL_RateBasedStatementProperty{
				AggregateKeyType:    jsii.String("IP"),
				Limit:               number(maxFiveMinutes),
				EvaluationWindowSec: number(300),
			}},
		},
		&waf.CfnWebACL_RuleProperty{
			Name:             jsii.String("BodySize"),
			Priority:         number(1),
			Action:           blocked(413, "TooLarge"),
			VisibilityConfig: visible("BodySize"),
			Statement: &waf.CfnWebACL_StatementProperty{SizeConstraintStatement: &waf.CfnWebACL_SizeConstraintStatementProperty{
				ComparisonOperator: jsii.String("GT"),
				Size:               number(maxBody),
				FieldToMatch: &waf.CfnWebACL_FieldToMatchProperty{
					Body: &waf.CfnWebACL_BodyProperty{OversizeHandling: jsii.String("MATCH")},
				},
				TextTransformations: &[]any{&waf.CfnWebACL_TextTransformationProperty{
					Priority: number(0),
					Type:     jsii.String("NONE"),
				}},
			}},
		},
		managed(2, "AWSManagedRulesAmazonIpReputationList"),
		managed(3, "AWSManagedRulesKnownBadInputsRuleSet"),
		// A CA with its chain is larger than the 8 KiB that this group's own rule allows; BodySize stands for it.
		// Certificates are served under names that look like a careless server's files. The patterns of the rules for
		// bodies occur by chance in the base64 of a certificate or key, which the functions parse strictly. A pipeline
		// may send no User-Agent.
		managed(4, "AWSManagedRulesCommonRuleSet", "SizeRestrictions_BODY", "RestrictedExtensions_URIPATH",
			"CrossSiteScripting_BODY", "GenericLFI_BODY", "GenericRFI_BODY", "EC2MetaDataSSRF_BODY", "NoUserAgent_HEADER"),
	}
}

// visible counts in CloudWatch. It keeps no samples of requests: those would show the admin secret in the console.
func visible(metric string) *waf.CfnWebACL_VisibilityConfigProperty {
	return &waf.CfnWebACL_VisibilityConfigProperty{
		CloudWatchMetricsEnabled: jsii.Bool(true),
		MetricName:               &metric,
		SampledRequestsEnabled:   jsii.Bool(false),
	}
}

func redacted(header string) *waf.CfnLoggingConfiguration_FieldToMatchProperty {
	return &waf.CfnLoggingConfiguration_FieldToMatchProperty{SingleHeader: map[string]string{"Name": header}}
}

func response(r refusal) *waf.CfnWebACL_CustomResponseBodyProperty {
	return &waf.CfnWebACL_CustomResponseBodyProperty{
		ContentType: jsii.String("APPLICATION_JSON"),
		Content:     jsii.String(r.document(false, "")),
	}
}

func blocked(status int, body string) *waf.CfnWebACL_RuleActionProperty {
	return &waf.CfnWebACL_RuleActionProperty{Block: &waf.CfnWebACL_BlockActionProperty{
		CustomResponse: &waf.CfnWebACL_CustomResponseProperty{ResponseCode: number(status), CustomResponseBodyKey: &body},
	}}
}

func managed(priority int, group string, countOnly ...string) *waf.CfnWebACL_RuleProperty {
	var overrides []any
	for _, rule := range countOnly {
		overrides = append(overrides, &waf.CfnWebACL_RuleActionOverrideProperty{
			Name:        &rule,
			ActionToUse: &waf.CfnWebACL_RuleActionProperty{Count: &waf.CfnWebACL_CountActionProperty{}},
		})
	}
	statement := &waf.CfnWebACL_ManagedRuleGroupStatementProperty{VendorName: jsii.String("AWS"), Name: &group}
	if overrides != nil {
		statement.RuleActionOverrides = &overrides
	}
	return &waf.CfnWebACL_RuleProperty{
		Name:             &group,
		Priority:         number(priority),
		VisibilityConfig: visible(group),
		OverrideAction:   &waf.CfnWebACL_OverrideActionProperty{None: map[string]any{}},
		Statement:        &waf.CfnWebACL_StatementProperty{ManagedRuleGroupStatement: statement},
	}
}
