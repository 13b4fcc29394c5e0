package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

// span is a duration of an option: as Go writes it, or days: 7d.
type span time.Duration

// String is the option's value.
func (s *span) String() string {
	if s == nil || *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

// Set reads 7d, 36h, 90m or 600s.
func (s *span) Set(text string) error {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no number of days", days)
		}
		*s = span(n) * span(24*time.Hour)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("say 7d, 36h, 90m or 600s")
	}
	*s = span(d)
	return nil
}

// Type names the option's value in a help text.
func (s *span) Type() string { return "duration" }

func (s span) seconds() string { return strconv.FormatInt(int64(time.Duration(s)/time.Second), 10) }

// swap are the options of a request that makes another Org CA current.
type swap struct {
	overlap, hold   span
	waves, onHalt   string
	reason, comment string
	skipBackup      bool
	watch           bool
}

func (w *swap) options(cmd *cobra.Command) {
	w.plan(cmd)
	cmd.Flags().BoolVarP(&w.watch, "watch", "w", false, "then watch the fleet move")
}

// plan are the options of a swap that may be scheduled: there is nothing to watch yet.
func (w *swap) plan(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&w.overlap, "overlap",
		"how long the present Org CA's certificates still count: 7d, 36h (default: they stop at once)")
	f.StringVar(&w.waves, "waves", "", "re-issue agents' certificates in waves, by `percents` such as 1,10,100")
	f.Var(&w.hold, "hold", "least time between two waves (10m)")
	f.StringVar(&w.onHalt, "on-halt", "", "what a halted re-issue does: hold or rollback")
	f.BoolVar(&w.skipBackup, "skip-backup", false, "rotate without a backup of the tables")
	w.statement(cmd)
}

// statement adds why something is done, which the audit trail keeps.
func (w *swap) statement(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.reason, "reason", "", "`word` of RFC 5280: unspecified, superseded, keyCompromise, …")
	cmd.Flags().StringVar(&w.comment, "comment", "", "`text` for the audit trail")
}

// said are the members of a statement that were given, by name.
func (w *swap) said() map[string]string {
	said := map[string]string{"reason": w.reason, "comment": w.comment}
	maps.DeleteFunc(said, func(_, value string) bool { return value == "" })
	return said
}

// rotateCA is a request of the route rotate-ca.
func rotateCA(q url.Values) api.Request {
	return api.Request{Method: http.MethodPost, Path: caPath, Query: q}
}

func (w *swap) query(mode string) url.Values {
	q := url.Values{"mode": {mode}}
	if w.overlap > 0 {
		q.Set("overlap", w.overlap.seconds())
	}
	if w.hold > 0 {
		q.Set("hold", w.hold.seconds())
	}
	if w.waves != "" {
		q.Set("waves", w.waves)
	}
	if w.onHalt != "" {
		q.Set("on_halt", w.onHalt)
	}
	for name, value := range w.said() {
		q.Set(name, value)
	}
	if w.skipBackup {
		q.Set("backup", "skip")
	}
	return q
}

func (a *app) caRotate() *cobra.Command {
	var w swap
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Rotate to a new Org CA that the Mastio makes",
		Long: "rotate makes the next Org CA current. Without --overlap every agent's certificate stops at once. With it\n" +
			"the fleet moves without an outage. --dry-run asks the Mastio what would happen, and changes nothing.",
		Example: "  mastio ca rotate --overlap 7d --dry-run\n  mastio ca rotate --overlap 7d --watch\n" +
			"  mastio ca rotate --overlap 1d --waves 1,10,100 --hold 10m --yes\n" +
			"  mastio ca rotate --reason keyCompromise --comment \"HSM lost\"",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.swapCA(cmd.Context(), &w, rotateCA(w.query("mint")))
		},
	}
	w.options(cmd)
	a.changes(cmd, true)
	a.confirms(cmd)
	return cmd
}

// swapResult are the members of a rotation's answer that are shown.
type swapResult struct {
	generation
	OverlapUntil *instant `json:"overlap_until"`
	Effect       *struct {
		Agents    *int64           `json:"agents"`
		PerMethod map[string]int64 `json:"per_method"`
		AtOnce    bool             `json:"at_once"`
		StopAt    *instant         `json:"stop_at"`
	} `json:"effect"`
	Schedule *struct {
		At instant `json:"at"`
	} `json:"scheduled"`
	Audit *struct {
		Seq  int64  `json:"seq"`
		Hash string `json:"hash"`
	} `json:"audit"`
	CutsOff json.RawMessage `json:"cuts_off"`
}

// swapCA asks, makes the request, shows what came of it, and watches the fleet if that is wanted.
func (a *app) swapCA(ctx context.Context, w *swap, r api.Request) error {
	question := "This makes another Org CA current."
	if w.overlap == 0 {
		question += " There is no --overlap: EVERY agent's certificate stops at once."
	}
	if err := a.confirm(question); err != nil {
		return err
	}
	if err := a.stepCA(ctx, r); err != nil || !w.watch || a.dryRun {
		return err
	}
	return a.watchFleet(ctx, interval)
}

// stepCA makes a request of the route rotate-ca and shows its answer. A dry run is the Mastio's own where it has one.
func (a *app) stepCA(ctx context.Context, r api.Request) error {
	mode := r.Query.Get("mode")
	if a.dryRun && (mode == "mint" || mode == "upload" || mode == "commit" || mode == "finalise") && !r.Query.Has("at") {
		r.Query.Set("dry_run", "true")
	}
	return a.showCA(ctx, r)
}

// sendCA makes a request with a JSON body below the route rotate-ca and shows its answer.
func (a *app) sendCA(ctx context.Context, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return a.showCA(ctx, api.Request{Method: http.MethodPost, Path: path, Body: text})
}

func (a *app) showCA(ctx context.Context, r api.Request) error {
	answer, err := a.do(ctx, r, r.Query.Get("dry_run") == "")
	if err != nil {
		return err
	}
	var out swapResult
	if err := decode(answer, &out); err != nil {
		return err
	}
	return a.screen().Write(screen.Result{
		Table: screen.Table{Rows: a.swapRows(out)},
		Whole: json.RawMessage(answer.Body),
		Names: []string{out.Fingerprint},
	})
}

func (a *app) swapRows(out swapResult) [][]string {
	rows := out.generation.rows(a)
	if out.OverlapUntil != nil {
		rows = append(rows, []string{"overlap", "the one before is accepted until " + a.moment(out.OverlapUntil)})
	}
	if e := out.Effect; e != nil {
		agents := "an unknown number of"
		if e.Agents != nil {
			agents = strconv.FormatInt(*e.Agents, 10)
		}
		when := "at once"
		if !e.AtOnce {
			when = "at " + a.moment(e.StopAt)
		}
		text := fmt.Sprintf("%s agents' certificates stop %s, unless they have moved", agents, when)
		rows = append(rows, []string{"effect", text})
		for _, method := range []string{"minted", "byoca", "spiffe"} {
			rows = append(rows, []string{"", fmt.Sprintf("%s: %d", method, e.PerMethod[method])})
		}
		rows = append(rows, []string{"", "dry run: nothing was changed"})
	}
	if out.Schedule != nil {
		rows = append(rows, []string{"scheduled", a.moment(&out.Schedule.At)})
	}
	if len(out.CutsOff) > 0 {
		rows = append(rows, []string{"cuts off", string(out.CutsOff)})
	}
	if out.Audit != nil {
		rows = append(rows, []string{"audit row", fmt.Sprintf("%d, hash %s", out.Audit.Seq, out.Audit.Hash)})
	}
	return rows
}
