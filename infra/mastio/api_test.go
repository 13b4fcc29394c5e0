package mastio

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/routes"
)

// One API is never reachable past the domain that guards it, and only the agents' asks for a certificate. Which version
// of the truststore counts is the application's to say.
func TestDomains(t *testing.T) {
	domains := map[string]resource{}
	for _, r := range hardened.all("AWS::ApiGateway::DomainName") {
		domains[spell(r.Properties["DomainName"])] = r
	}
	agents, operators := domains["agents.mastio.acme.example"], domains["mastio.acme.example"]
	if uri := spell(at(agents.Properties, "MutualTlsAuthentication", "TruststoreUri")); !strings.HasPrefix(uri, "s3://") ||
		!strings.HasSuffix(uri, "/truststore.pem") {
		t.Errorf("truststore = %q", uri)
	}
	if v := at(agents.Properties, "MutualTlsAuthentication", "TruststoreVersion"); v != nil {
		t.Errorf("truststore version = %v, which a deployment would turn back", v)
	}
	if operators.Properties["MutualTlsAuthentication"] != nil {
		t.Error("the operators' domain asks for a client certificate")
	}
	for name, r := range domains {
		if r.Properties["SecurityPolicy"] != "TLS_1_2" {
			t.Errorf("%s: %v", name, r.Properties["SecurityPolicy"])
		}
	}
	for _, d := range []*deployment{&hardened, &traced} {
		apis := append(d.all("AWS::ApiGateway::RestApi"), d.all("AWS::ApiGatewayV2::Api")...)
		for _, r := range apis {
			if r.Properties["DisableExecuteApiEndpoint"] != true {
				t.Errorf("%s is reachable past its domain", r.id)
			}
		}
		if len(apis) != 2 {
			t.Errorf("%d APIs", len(apis))
		}
	}
	if n := len(trying.all("AWS::ApiGateway::DomainName")); n != 0 {
		t.Errorf("%d domains where none was asked for", n)
	}
	said := func(d *deployment) (text string) {
		for id, o := range d.outputs {
			if strings.Contains(id, "WhatWorks") {
				text = spell(at(o, "Value"))
			}
		}
		return text
	}
	if got := said(&trying); !strings.Contains(got, "Agents get no token") || !strings.Contains(got, "Set agentsDomain") {
		t.Errorf("without a domain: %q", got)
	}
	if got := said(&hardened); !strings.HasPrefix(got, "Everything") {
		t.Errorf("with domains: %q", got)
	}
}

func TestAllowedSources(t *testing.T) {
	for _, r := range traced.all("AWS::ApiGateway::RestApi") {
		b, _ := json.Marshal(r.Properties["Policy"])
		limited := strings.Contains(string(b), `"NotIpAddress":{"aws:SourceIp":["192.0.2.0/24","2001:db8::/32"]}`)
		if limited != strings.HasPrefix(r.id, "ServiceOperators") {
			t.Errorf("%s: policy %s", r.id, b)
		}
	}
	for _, r := range trying.all("AWS::ApiGateway::RestApi") {
		if r.Properties["Policy"] != nil {
			t.Errorf("%s: policy %v without being asked for", r.id, r.Properties["Policy"])
		}
	}
}

// Every route has a throttle of its own, and the access log is on and holds no header.
func TestStages(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		for host, api := range map[routes.Host]string{routes.Agents: "ServiceAgents", routes.Operators: "ServiceOperators"} {
			if host == routes.Agents && d.http() {
				continue // TestStageOfTheHTTPAPI
			}
			stage := d.one(t, "AWS::ApiGateway::Stage", api)
			throttled := map[string]bool{}
			renewals := 0.0 // each may cost one of the account's 1,000 KMS signatures a second
			settings, _ := stage.Properties["MethodSettings"].([]any)
			for _, s := range settings {
				path := strings.ReplaceAll(strings.TrimPrefix(spell(at(s, "ResourcePath")), "/"), "~1", "/")
				path = cmp.Or(path, "/") // of the root, "/" is the whole spelling
				throttled[spell(at(s, "HttpMethod"))+" "+path] = at(s, "ThrottlingRateLimit") != nil &&
					at(s, "ThrottlingBurstLimit") != nil
				if rate, ok := at(s, "ThrottlingRateLimit").(float64); ok &&
					(strings.HasSuffix(path, "v1/agent/renew") || strings.HasSuffix(path, "est/simplereenroll")) &&
					at(s, "HttpMethod") == "POST" {
					renewals += rate
				}
				if at(s, "MetricsEnabled") == true {
					t.Errorf("%s %s: metrics of its own, at $0.30 each", api, path)
				}
				if at(s, "DataTraceEnabled") == true {
					t.Errorf("%s %s: bodies would be in the log", api, path)
				}
			}
			if agents := host == routes.Agents; agents && (renewals == 0 || renewals >= 1000) {
				t.Errorf("%s: renewals are throttled at %v a second, want less than KMS signs", api, renewals)
			}
			for _, r := range routes.All() {
				if slices.Contains(r.Hosts, host) && !throttled[r.Method+" "+r.Path] {
					t.Errorf("%s: %s %s has no throttle: %v", api, r.Method, r.Path, throttled)
				}
			}
			format := spell(at(stage.Properties, "AccessLogSetting", "Format"))
			if at(stage.Properties, "AccessLogSetting", "DestinationArn") == nil ||
				!strings.Contains(format, "$context.requestId") || strings.Contains(format, "header") {
				t.Errorf("%s: access log %s", api, format)
			}
			var line map[string]any
			if err := json.Unmarshal([]byte(format), &line); err != nil {
				t.Errorf("%s: a line of the access log is not JSON: %v", api, err)
			}
		}
	})
}

