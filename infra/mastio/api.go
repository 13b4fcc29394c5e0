package mastio

import (
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/routes"
)

// stage is the one stage of a REST API; it shows in the URL only without a domain.
const stage = "live"

// API is the agents' API, of either kind.
type API struct {
	Rest awsapigateway.RestApi   // nil: an HTTP API
	HTTP awsapigatewayv2.HttpApi // nil: a REST API

	stage awsapigatewayv2.CfnStage // of an HTTP API; nil until it has routes
}

// agentsAPI makes the agents' API, without routes yet.
func (s *Service) agentsAPI() *API {
	if s.props.AgentsAPI == HTTPAPI {
		return &API{HTTP: s.httpAPI()}
	}
	return &API{Rest: s.api(routes.Agents)}
}

// id names the API in the account.
func (a *API) id() *string {
	if a.HTTP != nil {
		return a.HTTP.ApiId()
	}
	return a.Rest.RestApiId()
}

// stageName is a reference: what holds it waits for the stage.
func (a *API) stageName() *string {
	if a.HTTP != nil {
		return a.stage.Ref()
	}
	return a.Rest.DeploymentStage().StageName()
}

// accessLog is where an API writes its access log. With this prefix the account's resource policy of CloudWatch Logs,
// whose size is limited, needs no entry for each log group.
func (s *Service) accessLog(host routes.Host) awslogs.LogGroup {
	return s.logGroup(s.Scope, title(host)+"AccessLog",
		"/aws/vendedlogs/mastio/"+s.props.OrgID+"/access/"+string(host))
}

// api makes a REST API, without routes yet: the functions' environment contains its URL.
func (s *Service) api(host routes.Host) awsapigateway.RestApi {
	ownDomain := host == routes.Agents && s.props.Agents != nil || host == routes.Operators && s.props.Operators != nil
	id, format := title(host), routes.RESTLog
	if host == routes.Agents {
		format = routes.AgentsRESTLog
	}
	props := &awsapigateway.RestApiProps{
		RestApiName:    jsii.String(s.props.name(string(host))),
		Description:    jsii.String("Mastio " + s.props.OrgID + ": " + string(host)),
		EndpointTypes:  &[]awsapigateway.EndpointType{awsapigateway.EndpointType_REGIONAL},
		CloudWatchRole: jsii.Bool(false),
		// With a domain of its own an API must not be reachable past it: past mutual TLS, and past the firewall.
		DisableExecuteApiEndpoint: jsii.Bool(ownDomain),
		BinaryMediaTypes:          jsii.Strings("multipart/form-data", "application/gzip"),
		DeployOptions: &awsapigateway.StageOptions{
			StageName:      jsii.String(stage),
			TracingEnabled: jsii.Bool(s.props.Tracing),
			MethodOptions:  throttles(host),
			// The methods that no route has, and that the functions answer with 405.
			ThrottlingRateLimit:  number(others.rate),
			ThrottlingBurstLimit: number(others.burst),
			AccessLogDestination: awsapigateway.NewLogGroupLogDestination(s.accessLog(host)),
			AccessLogFormat:      awsapigateway.AccessLogFormat_Custom(jsii.String(format)),
		},
	}
	if host == routes.Operators && len(s.props.AllowedSources) > 0 {
		props.Policy = s.onlyFrom(s.props.AllowedSources)
	}
	api := awsapigateway.NewRestApi(s.Scope, &id, props)
	s.gatewayResponses(api, host)
	return api
}

// accountLogging lets API Gateway write access logs. The role counts for the whole account and region, so a setting
// switches it off for an account that has one.
func (s *Service) accountLogging() {
	if s.props.SharedAccountLogging {
		return
	}
	role := awsiam.NewRole(s.Scope, jsii.String("ApiGatewayLogging"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("apigateway.amazonaws.com"), nil),
		Description: jsii.String("API Gateway writes its logs, for every API of the account"),
		ManagedPolicies: &[]awsiam.IManagedPolicy{
			awsiam.ManagedPolicy_FromAwsManagedPolicyName(
				jsii.String("service-role/AmazonAPIGatewayPushToCloudWatchLogs")),
		},
	})
	account := awsapigateway.NewCfnAccount(s.Scope, jsii.String("ApiGatewayAccount"),
		&awsapigateway.CfnAccountProps{CloudWatchRoleArn: role.RoleArn()})
	// Both stay: the setting is the account's, and other APIs log with the role.
	account.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	role.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN)
	if s.Agents.Rest != nil {
		s.Agents.Rest.DeploymentStage().Node().AddDependency(account)
	}
	s.Operators.DeploymentStage().Node().AddDependency(account)
}

