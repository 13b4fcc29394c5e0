package mastio

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/routes"
)

func (d *deployment) one(t *testing.T, kind, prefix string) resource {
	t.Helper()
	var found []resource
	for _, r := range d.all(kind) {
		if strings.HasPrefix(r.id, prefix) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d of %s %s", len(found), kind, prefix)
	}
	return found[0]
}

// Data, then the first Org CA, then the start-up check, and only then anything that takes a request.
func TestOrderOfADeployment(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		first, check := d.one(t, "Custom::Trigger", "ServiceFirstCA"), d.one(t, "Custom::Trigger", "ServiceStartUpCheck")
		if got := spell(first.Properties["HandlerArn"]); !strings.Contains(got, "Standby") {
			t.Errorf("the first CA is made by %s", got)
		}
		if got := spell(check.Properties["HandlerArn"]); !strings.Contains(got, "Startup") {
			t.Errorf("the start-up check is %s", got)
		}
		if !slices.Contains(check.dependsOn(), first.id) {
			t.Errorf("the check depends on %v, want the first CA", check.dependsOn())
		}
		for _, kind := range []string{"AWS::ApiGateway::DomainName", "AWS::ApiGateway::Deployment",
			"AWS::ApiGatewayV2::Route", "AWS::Events::Rule", "AWS::Lambda::Alias"} {
			for _, r := range d.all(kind) {
				if kind == "AWS::Lambda::Alias" && d.functionName(at(r.Properties, "FunctionName", "Ref")) == "standby" {
					continue // it makes what the check looks for
				}
				if !slices.Contains(r.dependsOn(), check.id) {
					t.Errorf("%s does not wait for the start-up check: %v", r.id, r.dependsOn())
				}
			}
		}
		for _, trigger := range []resource{first, check} {
			if trigger.Properties["InvocationType"] != "RequestResponse" ||
				fmt.Sprint(trigger.Properties["ExecuteOnHandlerChange"]) != "true" {
				t.Errorf("%s: %v", trigger.id, trigger.Properties)
			}
		}
	})
}

// The check has a hash of every function's code in its settings, so that it runs whenever there is something new.
func TestStartUpCheckRunsAtEveryRelease(t *testing.T) {
	f := hardened.one(t, "AWS::Lambda::Function", "ServiceStartup")
	if release := spell(at(f.Properties, "Environment", "Variables", "MASTIO_RELEASE")); !hash.MatchString(release) {
		t.Errorf("release = %q", release)
	}
}

func TestFunctions(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		architecture := "arm64"
		if d == &local {
			architecture = "x86_64"
		}
		for _, f := range d.all("AWS::Lambda::Function") {
			name := d.functionName(f.id)
			if !slices.Contains(routes.Functions(), name) {
				continue
			}
			if f.Properties["Runtime"] != "provided.al2023" || at(f.Properties, "Architectures", 0) != architecture {
				t.Errorf("%s: %v on %v", name, f.Properties["Runtime"], f.Properties["Architectures"])
			}
			behindAPI := !scheduled(name) && !slices.Contains(routes.Streamed(), name) && name != "startup"
			if timeout := f.Properties["Timeout"].(float64); timeout > 29 && behindAPI {
				t.Errorf("%s may take %g s; API Gateway waits for 29", name, timeout)
			}
			if dlq := at(f.Properties, "DeadLetterConfig", "TargetArn"); (dlq != nil) != scheduled(name) {
				t.Errorf("%s: dead letters go to %v", name, dlq)
			}
			if reserved := f.Properties["ReservedConcurrentExecutions"]; (name == "rotateca" || name == "standby") &&
				reserved == nil {
				t.Errorf("%s has no concurrency of its own", name)
			}
			if at(f.Properties, "LoggingConfig", "LogGroup") == nil {
				t.Errorf("%s logs into a group without a retention time", name)
			}
			if at(f.Properties, "LoggingConfig", "LogFormat") != "JSON" ||
				at(f.Properties, "LoggingConfig", "SystemLogLevel") != "WARN" {
				t.Errorf("%s: Lambda adds its own lines to those of each request: %v", name, f.Properties["LoggingConfig"])
			}
			if level := at(f.Properties, "LoggingConfig", "ApplicationLogLevel"); level != nil {
				t.Errorf("%s: lines below %v are lost", name, level)
			}
		}
		for _, l := range d.all("AWS::Logs::LogGroup") {
			if l.Properties["RetentionInDays"] != float64(365) {
				t.Errorf("%s keeps logs for %v days", l.id, l.Properties["RetentionInDays"])
			}
		}
	})
}

func TestSettingsReachTheFunctions(t *testing.T) {
	env := func(d *deployment) map[string]any {
		m, _ := at(d.one(t, "AWS::Lambda::Function", "ServiceToken").Properties, "Environment", "Variables").(map[string]any)
		return m
	}
	for name, want := range map[string]string{
		"MASTIO_ISSUER": "https://agents.mastio.acme.example", "TOKEN_SIGNER": "kms", "MCP_PROXY_STRICT_PKI": "1",
		"MCP_PROXY_PKI_AUTO_MIGRATE": "1",
		"TOKEN_REQUIRE_DPOP":         "1", "TOKEN_REQUIRE_NONCE": "1", "TOKEN_REGISTERED_DPOP_ONLY": "1",
		"MASTIO_FIRST_CA":     "mint",
		"MASTIO_TABLE_PREFIX": "mastio-acme-",
	} {
		if got := env(&hardened)[name]; got != want {
			t.Errorf("%s = %v, want %s", name, got, want)
		}
	}
	for _, name := range []string{"MCP_PROXY_STRICT_PKI", "MCP_PROXY_PKI_AUTO_MIGRATE", "TOKEN_REQUIRE_DPOP",
		"TOKEN_REQUIRE_NONCE", "TOKEN_REGISTERED_DPOP_ONLY", "MASTIO_TOKEN_SIGNING_KEY"} {
		if got, set := env(&trying)[name]; set {
			t.Errorf("%s = %v without being asked for", name, got)
		}
	}
	if got := spell(env(&trying)["MASTIO_ISSUER"]); !strings.HasPrefix(got, "https://${ServiceAgents") ||
		strings.HasSuffix(got, "/live") {
		t.Errorf("issuer without a domain = %s", got)
	}
	if got := env(&local)["MASTIO_ISSUER"]; got != "https://localhost:9443" {
		t.Errorf("issuer = %v", got)
	}
}