// API Gateway's own refusals have the form of the functions' own.
func TestRefusalsOfTheGateway(t *testing.T) {
	for api, mediaType := range map[string]string{"ServiceAgents": "'application/json'",
		"ServiceOperators": "'application/problem+json'"} {
		kinds := map[string]bool{}
		for _, r := range traced.all("AWS::ApiGateway::GatewayResponse") {
			if !strings.HasPrefix(r.id, api) {
				continue
			}
			kind := spell(r.Properties["ResponseType"])
			kinds[kind] = true
			if got := at(r.Properties, "ResponseParameters", "gatewayresponse.header.Content-Type"); got != mediaType {
				t.Errorf("%s %s: %v", api, kind, got)
			}
			template := strings.ReplaceAll(spell(at(r.Properties, "ResponseTemplates", "application/json")),
				"$context.requestId", "id")
			var problem struct {
				Title, Detail, Code, RequestID, Error string
				Status                                int
			}
			if err := json.Unmarshal([]byte(strings.ReplaceAll(template, "request_id", "requestid")), &problem); err != nil {
				t.Errorf("%s %s: %v", api, kind, err)
			}
			if problem.Title == "" || problem.Detail == "" || problem.Code == "" || problem.RequestID != "id" ||
				(problem.Error != "") != (api == "ServiceAgents") {
				t.Errorf("%s %s: %+v", api, kind, problem)
			}
			if status, given := r.Properties["StatusCode"]; given && status != fmt.Sprint(problem.Status) {
				t.Errorf("%s %s: status %v with a body of %d", api, kind, status, problem.Status)
			}
		}
		for _, want := range []string{"DEFAULT_4XX", "DEFAULT_5XX", "MISSING_AUTHENTICATION_TOKEN", "BAD_REQUEST_BODY",
			"THROTTLED", "INTEGRATION_TIMEOUT", "REQUEST_TOO_LARGE", "WAF_FILTERED"} {
			if !kinds[want] {
				t.Errorf("%s: no answer of ours to %s", api, want)
			}
		}
	}
}

func TestFirewall(t *testing.T) {
	acl := hardened.one(t, "AWS::WAFv2::WebACL", "ServiceFirewall")
	names := map[string]any{}
	rules, _ := acl.Properties["Rules"].([]any)
	for _, r := range rules {
		names[spell(at(r, "Name"))] = r
		if at(r, "VisibilityConfig", "SampledRequestsEnabled") != false {
			t.Errorf("%v keeps samples of requests, with the admin secret in them", at(r, "Name"))
		}
	}
	for _, want := range []string{"Rate", "BodySize", "AWSManagedRulesCommonRuleSet",
		"AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesAmazonIpReputationList"} {
		if names[want] == nil {
			t.Errorf("no rule %s", want)
		}
	}
	if got := spell(at(hardened.one(t, "AWS::WAFv2::WebACLAssociation", "Service").Properties,
		"ResourceArn")); !strings.Contains(got, "Operators") {
		t.Errorf("the firewall stands before %s", got)
	}
	filter := at(hardened.one(t, "AWS::WAFv2::LoggingConfiguration", "Service").Properties, "LoggingFilter")
	if at(filter, "DefaultBehavior") != "DROP" || at(filter, "Filters", 0, "Behavior") != "KEEP" ||
		at(filter, "Filters", 0, "Conditions", 0, "ActionCondition", "Action") != "BLOCK" {
		t.Errorf("the firewall logs what it lets through, at 2 KB a request, or not what it blocks: %v", filter)
	}
	redacted, _ := json.Marshal(hardened.one(t, "AWS::WAFv2::LoggingConfiguration",
		"Service").Properties["RedactedFields"])
	for _, header := range []string{"x-admin-secret", "cookie"} {
		if !strings.Contains(string(redacted), header) {
			t.Errorf("the firewall's log shows %s", header)
		}
	}
}

// What the OpenAPI document says that no request may lack, API Gateway asks for.
func TestRequestsAreValidated(t *testing.T) {
	for _, d := range []*deployment{&traced} {
		models := 0
		for _, m := range d.all("AWS::ApiGateway::Method") {
			method, path := spell(m.Properties["HttpMethod"]), d.path(m.Properties["ResourceId"])
			if method == "ANY" {
				continue
			}
			demand, err := routes.DemandOf(method, path)
			if err != nil {
				t.Fatal(err)
			}
			if m.Properties["RequestValidatorId"] == nil {
				t.Errorf("%s %s has no validator", method, path)
			}
			for _, name := range demand.Query {
				if at(m.Properties, "RequestParameters", "method.request.querystring."+name) != true {
					t.Errorf("%s %s does not ask for %s", method, path, name)
				}
			}
			model := d.resources["Mastio/"+fmt.Sprint(at(m.Properties, "RequestModels", "application/json", "Ref"))]
			if demand.Body == nil {
				if model.Type != "" {
					t.Errorf("%s %s: an unexpected model", method, path)
				}
				continue
			}
			models++
			if at(model.Properties, "Schema", "$schema") != "http://json-schema.org/draft-04/schema#" ||
				at(model.Properties, "Schema", "type") != "object" {
				t.Errorf("%s %s: schema %v", method, path, model.Properties["Schema"])
			}
		}
		if models < 3 {
			t.Errorf("%d models", models)
		}
	}
}