// throttle is requests a second and how many may come at once.
type throttle struct{ rate, burst int }

// others is the throttle of what no route has.
var others = throttle{100, 200}

// throttleOf limits each route to its expected use, so that one caller's loop does not starve other callers. The
// whole fleet requests tokens; one operator rotates the CA.
func throttleOf(r routes.Route) throttle {
	switch {
	case strings.HasPrefix(r.Path, "/pki/rotate-ca") && r.Method == "POST":
		return throttle{2, 5}
	case r.Function == "renew" && r.Method == "POST":
		// Two routes, and each request may cost a signature: together they stay below the 1,000 a second that KMS has for the
		// whole account, so that renewals leave some to rotations.
		return throttle{300, 400}
	case r.Auth == routes.ClientCertificate:
		return throttle{2000, 4000}
	case r.Auth == routes.None:
		return throttle{100, 200}
	default: // operators and their pipelines: a fleet of 10,000 re-enrols in under two minutes
		return throttle{100, 200}
	}
}

// throttles have no metrics of their own, which cost $0.30 each: CloudWatch measures each API and each function for
// free.
func throttles(host routes.Host) *map[string]*awsapigateway.MethodDeploymentOptions {
	all := map[string]*awsapigateway.MethodDeploymentOptions{}
	for _, r := range on(host) {
		t := throttleOf(r)
		all[r.Path+"/"+r.Method] = &awsapigateway.MethodDeploymentOptions{
			ThrottlingRateLimit:  number(t.rate),
			ThrottlingBurstLimit: number(t.burst),
			MetricsEnabled:       jsii.Bool(false),
		}
	}
	return &all
}

func on(host routes.Host) []routes.Route {
	return slices.DeleteFunc(routes.All(), func(r routes.Route) bool { return !slices.Contains(r.Hosts, host) })
}

// onlyFrom keeps everybody out but these networks. The method's own answer to a refusal is in gatewayResponses.
func (s *Service) onlyFrom(cidrs []string) awsiam.PolicyDocument {
	every := &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()}
	invoke, all := jsii.Strings("execute-api:Invoke"), jsii.Strings("execute-api:/*")
	return awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &[]awsiam.PolicyStatement{
		awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String("Invoke"),
			Principals: every,
			Actions:    invoke,
			Resources:  all,
		}),
		awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String("OnlyFromAllowedSources"),
			Effect:     awsiam.Effect_DENY,
			Principals: every,
			Actions:    invoke,
			Resources:  all,
			Conditions: &map[string]any{"NotIpAddress": map[string]any{"aws:SourceIp": cidrs}},
		}),
	}})
}

// methods gives an API its routes. In addition to its own methods each path has a method for all others, which calls
// the same function: the function answers 405 with an Allow header, while API Gateway would answer 403.
func (s *Service) methods(api awsapigateway.RestApi, host routes.Host, after constructs.IDependable) {
	v := s.validator(api)
	var paths []string
	for _, r := range on(host) {
		resource := api.Root().ResourceForPath(&r.Path)
		integration := s.integration(r.Function)
		resource.AddMethod(&r.Method, integration, demands(api, v, r))
		if !slices.Contains(paths, r.Path) {
			paths = append(paths, r.Path)
			resource.AddMethod(jsii.String("ANY"), integration, nil)
		}
	}
	api.LatestDeployment().Node().AddDependency(after)
}

// validator makes API Gateway refuse a body that does not fit the model of its media type. LocalStack takes every
// body for JSON, models or not, and would refuse forms and uploads.
func (s *Service) validator(api awsapigateway.RestApi) awsapigateway.RequestValidator {
	if s.props.local() {
		return nil
	}
	return api.AddRequestValidator(jsii.String("Validator"), &awsapigateway.RequestValidatorOptions{
		ValidateRequestBody:       jsii.Bool(true),
		ValidateRequestParameters: jsii.Bool(true),
	})
}

