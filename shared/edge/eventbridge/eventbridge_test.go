package eventbridge_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	local "github.com/mastio-aws/mastio/localstack/aws/eventbridge"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/edge/eventbridge"
	"github.com/mastio-aws/mastio/shared/usecase/events"
)

var at = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func open(t *testing.T, bus string, refuse func(local.Event) bool) (*eventbridge.Bus, *local.Server) {
	t.Helper()
	server := local.New(local.Config{Bus: "mastio", Refuse: refuse})
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	client := awseventbridge.New(awseventbridge.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(web.URL),
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer:      aws.NopRetryer{},
	})
	return &eventbridge.Bus{API: client, Name: bus}, server
}

func event(subject string) events.Event {
	return events.Event{
		Type:    audit.AgentCertDue,
		Subject: subject,
		Time:    at,
		Detail:  map[string]any{"id": "row-" + subject, "subject": subject},
	}
}

func TestPut(t *testing.T) {
	bus, server := open(t, "mastio", func(e local.Event) bool { return strings.Contains(string(e.Detail), `"b"`) })
	taken, err := bus.Put(t.Context(), []events.Event{event("a"), event("b"), event("c")})
	if diff := cmp.Diff([]bool{true, false, true}, taken); err != nil || diff != "" {
		t.Errorf("taken: %v (-want +got):\n%s", err, diff)
	}
	got := server.Events()
	if len(got) != 2 {
		t.Fatalf("%d events, want 2", len(got))
	}
	want := local.Event{
		ID:         got[0].ID,
		DetailType: "agent.cert_due",
		Source:     "mastio",
		Time:       float64(at.Unix()),
		Detail:     json.RawMessage(`{"id":"row-a","subject":"a"}`),
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestABusThatIsNotThereTakesNothing(t *testing.T) {
	bus, _ := open(t, "another", nil)
	if taken, err := bus.Put(t.Context(), []events.Event{event("a")}); err != nil || taken[0] {
		t.Errorf("taken %v, %v", taken, err)
	}
	bus, _ = open(t, "mastio", nil)
	if _, err := bus.Put(t.Context(), nil); !errors.Is(err, eventbridge.ErrBus) {
		t.Errorf("nothing at all: %v, want ErrBus", err)
	}
}
