package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// instant is a time in an answer.
type instant = time.Time

func (a *app) status() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is current, who has moved, and what needs attention",
		Example: "  mastio status\n  mastio status --watch\n" +
			"  mastio status -o json | jq .health.warnings",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.repeat(cmd.Context(), watch, a.printStatus)
		},
	}
	a.watches(cmd, &watch)
	return cmd
}

// watches adds the option of a command that can go on looking.
func (a *app) watches(cmd *cobra.Command, watch *bool) {
	cmd.Flags().BoolVarP(watch, "watch", "w", false, "look again every five seconds, until Ctrl-C")
}

// interval is between two looks.
const interval = 5 * time.Second

// repeat carries look out once, or again and again until the context ends.
func (a *app) repeat(ctx context.Context, watch bool, look func(context.Context) error) error {
	for {
		if watch && a.terminal {
			fmt.Fprint(a.out, "\x1b[H\x1b[2J")
		}
		if err := look(ctx); err != nil || !watch {
			return err
		}
		if a.client.Wait(ctx, interval) != nil {
			return nil //nolint:nilerr // the watch was ended
		}
	}
}

func (a *app) printStatus(ctx context.Context) error {
	var h health
	var ca caStatus
	rawHealth, err := a.read(ctx, api.Request{Path: "/healthz"}, &h)
	if err != nil {
		return err
	}
	rawCA, err := a.read(ctx, api.Request{Path: caPath}, &ca)
	if err != nil {
		return err
	}
	s := a.screen()
	rows := [][]string{
		{"organisation", h.OrgID},
		{"version", h.Version},
		{"your role", cmp.Or(h.Role, "unknown")},
	}
	rows = append(rows, ca.rows(a)...)
	for i, w := range h.Warnings {
		label := ""
		if i == 0 {
			label = "warnings"
		}
		title := ""
		if row, ok := warnings.Warning(w).Row(); ok {
			title = ": " + row.Title
		}
		rows = append(rows, []string{label, w + title})
	}
	if len(h.Warnings) == 0 {
		rows = append(rows, []string{"warnings", "none"})
	}
	return s.Write(screen.Result{
		Table: screen.Table{Rows: rows},
		Whole: map[string]json.RawMessage{"health": rawHealth, "org_ca": rawCA},
		Names: []string{h.OrgID},
	})
}
