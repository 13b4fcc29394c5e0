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

// stream has the audit table's stream reach its functions. One batch of a shard at a time keeps each subject's rows in
// order. A batch that fails is halved until what cannot be passed on stands alone; after six hours that is given up on: its
// place in the stream goes to the queue of failed events, of which an alarm tells, and the row is in the table still.
func (s *Service) stream(after constructs.IDependable) {
	for _, name := range routes.Streamed() {
		f := s.mustFunction(name)
		mapping := awslambda.NewEventSourceMapping(s.Scope, jsii.String("Stream-"+name), &awslambda.EventSourceMappingProps{
			Target: f.Alias, EventSourceArn: s.data.Tables[schema.Audit].TableStreamArn(), StartingPosition: awslambda.StartingPosition_TRIM_HORIZON,
			BatchSize: number(100), BisectBatchOnError: jsii.Bool(true), ReportBatchItemFailures: jsii.Bool(true), ParallelizationFactor: number(1),
			MaxRecordAge: awscdk.Duration_Hours(number(6)), OnFailure: awslambdaeventsources.NewSqsDlq(s.Failed),
		})
		mapping.Node().AddDependency(after)
	}
}
