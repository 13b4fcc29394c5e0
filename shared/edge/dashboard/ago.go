package dashboard

import (
	"fmt"
	"html/template"
	"time"
)

// agoHTML is how far an instant is from now, with the instant behind it.
func agoHTML(t, now time.Time) template.HTML {
	return template.HTML(fmt.Sprintf( //nolint:gosec // of times alone
		`<time datetime=%q title=%q>%s</time>`, stamp(t), moment(t), relative(t, now)))
}
