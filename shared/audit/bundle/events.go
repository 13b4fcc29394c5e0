package bundle

import (
	"errors"
	"io"
	"slices"

	"github.com/mastio-aws/mastio/shared/audit"
)

// events checks rows without checkpoints, in any order of their times: a row that comes early waits for the rows
// before it.
type events struct {
	ends  map[string]head
	early map[string]map[int64]earlyRow
}

type earlyRow struct {
	row  audit.Row
	line int64
}

// Events checks exported rows, one a line. It cannot see that the end of a chain was cut off, or a whole chain taken
// out: only checkpoints show that. It returns a *Break at the first defect.
func (v *Verifier) Events(file string, lines *Lines) error {
	v.file, v.line, v.row = file, 0, audit.Row{}
	if v.events == nil {
		v.events = &events{ends: map[string]head{}, early: map[string]map[int64]earlyRow{}}
	}
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return v.because(err)
		}
		r, err := v.parse(line, lines.Number())
		if err == nil {
			err = v.event(r)
		}
		if err != nil {
			return v.because(err)
		}
	}
}

func (v *Verifier) event(r audit.Row) error {
	if v.Partial {
		v.events.ends[r.Subject] = head{}
		if err := r.Check(); err != nil {
			return err
		}
		v.holds(r, 0)
		return nil
	}
	known := v.events.ends[r.Subject]
	if r.Seq <= known.seq {
		return v.broken("the row is here twice")
	}
	early := v.events.early[r.Subject]
	if early == nil {
		early = map[int64]earlyRow{}
	}
	if _, twice := early[r.Seq]; twice {
		return v.broken("the row is here twice")
	}
	early[r.Seq] = earlyRow{r, v.line}
	return v.drain(r.Subject, known, early)
}

// drain uses every row whose turn it is.
func (v *Verifier) drain(subject string, end head, early map[int64]earlyRow) error {
	for {
		next, ok := early[end.seq+1]
		if !ok {
			break
		}
		delete(early, end.seq+1)
		v.row, v.line = next.row, next.line
		h, err := end.of().Follow(next.row)
		if err != nil {
			return err
		}
		if end, err = headOf(h); err != nil {
			return err
		}
		v.holds(next.row, 0)
	}
	v.events.ends[subject] = end
	if delete(v.events.early, subject); len(early) > 0 {
		v.events.early[subject] = early
	}
	return nil
}

// gap returns a Break at the first row that rows wait for.
func (v *Verifier) gap() error {
	var first *earlyRow
	for _, rows := range v.events.early {
		for _, w := range rows {
			if first == nil || w.line < first.line {
				first = &w
			}
		}
	}
	if first == nil {
		return nil
	}
	subject := first.row.Subject
	rows := v.events.early[subject]
	seqs := make([]int64, 0, len(rows))
	for seq := range rows {
		seqs = append(seqs, seq)
	}
	end := v.events.ends[subject]
	v.line, v.row = first.line, first.row
	return v.missing(subject, end.seq+1, "the row is missing: row %d stands on line %d. If the export was filtered, or "+
		"does not begin at the beginning, only its rows can be checked (--partial)",
		slices.Min(seqs), first.line)
}
