package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// events writes everything that cdklocal prints to a log, and a short form to out. Each of about two hundred
// resources is an event; out gets the failures and every fiftieth event.
type events struct {
	log, out io.Writer
	line     []byte // the last one, as far as it has come
	seen     int
}

// event is a line of `cdk deploy --progress events`: stack | number | time | status | type | name.
var event = regexp.MustCompile(`^(\S+)\s*\|\s*([0-9/]+)\s*\|[^|]*\|\s*([A-Z_]+)\s*\|\s*(\S+)\s*\|`)

const everyNth = 50

// Write implements io.Writer.
func (e *events) Write(p []byte) (int, error) {
	e.line = append(e.line, p...)
	for {
		line, rest, whole := bytes.Cut(e.line, []byte("\n"))
		if !whole {
			break
		}
		e.show(strings.TrimRight(string(line), " \r"))
		e.line = rest
	}
	return e.log.Write(p)
}

func (e *events) show(line string) {
	m := event.FindStringSubmatch(line)
	if m == nil {
		// Outputs that one stack makes for another say nothing to a person.
		if strings.TrimSpace(line) != "" && !strings.Contains(line, ".ExportsOutput") {
			fmt.Fprintln(e.out, "        "+line)
		}
		return
	}
	if strings.Contains(m[3], "FAILED") {
		fmt.Fprintln(e.out, "        "+line)
	}
	if strings.HasSuffix(m[3], "_COMPLETE") {
		if e.seen++; e.seen%everyNth == 0 {
			fmt.Fprintf(e.out, "        %d resources so far\n", e.seen)
		}
	}
}