// What LocalStack's open version lacks is left out for it, and nothing else is.
func TestWhatLocalStackLacks(t *testing.T) {
	kinds := func(d *deployment) map[string]bool {
		found := map[string]bool{}
		for _, r := range d.resources {
			found[r.Type] = true
		}
		return found
	}
	full, less := kinds(&trying), kinds(&local)
	lacking := []string{
		"AWS::WAFv2::WebACL", "AWS::WAFv2::WebACLAssociation", "AWS::WAFv2::LoggingConfiguration",
		"AWS::CloudWatch::Dashboard",
		"AWS::Backup::BackupPlan", "AWS::Backup::BackupSelection", "AWS::Backup::BackupVault",
		"AWS::ApiGateway::RequestValidator", "AWS::ApiGateway::Model", "AWS::ApiGatewayV2::Api",
		"AWS::ApiGatewayV2::Integration",
		"AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Stage",
	}
	for kind := range full {
		if !less[kind] != slices.Contains(lacking, kind) {
			t.Errorf("%s on LocalStack: %t", kind, less[kind])
		}
	}
}

func TestSchedules(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		running := map[string]bool{}
		for _, r := range d.all("AWS::Events::Rule") {
			target := at(r.Properties, "Targets", 0)
			alias := d.resources["Mastio/"+fmt.Sprint(at(target, "Arn", "Ref"))]
			if r.Properties["Name"] == "mastio-acme-backup-failed" {
				continue // it keeps the event, and runs nothing
			}
			running[d.functionName(at(alias.Properties, "FunctionName", "Ref"))] = true
			if at(target, "DeadLetterConfig", "Arn") == nil || at(target, "RetryPolicy") == nil {
				t.Errorf("%s: an event that fails is lost", r.id)
			}
		}
		next := d.one(t, "AWS::Events::Rule", "ServiceStandbyafter")
		if at(next.Properties, "EventPattern", "detail-type", 0) != "org_ca.rotated" ||
			at(next.Properties, "EventBusName") == nil {
			t.Errorf("no standby is made right after a rotation: %v", next.Properties)
		}
		for _, name := range routes.Scheduled() {
			if !running[name] {
				t.Errorf("nothing runs %s: add it to jobs in schedules.go", name)
			}
		}
	})
}

func TestAlarms(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		found := map[string]bool{}
		for _, a := range d.all("AWS::CloudWatch::Alarm") {
			found[strings.TrimPrefix(spell(a.Properties["AlarmName"]), "mastio-acme-")] = true
			if len(texts(a.Properties["AlarmActions"])) == 0 || len(texts(a.Properties["OKActions"])) == 0 ||
				len(spell(a.Properties["AlarmDescription"])) < 40 {
				t.Errorf("%s notifies no one, or does not say what to do", a.id)
			}
		}
		want := []string{
			"legacy-org-ca", "org-ca-expiring", "standby-missing", "standby-silent", "truststore-out-of-date",
			"registry-restored",
			"rotation-lock-stuck",
			"5xx-agents", "5xx-operators", "token-denials", "kms-throttling", "failed-events", "certs-expiring",
			"hygiene-failed", "events-late",
		}
		for _, name := range routes.Scheduled() {
			want = append(want, name+"-fails")
		}
		for _, name := range want {
			if !found[name] {
				t.Errorf("no alarm %s", name)
			}
		}
	})
	if s := hardened.one(t, "AWS::SNS::Subscription", "Watch"); s.Properties["Endpoint"] != "oncall@acme.example" {
		t.Errorf("alarms go to %v", s.Properties["Endpoint"])
	}
}

// Everything except functions, routes and their refusals: a reviewer sees a change here first.
func TestServiceContents(t *testing.T) {
	count, lines := map[string]int{}, []string{}
	for _, r := range hardened.resources {
		count[r.stack]++
		many := strings.HasPrefix(r.Type, "AWS::ApiGateway") && !strings.HasSuffix(r.Type, "::DomainName") &&
			!strings.HasSuffix(r.Type, "::ApiMapping") || strings.HasPrefix(r.Type, "AWS::Lambda::")
		perFunction := slices.ContainsFunc(routes.Functions(),
			func(f string) bool { return strings.Contains(strings.ToLower(r.id), f) })
		if r.stack == "Mastio" && !many && !perFunction {
			lines = append(lines, r.Type+" "+r.id)
		}
	}
	slices.Sort(lines)
	golden(t, filepath.Join("testdata", "service.golden.txt"), strings.Join(lines, "\n")+"\n")
	for stack, n := range count {
		if n > 450 {
			t.Errorf("%s has %d resources; CloudFormation takes 500", stack, n)
		}
		t.Logf("%s: %d resources", stack, n)
	}
}
