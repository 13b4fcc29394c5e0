package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

// watchFleet looks at the rotation until every agent has moved, the overlap is over, or the re-issue halts. On a
// terminal one line changes; elsewhere each change is a line.
func (a *app) watchFleet(ctx context.Context, every time.Duration) error {
	var begun time.Time
	var before int64
	last := ""
	for {
		var ca caStatus
		raw, err := a.read(ctx, api.Request{Path: caPath}, &ca)
		if err != nil {
			return err
		}
		if ca.Progress == nil {
			return &verdict{unreachable, "the agents could not be counted; look again with mastio ca status"}
		}
		if begun.IsZero() {
			begun, before = a.now(), ca.Progress.ReEnrolled
		}
		line := a.progressLine(ca, before, a.now().Sub(begun))
		if err := a.tick(raw, line, last); err != nil {
			return err
		}
		last = line
		switch {
		case ca.Progress.Remaining == 0:
			return a.close("Every agent has moved.", nil)
		case ca.Reissue != nil && ca.Reissue.State == "halted":
			return a.close("", &verdict{refused, "the re-issue halted: " + ca.Reissue.Why})
		case ca.OverlapUntil == nil || !ca.OverlapUntil.After(a.now()):
			return a.close("", &verdict{refused, fmt.Sprintf("there is no overlap, and %d agents have not moved",
				ca.Progress.Remaining)})
		}
		if a.client.Wait(ctx, every) != nil {
			return a.close("", nil)
		}
	}
}

// progressLine is the state of a move in one line.
func (a *app) progressLine(ca caStatus, before int64, since time.Duration) string {
	p := ca.Progress
	line := fmt.Sprintf("%s  %d of %d moved, %d silent", screen.Bar(p.ReEnrolled, p.Agents), p.ReEnrolled, p.Agents,
		p.Silent)
	if left, ok := screen.Remaining(p.ReEnrolled, before, p.Agents, since); ok && left > 0 {
		line += ", about " + screen.Span(left) + " to go"
	}
	if r := ca.Reissue; r != nil {
		line += fmt.Sprintf(", wave %d of %d %s", r.Wave, len(r.Waves), r.State)
	}
	if ca.OverlapUntil != nil {
		line += ", overlap ends in " + screen.Span(ca.OverlapUntil.Sub(a.now()))
	}
	return line
}

func (a *app) tick(raw json.RawMessage, line, last string) error {
	s := a.screen()
	var err error
	switch {
	case s.Form != screen.TableForm:
		s.Form = screen.JSONL
		err = s.Write(screen.Result{Whole: raw})
	case a.terminal:
		_, err = fmt.Fprintf(a.out, "\r\x1b[2K%s", line)
	case line != last:
		_, err = fmt.Fprintln(a.out, line)
	}
	return err
}

func (a *app) close(text string, end error) error {
	if screen.Form(a.form) != screen.TableForm {
		return end
	}
	if a.terminal {
		fmt.Fprintln(a.out)
	}
	if text != "" {
		fmt.Fprintln(a.out, text)
	}
	return end
}
