package verify

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/mastio-aws/mastio/shared/audit/bundle"
	"github.com/mastio-aws/mastio/test/audittest"
)

// With -rows=1000000 -keep=FILE the test leaves a bundle to measure the command with.
var (
	rows   = flag.Int("rows", 40_000, "rows of the large bundle")
	agents = flag.Int("agents", 1_000, "chains of the large bundle")
	keep   = flag.String("keep", "", "file to write the large bundle to")
)

// Rows do not stay in memory: while chains stay the same, the heap does.
func TestMemoryFollowsTheChains(t *testing.T) {
	const perCheckpoint = 4096
	h := audittest.New()
	for n := range *rows {
		h.Rotate(fmt.Sprintf("%s::agent-%06d", audittest.OrgID, n%*agents))
		if n%perCheckpoint == perCheckpoint-1 {
			h.Seal()
		}
	}
	h.Seal()
	path := *keep
	if path == "" {
		path = filepath.Join(t.TempDir(), "large.tar.gz")
	}
	if err := os.WriteFile(path, h.Bundle(0, len(h.Parts)), 0o600); err != nil {
		t.Fatal(err)
	}
	parts := len(h.Parts)
	h = nil //nolint:ineffassign,wastedassign // so that the heap is the verifier's
	var heaps []uint64
	v := bundle.NewVerifier(bundle.VerifierConfig{Progress: func(int64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		heaps = append(heaps, m.HeapAlloc)
	}})
	if err := one(v, path); err != nil {
		t.Fatal(err)
	}
	report := v.Finish(nil)
	if !report.OK || report.Rows != int64(*rows+parts) || len(heaps) < 2 {
		t.Fatalf("%+v, %d looks at the heap", report, len(heaps))
	}
	if first, last := heaps[0], heaps[len(heaps)-1]; last > first+1<<20 {
		t.Errorf("the heap grew from %d to %d octets over %d rows of %d chains", first, last, report.Rows, report.Chains)
	}
}
