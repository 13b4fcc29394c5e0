package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadyAccount(t *testing.T) {
	status, out := inspect(t, ready(), templates(t))
	if status != exitReady || strings.Contains(out, "FAIL") || strings.Contains(out, "not looked at:") {
		t.Errorf("status %d:\n%s", status, out)
	}
	for _, says := range []string{"as arn:aws:iam::111111111111:user/op", "version 28", "8 are reserved", "until 2099",
		"7 names are free", "has no record yet", "0 would fail, 0 not looked at"} {
		if !strings.Contains(out, says) {
			t.Errorf("no %q in:\n%s", says, out)
		}
	}
}

// Each thing that would fail is said, with the command that mends it.
func TestWhatWouldFail(t *testing.T) {
	resources := func(ids ...string) reply {
		body := `<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries>`
		for _, id := range ids {
			body += `<member><LogicalResourceId>` + id +
				`</LogicalResourceId><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>`
		}
		return xml(200, body+`</StackResourceSummaries></ListStackResourcesResult></ListStackResourcesResponse>`)
	}
	state := func(s string, more ...string) reply {
		return xml(200, `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName><StackStatus>`+
			s+
			`</StackStatus>`+strings.Join(more, "")+`<CreationTime>2026-01-01T00:00:00Z</CreationTime></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`)
	}
	for name, tt := range map[string]struct {
		change account
		says   []string
		level  string
	}{
		"no bootstrap": {account{"GetParameter": missing("ParameterNotFound")},
			[]string{"never bootstrapped for the CDK in eu-central-1", "make bootstrap"}, "FAIL"},
		"an old bootstrap": {account{"GetParameter": {200, `{"Parameter":{"Value":"5"}}`}},
			[]string{"version 5 is there, 6 is needed"}, "FAIL"},
		"a small quota": {account{"GET /2016-08-19/account-settings": {200,
			`{"AccountLimit":{"ConcurrentExecutions":50,"UnreservedConcurrentExecutions":50}}`}},
			[]string{"reserve 8 of 50", "L-B99A9384", "sharedConcurrency=true"}, "FAIL"},
		"another's log role": {account{"GET /account": {200,
			`{"cloudwatchRoleArn":"arn:aws:iam::111111111111:role/theirs"}`}},
			[]string{"role/theirs, which the deployment would replace", "sharedAccountLogging=true"}, "WARN"},
		"pending certificate": {account{"DescribeCertificate": issued("AMAZON_ISSUED", "PENDING_VALIDATION",
			"agents.acme.example")}, []string{"not issued yet", "describe-certificate"}, "FAIL"},
		"another's names": {account{"DescribeCertificate": issued("AMAZON_ISSUED", "ISSUED", "acme.example",
			"*.b.acme.example")}, []string{"is for acme.example, *.b.acme.example",
			"request-certificate --domain-name agents.acme.example"}, "FAIL"},
		"no certificate": {account{"DescribeCertificate": missing("ResourceNotFoundException")},
			[]string{"there is no " + certificate}, "FAIL"},
		"imported proof": {account{"DescribeCertificate": issued("IMPORTED", "ISSUED", "agents.acme.example")},
			[]string{"proof of ownership is IMPORTED, and has to be issued by ACM"}, "FAIL"},
		"a table": {account{"DescribeTable": {200, `{"Table":{"TableName":"mastio-acme-registry"}}`}},
			[]string{"mastio-acme-registry is taken", "tablePrefix"}, "FAIL"},
		"a log group": {account{"DescribeLogGroups": {200,
			`{"logGroups":[{"logGroupName":"/aws/lambda/mastio-acme-token"}]}`}},
			[]string{"aws logs delete-log-group --log-group-name /aws/lambda/mastio-acme-token"}, "FAIL"},
		"a queue": {account{"GetQueueUrl": {200, `{"QueueUrl":"https://q"}`}},
			[]string{"mastio-acme-failed-events is taken"}, "FAIL"},
		"a bus": {account{"DescribeEventBus": {200, `{"Name":"mastio-acme-events"}`}},
			[]string{"delete-event-bus"}, "FAIL"},
		"a function": {account{"GET /2015-03-31/functions/mastio-acme-token/configuration": {200, `{}`}},
			[]string{"delete-function --function-name mastio-acme-token"}, "FAIL"},
		"a vault": {account{"GET /backup-vaults/mastio-acme-vault": {200, `{}`}},
			[]string{"holds backups of an earlier installation"}, "FAIL"},
		"a domain": {account{"GET /domainnames/agents.acme.example": {200, `{}`}}, []string{"another API's"},
			"FAIL"},
		"no zone": {account{"GET /2013-04-01/hostedzone/Z1": xml(404,
			`<ErrorResponse><Error><Code>NoSuchHostedZone</Code></Error></ErrorResponse>`)},
			[]string{"no zone Z1", "list-hosted-zones"}, "FAIL"},
		"another zone": {account{"GET /2013-04-01/hostedzone/Z1": xml(200,
			`<GetHostedZoneResponse><HostedZone><Id>Z1</Id><Name>cme.example.</Name><CallerReference>c</CallerReference></HostedZone></GetHostedZoneResponse>`)},
			[]string{"is not in zone Z1, cme.example."}, "FAIL"},
		"a record": {account{"GET /2013-04-01/hostedzone/Z1/rrset": xml(200,
			`<ListResourceRecordSetsResponse><ResourceRecordSets><ResourceRecordSet><Name>agents.acme.example.</Name><Type>CNAME</Type></ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>`)},
			[]string{"has a record of type CNAME already"}, "FAIL"},
		"old keys": {account{"ListKeys": {200, `{"Keys":[{"KeyId":"1","KeyArn":"arn:1"}]}`},
			"ListResourceTags": {200, `{"Tags":[{"TagKey":"mastio:org","TagValue":"acme"}]}`},
			"DescribeKey":      {200, `{"KeyMetadata":{"KeyId":"1"}}`}},
			[]string{"the first Org CA would be refused", "infra/erase --org acme"}, "FAIL"},
		"a stack that is stuck": {account{"DescribeStacks": state("UPDATE_ROLLBACK_FAILED"),
			"ListStackResources": resources()}, []string{"continue-update-rollback --stack-name mastio-acme-service"}, "FAIL"},
		"a failed first try": {account{"DescribeStacks": state("ROLLBACK_COMPLETE"), "ListStackResources": resources()},
			[]string{"removes it and begins anew"}, "WARN"},
		"one that is protected": {account{
			"DescribeStacks":     state("ROLLBACK_FAILED", "<EnableTerminationProtection>true</EnableTerminationProtection>"),
			"ListStackResources": resources(),
		}, []string{"--no-enable-termination-protection --stack-name mastio-acme-data"}, "FAIL"},
		"what may not be seen": {account{"DescribeTable": missing("AccessDeniedException")},
			[]string{"not looked at: mastio-acme-registry"}, "?"},
	} {
		t.Run(name, func(t *testing.T) {
			a := ready()
			maps.Copy(a, tt.change)
			status, out := inspect(t, a, templates(t))
			if (status == exitWrong) != (tt.level == "FAIL") || !strings.Contains(out, "\n"+tt.level) {
				t.Errorf("status %d, want a line %s:\n%s", status, tt.level, out)
			}
			for _, says := range tt.says {
				if !strings.Contains(out, says) {
					t.Errorf("no %q in:\n%s", says, out)
				}
			}
		})
	}
	// What the stacks hold already is no name that is taken, and no concurrency to be found.
	a := ready()
	maps.Copy(a, account{
		"DescribeStacks":     state("UPDATE_COMPLETE"),
		"ListStackResources": resources("Table", "Vault", "Token", "Log", "Queue", "Bus", "Domain", "Record", "Account"),
		"DescribeTable":      {200, `{"Table":{}}`},
		"GET /account":       {200, `{"cloudwatchRoleArn":"arn:aws:iam::111111111111:role/ours"}`},
		"GET /2016-08-19/account-settings": {200,
			`{"AccountLimit":{"ConcurrentExecutions":108,"UnreservedConcurrentExecutions":100}}`},
	})
	if status, out := inspect(t, a, templates(t)); status != exitReady || strings.Contains(out, "FAIL") ||
		strings.Contains(out, "WARN") {
		t.Errorf("an installation that is there: status %d:\n%s", status, out)
	}
}

// A domain before anything is in its truststore fails, and so does what has no ground to stand on.
func TestAdoptionTemplatesAndCredentials(t *testing.T) {
	dir := templates(t)
	path := filepath.Join(dir, "service.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), `"mint"`, `"adopt"`)), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out := inspect(t, ready(), dir); status != exitWrong || !strings.Contains(out, "mode=upload") {
		t.Errorf("adoption: %d:\n%s", status, out)
	}
	if status, out := inspect(t, ready(), t.TempDir()); status != exitUsage || !strings.Contains(out, "make synth") {
		t.Errorf("without templates: %d: %s", status, out)
	}
	a := ready()
	a["GetCallerIdentity"] = xml(403,
		`<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>no</Message></Error></ErrorResponse>`)
	if status, out := inspect(t, a, templates(t)); status != exitWrong || !strings.Contains(out, "no credentials work") {
		t.Errorf("credentials: %d: %s", status, out)
	}
	a["GetCallerIdentity"] = xml(200,
		`<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>a</Arn><Account>222222222222</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	if status, out := inspect(t, a, templates(t)); status != exitWrong ||
		!strings.Contains(out, "of account 222222222222, the templates of 111111111111") {
		t.Errorf("another account: %d: %s", status, out)
	}
}
