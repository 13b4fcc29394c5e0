package mastio

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/routes"
)

const (
	// defaultStage is served at the root of the endpoint; of any other stage an HTTP API would put the name into the path.
	defaultStage = "$default"
	// defaultRoute takes what no route has.
	defaultRoute = "$default"
	// strays is the function that answers it, as gatewayResponses do for a REST API: an HTTP API has no gateway
	// responses.
	strays = "discovery"
)

// httpAPI makes the agents' API as an HTTP API, without routes yet: the functions' environment contains its URL.
func (s *Service) httpAPI() awsapigatewayv2.HttpApi {
	// Another id than the REST API's: a logical id cannot change its type when agentsApi does.
	return awsapigatewayv2.NewHttpApi(s.Scope, jsii.String("AgentsHttp"), &awsapigatewayv2.HttpApiProps{
		ApiName:                   jsii.String(s.props.name(string(routes.Agents))),
		Description:               jsii.String("Mastio " + s.props.OrgID + ": agents"),
		CreateDefaultStage:        jsii.Bool(false),
		DisableExecuteApiEndpoint: jsii.Bool(s.props.Agents != nil),
	})
}

// httpRoutes gives the HTTP API its routes, and the stage that serves them. A route serves requests as soon as it is
// made, so each route waits for the start-up check. The stage comes last, because it throttles routes, which have to
// exist by then.
func (s *Service) httpRoutes(a *API, after constructs.IDependable) {
	integrations := map[string]*string{}
	var made []constructs.IDependable
	add := func(key, function string) {
		if integrations[function] == nil {
			integrations[function] = s.httpIntegration(a.HTTP, function)
		}
		route := awsapigatewayv2.NewCfnRoute(a.HTTP, jsii.String("Route-"+key), &awsapigatewayv2.CfnRouteProps{
			ApiId:             a.HTTP.ApiId(),
			RouteKey:          &key,
			AuthorizationType: jsii.String("NONE"),
			Target:            integrations[function],
		})
		route.Node().AddDependency(after)
		made = append(made, route)
	}
	for _, r := range on(routes.Agents) {
		add(r.Method+" "+r.Path, r.Function)
		if r.Method == "GET" {
			add("HEAD "+r.Path, r.Function)
		}
	}
	add(defaultRoute, strays)
	a.stage = s.httpStage(a.HTTP)
	a.stage.Node().AddDependency(made...)
}

// httpIntegration calls the live version of a function, and lets the API as a whole call it.
func (s *Service) httpIntegration(api awsapigatewayv2.HttpApi, function string) *string {
	alias := s.mustFunction(function).Alias
	alias.AddPermission(jsii.String("AgentsHttp"), &awslambda.Permission{
		Principal: awsiam.NewServicePrincipal(jsii.String("apigateway.amazonaws.com"), nil),
		SourceArn: s.stack.FormatArn(&awscdk.ArnComponents{
			Service:      str("execute-api"),
			Resource:     api.ApiId(),
			ResourceName: str("*/*"),
		}),
	})
	i := awsapigatewayv2.NewCfnIntegration(api, jsii.String("Integration-"+function), &awsapigatewayv2.CfnIntegrationProps{
		ApiId:                api.ApiId(),
		IntegrationType:      jsii.String("AWS_PROXY"),
		IntegrationUri:       alias.FunctionArn(),
		PayloadFormatVersion: jsii.String("1.0"),
		TimeoutInMillis:      number(29_000),
	})
	return jsii.String("integrations/" + *i.Ref())
}

func (s *Service) httpStage(api awsapigatewayv2.HttpApi) awsapigatewayv2.CfnStage {
	settings := map[string]any{}
	for _, r := range on(routes.Agents) {
		t := throttleOf(r)
		settings[r.Method+" "+r.Path] = map[string]any{"ThrottlingRateLimit": t.rate, "ThrottlingBurstLimit": t.burst}
	}
	return awsapigatewayv2.NewCfnStage(api, jsii.String("Stage"), &awsapigatewayv2.CfnStageProps{
		ApiId:         api.ApiId(),
		StageName:     jsii.String(defaultStage),
		AutoDeploy:    jsii.Bool(true),
		RouteSettings: settings,
		// The routes that have no throttle of their own: HEAD, and what no route has.
		DefaultRouteSettings: &awsapigatewayv2.CfnStage_RouteSettingsProperty{
			ThrottlingRateLimit:    number(others.rate),
			ThrottlingBurstLimit:   number(others.burst),
			DetailedMetricsEnabled: jsii.Bool(false),
		},
		AccessLogSettings: &awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
			DestinationArn: s.accessLog(routes.Agents).LogGroupArn(),
			Format:         jsii.String(routes.HTTPLog),
		},
		// The functions recognise this API's route $default by it: shared/edge/httpapi.
		StageVariables: &map[string]*string{"host": jsii.String(string(routes.Agents))},
	})
}

// title begins a construct's id.
func title(host routes.Host) string { return strings.ToUpper(string(host[:1])) + string(host[1:]) }
