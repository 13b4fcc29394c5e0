package mastio

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/triggers"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/routes"
)

// Service is what runs: functions, the first Org CA, the two APIs and the schedules.
type Service struct {
	Scope     constructs.Construct
	Functions map[string]*Function
	Agents    *API
	Operators awsapigateway.RestApi
	Failed    awssqs.Queue       // events that a function could not deal with, and those of failed backups
	Bus       awsevents.EventBus // gets the events for the outside

	props Props
	data  *Data
	stack awscdk.Stack
}

func newService(scope constructs.Construct, id string, p Props, d *Data) *Service {
	s := &Service{
		Scope:     constructs.NewConstruct(scope, &id),
		Functions: map[string]*Function{},
		props:     p,
		data:      d,
		stack:     awscdk.Stack_Of(scope),
	}
	s.Failed = awssqs.NewQueue(s.Scope, jsii.String("Failed"), &awssqs.QueueProps{
		QueueName:       jsii.String(p.name("failed-events")),
		RetentionPeriod: awscdk.Duration_Days(number(14)),
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
	})
	s.Bus = awsevents.NewEventBus(s.Scope, jsii.String("Bus"), &awsevents.EventBusProps{
		EventBusName: jsii.String(p.name("events")),
		Description:  jsii.String("Mastio " + p.OrgID + ": rotations, and certificates that are due"),
	})
	s.Agents, s.Operators = s.agentsAPI(), s.api(routes.Operators)
	s.accountLogging()
	for _, name := range routes.Functions() {
		s.Functions[name] = s.function(name)
	}
	checked := s.beforeTraffic()
	if s.Agents.HTTP != nil {
		s.httpRoutes(s.Agents, checked)
	} else {
		s.methods(s.Agents.Rest, routes.Agents, checked)
	}
	s.methods(s.Operators, routes.Operators, checked)
	s.domains(checked)
	s.firewall(s.Operators)
	s.schedules(checked)
	s.keepFailedBackups(checked)
	s.stream(checked)
	s.outputs()
	return s
}

// beforeTraffic runs two functions before any function takes a request. The first makes the first Org CA and writes
// the truststore object, which the agents' domain needs; the second is the start-up check. A failure fails the
// deployment with the function's own words, and the aliases stay on the versions that worked.
func (s *Service) beforeTraffic() constructs.IDependable {
	first := s.trigger("FirstCA", "standby", s.data.Scope)
	if _, ok := s.Functions[startUpCheck]; !ok {
		return first
	}
	check := s.trigger("StartUpCheck", startUpCheck, first)
	for name, f := range s.Functions {
		if name != "standby" {
			f.Alias.Node().AddDependency(check)
		}
	}
	return check
}

func (s *Service) trigger(id, function string, after ...constructs.Construct) triggers.Trigger {
	return triggers.NewTrigger(s.Scope, &id, &triggers.TriggerProps{
		Handler:                s.Functions[function].Lambda,
		Timeout:                awscdk.Duration_Minutes(number(3)),
		ExecuteAfter:           &after,
		InvocationType:         triggers.InvocationType_REQUEST_RESPONSE,
		ExecuteOnHandlerChange: jsii.Bool(true),
	})
}

// issuer is the agents' base URL: what tokens name as their issuer, and proofs as their target.
func (s *Service) issuer() string {
	switch {
	case s.props.Issuer != "":
		return s.props.Issuer
	case s.props.Agents != nil:
		return "https://" + s.props.Agents.Name
	default:
		return s.Agents.endpoint(s)
	}
}

// endpoint is the URL that API Gateway gives an API. It is spelled out because the stage, which knows it, comes after
// the functions that get it in their environment.
func (s *Service) endpoint(api awsapigateway.RestApi) string {
	return fmt.Sprintf("https://%s.execute-api.%s.%s/%s", *api.RestApiId(), *s.stack.Region(), *s.stack.UrlSuffix(), stage)
}

// endpoint is the URL that API Gateway gives the agents' API.
func (a *API) endpoint(s *Service) string {
	if a.HTTP == nil {
		return s.endpoint(a.Rest)
	}
	return fmt.Sprintf("https://%s.execute-api.%s.%s", *a.HTTP.ApiId(), *s.stack.Region(), *s.stack.UrlSuffix())
}

// outputs makes the stack outputs that an operator needs next.
func (s *Service) outputs() {
	agents, operators := s.issuer(), s.endpoint(s.Operators)
	if s.props.Operators != nil {
		operators = "https://" + s.props.Operators.Name
	}
	output(s.Scope, "EventBusName", *s.Bus.EventBusName(), "EventBridge bus with the events of rotations and due "+
		"certificates")
	output(s.Scope, "AgentsURL", agents, "Base URL of the agents")
	output(s.Scope, "OperatorsURL", operators, "Base URL of the operators: MASTIO of the operator's guide")
	output(s.Scope, "DashboardURL", operators+"/proxy", "The dashboard: sign in with the admin secret")
	output(s.Scope, "WhatWorks", s.props.works(), "What this installation can be used for")
	if s.props.Agents == nil && !s.props.local() {
		awscdk.Annotations_Of(s.Scope).AddWarningV2(jsii.String("mastio:agentsDomain"), jsii.String(s.props.works()))
	}
}

// works says what an installation can be used for: without a domain that asks for client certificates, some of it
// cannot.
func (p Props) works() string {
	if p.Agents != nil {
		return "Everything: agents get tokens at " + p.Agents.Name + "; operators use the API and the dashboard."
	}
	return "For trying: operators enrol, rotate and read, by the API and the dashboard. Agents get no token, cannot " +
		"renew and cannot log in: " +
		"only a domain of one's own asks for a client certificate. Set agentsDomain and agentsCertificate."
}

// startUpCheck is the function whose error fails a deployment.
const startUpCheck = "startup"

func scheduled(function string) bool { return slices.Contains(routes.Scheduled(), function) }

func str(s string) *string { return &s }
