package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// uploadType is an upload as one file: certificates and key in PEM.
const uploadType = "application/x-pem-file"

func (a *app) caUpload() *cobra.Command {
	var w swap
	cmd := &cobra.Command{
		Use:   "upload CA.pem KEY.pem",
		Short: "Rotate to an Org CA of your own",
		Long: "upload sends the certificate chain and the private key of your CA, in two files or in one, and makes the\n" +
			"CA current. The Mastio refuses a CA that is not fit, with all its defects. --dry-run only asks for them.\n" +
			"Your copy of the key is yours to keep or to destroy.",
		Example: "  mastio ca upload new-org-ca.pem new-org-ca-key.pem --overlap 7d --dry-run\n" +
			"  mastio ca upload both.pem --overlap 7d --yes",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := uploadOf(args)
			if err != nil {
				return err
			}
			defer clear(body)
			r := rotateCA(w.query("upload"))
			r.Body, r.Type = body, uploadType
			return a.swapCA(cmd.Context(), &w, r)
		},
	}
	w.options(cmd)
	a.changes(cmd, true)
	a.confirms(cmd)
	return cmd
}

// uploadOf puts files behind each other. The same files make the same body, so that a repetition is one.
func uploadOf(files []string) ([]byte, error) {
	var body []byte
	for _, name := range files {
		text, err := os.ReadFile(name) //nolint:gosec // the file that was named
		if err != nil {
			return nil, err
		}
		body = append(append(body, text...), '\n')
	}
	if !strings.Contains(string(body), "PRIVATE KEY-----") {
		return nil, fmt.Errorf("%s: there is no private key in PEM", strings.Join(files, " "))
	}
	return body, nil
}

func (a *app) caStage() *cobra.Command {
	var w swap
	cmd := &cobra.Command{
		Use:   "stage [CA.pem KEY.pem]",
		Short: "Show the next Org CA, without making it current",
		Long: "stage is the pre-flight: it shows fingerprint, subject and validity of the next Org CA, one that the\n" +
			"Mastio makes or the one that you send. Then mastio ca commit FINGERPRINT makes exactly that CA current.",
		Example: "  fp=$(mastio ca stage -o name) && mastio ca commit \"$fp\" --overlap 7d\n" +
			"  mastio ca stage new-org-ca.pem new-org-ca-key.pem",
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := rotateCA(w.query("stage"))
			if len(args) > 0 {
				body, err := uploadOf(args)
				if err != nil {
					return err
				}
				defer clear(body)
				r.Query.Set("source", "upload")
				r.Body, r.Type = body, uploadType
			}
			return a.stepCA(cmd.Context(), r)
		},
	}
	w.statement(cmd)
	a.changes(cmd, true)
	return cmd
}

func (a *app) caCommit() *cobra.Command {
	var w swap
	cmd := &cobra.Command{
		Use:     "commit FINGERPRINT",
		Short:   "Make the staged Org CA current",
		Example: "  mastio ca commit 7a28f189… --overlap 7d --dry-run\n  mastio ca commit \"$fp\" --overlap 7d --watch",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := w.query("commit")
			q.Set("fingerprint", args[0])
			return a.swapCA(cmd.Context(), &w, rotateCA(q))
		},
	}
	w.options(cmd)
	a.changes(cmd, true)
	a.confirms(cmd)
	return cmd
}

func (a *app) caSchedule() *cobra.Command {
	var w swap
	var at, fingerprint string
	var cancel bool
	cmd := &cobra.Command{
		Use:   "schedule --at TIME",
		Short: "Rotate the Org CA at a date",
		Long: "schedule stages the next Org CA now and has the Mastio make it current at a date, at most 90 days ahead.\n" +
			"The same command with another date moves it; --cancel ends the plan.",
		Example: "  mastio ca schedule --at 2026-12-06T02:00:00Z --overlap 7d\n" +
			"  mastio ca schedule --at +2d --overlap 7d\n" +
			"  mastio ca schedule --cancel",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cancel {
				return a.stepCA(cmd.Context(), rotateCA(url.Values{"mode": {"cancel"}}))
			}
			date, err := a.dateOf(at)
			if err != nil {
				return err
			}
			q := w.query("mint")
			if fingerprint != "" {
				q.Set("mode", "commit")
				q.Set("fingerprint", fingerprint)
			}
			q.Set("at", date.UTC().Format(time.RFC3339))
			return a.stepCA(cmd.Context(), rotateCA(q))
		},
	}
	f := cmd.Flags()
	f.StringVar(&at, "at", "", "`time`: 2026-12-06T02:00:00Z, or +2d from now")
	f.StringVar(&fingerprint, "fingerprint", "", "of the staged CA to commit (default: the Mastio makes one)")
	f.BoolVar(&cancel, "cancel", false, "end the scheduled rotation, or the warning that it was dropped")
	cmd.MarkFlagsOneRequired("at", "cancel")
	cmd.MarkFlagsMutuallyExclusive("at", "cancel")
	w.plan(cmd)
	a.changes(cmd, true)
	return cmd
}

