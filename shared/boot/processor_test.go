package boot

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestFit(t *testing.T) {
	threads, percent, limit := runtime.GOMAXPROCS(0), debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	undo := func() {
		runtime.GOMAXPROCS(threads)
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
	t.Cleanup(undo)
	for _, tt := range []struct {
		memory  string
		threads int
		percent int
		limit   int64
	}{
		{"512", 1, 400, 384 << 20},
		{"1768", 1, 400, 1326 << 20},
		{"1769", 3, 400, 1391198208},
		{"", 3, 100, math.MaxInt64},
		{"0", 3, 100, math.MaxInt64},
		{"-1", 3, 100, math.MaxInt64},
		{"much", 3, 100, math.MaxInt64},
	} {
		t.Setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", tt.memory)
		runtime.GOMAXPROCS(3)
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
		fit()
		if n, p, l := runtime.GOMAXPROCS(0), debug.SetGCPercent(100), debug.SetMemoryLimit(-1); n != tt.threads ||
			p != tt.percent || l != tt.limit {
			t.Errorf("%q MB: %d threads, %d percent, limit %d; want %d, %d, %d", tt.memory, n, p, l, tt.threads, tt.percent,
				tt.limit)
		}
	}
}
