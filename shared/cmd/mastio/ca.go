package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

const caPath = "/pki/rotate-ca"

// caStatus are the members of GET /pki/rotate-ca that are shown.
type caStatus struct {
	generation
	Previous *struct {
		Generation int64 `json:"generation"`
	} `json:"previous"`
	OverlapUntil *instant `json:"overlap_until"`
	Truststore   *struct {
		Status string `json:"status"`
	} `json:"truststore"`
	Rotation struct {
		InProgress bool   `json:"in_progress"`
		Operation  string `json:"operation"`
		Phase      string `json:"phase"`
	} `json:"rotation"`
	Staged   *generation  `json:"staged"`
	History  []generation `json:"history"`
	Progress *progress    `json:"progress"`
	Schedule *struct {
		At     instant `json:"at"`
		By     string  `json:"by"`
		Status string  `json:"status"`
		Why    string  `json:"why"`
	} `json:"scheduled"`
	Reissue *struct {
		State  string   `json:"state"`
		Wave   int      `json:"wave"`
		Waves  []int    `json:"waves"`
		Why    string   `json:"why"`
		Agents []string `json:"agents"`
		Late   bool     `json:"late"`
	} `json:"reissue"`
}

// generation is one Org CA of the history.
type generation struct {
	Generation  int64    `json:"generation"`
	Status      string   `json:"status"`
	Fingerprint string   `json:"fingerprint"`
	Subject     string   `json:"subject"`
	NotAfter    *instant `json:"not_after"`
	Source      string   `json:"source"`
	CurrentAt   *instant `json:"current_at"`
	Until       *instant `json:"accepted_until"` // of a superseded one; nil: it is not accepted
}

// rows are the lines about the generation that is current, or is to be.
func (g generation) rows(a *app) [][]string {
	return [][]string{
		{"Org CA", fmt.Sprintf("generation %d, %s", g.Generation, g.Subject)},
		{"fingerprint", g.Fingerprint},
		{"ends", a.moment(g.NotAfter)},
	}
}

// progress is how far the fleet has moved.
type progress struct {
	Agents     int64 `json:"agents"`
	ReEnrolled int64 `json:"re_enrolled"`
	Used       int64 `json:"used"`
	Remaining  int64 `json:"remaining"`
	Silent     int64 `json:"silent"`
}

func (a *app) ca() *cobra.Command {
	return group("ca", "Look at the Org CA, and rotate it",
		a.caStatusCommand(), a.caWatch(), a.caRotate(), a.caUpload(), a.caStage(), a.caCommit(), a.caSchedule(),
		a.caRollback(), a.caFinalise(), a.caReissue())
}

func (a *app) caStatusCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the Org CA, its history, and how far the fleet has moved",
		Example: "  mastio ca status\n  mastio ca status -o json | jq .progress\n" +
			"  mastio ca status -o name            # the current fingerprint",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.repeat(cmd.Context(), watch, a.printCA)
		},
	}
	a.watches(cmd, &watch)
	return cmd
}

func (a *app) printCA(ctx context.Context) error {
	var ca caStatus
	raw, err := a.read(ctx, api.Request{Path: caPath}, &ca)
	if err != nil {
		return err
	}
	s := a.screen()
	if s.Form != screen.TableForm {
		return s.Write(screen.Result{Whole: raw, Names: []string{ca.Fingerprint}})
	}
	if err := s.Write(screen.Result{Table: screen.Table{Rows: ca.rows(a)}}); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	t := screen.Table{Head: []string{"GENERATION", "STATUS", "ACCEPTED UNTIL", "SOURCE", "ENDS", "SUBJECT", "FINGERPRINT"}}
	for _, g := range ca.History {
		until := "-"
		if g.Until != nil {
			until = g.Until.UTC().Format("2006-01-02 15:04Z")
		}
		t.Rows = append(t.Rows, []string{strconv.FormatInt(g.Generation, 10), g.Status, until, g.Source, day(g.NotAfter),
			g.Subject, g.Fingerprint})
	}
	return s.Write(screen.Result{Table: t})
}

func day(t *instant) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02")
}

// rows are the lines about the Org CA in every overview.
func (ca caStatus) rows(a *app) [][]string {
	rows := ca.generation.rows(a)
	if ca.Progress != nil {
		p := ca.Progress
		rows = append(rows, []string{"agents", fmt.Sprintf("%d active; %d have moved to it, %d remain (%d of them silent)",
			p.Agents, p.ReEnrolled, p.Remaining, p.Silent)})
	}
	if ca.OverlapUntil != nil && ca.Previous != nil {
		rows = append(rows, []string{"overlap", fmt.Sprintf("generation %d is accepted until %s", ca.Previous.Generation,
			a.moment(ca.OverlapUntil))})
	}
	if r := ca.Reissue; r != nil {
		text := fmt.Sprintf("%s, wave %d of %d", r.State, r.Wave, len(r.Waves))
		if r.Late {
			text += "; late: the waves that remain do not fit before the end of the overlap"
		}
		if r.Why != "" {
			text += "; " + r.Why
		}
		rows = append(rows, []string{"re-issue", text})
	}
	if s := ca.Schedule; s != nil {
		text := fmt.Sprintf("%s: %s, by %s %s", s.Status, a.moment(&s.At), s.By, s.Why)
		rows = append(rows, []string{"scheduled", text})
	}
	if ca.Rotation.InProgress {
		rows = append(rows, []string{"in progress", ca.Rotation.Operation + " " + ca.Rotation.Phase})
	}
	if g := ca.Staged; g != nil {
		rows = append(rows, []string{"next", fmt.Sprintf("generation %d is staged (%s), fingerprint %s", g.Generation,
			g.Source, g.Fingerprint)})
	} else {
		rows = append(rows, []string{"next", "none is staged: the next rotation makes it first"})
	}
	return rows
}
