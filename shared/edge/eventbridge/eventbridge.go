// Package eventbridge puts events on an Amazon EventBridge bus.
package eventbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/mastio-aws/mastio/shared/usecase/events"
)

// Source is the source of every event.
const Source = "mastio"

// ErrBus reports that the bus did not answer, or refused.
var ErrBus = errors.New("event bus is unavailable")

// Bus is one bus. It is safe for concurrent use.
type Bus struct {
	API  *awseventbridge.Client
	Name string
}

// Put sends events in one call. EventBridge returns a result for each event, and the SDK retries only a call that
// failed as a whole.
func (b *Bus) Put(ctx context.Context, list []events.Event) ([]bool, error) {
	entries := make([]types.PutEventsRequestEntry, len(list))
	for i, e := range list {
		detail, err := json.Marshal(e.Detail)
		if err != nil {
			return nil, fmt.Errorf("encode an event: %w", err)
		}
		entries[i] = types.PutEventsRequestEntry{
			EventBusName: &b.Name,
			Source:       aws.String(Source),
			DetailType:   aws.String(string(e.Type)),
			Detail:       aws.String(string(detail)),
			Time:         aws.Time(e.Time),
		}
	}
	out, err := b.API.PutEvents(ctx, &awseventbridge.PutEventsInput{Entries: entries})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBus, err)
	}
	taken := make([]bool, len(list))
	for i, entry := range out.Entries {
		if i < len(taken) {
			taken[i] = entry.ErrorCode == nil && aws.ToString(entry.EventId) != ""
		}
	}
	return taken, nil
}
