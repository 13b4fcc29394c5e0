package verify

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Print writes the report for a person.
func Print(w io.Writer, r Report) error {
	var b strings.Builder
	line := func(label, format string, values ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", label, fmt.Sprintf(format, values...))
	}
	if r.OrgID != "" {
		line("organisation", "%s", r.OrgID)
	}
	line("rows", "%d of %d chains", r.Rows, r.Chains)
	if r.From != "" {
		line("period", "%s to %s", r.From, r.To)
	}
	for i, actor := range slices.Sorted(maps.Keys(r.Actors)) {
		label := ""
		if i == 0 {
			label = "by"
		}
		line(label, "%s: %d rows", actor, r.Actors[actor])
	}
	checkpoints(line, r)
	if r.Break != nil {
		line("BROKEN", "%s", r.Break.Reason)
		line("file", "%s", r.Break.File)
		if r.Break.Subject != "" {
			line("at row", "%d of %s %s", r.Break.Seq, r.Break.Subject, r.Break.ID)
		}
		if r.Break.Line > 0 {
			line("line", "%d of the events", r.Break.Line)
		}
		line("", "%s", around(r))
	} else if r.Pinned {
		line("OK", "%s", meaning(r))
	} else {
		line("CONSISTENT", "%s", meaning(r))
		line("", "No key was named, so the author is not known (exit status 5): name the key with --key, or use --unpinned.")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// around says how far a break's report reaches.
func around(r Report) string {
	if r.OrgID == "" && r.Rows == 0 {
		return "No row was checked."
	}
	return "The rows before it were checked and hold; the rows after it were not checked."
}

func checkpoints(line func(label, format string, values ...any), r Report) {
	if r.Checkpoints == 0 {
		return
	}
	line("checkpoints", "%d to %d; the last of %s, hash %s", r.First, r.Last, r.SealedAt, r.LastHash)
	line("sealed", "%d rows; %d rows after the last checkpoint are not sealed yet", r.Sealed, r.Unsealed)
	for _, k := range r.Keys {
		if k.Pinned {
			line("signing key", "%s (the one that you named)", k.Fingerprint)
		} else {
			line("signing key", "%s", k.Fingerprint)
			line("", "It comes from the bundle itself: compare it with one from another source, and name it with --key.")
		}
	}
	t := r.Timestamps
	line("timestamps", "%d verified, %d without", t.Verified, t.Absent)
	for _, a := range t.Authorities {
		line("", "by %s", a)
	}
	if !t.Latest.IsZero() {
		line("", "the latest of %s", t.Latest.UTC().Format(time.RFC3339))
	}
}

// meaning says what a good end proves, and what it does not.
func meaning(r Report) string {
	switch {
	case r.Partial && r.Checkpoints == 0:
		return "every row has the hash it states. Rows may be missing: nothing else was asked for."
	case r.Checkpoints == 0:
		return "no row was changed, taken out or put in. Without checkpoints a chain that was cut at its end, or left out " +
			"whole, does not show: verify a bundle."
	case r.First > 1:
		return fmt.Sprintf("from checkpoint %d on, no row was changed, taken out or put in, and no chain was cut or left "+
			"out, up to the last checkpoint.", r.First)
	}
	return "no row was changed, taken out or put in, and no chain was cut or left out, up to the last checkpoint."
}
