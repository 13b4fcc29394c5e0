package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

func (a *app) agentsEdit() *cobra.Command {
	var p profileOptions
	var remove []string
	cmd := &cobra.Command{
		Use:   "edit NAME",
		Short: "Change an agent's display name, owner or capabilities",
		Long:  "edit changes what is named, and leaves the rest. The next token no longer has a removed capability.",
		Example: "  mastio agents edit kyc-screener --owner risk@orga.example\n" +
			"  mastio agents edit kyc-screener --capability kyc:read --capability kyc:write   # all of them\n" +
			"  mastio agents edit kyc-screener --clear owner",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			patch := p.members(cmd)
			for _, name := range remove {
				if !slices.Contains(p.names(), name) {
					return fmt.Errorf("--clear takes %v", p.names())
				}
				patch[name] = nil
			}
			if len(patch) == 0 {
				return errors.New("say what to change")
			}
			body, err := json.Marshal(patch)
			if err != nil {
				return err
			}
			return a.changeAgent(cmd, args[0], api.Request{
				Method: http.MethodPatch,
				Body:   body,
				Type:   "application/merge-patch+json",
			})
		},
	}
	p.options(cmd)
	cmd.Flags().StringSliceVar(&remove, "clear", nil, "`member` to remove: owner, capabilities, …")
	a.changes(cmd, false)
	return cmd
}

// changeAgent makes a request about one agent, and shows the agent as it is then.
func (a *app) changeAgent(cmd *cobra.Command, name string, r api.Request) error {
	id, err := a.agentID(cmd.Context(), name)
	if err != nil {
		return err
	}
	r.Path = agentPath(id) + r.Path
	answer, err := a.do(cmd.Context(), r, false)
	if err != nil {
		return err
	}
	return a.printMembers(answer, id)
}

func (a *app) agentsHygiene() *cobra.Command {
	var deliver string
	cmd := &cobra.Command{
		Use:   "hygiene NAME",
		Short: "Show or say what is done when an agent's certificate is due",
		Long: "hygiene shows what happens when the certificate is due. With --deliver it changes it: notify sends an\n" +
			"event, secretsmanager puts the next certificate into the agent's secret.",
		Example: "  mastio agents hygiene kyc-screener\n  mastio agents hygiene kyc-screener --deliver secretsmanager",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if deliver == "" {
				return a.showHygiene(cmd, args[0])
			}
			body, err := json.Marshal(map[string]string{"deliver": deliver})
			if err != nil {
				return err
			}
			return a.changeAgent(cmd, args[0], api.Request{Method: http.MethodPut, Path: "/hygiene", Body: body})
		},
	}
	cmd.Flags().StringVar(&deliver, "deliver", "", "notify or secretsmanager")
	a.changes(cmd, false)
	return cmd
}

func (a *app) showHygiene(cmd *cobra.Command, name string) error {
	id, err := a.agentID(cmd.Context(), name)
	if err != nil {
		return err
	}
	var full struct {
		Hygiene json.RawMessage `json:"hygiene"`
	}
	if _, err := a.read(cmd.Context(), api.Request{Path: agentPath(id)}, &full); err != nil {
		return err
	}
	return a.printMembers(api.Answer{Status: http.StatusOK, Body: full.Hygiene}, id)
}

func (a *app) agentsDeactivate() *cobra.Command {
	var w swap
	cmd := &cobra.Command{
		Use:     "deactivate NAME",
		Short:   "End an agent: its certificate stops at once",
		Example: "  mastio agents deactivate kyc-screener --reason cessationOfOperation --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := a.agentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := a.confirm("This ends " + id + ": its certificate stops at once."); err != nil {
				return err
			}
			q := url.Values{}
			for name, value := range w.said() {
				q.Set(name, value)
			}
			r := api.Request{Method: http.MethodDelete, Path: agentPath(id), Query: q}
			if _, err := a.do(cmd.Context(), r, false); err != nil {
				return err
			}
			return a.screen().Write(screen.Result{
				Table: screen.Table{Rows: [][]string{{"agent", id}, {"status", "deactivated"}}},
				Whole: map[string]string{"agent_id": id, "status": "deactivated"},
				Names: []string{id},
			})
		},
	}
	w.statement(cmd)
	a.changes(cmd, false)
	a.confirms(cmd)
	return cmd
}
