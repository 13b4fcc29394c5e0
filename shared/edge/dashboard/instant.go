package dashboard

import (
	"fmt"
	"html/template"
	"time"
)

// Instants on a page. The text is in UTC, which is what a browser without scripts shows. Where scripts run, app.js
// writes the text in the browser's zone, in the form that data-as names, and keeps UTC behind it.

// instantAs is an instant as an element; behind is what a pointer that rests on the text shows.
func instantAs(form, text, behind string, t time.Time) template.HTML {
	if behind != "" {
		behind = fmt.Sprintf(" title=%q", behind)
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // of times alone
		`<time datetime=%q data-as=%q%s>%s</time>`, stamp(t), form, behind, text))
}

func momentHTML(t time.Time) template.HTML { return instantAs("moment", moment(t), "", t) }

func dayHTML(t time.Time) template.HTML { return instantAs("day", day(t), moment(t), t) }

func hourHTML(t time.Time) template.HTML { return instantAs("hour", hour(t), "", t) }

// agoHTML is how far an instant is from now, with the instant behind it.
func agoHTML(t, now time.Time) template.HTML { return instantAs("ago", relative(t, now), moment(t), t) }

// seenAgoHTML is how long ago an hour was in which something happened, with the hour behind it.
func seenAgoHTML(t, now time.Time) template.HTML {
	text := relative(t, now)
	if now.Sub(t) < 2*time.Hour {
		text = "in the last 2 hours"
	}
	return instantAs("ago", text, hour(t), t)
}

// rowTime reads a time out of the audit trail; false if it is none.
func rowTime(timestamp string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, timestamp)
	return t, err == nil
}

func momentOfHTML(timestamp string) template.HTML {
	if t, ok := rowTime(timestamp); ok {
		return momentHTML(t)
	}
	return template.HTML(template.HTMLEscapeString(timestamp)) //nolint:gosec // escaped
}
