package mastio

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// job is a function that runs by itself.
type job struct {
	function string
	every    awscdk.Duration
}

// jobs are all of them: a new one is a line. The start-up check is none; the deployment runs it.
func (s *Service) jobs() []job {
	return []job{
		{"checkpoint", awscdk.Duration_Minutes(number(s.props.CheckpointMinutes))},
		{"standby", awscdk.Duration_Minutes(number(s.props.StandbyMinutes))},
		{"hygiene", awscdk.Duration_Days(number(1))},
	}
}

// schedules are EventBridge rules rather than EventBridge Scheduler: the same suite runs on LocalStack, where a scheduler
// is stored and never fires.
func (s *Service) schedules(after constructs.IDependable) {
	for _, j := range s.jobs() {
		f := s.mustFunction(j.function)
		rule := awsevents.NewRule(s.Scope, jsii.String("Run-"+j.function), &awsevents.RuleProps{
			RuleName: jsii.String(s.props.name("run-" + j.function)), Description: jsii.String("Mastio " + s.props.OrgID + ": runs " + j.function),
			Schedule: awsevents.Schedule_Rate(j.every),
			Targets: &[]awsevents.IRuleTarget{awseventstargets.NewLambdaFunction(f.Alias, &awseventstargets.LambdaFunctionProps{
				DeadLetterQueue: s.Failed, RetryAttempts: number(2), MaxEventAge: awscdk.Duration_Minutes(number(10)),
			})},
		})
		rule.Node().AddDependency(after)
	}
}
