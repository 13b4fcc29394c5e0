package mastio

import (
	"cmp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// job is a function that runs on a schedule.
type job struct {
	name     string
	function string // empty: the one of this name
	every    awscdk.Duration
	after    string         // also behind each event of this type; empty: by the clock alone
	input    map[string]any // what the function gets instead of EventBridge's event; nil: that event
}

// jobs are all of them: a new one is a line. The start-up check is none; the deployment runs it.
func (s *Service) jobs() []job {
	return []job{
		{name: "checkpoint", every: awscdk.Duration_Minutes(number(s.props.CheckpointMinutes))},
		{name: "standby", every: awscdk.Duration_Minutes(number(s.props.StandbyMinutes)), after: "org_ca.rotated"},
		{name: "hygiene", every: awscdk.Duration_Days(number(1))},
		// every minute: a fleet without an overlap is waiting. Without a re-issue it reads the organisation and ends.
		{
			name:     "reissue",
			function: "hygiene",
			every:    awscdk.Duration_Minutes(number(1)),
			input:    map[string]any{"reissue": true},
		},
	}
}

// schedules are EventBridge rules rather than EventBridge Scheduler: the same suite runs on LocalStack, where a
// scheduler is stored and never fires.
func (s *Service) schedules(after constructs.IDependable) {
	for _, j := range s.jobs() {
		function := cmp.Or(j.function, j.name)
		var input awsevents.RuleTargetInput
		if j.input != nil {
			input = awsevents.RuleTargetInput_FromObject(j.input)
		}
		s.rule("run-"+j.name, function, after, input, &awsevents.RuleProps{Schedule: awsevents.Schedule_Rate(j.every)})
		if j.after != "" {
			s.rule(j.name+"-after-"+strings.ReplaceAll(j.after, ".", "-"), function, after, nil, &awsevents.RuleProps{
				EventBus:     s.Bus,
				EventPattern: &awsevents.EventPattern{Source: jsii.Strings("mastio"), DetailType: jsii.Strings(j.after)},
			})
		}
	}
}

// rule runs a function. EventBridge retries an event that it cannot deliver for ten minutes, and then keeps it in the
// queue of failed events.
func (s *Service) rule(
	name, function string, after constructs.IDependable, input awsevents.RuleTargetInput, props *awsevents.RuleProps,
) {
	props.RuleName, props.Description = jsii.String(s.props.name(name)),
		jsii.String("Mastio "+s.props.OrgID+": runs "+function)
	props.Targets = &[]awsevents.IRuleTarget{awseventstargets.NewLambdaFunction(s.mustFunction(function).Alias,
		&awseventstargets.LambdaFunctionProps{
			DeadLetterQueue: s.Failed,
			RetryAttempts:   number(2),
			MaxEventAge:     awscdk.Duration_Minutes(number(10)),
			Event:           input,
		})}
	id := strings.ToUpper(name[:1]) + name[1:]
	awsevents.NewRule(s.Scope, &id, props).Node().AddDependency(after)
}
