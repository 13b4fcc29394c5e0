package main

import (
	"maps"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	got, err := parseStat([]byte("7 (a (b) c) S 3 7 7 0 -1 4194560 100 0 0 0 12 34 5 6 20 0 1 0 100 1000 10 0"))
	want := stat{parent: 3, own: 460 * time.Millisecond, ended: 110 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"", "7 (a) S 3", "7 (a) S x 7 7 0 -1 4194560 100 0 0 0 12 34 5 6 20",
		"7 (a) S 3 7 7 0 -1 4194560 100 0 0 0 12 x 5 6 20"} {
		if _, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// What a child uses is in the sum while it runs, and stays there when it has ended.
func TestCPUTree(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	if os.Getenv("BENCH_BURN") != "" {
		for began := ownCPU(); ownCPU()-began < 60*time.Millisecond; {
		}
		return
	}
	before, err := cpuTree(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCPUTree$")
	child.Env = append(os.Environ(), "BENCH_BURN=1")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	after, err := cpuTree(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if d := since(before, after)[endedKind]; d < 50*time.Millisecond {
		t.Errorf("the child used %v, want 60ms at least", d)
	}
	if _, err := cpuTree(-1); err == nil {
		t.Error("a process that is not there has a tree")
	}
}

func TestSince(t *testing.T) {
	ms := time.Millisecond
	before := map[string]time.Duration{"token": 100 * ms, "enroll": 40 * ms, rootKind: 10 * ms}
	// Of two token processes one, with 70 ms before and 75 ms at its end, has ended, and the one of enroll with 41 ms.
	after := map[string]time.Duration{"token": 50 * ms, rootKind: 15 * ms, endedKind: 116 * ms}
	want := map[string]time.Duration{"token": 0, "enroll": 0, rootKind: 5 * ms, endedKind: 26 * ms}
	if got := since(before, after); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMedianOfRatios(t *testing.T) {
	if got := median(quotients([]float64{2, 9, 8, 1}, []float64{1, 3, 2, 0})); got != 3 {
		t.Errorf("median of 2, 3 and 4 = %v", got)
	}
	if got := median([]float64{4, 1}); got != 2.5 {
		t.Errorf("median of 1 and 4 = %v", got)
	}
}
