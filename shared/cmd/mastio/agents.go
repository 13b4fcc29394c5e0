package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

const agentsPath = "/v1/admin/agents"

// agent are the members of an agent that are shown in a list.
type agent struct {
	ID           string   `json:"agent_id"`
	Capabilities []string `json:"capabilities"`
	Owner        string   `json:"owner"`
	Method       string   `json:"method"`
	Status       string   `json:"status"`
	Thumbprint   string   `json:"cert_thumbprint"`
	Generation   int64    `json:"generation"`
	NotAfter     *instant `json:"not_after"`
	LastSeen     *instant `json:"last_seen"`
}

func (a *app) agents() *cobra.Command {
	return group("agents", "List, enrol and rotate agents",
		a.agentsList(), a.agentsShow(), a.agentsEnrol(), a.agentsRotate(), a.agentsEdit(), a.agentsHygiene(),
		a.agentsDeactivate())
}

// agentFilter are the filters of a list, as the API has them.
type agentFilter struct {
	q, method, status, owner, generation, sort string
	due                                        string
	most                                       int
	watch                                      bool
}

func (a *app) agentsList() *cobra.Command {
	var l agentFilter
	cmd := &cobra.Command{
		Use:     "ls [PART-OF-A-NAME]",
		Aliases: []string{"list"},
		Short:   "List agents",
		Example: "  mastio agents ls screener\n  mastio agents ls --due 30d\n" +
			"  mastio agents ls --generation not_current -o name   # those that have not moved\n" +
			"  mastio agents ls -o jsonl | jq -r .owner | sort | uniq -c",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l.q = strings.Join(args, "")
			look := func(ctx context.Context) error { return a.list(ctx, l) }
			return a.repeat(cmd.Context(), l.watch, look)
		},
	}
	f := cmd.Flags()
	f.StringVar(&l.method, "method", "", "minted, byoca or spiffe")
	f.StringVar(&l.status, "status", "", "active or deactivated")
	f.StringVar(&l.owner, "owner", "", "who answers for them")
	f.StringVar(&l.generation, "generation", "",
		"`number` of the Org CA that their certificates are under, or not_current")
	f.StringVar(&l.due, "due", "", "certificates that are due within so many `days`: 30d")
	f.StringVar(&l.sort, "sort", "", "name, due or last_seen")
	f.IntVar(&l.most, "limit", 0, "show at most so many (default: all)")
	a.watches(cmd, &l.watch)
	return cmd
}

func (l agentFilter) query() url.Values {
	q := url.Values{"limit": {"1000"}}
	if l.most > 0 && l.most < 1000 {
		q.Set("limit", strconv.Itoa(l.most))
	}
	for name, value := range map[string]string{"q": l.q, "method": l.method, "status": l.status, "owner": l.owner,
		"generation": l.generation, "due": strings.TrimSuffix(l.due, "d"), "sort": l.sort} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// list reads all pages. An answer in one page is printed as it came.
func (a *app) list(ctx context.Context, l agentFilter) error {
	var all []json.RawMessage
	var total *int64
	for q := l.query(); ; {
		var page struct {
			Agents []json.RawMessage `json:"agents"`
			Next   string            `json:"next_cursor"`
			Total  *int64            `json:"total"`
		}
		if _, err := a.read(ctx, api.Request{Path: agentsPath, Query: q}, &page); err != nil {
			return err
		}
		all = append(all, page.Agents...)
		if page.Total != nil {
			total = page.Total
		}
		if page.Next == "" || l.most > 0 && len(all) >= l.most {
			break
		}
		q.Set("cursor", page.Next)
	}
	if l.most > 0 && len(all) > l.most {
		all = all[:l.most]
	}
	return a.printAgents(all, total)
}

func (a *app) printAgents(all []json.RawMessage, total *int64) error {
	t := screen.Table{
		Head: []string{"AGENT", "METHOD", "STATUS", "GENERATION", "ENDS", "LAST SEEN", "OWNER", "CAPABILITIES"},
		Note: fmt.Sprintf("%d shown", len(all)),
	}
	r := screen.Result{Lines: []any{}}
	if total != nil {
		t.Note += fmt.Sprintf(" of %d", *total)
	}
	for _, raw := range all {
		var g agent
		if err := json.Unmarshal(raw, &g); err != nil {
			return foreign(http.StatusOK, err)
		}
		r.Lines, r.Names = append(r.Lines, raw), append(r.Names, g.ID)
		seen := "-"
		if g.LastSeen != nil {
			seen = screen.Span(a.now().Sub(*g.LastSeen)) + " ago"
		}
		t.Rows = append(t.Rows, []string{g.ID, g.Method, g.Status, strconv.FormatInt(g.Generation, 10),
			day(g.NotAfter), seen, g.Owner, strings.Join(g.Capabilities, " ")})
	}
	r.Table = t
	if all == nil {
		all = []json.RawMessage{}
	}
	r.Whole = struct {
		Agents []json.RawMessage `json:"agents"`
		Total  *int64            `json:"total,omitempty"`
	}{all, total}
	return a.screen().Write(r)
}

func (a *app) agentsShow() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show one agent",
		Example: "  mastio agents show kyc-screener\n" +
			"  mastio agents show orga::kyc-screener -o json | jq .certificate_accepted",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := a.agentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.repeat(cmd.Context(), watch, func(ctx context.Context) error {
				answer, err := a.do(ctx, api.Request{Method: http.MethodGet, Path: agentPath(id)}, false)
				if err != nil {
					return err
				}
				return a.printMembers(answer, id)
			})
		},
	}
	a.watches(cmd, &watch)
	return cmd
}

func agentPath(id string) string { return agentsPath + "/" + url.PathEscape(id) }

// agentID completes a name with the organisation, which the Mastio knows.
func (a *app) agentID(ctx context.Context, name string) (string, error) {
	if strings.Contains(name, "::") {
		return name, nil
	}
	var h health
	if _, err := a.read(ctx, api.Request{Path: "/healthz"}, &h); err != nil {
		return "", err
	}
	return h.OrgID + "::" + name, nil
}

// printMembers shows an object: for people a line for each member, in the order of the answer. What is PEM is left out.
func (a *app) printMembers(answer api.Answer, name string) error {
	rows, err := members(answer.Body)
	if err != nil {
		return foreign(answer.Status, err)
	}
	return a.screen().Write(screen.Result{
		Table: screen.Table{Rows: rows},
		Whole: json.RawMessage(answer.Body),
		Names: []string{name},
	})
}

// members are the rows of an object. Those of an object in it have both names.
func members(object []byte) ([][]string, error) {
	d := json.NewDecoder(strings.NewReader(string(object)))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var rows [][]string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		label := strings.ReplaceAll(fmt.Sprint(name), "_", " ")
		if value[0] == '{' {
			inner, err := members(value)
			if err != nil {
				return nil, err
			}
			for _, row := range inner {
				if !strings.HasPrefix(row[0], label+": ") { // of an object that has the name of the one around it
					row[0] = label + ": " + row[0]
				}
				rows = append(rows, row)
			}
			continue
		}
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		if label != "pem" && !strings.HasSuffix(label, " pem") {
			rows = append(rows, []string{label, text})
		}
	}
	return rows, nil
}
