package mastio

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An account makes one domain in 30 seconds, and wants an own certificate where the server's was imported.
func TestDomainsAreMadeOneAfterTheOther(t *testing.T) {
	agents, operators := hardened.one(t, "AWS::ApiGateway::DomainName", "ServiceAgents"),
		hardened.one(t, "AWS::ApiGateway::DomainName", "ServiceOperators")
	if !slices.Contains(operators.dependsOn(), agents.id) {
		t.Errorf("the operators' domain waits for %v, want the agents' among them", operators.dependsOn())
	}
	if got := agents.Properties["OwnershipVerificationCertificateArn"]; got != ownership {
		t.Errorf("ownership certificate = %v", got)
	}
	if got := operators.Properties["OwnershipVerificationCertificateArn"]; got != nil {
		t.Errorf("the operators' domain has no mutual TLS and the ownership certificate %v", got)
	}
}

// Metrics of a method cost $0.30 each, some six a method that is used: CloudWatch measures APIs and functions for
// nothing. Each method is set once: what API Gateway makes of two settings of one method is not documented.
func TestNoMethodIsMeasured(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		measured := 0
		for _, stage := range d.all("AWS::ApiGateway::Stage") {
			seen := map[string]bool{}
			settings, _ := stage.Properties["MethodSettings"].([]any)
			for _, s := range settings {
				method := fmt.Sprint(at(s, "HttpMethod"), " ", at(s, "ResourcePath"))
				if seen[method] {
					t.Errorf("%s sets %s twice", stage.id, method)
				}
				seen[method] = true
				if at(s, "MetricsEnabled") == true {
					measured++
				}
				if at(s, "ThrottlingRateLimit") == nil {
					t.Errorf("%s: %s has no throttle", stage.id, method)
				}
			}
			if !seen["* /*"] {
				t.Errorf("%s: methods without a route have no throttle", stage.id)
			}
		}
		if measured != 0 {
			t.Errorf("%d methods are measured alone", measured)
		}
	})
}

// What looks for attacks in a body finds them in base64 by chance, and would refuse a CA in the middle of a rotation.
func TestNoRuleForBodiesBlocksAnUpload(t *testing.T) {
	rules, _ := hardened.one(t, "AWS::WAFv2::WebACL", "Service").Properties["Rules"].([]any)
	counted := map[string]bool{}
	for _, r := range rules {
		overrides, _ := at(r, "Statement", "ManagedRuleGroupStatement", "RuleActionOverrides").([]any)
		for _, o := range overrides {
			counted[spell(at(o, "Name"))] = at(o, "ActionToUse", "Count") != nil
		}
	}
	for _, name := range []string{"SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericLFI_BODY", "GenericRFI_BODY",
		"EC2MetaDataSSRF_BODY", "NoUserAgent_HEADER"} {
		if !counted[name] {
			t.Errorf("%s blocks", name)
		}
	}
}

// AWS Backup looks at the key and grants it to itself in calls of its own, which have no ViaService.
func TestBackupsMayUseTheirKey(t *testing.T) {
	for _, d := range []*deployment{&hardened, &trying} {
		may := map[string]bool{}
		for _, s := range d.policies(t) {
			for _, a := range s.actions {
				if s.function == "" && s.effect == "Allow" && at(s.conditions, "StringLike", "kms:ViaService") == nil {
					may[a] = true
				}
			}
		}
		for _, action := range []string{"kms:DescribeKey", "kms:CreateGrant"} {
			if !may[action] {
				t.Errorf("the role of AWS Backup may not %s directly", action)
			}
		}
	}
}

// No request waits for a backup: that one failed shows in the alarm of the queue that its event is kept in.
func TestFailedBackupsRaiseAnAlarm(t *testing.T) {
	for _, d := range []*deployment{&hardened, &traced, &trying} {
		vault := d.one(t, "AWS::Backup::BackupVault", "Data").Properties["BackupVaultName"]
		rule := d.one(t, "AWS::Events::Rule", "ServiceBackupFailed")
		want := map[string]any{"source": []any{"aws.backup"}, "detail-type": []any{"Backup Job State Change"},
			"detail": map[string]any{"state": []any{"ABORTED", "EXPIRED", "FAILED"}, "backupVaultName": []any{vault}}}
		if diff := cmp.Diff(any(want), rule.Properties["EventPattern"]); diff != "" {
			t.Error(diff)
		}
		queue := at(rule.Properties, "Targets", 0, "Arn", "Fn::GetAtt", 0)
		may := false
		for _, p := range d.all("AWS::SQS::QueuePolicy") {
			for _, s := range at(p.Properties, "PolicyDocument", "Statement").([]any) {
				may = may || at(p.Properties, "Queues", 0, "Ref") == queue &&
					at(s, "Principal", "Service") == "events.amazonaws.com" &&
					spell(at(s, "Condition", "ArnEquals", "aws:SourceArn")) == "${"+rule.id+"}"
			}
		}
		if !may {
			t.Errorf("EventBridge may not send what %s matches to the queue %v", rule.id, queue)
		}
		alarm := d.one(t, "AWS::CloudWatch::Alarm", "WatchAlarmfailedevents")
		if got := at(alarm.Properties, "Dimensions", 0, "Value", "Fn::GetAtt", 0); got != queue {
			t.Errorf("the alarm looks at %v, the events are in %v", got, queue)
		}
	}
}
