package auditlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/test/inmemory"
)

const org = "orga"

// request is the schedule's.
var request = audit.By{Actor: auditlog.Actor, RequestID: "r"}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is a store and an archive with everything that writes and reads the audit trail.
type world struct {
	store   *memstore.Store
	archive *inmemory.Archive
	key     auditlog.Key
	job     *auditlog.Sealer
	trail   *auditlog.Trail
	clock   atomic.Int64 // Unix nanoseconds
	ids     atomic.Int64
}

func open(cfg memstore.Config) *world {
	w := &world{store: memstore.New(cfg), archive: &inmemory.Archive{}, key: inmemory.NewSealKey()}
	w.clock.Store(noon.UnixNano())
	w.job = w.newJob()
	w.trail = auditlog.NewTrail(auditlog.TrailConfig{
		Store:   w.store,
		Archive: w.archive,
		OrgID:   org,
		Now:     w.now,
		Key:     func(context.Context) (audit.Key, error) { return w.key.Key, nil },
	})
	return w
}

func (w *world) newJob() *auditlog.Sealer {
	return auditlog.NewSealer(auditlog.SealerConfig{
		Store:   w.store,
		Archive: w.archive,
		OrgID:   org,
		Now:     w.now,
		Log:     slog.New(slog.DiscardHandler),
		Key:     func(context.Context) (auditlog.Key, error) { return w.key, nil },
		NewID:   func() string { return "id-" + strconv.FormatInt(w.ids.Add(1), 10) },
	})
}

func (w *world) now() time.Time          { return time.Unix(0, w.clock.Load()).UTC() }
func (w *world) advance(d time.Duration) { w.clock.Add(int64(d)) }

// append adds a row to a chain, as a rotation would.
func (w *world) append(ctx context.Context, subject string) error {
	w.advance(10 * time.Millisecond)
	var head audit.Head
	last, err := w.store.LastRow(ctx, subject)
	if err != nil {
		return err
	}
	if last != nil {
		head = audit.Head{Seq: last.Seq, Hash: last.Hash}
	}
	change := registry.Change{ID: "row-" + strconv.FormatInt(w.ids.Add(1), 10)}
	event := audit.AgentCertRotated
	if subject == org { // whose chain's head is a record
		o, err := w.store.Org(ctx)
		if err != nil {
			return err
		}
		head, event = o.Head, audit.OrgCARotated
	}
	row, next, err := head.Append(audit.Entry{
		Time:    w.now(),
		Event:   event,
		Actor:   "admin:v1",
		Subject: subject,
		Details: map[string]any{"n": head.Seq},
	})
	if err != nil {
		return err
	}
	change.Rows = []audit.Row{row}
	if subject == org {
		change.Head = &next
	}
	return registry.Settle(ctx, w.store.Apply, change)
}

func (w *world) must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) grow(t testing.TB, subjects ...string) {
	t.Helper()
	for _, s := range subjects {
		w.must(t, w.append(t.Context(), s))
	}
}

func (w *world) seal(t testing.TB) auditlog.Report {
	t.Helper()
	r, err := w.job.Run(t.Context(), request)
	w.must(t, err)
	return r
}

// rows is how many rows all chains have.
func (w *world) rows(t testing.TB, subjects ...string) (n int64) {
	t.Helper()
	for _, s := range subjects {
		last, err := w.store.LastRow(t.Context(), s)
		w.must(t, err)
		if last != nil {
			n += last.Seq
		}
	}
	return n
}

func (w *world) whole(t testing.TB) auditlog.BundlePart {
	t.Helper()
	p, err := w.trail.Bundle(t.Context(), auditlog.Parts{})
	w.must(t, err)
	if p.Next != 0 {
		t.Fatalf("all of it goes on with checkpoint %d", p.Next)
	}
	return p
}

func verified(cfg bundle.VerifierConfig, files ...[]byte) bundle.Report {
	v := bundle.NewVerifier(cfg)
	for i, data := range files {
		r, err := bundle.Open(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			return v.Finish(&bundle.Break{Reason: err.Error()})
		}
		var b *bundle.Break
		if err := v.Bundle(fmt.Sprint("part ", i+1), r); errors.As(err, &b) {
			return v.Finish(b)
		}
	}
	return v.Finish(nil)
}
