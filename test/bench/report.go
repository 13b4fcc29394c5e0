package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// unit is what a figure counts.
type unit string

// The units. A rate is better the higher it is, everything else the lower.
const (
	micros   unit = "µs"
	millis   unit = "ms"
	perSec   unit = "/s"
	allocs   unit = "allocs"
	mib      unit = "MiB"
	calls    unit = "calls"
	times    unit = "×" // one figure over another
	conflict unit = "conflicts"
	share    unit = "%"
)

// figure is one measured number, with the numbers to compare it with.
type figure struct {
	Section   string   `json:"section"`
	Name      string   `json:"name"`
	Value     float64  `json:"value"`
	Unit      unit     `json:"unit"`
	Floor     float64  `json:"floor,omitempty"` // in the same unit, measured in the same run
	FloorName string   `json:"floor_name,omitempty"`
	Budget    *float64 `json:"budget,omitempty"` // at least for a rate or a share, else at most
	Note      string   `json:"note,omitempty"`
}

// over sets the floor that the figure stands on.
func (f figure) over(floor float64, name string) figure {
	f.Floor, f.FloorName = floor, name
	return f
}

// within sets the budget.
func (f figure) within(budget float64) figure {
	f.Budget = &budget
	return f
}

func (f figure) remark(format string, args ...any) figure {
	f.Note = fmt.Sprintf(format, args...)
	return f
}

// atLeast reports whether the budget is a lower bound.
func (f figure) atLeast() bool { return f.Unit == perSec || f.Unit == share }

// ratio compares with the floor: the share of it that a rate reaches, and how many times it a cost is.
func (f figure) ratio() string {
	switch {
	case f.Floor == 0:
		return ""
	case f.Unit == perSec:
		return fmt.Sprintf("%.0f %%", 100*f.Value/f.Floor)
	default:
		return fmt.Sprintf("%.2f×", f.Value/f.Floor)
	}
}

func (f figure) floor() string {
	if f.Floor == 0 {
		return f.Note
	}
	return strings.TrimSuffix(fmt.Sprintf("%s %s; %s", amount(f.Floor, f.Unit), f.FloorName, f.Note), "; ")
}

func (f figure) budget() string {
	if f.Budget == nil {
		return ""
	}
	sign, held := "≤", f.Value <= *f.Budget
	if f.atLeast() {
		sign, held = "≥", f.Value >= *f.Budget
	}
	verdict := "missed"
	if held {
		verdict = "held"
	}
	return fmt.Sprintf("%s %s %s", sign, amount(*f.Budget, f.Unit), verdict)
}

// amount prints three significant digits.
func amount(v float64, u unit) string {
	digits := 0
	switch {
	case v == float64(int64(v)):
	case v < 10:
		digits = 2
	case v < 100:
		digits = 1
	}
	gap := " "
	if u == perSec || u == times {
		gap = ""
	}
	return fmt.Sprintf("%.*f%s%s", digits, v, gap, u)
}

// report is everything that a run found.
type report struct {
	Machine machine  `json:"machine"`
	Figures []figure `json:"figures"`
}

func (r *report) add(section string, figures ...figure) {
	for _, f := range figures {
		f.Section = section
		r.Figures = append(r.Figures, f)
	}
}

// print writes the table.
func (r *report) print(w io.Writer) {
	fmt.Fprintln(w, r.Machine)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	section := ""
	for _, f := range r.Figures {
		if f.Section != section {
			section = f.Section
			fmt.Fprintf(t, "\n%s\t\tratio\tfloor in the same run; remarks\tbudget\n", strings.ToUpper(section))
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", f.Name, amount(f.Value, f.Unit), f.ratio(), f.floor(), f.budget())
	}
	t.Flush() //nolint:errcheck // a reader who went away reads no error either
}

func (r *report) write(path string) error {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(out, '\n'), 0o644) //nolint:gosec // figures are no secret
}
