package boot

import (
	"io"
	"log/slog"
)

// NewLog returns the log of a function: a JSON object a line. Lambda takes such a line as it is if it has the members
// level and timestamp ("Log-level filtering", Lambda developer guide); to one without a timestamp it adds its own.
func NewLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.String("timestamp", a.Value.Time().UTC().Format(stampLayout))
		}
		return a
	}}))
}

// stampLayout is RFC 3339 to the millisecond.
const stampLayout = "2006-01-02T15:04:05.000Z07:00"