// dateOf reads an instant, or a span from now.
func (a *app) dateOf(text string) (time.Time, error) {
	if later, ok := strings.CutPrefix(text, "+"); ok {
		var s span
		if err := s.Set(later); err != nil {
			return time.Time{}, err
		}
		return a.now().Add(time.Duration(s)), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("--at takes 2026-12-06T02:00:00Z or +2d: %w", err)
	}
	return at, nil
}

func (a *app) caRollback() *cobra.Command {
	var w swap
	cmd := &cobra.Command{
		Use:     "rollback",
		Short:   "Make the Org CA before this one current again",
		Example: "  mastio ca rollback --comment \"the partner refuses the new chain\"",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := a.confirm("This makes the previous Org CA current again, with the certificates under it.")
			if err != nil {
				return err
			}
			return a.stepCA(cmd.Context(), rotateCA(w.query("rollback")))
		},
	}
	w.statement(cmd)
	cmd.Flags().BoolVar(&w.skipBackup, "skip-backup", false, "roll back without a backup of the tables")
	a.changes(cmd, true)
	a.confirms(cmd)
	return cmd
}

func (a *app) caFinalise() *cobra.Command {
	var w swap
	var safe bool
	cmd := &cobra.Command{
		Use:     "finalise",
		Aliases: []string{"finalize"},
		Short:   "End the overlap, and the way back",
		Long: "finalise stops the certificates of earlier Org CAs now. It is refused while agents that got a token in\n" +
			"the last day would be cut off; --if-safe=false does it all the same.",
		Example: "  mastio ca finalise --dry-run\n  mastio ca finalise\n  mastio ca finalise --if-safe=false --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.confirm("This ends the overlap for good: agents that have not moved are cut off."); err != nil {
				return err
			}
			q := w.query("finalise")
			if safe && !a.dryRun {
				q.Set("if_safe", "true")
			}
			return a.stepCA(cmd.Context(), rotateCA(q))
		},
	}
	w.statement(cmd)
	cmd.Flags().BoolVar(&safe, "if-safe", true, "refuse if it would cut off agents in use")
	a.changes(cmd, true)
	a.confirms(cmd)
	return cmd
}

func (a *app) caWatch() *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Watch the fleet move to the current Org CA",
		Long: "watch shows how many agents have moved, with an estimate of the rest, until every agent has, the overlap\n" +
			"is over, or the re-issue halts (exit status 1 for the last two).",
		Example: "  mastio ca watch\n  mastio ca watch -o jsonl | jq -c .progress",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.watchFleet(cmd.Context(), max(every, time.Second))
		},
	}
	cmd.Flags().DurationVar(&every, "interval", interval, "between two looks")
	return cmd
}

func (a *app) caReissue() *cobra.Command {
	var comment string
	actions := []string{"pause", "resume", "skip_wave", "rollback"}
	cmd := &cobra.Command{
		Use:       "reissue pause|resume|skip_wave|rollback",
		Short:     "Take a step of the re-issue of agents' certificates",
		Example:   "  mastio ca reissue pause\n  mastio ca reissue resume --comment \"the agents were restarted\"",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: actions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.confirm("This changes how agents' certificates are re-issued: " + args[0] + "."); err != nil {
				return err
			}
			return a.reissue(cmd.Context(), args[0], comment)
		},
	}
	cmd.Flags().StringVar(&comment, "comment", "", "`text` for the audit trail")
	a.changes(cmd, true)
	a.confirms(cmd)
	return cmd
}

func (a *app) reissue(ctx context.Context, action, comment string) error {
	body := map[string]string{"action": action}
	if comment != "" {
		body["comment"] = comment
	}
	return a.sendCA(ctx, caPath+"/reissue", body)
}
