package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/identity"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

const auditPath = "/v1/admin/audit/"

func (a *app) audit() *cobra.Command {
	return group("audit", "Export, bundle and verify the audit trail",
		a.auditExport(), a.auditBundle(), a.auditVerify(), a.auditHead())
}

func (a *app) auditExport() *cobra.Command {
	var out string
	values := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Export rows of the audit trail",
		Long: "export writes rows as NDJSON, which mastio audit verify reads, or as CSV, which is for reading. It follows\n" +
			"the pages of the API. What proves most is a bundle: mastio audit bundle.",
		Example: "  mastio audit export --start 2026-11-01 --out november.ndjson\n" +
			"  mastio audit export --event org_ca.rotated | jq -r .actor\n  mastio audit export --format csv --out rows.csv",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"limit": {"5000"}}
			for name, value := range values {
				if *value != "" {
					q.Set(name, *value)
				}
			}
			return a.export(cmd.Context(), q, out)
		},
	}
	f := cmd.Flags()
	for _, o := range []struct{ flag, member, usage string }{
		{"format", "format", "ndjson or csv"},
		{"start", "start", "`time` or day of the first row: 2026-11-01"},
		{"end", "end", "`time` or day behind the last row"},
		{"subject", "subject", "an agent's id, or the organisation"},
		{"event", "event_type", "`type` such as org_ca.rotated"},
		{"actor", "actor", "who did it; admin is every version of the admin secret"},
	} {
		values[o.member] = f.String(o.flag, "", o.usage)
	}
	f.StringVar(&out, "out", "", "`file` for the rows, 0600 (default: standard output)")
	return cmd
}

func (a *app) export(ctx context.Context, q url.Values, file string) error {
	var all bytes.Buffer
	next := auditPath + "export?" + q.Encode()
	for first := true; next != ""; first = false {
		answer, err := a.page(ctx, http.MethodGet, next, "")
		if err != nil {
			return err
		}
		body := answer.Body
		if q.Get("format") == "csv" && !first {
			_, body, _ = bytes.Cut(body, []byte("\n")) // each page has a head
		}
		if file == "" {
			if _, err := a.out.Write(body); err != nil {
				return err
			}
		} else {
			all.Write(body)
		}
		next = linked(answer)
	}
	if file == "" {
		return nil
	}
	return identity.WriteFile(file, all.Bytes())
}

var nextLink = regexp.MustCompile(`^<(/[^>]*)>; rel="(?:next|first)"$`)

// linked is the path that an answer's Link (RFC 8288) names, below the same host; empty: none.
func linked(answer api.Answer) string {
	if m := nextLink.FindStringSubmatch(answer.Header.Get("Link")); m != nil {
		return m[1]
	}
	return ""
}

// page makes a request for a path with its query.
func (a *app) page(ctx context.Context, method, target, accept string) (api.Answer, error) {
	path, query, _ := strings.Cut(target, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return api.Answer{}, err
	}
	return a.do(ctx, api.Request{Method: method, Path: path, Query: q, Accept: accept}, false)
}

func (a *app) auditBundle() *cobra.Command {
	var out string
	var seal bool
	var from, to int64
	cmd := &cobra.Command{
		Use:   "bundle --out FILE",
		Short: "Pack the trail for an auditor",
		Long: "bundle writes the whole history with its checkpoints. If it does not fit into one answer, the parts are\n" +
			"FILE, FILE-2 and so on, and verify takes them in this order. Give the auditor the fingerprint another way.",
		Example: "  mastio audit bundle --seal --out audit.tar.gz\n  mastio audit bundle --from 40 --out later.tar.gz",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			for name, n := range map[string]int64{"from_checkpoint": from, "to_checkpoint": to} {
				if n > 0 {
					q.Set(name, strconv.FormatInt(n, 10))
				}
			}
			if seal {
				r := api.Request{Method: http.MethodPost, Path: auditPath + "checkpoint"}
				if _, err := a.do(cmd.Context(), r, true); err != nil {
					return err
				}
			}
			return a.bundle(cmd.Context(), q, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "`file` for the bundle, 0600: audit.tar.gz")
	f.BoolVar(&seal, "seal", false, "first make a checkpoint of what has happened so far")
	f.Int64Var(&from, "from", 0, "first `checkpoint`")
	f.Int64Var(&to, "to", 0, "last `checkpoint`")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

func (a *app) bundle(ctx context.Context, q url.Values, out string) error {
	next := auditPath + "bundle"
	if len(q) > 0 {
		next += "?" + q.Encode()
	}
	var files []string
	for next != "" {
		answer, err := a.page(ctx, http.MethodPost, next, "application/gzip")
		if link := linked(answer); err != nil && answer.Status == http.StatusRequestEntityTooLarge && link != "" &&
			len(files) == 0 && link != next {
			next = link
			continue
		}
		if err != nil {
			return err
		}
		name := out
		if len(files) > 0 {
			stem, ok := strings.CutSuffix(out, ".tar.gz")
			name = fmt.Sprintf("%s-%d", stem, len(files)+1)
			if ok {
				name += ".tar.gz"
			}
		}
		if err := identity.WriteFile(name, answer.Body); err != nil {
			return err
		}
		files, next = append(files, name), linked(answer)
	}
	var h head
	if _, err := a.read(ctx, api.Request{Path: auditPath + "head"}, &h); err != nil {
		return err
	}
	var rows [][]string
	for _, name := range files {
		rows = append(rows, []string{"file", filepath.Clean(name)})
	}
	rows = append(rows, []string{"signing key", h.Key.Fingerprint}, []string{"verify",
		"mastio audit verify --key " + h.Key.Fingerprint + " " + strings.Join(files, " ")})
	return a.screen().Write(screen.Result{
		Table: screen.Table{Rows: rows},
		Whole: map[string]any{"files": files, "signing_key": h.Key.Fingerprint},
		Names: files,
	})
}

// head are the members of a chain's head that are used.
type head struct {
	Key struct {
		Fingerprint string `json:"fingerprint"`
	} `json:"signing_key"`
}

func (a *app) auditHead() *cobra.Command {
	return &cobra.Command{
		Use:     "head [AGENT]",
		Short:   "Show the end of a chain, the last checkpoint and the signing key",
		Example: "  mastio audit head\n  mastio audit head kyc-screener -o json | jq .hash",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{}
			if len(args) > 0 {
				id, err := a.agentID(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				q.Set("subject", id)
			}
			r := api.Request{Method: http.MethodGet, Path: auditPath + "head", Query: q}
			answer, err := a.do(cmd.Context(), r, false)
			if err != nil {
				return err
			}
			var h struct {
				Hash string `json:"hash"`
			}
			if err := decode(answer, &h); err != nil {
				return err
			}
			return a.printMembers(answer, h.Hash)
		},
	}
}
