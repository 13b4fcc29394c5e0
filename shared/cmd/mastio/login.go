package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/settings"
	"github.com/mastio-aws/mastio/shared/version"
)

func (a *app) login() *cobra.Command {
	var secretID, file string
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Write the profile: address, roots and admin secret of a Mastio",
		Long: "login tries the admin secret, and writes the profile (mode 0600) if the Mastio accepts it.\n\n" +
			"The secret is typed without an echo, or comes from standard input, or from the line MCP_PROXY_ADMIN_SECRET of\n" +
			"a file (--secret-file). With --secret-id the profile has only its name: each command then reads it from Secrets\n" +
			"Manager with the AWS credentials at hand.",
		Example: "  mastio login --url https://localhost:9443 --ca build/run/ca.pem --secret-file proxy.env\n" +
			"  mastio login --url https://mastio.example.com --secret-id mastio/orga/admin-secret\n" +
			"  pass mastio | mastio login --url https://mastio.example.com",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runLogin(cmd.Context(), secretID, file) },
	}
	cmd.Flags().StringVar(&secretID, "secret-id", "", "`name` or ARN of the admin secret in Secrets Manager")
	cmd.Flags().StringVar(&file, "secret-file", "",
		"`file` with a line MCP_PROXY_ADMIN_SECRET=…, or with the secret alone")
	cmd.MarkFlagsMutuallyExclusive("secret-id", "secret-file")
	return cmd
}

func (a *app) runLogin(ctx context.Context, secretID, file string) error {
	path, err := a.Path(a.env)
	if err != nil {
		return err
	}
	p, err := a.Resolve(a.env)
	if err != nil {
		return err
	}
	if p.URL == "" {
		return errors.New("which Mastio? Name it with --url, such as --url https://localhost:9443")
	}
	if p.CA != "" {
		if p.CA, err = filepath.Abs(p.CA); err != nil {
			return err
		}
	}
	p.Secret, p.SecretID = "", secretID
	if secretID == "" {
		if p.Secret, err = a.typed(file); err != nil {
			return err
		}
	}
	secret, err := p.AdminSecret(ctx, a.vault)
	if err != nil {
		return err
	}
	if a.client, err = a.connect(p, p.URL, secret); err != nil {
		return err
	}
	var health health
	tried := api.Request{Path: agentsPath, Query: url.Values{"limit": {"1"}}}
	if _, err := a.read(ctx, tried, &struct{}{}); err != nil {
		return err
	}
	if _, err := a.read(ctx, api.Request{Path: "/healthz"}, &health); err != nil {
		return err
	}
	if err := p.Save(path); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s accepts the admin secret: organisation %s, version %s, role %s.\nProfile: %s\n", p.URL,
		health.OrgID, health.Version, cmp.Or(health.Role, "unknown"), path)
	return err
}

// typed reads the secret from a file, from a person, or from standard input.
func (a *app) typed(file string) (string, error) {
	switch {
	case file != "":
		text, err := os.ReadFile(file) //nolint:gosec // the file that was named
		if err != nil {
			return "", err
		}
		return secretIn(string(text))
	case a.asks:
		fmt.Fprint(a.err, "Admin secret: ")
		text, err := a.secret()
		return strings.TrimSpace(text), err
	case a.env(settings.SecretVariable) != "":
		return a.env(settings.SecretVariable), nil
	}
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if strings.TrimSpace(line) == "" {
		return "", fmt.Errorf("there is no admin secret on standard input: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// secretIn finds the secret in a file of settings, or takes the only line.
func secretIn(text string) (string, error) {
	lines := strings.Fields(text)
	for _, line := range lines {
		if value, ok := strings.CutPrefix(line, "MCP_PROXY_ADMIN_SECRET="); ok {
			return value, nil
		}
	}
	if len(lines) == 1 && !strings.Contains(lines[0], "=") {
		return lines[0], nil
	}
	return "", errors.New("the file has no line MCP_PROXY_ADMIN_SECRET=…, nor one line with the secret alone")
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this command",
		Example: "  mastio version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.out, "mastio", version.Stamp)
			return err
		},
	}
}

// health is the answer of /healthz.
type health struct {
	Status      string   `json:"status"`
	Version     string   `json:"version"`
	OrgID       string   `json:"org_id"`
	Generation  int64    `json:"generation"`
	Fingerprint string   `json:"fingerprint"`
	NotAfter    *instant `json:"org_ca_not_after"`
	Warnings    []string `json:"warnings"`
	Role        string   `json:"role"` // of the admin who asks
}
