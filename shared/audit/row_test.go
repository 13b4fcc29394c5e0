package audit

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var when = time.Date(2026, 11, 24, 3, 0, 0, 123456789, time.UTC)

func appendTo(t *testing.T, h Head, e Entry) (Row, Head) {
	t.Helper()
	row, head, err := h.Append(e)
	if err != nil {
		t.Fatal(err)
	}
	return row, head
}

func chain(t *testing.T, n int) []Row {
	t.Helper()
	var rows []Row
	var h Head
	for i := range n {
		var r Row
		r, h = appendTo(t, h, Entry{
			Time:    when.Add(time.Duration(i) * time.Second),
			Event:   AgentCertRotated,
			Actor:   "admin:AWSCURRENT",
			Subject: "orga::a",
			Details: map[string]any{"generation": int64(i), "reason": "hygiene <&> é", "csr": i%2 == 0},
		})
		rows = append(rows, r)
	}
	return rows
}

// The hash of a row must never change by accident: rows that are out there could not be verified any more.
func TestGoldenRow(t *testing.T) {
	data, err := os.ReadFile("testdata/row.json")
	if err != nil {
		t.Fatal(err)
	}
	row, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Head{Seq: row.Seq - 1, Hash: row.PrevHash}).Follow(row); err != nil {
		t.Error(err)
	}
	const want = "f397c99cbf300632a9da13683013e73cd39f38fb12e8d339638a7f10327d5fe0"
	if row.Hash != want {
		t.Errorf("the golden file itself was changed: hash %s, want %s", row.Hash, want)
	}
}

func TestChainVerifiesAfterARoundTrip(t *testing.T) {
	var decoded []Row
	for _, r := range chain(t, 5) {
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		decoded = append(decoded, back)
	}
	head, err := Verify(decoded)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Head{Seq: 5, Hash: decoded[4].Hash}); head != want {
		t.Errorf("head = %+v, want %+v", head, want)
	}
	if decoded[0].PrevHash != Genesis || decoded[0].Timestamp != "2026-11-24T03:00:00.123Z" {
		t.Errorf("first row = %+v", decoded[0])
	}
}

func TestEveryTamperingBreaksTheChain(t *testing.T) {
	for name, tamper := range map[string]func([]Row) []Row{
		"id":        func(r []Row) []Row { r[1].ID = r[0].ID; return r },
		"time":      func(r []Row) []Row { r[1].Timestamp = r[0].Timestamp; return r },
		"event":     func(r []Row) []Row { r[1].EventType = AgentEnrolled; return r },
		"no event":  func(r []Row) []Row { r[1].EventType = "agent.forgiven"; return r },
		"actor":     func(r []Row) []Row { r[1].Actor = "schedule:hygiene"; return r },
		"subject":   func(r []Row) []Row { r[1].Subject = "orga::b"; return r },
		"details":   func(r []Row) []Row { r[1].Details["generation"] = 9; return r },
		"addition":  func(r []Row) []Row { r[1].Details["more"] = ""; return r },
		"hash":      func(r []Row) []Row { r[1].Hash = strings.Repeat("a", 64); return r },
		"prev hash": func(r []Row) []Row { r[1].PrevHash = Genesis; return r },
		"swap":      func(r []Row) []Row { r[1], r[2] = r[2], r[1]; return r },
		"gap":       func(r []Row) []Row { return append(r[:1], r[2:]...) },
		"no start":  func(r []Row) []Row { return r[1:] },
		"twice":     func(r []Row) []Row { return append(r[:2], r[1:]...) },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Verify(tamper(chain(t, 4))); !errors.Is(err, ErrBroken) {
				t.Errorf("err = %v, want ErrBroken", err)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	for name, e := range map[string]Entry{
		"unknown event": {Time: when, Event: "agent.forgiven", Actor: "a", Subject: "s"},
		"no actor":      {Time: when, Event: AgentEnrolled, Subject: "s"},
		"no subject":    {Time: when, Event: AgentEnrolled, Actor: "a"},
		"not JSON": {
			Time:    when,
			Event:   AgentEnrolled,
			Actor:   "a",
			Subject: "s",
			Details: map[string]any{"f": func() {}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := Head{Seq: 3, Hash: "x"}
			_, got, err := h.Append(e)
			if !errors.Is(err, ErrEvent) || !cmp.Equal(got, h) {
				t.Errorf("Append = %+v, %v; want an unmoved head and ErrEvent", got, err)
			}
		})
	}
}

// Whatever is decoded can be followed or refused, never panics; what verifies is encoded to what verifies.
func FuzzRow(f *testing.F) {
	golden, err := os.ReadFile("testdata/row.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"seq":1,"details":{"n":1e400}}`))
	f.Add([]byte(`{"seq":1,"details":{"s":"\ud800"}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		before := Head{Seq: r.Seq - 1, Hash: r.PrevHash}
		if _, err := before.Follow(r); err != nil {
			return
		}
		encoded, err := r.Encode()
		if err != nil {
			t.Fatalf("a row that verifies cannot be encoded: %v", err)
		}
		again, err := Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := before.Follow(again); err != nil {
			t.Errorf("a row that verified does not after a round trip: %v", err)
		}
	})
}

// A reader who filters an export finds the events in the README.
func TestEventsAreInTheReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if !strings.Contains(string(text), "`"+string(e)+"`") {
			t.Errorf("README.md does not tell of %s", e)
		}
	}
}
