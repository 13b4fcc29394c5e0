package boot

import (
	"context"
	"fmt"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/shared/usecase/events"
)

// Events is the function events.
func Events(p *Parts) (any, error) {
	if p.EventBus == "" {
		return nil, fmt.Errorf("%w: MASTIO_EVENT_BUS is not set", ErrConfig)
	}
	relay := events.New(events.Config{
		Bus:   p.bus(),
		Fleet: p.store(),
		Pause: pauseBefore,
		Log:   p.Log,
	})
	return func(ctx context.Context, batch lambdaevents.DynamoDBEvent) (lambdaevents.DynamoDBEventResponse, error) {
		report := relay.Run(ctx, records(batch))
		answer := lambdaevents.DynamoDBEventResponse{BatchItemFailures: []lambdaevents.DynamoDBBatchItemFailure{}}
		if report.Failed != "" {
			answer.BatchItemFailures = append(answer.BatchItemFailures,
				lambdaevents.DynamoDBBatchItemFailure{ItemIdentifier: report.Failed})
		}
		err := WriteMetrics(p.Metrics, p.OrgID, p.Now(), Gauge{
			Name:  "events_sent",
			Unit:  Count,
			Value: float64(report.Sent),
		})
		return answer, err
	}, nil
}

func records(batch lambdaevents.DynamoDBEvent) []events.Record {
	var list []events.Record
	for _, r := range batch.Records {
		row, ok, err := dynamo.StreamedRow(r)
		if ok || err != nil {
			list = append(list, events.Record{Sequence: r.Change.SequenceNumber, Row: row, Err: err})
		}
	}
	return list
}

// pauseBefore waits 100 ms, then 200: a throttled bus is then ready again, and the stream delivers again what the bus
// refuses.
func pauseBefore(ctx context.Context, try int) error {
	timer := time.NewTimer(100 * time.Millisecond << (try - 1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
