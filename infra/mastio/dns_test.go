package mastio

import (
	"strings"
	"testing"
)

// Each domain has a record in the given zone, and none where the DNS is kept elsewhere.
func TestRecords(t *testing.T) {
	for who, name := range map[string]string{"Agents": "agents.mastio.acme.example.",
		"Operators": "mastio.acme.example."} {
		r := hardened.one(t, "AWS::Route53::RecordSet", "Service"+who)
		domain := hardened.one(t, "AWS::ApiGateway::DomainName", "Service"+who)
		if r.Properties["Name"] != name || r.Properties["HostedZoneId"] != zone || r.Properties["Type"] != "A" {
			t.Errorf("%s: %v", who, r.Properties)
		}
		for member, attribute := range map[string]string{"DNSName": "RegionalDomainName",
			"HostedZoneId": "RegionalHostedZoneId"} {
			if at(r.Properties, "AliasTarget", member, "Fn::GetAtt", 0) != domain.id ||
				at(r.Properties, "AliasTarget", member, "Fn::GetAtt", 1) != attribute {
				t.Errorf("%s: %s is %v", who, member, at(r.Properties, "AliasTarget", member))
			}
		}
	}
	if n := len(traced.all("AWS::Route53::RecordSet")) + len(trying.all("AWS::Route53::RecordSet")); n != 0 {
		t.Errorf("%d records without a zone", n)
	}
	targets := 0
	for id := range traced.outputs {
		if strings.Contains(id, "TargetName") {
			targets++
		}
	}
	if targets != 2 {
		t.Errorf("%d outputs say where the records have to point, want 2", targets)
	}
}
