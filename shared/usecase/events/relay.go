package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// errNotTaken reports events that the bus did not take.
var errNotTaken = errors.New("the event bus did not take every event")

// Batch is how many events the bus is given at once: EventBridge's limit.
const Batch = 10

// tries is how often an event is offered before the stream is asked to offer its row again.
const tries = 3

// Bus is where events go.
type Bus interface {
	// Put offers up to Batch events and reports of each whether it was taken. An error means that nothing is known of any.
	Put(ctx context.Context, events []Event) (taken []bool, err error)
}

// Record is a row in the audit table's stream.
type Record struct {
	Sequence string // its place in the stream
	Row      audit.Row
	Err      error // of reading it; then there is no row
}

// Config is what a Relay is made of; all fields are required. Fleet is read for the events that name owners' agents.
type Config struct {
	Bus   Bus
	Fleet registry.Lister
	Pause func(ctx context.Context, try int) error // before a repeated offer
	Log   *slog.Logger
}

// Relay passes rows on as events: each at least once, and those of one subject in their order.
type Relay struct{ Config }

// New returns a Relay.
func New(cfg Config) *Relay { return &Relay{cfg} }

// Report says what a run did.
type Report struct {
	Records int
	Sent    int // events that the bus took
	Failed  string
}

// Run passes on the events of records, which are in the stream's order. Failed is the place of the first record whose
// event is not out: the stream has to offer it again, and all that follow it; empty: all are out. Those that were out
// already go out again then.
func (r *Relay) Run(ctx context.Context, records []Record) Report {
	report := Report{Records: len(records)}
	for start := 0; start < len(records); {
		batch, next, err := r.collect(ctx, records, start)
		sent, sendErr := r.sendAll(ctx, batch)
		report.Sent += sent
		if sendErr != nil {
			err, next = sendErr, batch[sent].at
		}
		if err != nil {
			report.Failed = records[next].Sequence
			r.Log.ErrorContext(ctx, "events.failed", "sequence", report.Failed, "cause", err.Error())
			return report
		}
		start = next
	}
	return report
}

// offer is an event and the place of its record.
type offer struct {
	Event
	at int
}

// collect takes events from start on, of each subject one at most: the next one of a subject is only offered once the
// one before it is out. The events of a row that has many are a batch of their own, of any length: their order does not
// matter. It stops, with an error, at a record that cannot be read; next is where to go on.
func (r *Relay) collect(ctx context.Context, records []Record, start int) (batch []offer, next int, err error) {
	subjects := map[string]bool{}
	for next = start; next < len(records) && len(batch) < Batch; next++ {
		rec := records[next]
		if rec.Err != nil {
			return batch, next, rec.Err
		}
		if _, many := addressed[rec.Row.EventType]; len(batch) > 0 && (many || subjects[rec.Row.Subject]) {
			return batch, next, nil
		}
		all, err := r.of(ctx, rec.Row)
		if err != nil {
			return batch, next, err
		}
		for _, e := range all {
			subjects[e.Subject] = true
			batch = append(batch, offer{e, next})
		}
		if len(all) > 1 {
			return batch, next + 1, nil
		}
	}
	return batch, next, nil
}

// sendAll sends any number of events, Batch at a time.
func (r *Relay) sendAll(ctx context.Context, all []offer) (sent int, err error) {
	for part := range slices.Chunk(all, Batch) {
		n, err := r.send(ctx, part)
		if sent += n; err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// send offers a batch until all of it is taken, a few times. It returns how many of its first events are out: in front
// of the first one that is not.
func (r *Relay) send(ctx context.Context, batch []offer) (sent int, err error) {
	left := batch
	for try := range tries {
		if len(left) == 0 {
			return len(batch), nil
		}
		if try > 0 {
			if err := r.Pause(ctx, try); err != nil {
				break
			}
		}
		left, err = r.put(ctx, left)
	}
	if len(left) == 0 {
		return len(batch), nil
	}
	for sent < len(batch) && batch[sent].at < left[0].at {
		sent++
	}
	return sent, errors.Join(fmt.Errorf("%w: %d left", errNotTaken, len(left)), err)
}

func (r *Relay) put(ctx context.Context, batch []offer) (left []offer, err error) {
	list := make([]Event, len(batch))
	for i, o := range batch {
		list[i] = o.Event
	}
	taken, err := r.Bus.Put(ctx, list)
	if err != nil {
		return batch, err
	}
	for i, o := range batch {
		if i >= len(taken) || !taken[i] {
			left = append(left, o)
		}
	}
	return left, nil
}
