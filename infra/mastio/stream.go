package mastio

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdaeventsources"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/schema"
)

// stream connects the audit table's stream to its functions. One batch of a shard at a time keeps each subject's rows
// in order. A batch that fails is halved until the failing row is alone. After six hours the row's place in the
// stream goes to the queue of failed events, and an alarm reports it. The row stays in the table.
func (s *Service) stream(after constructs.IDependable) {
	for _, name := range routes.Streamed() {
		f := s.mustFunction(name)
		mapping := awslambda.NewEventSourceMapping(s.Scope, jsii.String("Stream-"+name), &awslambda.EventSourceMappingProps{
			Target:                  f.Alias,
			EventSourceArn:          s.data.Tables[schema.Audit].TableStreamArn(),
			StartingPosition:        awslambda.StartingPosition_TRIM_HORIZON,
			BatchSize:               number(100),
			BisectBatchOnError:      jsii.Bool(true),
			ReportBatchItemFailures: jsii.Bool(true),
			ParallelizationFactor:   number(1),
			MaxRecordAge:            awscdk.Duration_Hours(number(6)),
			OnFailure:               awslambdaeventsources.NewSqsDlq(s.Failed),
		})
		mapping.Node().AddDependency(after)
	}
}
