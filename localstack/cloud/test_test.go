package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummarise(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     counts
		out      string
	}{
		{"all kinds", `{"Action":"run","Test":"TestA"}
{"Action":"output","Test":"TestA","Output":"    a_test.go:3: note\n"}
{"Action":"pass","Test":"TestA/case","Elapsed":0.5}
{"Action":"pass","Test":"TestA","Elapsed":1.25}
{"Action":"output","Test":"TestB","Output":"    b_test.go:7: not on LocalStack: why\n"}
{"Action":"skip","Test":"TestB"}
{"Action":"output","Test":"TestC","Output":"    c_test.go:9: broken\n"}
{"Action":"fail","Test":"TestC"}
{"Action":"output","Output":"FAIL\n"}
{"Action":"fail"}
`, counts{passed: 2, failed: 1, skipped: 1}, "        ok    TestA" + strings.Repeat(" ", 55) + "   1.2s\n" +
			"        skip  TestB: not on LocalStack: why\n        FAIL  TestC\n    c_test.go:9: broken\n"},
		{"a panic before any test", `{"Action":"output","Output":"panic: no deployment\n"}
{"Action":"fail"}
`, counts{failed: 1}, "panic: no deployment\n"},
		{"does not compile", `{"ImportPath":"x","Action":"build-output","Output":"x.go:1: undefined: y\n"}
{"ImportPath":"x","Action":"build-fail"}
{"Action":"fail","FailedBuild":"x"}
`, counts{failed: 1}, "x.go:1: undefined: y\n"},
		{"words of the go command", "go: no such package\n", counts{}, "go: no such package\n"},
		{"a package of passing tests", `{"Action":"pass","Test":"TestA","Elapsed":0}
{"Action":"pass","Elapsed":0}
`, counts{passed: 1}, "        ok    TestA" + strings.Repeat(" ", 55) + "   0.0s\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			got := summarise(strings.NewReader(c.in), &out)
			if got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if diff := cmp.Diff(c.out, out.String()); diff != "" {
				t.Errorf("shown (-want +got):\n%s", diff)
			}
		})
	}
}
