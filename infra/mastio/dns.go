package mastio

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
	"github.com/aws/jsii-runtime-go"
)

// record publishes a domain: as a record in the hosted zone, or as an output for the operator of the DNS. The zone is
// given by its id, so that synthesis needs no lookup.
func (s *Service) record(who string, d *Domain, name awsapigateway.DomainName) {
	target := name.DomainNameAliasDomainName()
	if s.props.HostedZone == "" {
		output(s.Scope, who+"TargetName", *target, "Point the DNS record of "+d.Name+" here (CNAME), or set hostedZone")
		return
	}
	awsroute53.NewCfnRecordSet(s.Scope, jsii.String(who+"Record"), &awsroute53.CfnRecordSetProps{
		HostedZoneId: &s.props.HostedZone,
		Name:         jsii.String(d.Name + "."),
		Type:         jsii.String("A"),
		AliasTarget: &awsroute53.CfnRecordSet_AliasTargetProperty{
			DnsName:      target,
			HostedZoneId: name.DomainNameAliasHostedZoneId(),
		},
	})
	output(s.Scope, who+"TargetName", *target, "Where the DNS record of "+d.Name+" points, which this stack keeps")
}
