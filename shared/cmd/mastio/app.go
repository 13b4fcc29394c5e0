package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/settings"
	"github.com/mastio-aws/mastio/shared/version"
)

// app is one run of the command.
type app struct {
	env      settings.Environment
	now      func() time.Time
	vault    settings.Vault
	in       io.Reader
	out, err io.Writer
	asks     bool // a person can be asked
	terminal bool // out is one
	width    int
	secret   func() (string, error) // reads what is typed, without showing it

	settings.Options
	form    string
	timeout time.Duration
	yes     bool
	dryRun  bool
	key     string

	client *api.Client                                // made at the first call
	wait   func(context.Context, time.Duration) error // in tests
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "mastio",
		Short: "Rotate keys: agents' certificates and the Org CA of a Mastio",
		Long: "mastio operates a Mastio: it rotates agents' certificates and the Org CA, and verifies the audit trail.\n\n" +
			"It takes the Mastio's address from the options, from the variables MASTIO_URL, MASTIO_AGENTS_URL and MASTIO_CA,\n" +
			"or from the profile that login writes. The admin secret is never an option: login reads it without showing it;\n" +
			"MASTIO_ADMIN_SECRET holds it, or MASTIO_ADMIN_SECRET_ID names it in Secrets Manager.\n\n" + exitStatuses,
		Example: "  mastio login --url https://localhost:9443 --ca build/run/ca.pem --secret-file proxy.env\n" +
			"  mastio status\n  mastio agents enrol kyc-screener --capability kyc:read --out ./kyc\n" +
			"  mastio ca rotate --overlap 7d --watch",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version.Stamp,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(cmd.Help(), &verdict{status: misused})
		},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if !slices.Contains(screen.Forms(), a.form) {
				return fmt.Errorf("-o takes %s", strings.Join(screen.Forms(), ", "))
			}
			return nil
		},
	}
	root.SetVersionTemplate("mastio {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&a.URL, "url", "", "operators' `address` (MASTIO_URL), such as https://mastio.example.com")
	f.StringVar(&a.AgentsURL, "agents-url", "", "agents' `address` (MASTIO_AGENTS_URL; default: what the Mastio says)")
	f.StringVar(&a.CA, "ca", "",
		"`file` with the roots (PEM) of both hosts' certificates (MASTIO_CA; default: the system's)")
	f.StringVar(&a.Profile, "profile", "", "`file` that login writes (MASTIO_PROFILE; default: in the user's folder)")
	f.StringVarP(&a.form, "output", "o", string(screen.TableForm),
		"`form`: table, json (the API's own members), jsonl or name")
	f.DurationVar(&a.timeout, "timeout", 2*time.Minute, "how long a request and its repetitions may take")
	root.AddGroup(&cobra.Group{ID: "operate", Title: "Operate:"}, &cobra.Group{ID: "look", Title: "Look:"})
	root.SetHelpCommandGroupID("look")
	root.SetCompletionCommandGroupID("look")
	for _, c := range []*cobra.Command{a.agents(), a.ca(), a.audit()} {
		c.GroupID = "operate"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{a.login(), a.status(), a.doctor(), a.token(), a.versionCommand()} {
		c.GroupID = "look"
		root.AddCommand(c)
	}
	return root
}

// group is a command that only has others below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(cmd.Help(), &verdict{status: misused})
		},
	}
	c.AddCommand(below...)
	return c
}

func (a *app) screen() screen.Screen {
	return screen.Screen{
		Out:    a.out,
		Form:   screen.Form(a.form),
		Width:  a.width,
		Colour: a.terminal && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb",
	}
}

// confirms adds the options of a command that does what cannot be undone at leisure.
func (a *app) confirms(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do not ask")
}

// changes adds the options of a command that changes something.
func (a *app) changes(cmd *cobra.Command, keyed bool) {
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "show what would be done, and change nothing")
	if keyed {
		cmd.Flags().StringVar(&a.key, "idempotency-key", "", "`key` of an earlier request whose outcome is not known")
	}
}

// confirm asks before a change. Without a terminal only --yes is an answer.
func (a *app) confirm(question string) error {
	if a.yes || a.dryRun {
		return nil
	}
	if !a.asks {
		return errors.New("there is no terminal to ask at: say --yes if this is what you want")
	}
	fmt.Fprintf(a.err, "%s\nType yes to go on: ", question)
	line, _ := bufio.NewReader(a.in).ReadString('\n') // an end without a line is no
	if strings.TrimSpace(line) != "yes" {
		return &verdict{misused, "not confirmed; nothing was changed"}
	}
	return nil
}

// operators returns the client of the operators' host.
func (a *app) operators(ctx context.Context) (*api.Client, error) {
	if a.client != nil {
		return a.client, nil
	}
	p, err := a.Resolve(a.env)
	if err != nil {
		return nil, err
	}
	if p.URL == "" {
		return nil, fmt.Errorf("the Mastio's address is %w: mastio login, or the variable %s", settings.ErrMissing,
			settings.URLVariable)
	}
	secret, err := p.AdminSecret(ctx, a.vault)
	if err != nil {
		return nil, err
	}
	a.client, err = a.connect(p, p.URL, secret)
	return a.client, err
}

// connect returns a client of a host, which shows certificates, if there are any.
func (a *app) connect(p settings.Profile, base, secret string, certificates ...tls.Certificate) (*api.Client, error) {
	roots, err := p.Roots()
	if err != nil {
		return nil, err
	}
	transport, err := api.Transport(roots, certificates...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.CA, err)
	}
	c, err := api.New(base, secret, transport)
	if err == nil && a.wait != nil {
		c.Wait = a.wait
	}
	return c, err
}

// do makes a request of the operators' API. A POST that changes something gets a key.
func (a *app) do(ctx context.Context, r api.Request, keyed bool) (api.Answer, error) {
	if a.dryRun && r.Method != http.MethodGet && r.Query.Get("dry_run") == "" {
		return api.Answer{}, errors.Join(a.show(r), errShown)
	}
	c, err := a.operators(ctx)
	if err != nil {
		return api.Answer{}, err
	}
	if keyed && r.Key == "" {
		if r.Key = a.key; r.Key == "" {
			r.Key = rand.Text()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return c.Do(ctx, r)
}

// show prints a request that is not sent. No secret and no private key is in it.
func (a *app) show(r api.Request) error {
	text := r.Method + " " + r.Path
	if len(r.Query) > 0 {
		text += "?" + r.Query.Encode()
	}
	if len(r.Body) > 0 && r.Type != uploadType {
		text += "\n" + string(r.Body)
	}
	_, err := fmt.Fprintln(a.out, text)
	return err
}

// read makes a request that changes nothing, decodes its answer into into, and returns the answer as it came.
func (a *app) read(ctx context.Context, r api.Request, into any) (json.RawMessage, error) {
	r.Method = http.MethodGet
	answer, err := a.do(ctx, r, false)
	if err != nil {
		return nil, err
	}
	return answer.Body, decode(answer, into)
}

func decode(answer api.Answer, into any) error {
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return foreign(answer.Status, err)
	}
	return nil
}

// foreign is the error of an answer that no Mastio gives.
func foreign(status int, err error) error {
	return &api.RefusedError{Status: status, Detail: "The answer is not that of a Mastio: " + err.Error()}
}

// moment is an instant for people: its date, and how far away it is.
func (a *app) moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	d := t.Sub(a.now())
	text := t.UTC().Format("2006-01-02 15:04Z")
	if d < 0 {
		return text + " (" + screen.Span(-d) + " ago)"
	}
	return text + " (in " + screen.Span(d) + ")"
}
