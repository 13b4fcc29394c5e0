package mastio

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
)

// Every route of the HTTP API has a throttle of its own, what no route has has the stage's, and the access log holds no
// header.
func TestStageOfTheHTTPAPI(t *testing.T) {
	for _, d := range []*deployment{&hardened, &trying} {
		stage := d.one(t, "AWS::ApiGatewayV2::Stage", "ServiceAgents")
		if stage.Properties["StageName"] != "$default" || stage.Properties["AutoDeploy"] != true ||
			at(stage.Properties, "StageVariables", "host") != "agents" {
			t.Errorf("stage = %v", stage.Properties)
		}
		if at(stage.Properties, "DefaultRouteSettings", "ThrottlingRateLimit") != 100.0 ||
			at(stage.Properties, "DefaultRouteSettings", "DetailedMetricsEnabled") != false {
			t.Errorf("other routes: %v", stage.Properties["DefaultRouteSettings"])
		}
		settings, _ := stage.Properties["RouteSettings"].(map[string]any)
		renewals := 0.0
		for _, r := range routes.All() {
			key := r.Method + " " + r.Path
			if !slices.Contains(r.Hosts, routes.Agents) {
				if settings[key] != nil {
					t.Errorf("%s is no route of the agents", key)
				}
				continue
			}
			rate, _ := at(settings[key], "ThrottlingRateLimit").(float64)
			if burst, _ := at(settings[key], "ThrottlingBurstLimit").(float64); rate == 0 || burst < rate {
				t.Errorf("%s: throttle %v", key, settings[key])
			}
			if r.Function == "renew" && r.Method == "POST" {
				renewals += rate
			}
		}
		if renewals == 0 || renewals >= 1000 {
			t.Errorf("renewals are throttled at %v a second, want less than KMS signs", renewals)
		}
		for _, r := range d.all("AWS::ApiGatewayV2::Route") { // a stage cannot throttle a route that is not there
			if !slices.Contains(stage.dependsOn(), r.id) {
				t.Errorf("the stage does not wait for %s", r.id)
			}
		}
		format := spell(at(stage.Properties, "AccessLogSettings", "Format"))
		var line map[string]string
		if err := json.Unmarshal([]byte(format), &line); err != nil || line["request_id"] != "$context.requestId" ||
			line["route"] != "$context.routeKey" || strings.Contains(format, "header") {
			t.Errorf("access log %s: %v", format, err)
		}
		if at(stage.Properties, "AccessLogSettings", "DestinationArn") == nil {
			t.Error("no access log")
		}
	}
}

// API Gateway may call the functions that its routes lead to, for this API alone.
func TestHTTPAPIMayCall(t *testing.T) {
	for _, d := range []*deployment{&hardened, &trying} {
		api := d.one(t, "AWS::ApiGatewayV2::Api", "ServiceAgents")
		allowed := map[string]bool{}
		for _, p := range d.all("AWS::Lambda::Permission") {
			if source := spell(p.Properties["SourceArn"]); strings.Contains(source, "${"+api.id+"}") {
				alias := d.resources["Mastio/"+spell(at(p.Properties, "FunctionName", "Ref"))]
				allowed[d.functionName(at(alias.Properties, "FunctionName", "Ref"))] = true
				if p.Properties["Principal"] != "apigateway.amazonaws.com" || !strings.HasSuffix(source, ":${"+api.id+"}/*/*") {
					t.Errorf("%s: %v from %s", p.id, p.Properties["Principal"], source)
				}
			}
		}
		called := map[string]bool{}
		for _, function := range d.paths(t, "Agents") {
			called[function] = true
		}
		if diff := cmp.Diff(called, allowed); diff != "" || len(called) < 4 {
			t.Errorf("functions (-called +allowed):\n%s", diff)
		}
	}
}

// Both kinds are mapped by the same resource of the same name, so that a deployment with the other agentsApi moves the
// domain over without taking it away first; and none of the two kinds' other resources share a name.
func TestTheDomainChangesOverInPlace(t *testing.T) {
	for who, want := range map[string][2]string{"Agents": {"AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi"},
		"Operators": {"AWS::ApiGateway::RestApi", "AWS::ApiGateway::RestApi"}} {
		var ids [2]string
		for i, d := range []*deployment{&hardened, &traced} {
			m := d.one(t, "AWS::ApiGatewayV2::ApiMapping", "Service"+who)
			ids[i] = m.id
			api := d.resources["Mastio/"+spell(at(m.Properties, "ApiId", "Ref"))]
			stage := d.resources["Mastio/"+spell(at(m.Properties, "Stage", "Ref"))]
			if api.Type != want[i] || !strings.HasSuffix(stage.Type, "::Stage") ||
				!strings.HasPrefix(stage.id, strings.TrimRight(api.id, "0123456789ABCDEF")) {
				t.Errorf("%s is mapped to %s, stage %s", who, api.id, stage.id)
			}
			domain := d.resources["Mastio/"+spell(at(m.Properties, "DomainName", "Ref"))]
			if domain.Type != "AWS::ApiGateway::DomainName" || m.Properties["ApiMappingKey"] != nil {
				t.Errorf("%s: domain %s, key %v", who, domain.id, m.Properties["ApiMappingKey"])
			}
		}
		if ids[0] != ids[1] {
			t.Errorf("%s: the mapping is %s, then %s: both would want the domain", who, ids[0], ids[1])
		}
	}
	for id, r := range hardened.resources {
		if other, ok := traced.resources[id]; ok && other.Type != r.Type {
			t.Errorf("%s is a %s, then a %s: CloudFormation refuses that", id, r.Type, other.Type)
		}
	}
}

// The settings that an HTTP API cannot have are refused with what to do.
func TestWhatAnHTTPAPILacks(t *testing.T) {
	for _, c := range []struct {
		context map[string]any
		says    string
	}{
		{map[string]any{"tracing": "true"}, "set agentsApi to rest"},
		{map[string]any{"agentsApi": "websocket"}, `agentsApi is "websocket": set it to http or rest`},
		{map[string]any{"agentsApi": "http", "target": "localstack"}, "REST APIs only"},
	} {
		if _, err := fromContext(c.context); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c.context, err, c.says)
		}
	}
	for _, context := range []map[string]any{{"tracing": "true", "agentsApi": "rest"},
		{"target": "localstack", "tracing": "true"}, {"agentsApi": ""}} {
		if _, err := fromContext(context); err != nil {
			t.Errorf("%v: %v", context, err)
		}
	}
}
