package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/identity"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

// filesText is what the commands that make certificates say of their files.
const filesText = "The private keys are made on this machine and never leave it. DIR gets cert.pem, agent-key.pem\n" +
	"and dpop.jwk, for their owner alone (0600). If the command is interrupted, run it again: it gets the same\n" +
	"certificate."

// certificate is the answer to an enrolment or a rotation.
type certificate struct {
	AgentID       string   `json:"agent_id"`
	CertPEM       string   `json:"cert_pem"`
	Thumbprint    string   `json:"cert_thumbprint"`
	Generation    int64    `json:"generation"`
	NotAfter      *instant `json:"not_after"`
	PreviousUntil *instant `json:"previous_valid_until"`
}

func (a *app) agentsEnrol() *cobra.Command {
	var p profileOptions
	var out, deliver string
	var bound, replace bool
	cmd := &cobra.Command{
		Use:   "enrol NAME --out DIR",
		Short: "Enrol an agent whose certificate the Mastio issues",
		Long:  "enrol makes an agent known and gets its first certificate.\n\n" + filesText,
		Example: "  mastio agents enrol kyc-screener --capability kyc:read --owner risk@orga.example --out ./kyc\n" +
			"  mastio agents enrol ledger --capability ledger:write --deliver secretsmanager --out ./ledger",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f := identity.Folder{Dir: out, Now: a.now}
			if f.Holds() && !replace {
				return fmt.Errorf("%s holds an agent's files already: name another folder, or say --replace", out)
			}
			return a.certify(cmd.Context(), f, agentsPath, func(o identity.Offer) (any, error) {
				body := p.members(cmd)
				body["agent_name"], body["csr_pem"], body["dpop_jwk"] = args[0], o.CSRPEM, o.Proof
				if bound {
					body["dpop_bound_access_tokens"] = true
				}
				if deliver != "" {
					body["hygiene"] = map[string]string{"deliver": deliver}
				}
				return body, nil
			})
		},
	}
	p.options(cmd)
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "`folder` for the files")
	f.BoolVar(&replace, "replace", false, "replace the files of the agent that are in the folder")
	f.BoolVar(&bound, "dpop-bound", false, "give it only tokens that are bound to its DPoP key")
	f.StringVar(&deliver, "deliver", "", "when its certificate is due: notify, or secretsmanager")
	_ = cmd.MarkFlagRequired("out")
	a.changes(cmd, true)
	return cmd
}

func (a *app) agentsRotate() *cobra.Command {
	var w swap
	var m many
	var out string
	var grace span
	var days int
	var replace bool
	cmd := &cobra.Command{
		Use:   "rotate NAME --out DIR | rotate --all|--q PART|… [--watch]",
		Short: "Rotate an agent's certificate, or those of many agents",
		Long: "rotate gets a certificate with a new key. The old one stops at once, or after --grace. Then restart the\n" +
			"agent.\n\n" + filesText + "\n\n" + jobText,
		Example: "  mastio agents rotate kyc-screener --out /etc/cullis/agents/kyc-screener\n" +
			"  mastio agents rotate kyc-screener --out ./kyc --grace 15m\n" +
			"  mastio agents rotate kyc-screener --out ./kyc --reason keyCompromise --comment \"laptop stolen\"\n" +
			"  mastio agents rotate --generation not_current --dry-run\n" +
			"  mastio agents rotate --all --watch",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := m.wanted(cmd, args)
			if err != nil || job {
				return a.rotateMany(cmd.Context(), &m, err)
			}
			id, err := a.agentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			f := identity.Folder{Dir: out, Now: a.now}
			if there, err := f.Agent(); (err != nil || there != "" && there != id) && !replace {
				return errors.Join(fmt.Errorf("%s holds the files of another agent %s: name another folder, or say --replace",
					out, there), err)
			}
			path := "/registry/agents/" + url.PathEscape(id) + "/rotate-cert"
			return a.certify(cmd.Context(), f, path, func(o identity.Offer) (any, error) {
				body := map[string]any{"csr_pem": o.CSRPEM, "dpop_jwk": o.Proof}
				if grace > 0 {
					body["grace_seconds"] = json.Number(grace.seconds())
				}
				if days > 0 {
					body["validity_days"] = days
				}
				for name, value := range w.said() {
					body[name] = value
				}
				return body, nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "`folder` for the files")
	f.BoolVar(&replace, "replace", false, "replace the files of another agent that are in the folder")
	f.Var(&grace, "grace", "how long the old certificate still counts: 15m (default: it stops at once)")
	f.IntVar(&days, "validity-days", 0, "how long the new certificate lasts (default: a year)")
	w.statement(cmd)
	m.options(a, cmd)
	a.changes(cmd, true)
	return cmd
}

// composer makes the body of a request out of the public side of new keys.
type composer = func(identity.Offer) (any, error)

// certify gets a certificate into a folder: the request is on the disk before it is sent, and the answer replaces it.
func (a *app) certify(ctx context.Context, f identity.Folder, path string, compose composer) error {
	if a.dryRun {
		body, err := compose(identity.Offer{CSRPEM: "(made when it is sent)", Proof: json.RawMessage("null")})
		if err != nil {
			return err
		}
		text, err := json.MarshalIndent(body, "", "  ")
		if err != nil {
			return err
		}
		return errors.Join(a.show(api.Request{Method: http.MethodPost, Path: path, Body: text}), errShown)
	}
	p, err := f.Prepare(path, a.key, compose)
	if err != nil {
		return err
	}
	answer, err := a.do(ctx, api.Request{Method: http.MethodPost, Path: path, Body: p.Body, Key: p.Key}, true)
	if err != nil {
		if statusOf(err) == unknown {
			return fmt.Errorf("%w\nRun the same command again: it repeats the request that is saved in %s", err, f.Dir)
		}
		if statusOf(err) == refused {
			err = errors.Join(err, f.Drop())
		}
		return err
	}
	var out certificate
	if err := decode(answer, &out); err != nil {
		return err
	}
	if err := f.Install(p, out.AgentID, out.CertPEM); err != nil {
		return err
	}
	return a.printCertificate(f, out, answer.Body)
}

func (a *app) printCertificate(f identity.Folder, out certificate, body []byte) error {
	rows := [][]string{
		{"agent", out.AgentID},
		{"certificate", fmt.Sprintf("under generation %d, ends %s", out.Generation, a.moment(out.NotAfter))},
		{"thumbprint", out.Thumbprint},
	}
	if out.PreviousUntil != nil {
		rows = append(rows, []string{"the one before", "stops " + a.moment(out.PreviousUntil)})
	}
	for i, name := range []string{identity.CertFile, identity.KeyFile, identity.ProofFile} {
		label := []string{"files", "", ""}[i]
		rows = append(rows, []string{label, filepath.Join(f.Dir, name)})
	}
	return a.screen().Write(screen.Result{
		Table: screen.Table{Rows: rows},
		Whole: json.RawMessage(body),
		Names: []string{out.AgentID},
	})
}
