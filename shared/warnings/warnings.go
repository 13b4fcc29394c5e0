// Package warnings is the table of the conditions that an operator should fix while everything still works. /healthz
// and the metrics name a warning, the dashboard explains it, and an alarm of the deployment watches it.
//
// A new warning is one row here and one probe in package health.
package warnings

import "slices"

// Warning is the code of a condition, as /healthz and the metrics write it. A published code is never changed.
type Warning string

// Row is what is known of a warning. The zero value of Public withholds the warning.
type Row struct {
	Warning Warning
	Title   string // heading in the dashboard
	Text    string // what it means and what to do, in the dashboard
	Page    string // page of the dashboard that helps, with its query
	Action  string // what the link to that page says
	Bad     bool   // something is broken already, or will break for good
	// Public reports whether an anonymous caller of /healthz sees the warning. A withheld warning would help an attacker
	// who waits for a revoked certificate to count again, or who guesses.
	Public bool
	Gauge  Gauge
	Alarm  Alarm
}

// Alarm is the alarm of a deployment that watches a warning.
type Alarm struct {
	ID   string // part of the alarm's name
	Todo string // what the person on call does
}

// Gauge says which function writes a warning's metric: 1 while the warning holds.
type Gauge int

// The functions that write metrics.
const (
	ByStandby    Gauge = iota // the function standby, in each of its runs
	ByCheckpoint              // the function checkpoint, which may read the admin secret
)

var table []Row

// declare adds a row to the table.
func declare(w Warning, r Row) Warning {
	r.Warning = w
	table = append(table, r)
	return w
}

// All returns the table, in the order of its declarations.
func All() []Row { return slices.Clone(table) }

// Public reports whether an anonymous caller of /healthz sees the warning. An unknown warning is withheld.
func (w Warning) Public() bool {
	r, ok := w.Row()
	return ok && r.Public
}

// Row returns the warning's row, and false for a code that no row declares.
func (w Warning) Row() (Row, bool) {
	i := slices.IndexFunc(table, func(r Row) bool { return r.Warning == w })
	if i < 0 {
		return Row{}, false
	}
	return table[i], true
}
