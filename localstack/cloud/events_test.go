package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEvents(t *testing.T) {
	var in strings.Builder
	in.WriteString("mastio: deploying... [1/2]\n\n")
	for i := range 120 {
		fmt.Fprintf(&in, "mastio-orga-data | %3d | 10:23:29 PM | CREATE_IN_PROGRESS   | AWS::KMS::Key | Data/Key (Key%d)\n",
			i, i)
		fmt.Fprintf(&in, "mastio-orga-data | %3d | 10:23:29 PM | CREATE_COMPLETE      | AWS::KMS::Key | Data/Key (Key%d)\n",
			i, i)
	}
	failure := "mastio-orga-data | 121 | 10:23:29 PM | CREATE_FAILED        | AWS::KMS::Key | Data/Key (Key) why"
	in.WriteString(failure + "\nTotal time: 40s\n")
	var out, log bytes.Buffer
	e := &events{out: &out, log: &log}
	for text := in.String(); text != ""; { // in pieces that end anywhere
		n := min(7, len(text))
		if _, err := e.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	want := "        mastio: deploying... [1/2]\n        50 resources so far\n        100 resources so far\n        " +
		failure + "\n        Total time: 40s\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	if log.String() != in.String() {
		t.Error("the log is not what was written")
	}
}
