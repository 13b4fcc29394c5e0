package mastio

import (
	"cmp"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"
)

// at follows a path of keys and indexes into a template; nil if there is nothing.
func at(v any, path ...any) any {
	for _, p := range path {
		switch key := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				return nil
			}
			v = l[key]
		}
	}
	return v
}

// texts is a string or a list of them, as policies have it.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, spell(e))
		}
		return all
	case nil:
		return nil
	}
	return []string{spell(v)}
}

// spell writes a value as text, and a reference in its most specific form.
func spell(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		if ref, ok := v["Ref"].(string); ok {
			return "${" + ref + "}"
		}
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			return "${" + fmt.Sprint(get[0]) + "}"
		}
		if imported, ok := v["Fn::ImportValue"].(string); ok {
			return "${" + imported + "}"
		}
		if output, ok := v["Fn::GetStackOutput"].(map[string]any); ok {
			return fmt.Sprintf("${%s:%s}", output["StackName"], output["OutputName"])
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			var b strings.Builder
			parts, _ := join[1].([]any)
			for _, part := range parts {
				b.WriteString(spell(part))
			}
			return b.String()
		}
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// policyStatement is one statement of a function's policy, as the template has it.
type policyStatement struct {
	function, sid, effect string
	actions, resources    []string
	conditions            map[string]any
	raw                   map[string]any
}

// policies returns the statements of every role, by the function it belongs to; "" for roles of other services.
func (d *deployment) policies(t *testing.T) []policyStatement {
	t.Helper()
	var all []policyStatement
	for _, p := range append(d.all("AWS::IAM::Policy"), d.all("AWS::IAM::ManagedPolicy")...) {
		role := d.resources[p.stack+"/"+fmt.Sprint(at(p.Properties, "Roles", 0, "Ref"))]
		description, _ := role.Properties["Description"].(string)
		_, function, _ := strings.Cut(description, "function ")
		all = append(all, statementsIn(function, p.Properties["PolicyDocument"])...)
	}
	for _, role := range d.all("AWS::IAM::Role") {
		inline, _ := role.Properties["Policies"].([]any)
		for _, p := range inline {
			all = append(all, statementsIn("", at(p, "PolicyDocument"))...)
		}
	}
	if len(all) < 40 {
		t.Fatalf("%d statements: the search is broken", len(all))
	}
	return all
}

func statementsIn(function string, document any) []policyStatement {
	var all []policyStatement
	list, _ := at(document, "Statement").([]any)
	for _, s := range list {
		m, _ := s.(map[string]any)
		conditions, _ := m["Condition"].(map[string]any)
		g := policyStatement{
			function:   function,
			sid:        spell(m["Sid"]),
			effect:     spell(m["Effect"]),
			actions:    texts(m["Action"]),
			resources:  texts(m["Resource"]),
			conditions: conditions,
			raw:        m,
		}
		sort.Strings(g.actions)
		all = append(all, g)
	}
	return all
}

// paths returns METHOD path → function of one API, followed through the template.
func (d *deployment) paths(t *testing.T, api string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, r := range d.all("AWS::ApiGatewayV2::Route") {
		if !strings.HasPrefix(r.id, "Service"+api) {
			continue
		}
		integration := d.resources["Mastio/"+strings.Trim(strings.TrimPrefix(spell(r.Properties["Target"]), "integrations/"),
			"${}")]
		alias := d.resources["Mastio/"+spell(at(integration.Properties, "IntegrationUri", "Ref"))]
		if v := integration.Properties["PayloadFormatVersion"]; v != "1.0" || alias.Type != "AWS::Lambda::Alias" {
			t.Errorf("%s: payload format %v for %s", r.id, v, alias.Type)
		}
		found[spell(r.Properties["RouteKey"])] = d.functionName(at(alias.Properties, "FunctionName", "Ref"))
	}
	for _, m := range d.all("AWS::ApiGateway::Method") {
		if of := spell(m.Properties["RestApiId"]); !strings.HasPrefix(of, "${Service"+api) {
			continue
		}
		uri := spell(at(m.Properties, "Integration", "Uri"))
		function := ""
		for _, a := range d.all("AWS::Lambda::Alias") {
			if strings.Contains(uri, "${"+a.id+"}") {
				function = d.functionName(at(a.Properties, "FunctionName", "Ref"))
			}
		}
		found[spell(m.Properties["HttpMethod"])+" "+cmp.Or(d.path(m.Properties["ResourceId"]), "/")] = function
	}
	return found
}

// http reports whether the agents' API is an HTTP API.
func (d *deployment) http() bool { return len(d.all("AWS::ApiGatewayV2::Api")) > 0 }

func (d *deployment) functionName(id any) string {
	name := spell(d.resources["Mastio/"+fmt.Sprint(id)].Properties["FunctionName"])
	return strings.TrimPrefix(name, "mastio-acme-")
}

func (d *deployment) path(resourceID any) string {
	id, ok := at(resourceID, "Ref").(string)
	if !ok {
		return "" // the root, an attribute of the API
	}
	r := d.resources["Mastio/"+id]
	return d.path(r.Properties["ParentId"]) + "/" + spell(r.Properties["PathPart"])
}

// dependsOn is what a resource waits for.
func (r resource) dependsOn() []string { return texts(r.DependsOn) }
