package auditlog_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/test/inmemory"
)

var errStore = errors.New("no answer")

// A checkpoint is in the registry before it is in the archive: one that is made between the two reads is no sign of a
// loss.
func TestForgotten(t *testing.T) {
	at := func(number, setBack int64) *registry.LastCheckpoint {
		return &registry.LastCheckpoint{
			Sealed:  audit.SignedCheckpoint{Checkpoint: audit.Checkpoint{Number: number}},
			SetBack: setBack,
		}
	}
	var archive inmemory.Archive
	if err := archive.Put(t.Context(), auditlog.SealedName(7), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		stored []*registry.LastCheckpoint // at each read
		err    error
		want   bool
	}{
		"known":             {[]*registry.LastCheckpoint{at(7, 0)}, nil, false},
		"emptied":           {[]*registry.LastCheckpoint{nil, nil}, nil, true},
		"set back":          {[]*registry.LastCheckpoint{at(6, 0), at(6, 0)}, nil, true},
		"made meanwhile":    {[]*registry.LastCheckpoint{at(6, 0), at(7, 0)}, nil, false},
		"noted":             {[]*registry.LastCheckpoint{at(7, 7)}, nil, true},
		"store unavailable": {[]*registry.LastCheckpoint{nil}, errStore, false},
	} {
		reads := 0
		stored := func(context.Context) (*registry.LastCheckpoint, error) {
			reads++
			return c.stored[reads-1], c.err
		}
		got, err := auditlog.Forgotten(t.Context(), stored, &archive)
		if got != c.want || !errors.Is(err, c.err) || reads != len(c.stored) {
			t.Errorf("%s: %t, %v after %d reads; want %t, %v after %d", name, got, err, reads, c.want, c.err, len(c.stored))
		}
	}
}
