package auditlog_test

import (
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
)

var midday = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

type fixture struct {
	store *memstore.Store
	clock atomic.Int64
	ids   atomic.Int64
	log   strings.Builder
	mu    sync.Mutex
}

func openRecorder(cfg memstore.Config) *fixture {
	w := &fixture{store: memstore.New(cfg)}
	w.clock.Store(midday.UnixNano())
	return w
}

func (w *fixture) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

// instance is a recorder as each process has one.
func (w *fixture) instance() *auditlog.Recorder {
	return auditlog.NewRecorder(auditlog.RecorderConfig{
		Store: w.store,
		OrgID: "orga",
		Log:   slog.New(slog.NewTextHandler(w, nil)),
		Now:   func() time.Time { return time.Unix(0, w.clock.Load()).UTC() },
		NewID: func() string { return "id-" + strconv.FormatInt(w.ids.Add(1), 10) },
	})
}

func login(source string) auditlog.Refusal {
	return auditlog.Refusal{
		Event:  audit.AdminLoginRefused,
		By:     audit.By{Actor: "api", RequestID: "r", SourceIP: source},
		Reason: "wrong secret",
	}
}

func (w *fixture) rows(t *testing.T, event audit.Event) []audit.Row {
	t.Helper()
	rows, err := w.store.Rows(t.Context(), auditlog.RefusalSubject("orga", event), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(rows); err != nil {
		t.Error(err)
	}
	return rows
}

func count(rows []audit.Row) (sum float64) {
	for _, r := range rows {
		n, _ := r.Details["count"].(float64)
		sum += n
	}
	return sum
}

func TestSingleRefusalShowsAtOnce(t *testing.T) {
	w := openRecorder(memstore.Config{})
	w.instance().Record(t.Context(), login("192.0.2.7"))
	rows := w.rows(t, audit.AdminLoginRefused)
	if len(rows) != 1 || rows[0].Actor != "api" || rows[0].Details["reason"] != "wrong secret" ||
		rows[0].Details["source_ip"] != "192.0.2.7" || count(rows) != 1 {
		t.Errorf("%+v", rows)
	}
}

// A row that was written while a clock was ahead keeps none from being written once the clock is right.
func TestRefusalsAfterAClockThatWasAhead(t *testing.T) {
	for _, ahead := range []time.Duration{2 * auditlog.RefusalWindow, 48 * time.Hour, 14 * 365 * 24 * time.Hour} {
		w := openRecorder(memstore.Config{})
		w.clock.Add(int64(ahead))
		w.instance().Record(t.Context(), login("192.0.2.7"))
		w.clock.Add(-int64(ahead))
		for range 2 {
			w.instance().Record(t.Context(), login("192.0.2.8"))
		}
		rows := w.rows(t, audit.AdminLoginRefused)
		if len(rows) != 2 {
			t.Fatalf("%s ahead: %d rows, want the one of then and one of now", ahead, len(rows))
		}
		if at, err := rows[1].Time(); err != nil || !at.Equal(midday) {
			t.Errorf("%s ahead: the second row is of %s, %v", ahead, at, err)
		}
	}
}

// A flood is a row a minute, of all instances together, and neither reads nor writes for anything in between.
func TestFlood(t *testing.T) {
	w := openRecorder(memstore.Config{})
	instances := []*auditlog.Recorder{w.instance(), w.instance(), w.instance()}
	const minutes, each = 5, 200
	for range minutes {
		var wg sync.WaitGroup
		for _, i := range instances {
			for n := range each {
				wg.Go(func() { i.Record(t.Context(), login("192.0.2."+strconv.Itoa(n))) })
			}
		}
		wg.Wait()
		w.clock.Add(int64(auditlog.RefusalWindow))
	}
	rows := w.rows(t, audit.AdminLoginRefused)
	if len(rows) != minutes {
		t.Errorf("%d rows in %d minutes", len(rows), minutes)
	}
	if got := count(rows); got > minutes*each*float64(len(instances)) || got < minutes {
		t.Errorf("%g refusals are reported of %d", got, minutes*each*len(instances))
	}
	if n := len(rows[minutes-1].Details["sources"].([]any)); n > 8 {
		t.Errorf("%d sources are reported", n)
	}
	calls := w.store.Calls()
	if calls["LastRow"] > minutes*len(instances) || calls["Apply"] > minutes*len(instances) {
		t.Errorf("%v calls in %d minutes of %d instances", calls, minutes, len(instances))
	}
}

// One instance alone reports every refusal in the end.
func TestCountsAddUp(t *testing.T) {
	w := openRecorder(memstore.Config{})
	i := w.instance()
	for range 7 {
		for range 13 {
			i.Record(t.Context(), login("192.0.2.7"))
		}
		w.clock.Add(int64(auditlog.RefusalWindow))
	}
	i.Record(t.Context(), login("192.0.2.7"))
	if got := count(w.rows(t, audit.AdminLoginRefused)); got != 7*13+1 {
		t.Errorf("%g refusals are reported, want %d", got, 7*13+1)
	}
}

func TestEventsHaveTheirOwnWindows(t *testing.T) {
	w := openRecorder(memstore.Config{})
	i := w.instance()
	i.Record(t.Context(), login("192.0.2.7"))
	i.Record(t.Context(), auditlog.Refusal{
		Event:  audit.OrgCAUploadRefused,
		By:     audit.By{Actor: "admin:v1"},
		Reason: "ca_expired",
	})
	if a, b := len(w.rows(t, audit.AdminLoginRefused)), len(w.rows(t, audit.OrgCAUploadRefused)); a != 1 || b != 1 {
		t.Errorf("%d and %d rows, want one of each", a, b)
	}
}

// A failing store delays no caller and loses no count, unless it cannot say whether the row is in.
func TestStoreInTrouble(t *testing.T) {
	for fault, want := range map[memstore.Fault]float64{memstore.Refuse: 2, memstore.HalfAck: 2, memstore.Lose: 1} {
		trouble := true
		w := openRecorder(memstore.Config{Fault: func(op string) memstore.Fault {
			if trouble && op == "Apply" {
				return fault
			}
			return memstore.None
		}})
		i := w.instance()
		i.Record(t.Context(), login("192.0.2.7"))
		trouble = false
		w.clock.Add(int64(auditlog.RefusalWindow))
		i.Record(t.Context(), login("192.0.2.7"))
		if got := count(w.rows(t, audit.AdminLoginRefused)); got != want {
			t.Errorf("fault %d: %g refusals are reported, want %g", fault, got, want)
		}
		if logged := strings.Contains(w.log.String(), "audit.unrecorded"); logged != (fault == memstore.Refuse) {
			t.Errorf("fault %d: log %q", fault, w.log.String())
		}
	}
}
