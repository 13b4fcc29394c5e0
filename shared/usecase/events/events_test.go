package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/usecase/events"
)

var now = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

type chains map[string]audit.Head

func (c chains) row(t interface{ Fatal(...any) }, event audit.Event, subject string, details map[string]any) audit.Row {
	row, head, err := c[subject].Append(audit.Entry{
		Time:    now,
		Event:   event,
		Actor:   "admin",
		Subject: subject,
		Details: details,
	})
	if err != nil {
		t.Fatal(err)
	}
	c[subject] = head
	return row
}

// What leaves is named member by member: a new member of a row's details, be it a key, stays.
func TestOnlyNamedMembersGoOut(t *testing.T) {
	secret := map[string]any{
		"cert_thumbprint": "ab", "generation": int64(2), "key_pem": "SECRET", "dpop_jwk": map[string]any{"d": "SECRET"},
		"request_id": "SECRET", "source_ip": "SECRET",
		"reason": "SECRET", "ended": []any{int64(1)},
	}
	for event, want := range map[audit.Event][]string{
		audit.AgentCertRotated: {"cert_thumbprint", "generation"}, audit.AgentCertDue: {"cert_thumbprint", "generation"},
		audit.OverlapEnded: {"ended", "generation"},
	} {
		row := chains{}.row(t, event, "orga::a", secret)
		e, ok, err := events.Of(row)
		if err != nil || !ok || e.Type != event || e.Subject != "orga::a" || !e.Time.Equal(now) {
			t.Fatalf("%s: %+v, %t, %v", event, e, ok, err)
		}
		detail := map[string]any{"id": row.ID, "seq": row.Seq, "timestamp": row.Timestamp, "subject": "orga::a"}
		for _, name := range want {
			detail[name] = row.Details[name]
		}
		if diff := cmp.Diff(detail, e.Detail); diff != "" {
			t.Errorf("%s (-want +got):\n%s", event, diff)
		}
		if out, err := json.Marshal(e.Detail); err != nil || strings.Contains(string(out), "SECRET") {
			t.Errorf("%s tells %s, %v", event, out, err)
		}
	}
	for _, event := range []audit.Event{audit.AgentEnrolled, audit.AgentCertRenewed, audit.CheckpointMade,
		audit.AdminLoginRefused} {
		if _, ok, err := events.Of(chains{}.row(t, event, "orga", nil)); ok || err != nil {
			t.Errorf("%s goes out: %v", event, err)
		}
	}
	forged := chains{}.row(t, audit.AgentCertRotated, "orga::a", secret)
	forged.Details["generation"] = int64(3)
	if _, ok, err := events.Of(forged); ok || !errors.Is(err, audit.ErrBroken) {
		t.Errorf("a row that was changed goes out: %v", err)
	}
}

// bus takes, fails, or takes and loses its answer, as the test sets.
type bus struct {
	fate  func() int // 0 takes, 1 fails for this event, 2 the call is lost, 3 its answer is lost
	taken []events.Event
}

func (b *bus) Put(_ context.Context, list []events.Event) ([]bool, error) {
	if len(list) > events.Batch {
		return nil, fmt.Errorf("%d events at once", len(list))
	}
	fates, lost, answerLost := make([]int, len(list)), false, false
	for i := range list {
		fates[i] = b.fate()
		lost, answerLost = lost || fates[i] == 2, answerLost || fates[i] == 3
	}
	if lost {
		return nil, errors.New("no route to host")
	}
	taken := make([]bool, len(list))
	for i, e := range list {
		if taken[i] = fates[i] != 1; taken[i] {
			b.taken = append(b.taken, e)
		}
	}
	if answerLost {
		return nil, errors.New("timeout")
	}
	return taken, nil
}

func relay(b *bus) *events.Relay {
	return events.New(events.Config{
		Bus:   b,
		Fleet: fleet(nil),
		Pause: func(context.Context, int) error { return nil },
		Log:   slog.New(slog.DiscardHandler),
	})
}

// Whatever the bus does and wherever the function dies, every event goes out, and the first times that those of one
// subject go out are in their order. The stream offers again what failed, and, when the function died, all of the
// batch.
func TestNothingIsLostAndSubjectsStayInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := chains{}
		var records []events.Record
		var want []string
		for n := range rapid.IntRange(0, 40).Draw(t, "rows") {
			event := rapid.SampledFrom([]audit.Event{audit.AgentCertRotated, audit.AgentCertDue, audit.AgentEnrolled}).Draw(t,
				"event")
			row := c.row(t, event, "orga::"+rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "agent"), nil)
			records = append(records, events.Record{Sequence: strconv.Itoa(n), Row: row})
			if event != audit.AgentEnrolled {
				want = append(want, row.ID)
			}
		}
		b := &bus{}
		calm := false
		b.fate = func() int {
			if calm {
				return 0
			}
			return rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 3}).Draw(t, "fate")
		}
		left := records
		for offer := 0; len(left) > 0; offer++ {
			calm = offer > 20
			report := relay(b).Run(t.Context(), left)
			switch report.Failed {
			case "":
				if !rapid.Bool().Draw(t, "dies before it answers") || calm {
					left = nil
				}
			default:
				at, err := strconv.Atoi(report.Failed)
				if err != nil || at < len(records)-len(left) {
					t.Fatalf("failed at %q of those from %d on", report.Failed, len(records)-len(left))
				}
				if !rapid.Bool().Draw(t, "dies before it answers") || calm {
					left = records[at:]
				}
			}
		}
		check(t, b.taken, want)
	})
}

func check(t *rapid.T, taken []events.Event, want []string) {
	seen, last := map[any]bool{}, map[string]int64{}
	for _, e := range taken {
		if seen[e.Detail["id"]] {
			continue
		}
		seen[e.Detail["id"]] = true
		if seq := e.Detail["seq"].(int64); seq <= last[e.Subject] {
			t.Fatalf("event %d of %s comes first after %d", seq, e.Subject, last[e.Subject])
		} else {
			last[e.Subject] = seq
		}
	}
	for _, id := range want {
		if !seen[id] {
			t.Fatalf("the event of row %s is lost", id)
		}
	}
	if len(seen) != len(want) {
		t.Fatalf("%d events, want %d", len(seen), len(want))
	}
}

func TestARecordThatCannotBeReadIsOfferedAgain(t *testing.T) {
	c := chains{}
	b := &bus{fate: func() int { return 0 }}
	records := []events.Record{
		{Sequence: "1", Row: c.row(t, audit.AgentCertDue, "orga::a", nil)},
		{Sequence: "2", Err: errors.New("no row")},
		{Sequence: "3", Row: c.row(t, audit.AgentCertDue, "orga::b", nil)},
	}
	got := relay(b).Run(t.Context(), records)
	if diff := cmp.Diff(events.Report{Records: 3, Sent: 1, Failed: "2"}, got); diff != "" || len(b.taken) != 1 {
		t.Errorf("%d events out; report (-want +got):\n%s", len(b.taken), diff)
	}
}