// integration calls the live version of a function. One permission covers the whole API: a permission for each method
// would be hundreds of statements in a policy that is limited to 20 KB.
func (s *Service) integration(function string) awsapigateway.Integration {
	return awsapigateway.NewLambdaIntegration(s.mustFunction(function).Alias, &awsapigateway.LambdaIntegrationOptions{
		Proxy:                   jsii.Bool(true),
		ScopePermissionToMethod: jsii.Bool(false),
	})
}

// demands makes API Gateway refuse a request without a part that the OpenAPI document requires, before a function
// runs and costs money. API Gateway checks only bodies that are declared as JSON; the function checks all others.
func demands(api awsapigateway.RestApi, v awsapigateway.RequestValidator, r routes.Route) *awsapigateway.MethodOptions {
	o := &awsapigateway.MethodOptions{AuthorizationType: awsapigateway.AuthorizationType_NONE, RequestValidator: v}
	if v == nil {
		return o
	}
	d, err := routes.DemandOf(r.Method, r.Path)
	if err != nil {
		panic(err)
	}
	if d.Query != nil {
		parameters := map[string]*bool{}
		for _, name := range d.Query {
			parameters["method.request.querystring."+name] = jsii.Bool(true)
		}
		o.RequestParameters = &parameters
	}
	if d.Body != nil {
		name := modelName(r)
		d.Body["$schema"] = "http://json-schema.org/draft-04/schema#"
		model := awsapigateway.NewCfnModel(api, jsii.String("Model-"+name), &awsapigateway.CfnModelProps{
			RestApiId:   api.RestApiId(),
			ContentType: jsii.String("application/json"),
			Name:        jsii.String(strings.ReplaceAll(name, "_", "")),
			Schema:      d.Body,
		})
		o.RequestModels = &map[string]awsapigateway.IModel{"application/json": awsapigateway.Model_FromModelName(api,
			jsii.String("Named-"+name), model.Ref())}
	}
	return o
}

// modelName is a route as a logical id: with another one CloudFormation would replace the model.
func modelName(r routes.Route) string {
	clean := strings.NewReplacer("/", "_", "{", "", "}", "", ".", "_", "-", "_")
	return strings.ToLower(r.Method) + clean.Replace(r.Path)
}

// domains gives the APIs their names, if there are any. The agents' domain requires a client certificate under the
// truststore. The template names no version of the truststore, because the application sets it.
func (s *Service) domains(after constructs.IDependable) {
	agents := after
	if d := s.props.Agents; d != nil {
		mtls := &awsapigateway.MTLSConfig{Bucket: s.data.Truststore, Key: jsii.String(TruststoreKey)}
		agents = s.domain("Agents", s.Agents, d, mtls, after)
	}
	if d := s.props.Operators; d != nil {
		s.domain("Operators", &API{Rest: s.Operators}, d, nil, after, agents) // an account makes one domain in 30 seconds
	}
}

// domain maps a domain to an API by a resource that takes either kind, so that an installed stack changes over in
// place: the same mapping then names the other API.
func (s *Service) domain(
	who string, api *API, d *Domain, mtls *awsapigateway.MTLSConfig, after ...constructs.IDependable,
) constructs.IDependable {
	name := awsapigateway.NewDomainName(s.Scope, jsii.String(who+"Domain"), &awsapigateway.DomainNameProps{
		DomainName:     &d.Name,
		EndpointType:   awsapigateway.EndpointType_REGIONAL,
		SecurityPolicy: awsapigateway.SecurityPolicy_TLS_1_2,
		Mtls:           mtls,
		Certificate: awscertificatemanager.Certificate_FromCertificateArn(s.Scope, jsii.String(who+"Certificate"),
			&d.CertificateARN),
	})
	name.Node().AddDependency(after...)
	if d.OwnershipCertificateARN != "" {
		own, _ := name.Node().DefaultChild().(awsapigateway.CfnDomainName)
		own.SetOwnershipVerificationCertificateArn(&d.OwnershipCertificateARN)
	}
	awsapigatewayv2.NewCfnApiMapping(s.Scope, jsii.String(who+"ApiMapping"), &awsapigatewayv2.CfnApiMappingProps{
		DomainName: name.DomainName(),
		ApiId:      api.id(),
		Stage:      api.stageName(),
	})
	s.record(who, d, name)
	return name
}
