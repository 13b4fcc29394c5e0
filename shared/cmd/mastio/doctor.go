package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/settings"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// level is how bad a symptom is.
type level string

const (
	fine  level = "ok"
	heed  level = "warning"
	wrong level = "error"
)

// symptom is what doctor looked at, and what to do about it.
type symptom struct {
	Check string `json:"check"`
	Level level  `json:"level"`
	Found string `json:"found"`
	Todo  string `json:"todo,omitempty"`
}

// doctor's bounds.
const (
	soonDue    = 30                  // days
	serverSoon = 14 * 24 * time.Hour // before a server's certificate ends
	clockApart = 10 * time.Second    // half of what proofs and assertions put up with
)

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong or will be, and say what to do",
		Long: "doctor looks at health and warnings, the Org CA and the next one, the truststore, the fleet, certificates\n" +
			"that are due, the clocks, and TLS of both hosts. It changes nothing. Exit status 1: there is something to do.",
		Example: "  mastio doctor\n  mastio doctor -o json | jq '.[] | select(.level != \"ok\")'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.examine(cmd.Context()) },
	}
}

func (a *app) examine(ctx context.Context) error {
	p, err := a.Resolve(a.env)
	if err != nil {
		return err
	}
	c, err := a.operators(ctx)
	if err != nil {
		return err
	}
	sent := a.now()
	answer, err := a.do(ctx, api.Request{Method: http.MethodGet, Path: "/healthz"}, false)
	if err != nil {
		return err
	}
	var h health
	if err := decode(answer, &h); err != nil {
		return err
	}
	var ca caStatus
	if _, err := a.read(ctx, api.Request{Path: caPath}, &ca); err != nil {
		return err
	}
	host := fmt.Sprintf("%s, organisation %s, version %s", c.URL, h.OrgID, h.Version)
	all := []symptom{{"operators' host", fine, host, ""}}
	all = append(all, a.clock(answer.Header.Get("Date"), sent, a.now()), a.server(ctx, p, "operators' TLS", c.URL))
	all = append(all, a.agentsHost(ctx, p)...)
	all = append(all, warned(h.Warnings)...)
	all = append(all, a.orgCA(ca)...)
	due, err := a.due(ctx)
	if err != nil {
		return err
	}
	return a.printFindings(append(all, due))
}

func (a *app) printFindings(all []symptom) error {
	s := a.screen()
	r := screen.Result{Whole: all, Table: screen.Table{Head: []string{"", "CHECK", "FOUND"}}}
	var todo []string
	for _, f := range all {
		r.Lines, r.Names = append(r.Lines, f), append(r.Names, string(f.Level)+" "+f.Check)
		r.Table.Rows = append(r.Table.Rows, []string{string(f.Level), f.Check, f.Found})
		if f.Level != fine {
			todo = append(todo, s.Warn(f.Check)+": "+f.Todo)
		}
	}
	if len(todo) > 0 {
		r.Table.Note = "\nWhat to do:\n- " + strings.Join(todo, "\n- ")
	} else {
		r.Table.Note = "\nEverything is all right."
	}
	if err := s.Write(r); err != nil {
		return err
	}
	if len(todo) > 0 {
		return &verdict{status: refused}
	}
	return nil
}

// clock compares this machine's clock with the Mastio's, which has a resolution of a second.
func (a *app) clock(date string, sent, received time.Time) symptom {
	f := symptom{Check: "clocks", Level: fine}
	theirs, err := http.ParseTime(date)
	if err != nil {
		return symptom{"clocks", heed, "the answer has no date", "Compare the clocks by hand: date -u."}
	}
	apart := theirs.Add(500 * time.Millisecond).Sub(sent.Add(received.Sub(sent) / 2))
	f.Found = fmt.Sprintf("this machine and the Mastio are %s apart", apart.Abs().Round(time.Second))
	if apart.Abs() > clockApart {
		f.Level = heed
		f.Todo = "Set this machine's clock (NTP): agents whose clocks are off have their proofs refused."
	}
	return f
}

// server looks at a host's TLS: the client's own checks, and when the certificate ends.
func (a *app) server(ctx context.Context, p settings.Profile, check, base string) symptom {
	u, err := url.Parse(base)
	if err != nil {
		return symptom{check, wrong, err.Error(), "Name the host with --url or --agents-url."}
	}
	address := u.Host
	if u.Port() == "" {
		address += ":443"
	}
	roots, err := p.Roots()
	if err != nil {
		return symptom{check, wrong, err.Error(), "Name the file of the roots with --ca."}
	}
	transport, err := api.Transport(roots)
	if err != nil {
		return symptom{check, wrong, err.Error(), "Name the file of the roots with --ca."}
	}
	d := tls.Dialer{Config: transport.TLSClientConfig}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return symptom{check, wrong, address + ": " + err.Error(),
			"Check the name, the network and --ca: agents and operators meet the same error."}
	}
	defer func() { _ = conn.Close() }()
	state := conn.(*tls.Conn).ConnectionState() //nolint:errcheck,forcetypeassert // a tls.Dialer dials nothing else
	ends := state.PeerCertificates[0].NotAfter
	f := symptom{check, fine, fmt.Sprintf("%s, %s, certificate ends %s", address, tls.VersionName(state.Version),
		a.moment(&ends)), ""}
	if ends.Sub(a.now()) < serverSoon {
		f.Level, f.Todo = heed, "Renew the certificate of "+u.Hostname()+"."
	}
	return f
}

// agentsHost looks at the host that agents use. It asks for a client certificate, so no request is made without one.
func (a *app) agentsHost(ctx context.Context, p settings.Profile) []symptom {
	base, err := a.agentsURL(ctx, p)
	if err != nil {
		return []symptom{{"agents' TLS", wrong, err.Error(), "Name the agents' host with --agents-url."}}
	}
	return []symptom{a.server(ctx, p, "agents' TLS", base)}
}

// agentsURL is the agents' address: what was set, or the issuer of the discovery document.
func (a *app) agentsURL(ctx context.Context, p settings.Profile) (string, error) {
	if p.AgentsURL != "" {
		return p.AgentsURL, nil
	}
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	_, err := a.read(ctx, api.Request{Path: "/.well-known/oauth-authorization-server"}, &metadata)
	return metadata.Issuer, err
}

func warned(codes []string) []symptom {
	if len(codes) == 0 {
		return []symptom{{"warnings", fine, "none", ""}}
	}
	var all []symptom
	for _, code := range codes {
		f := symptom{"warning " + code, heed, code, "See /healthz and the warnings in the reference."}
		if row, ok := warnings.Warning(code).Row(); ok {
			f.Found, f.Todo = row.Title, row.Text
			if row.Bad {
				f.Level = wrong
			}
		}
		all = append(all, f)
	}
	return all
}

func (a *app) orgCA(ca caStatus) []symptom {
	all := []symptom{{"Org CA", fine, fmt.Sprintf("generation %d, ends %s", ca.Generation, a.moment(ca.NotAfter)), ""}}
	if ca.Staged == nil {
		all = append(all, symptom{"next Org CA", heed, "none is staged",
			"It is made within minutes. If this stays, look at the log of the function standby."})
	} else {
		all = append(all, symptom{"next Org CA", fine, fmt.Sprintf("generation %d is staged", ca.Staged.Generation), ""})
	}
	if t := ca.Truststore; t != nil && t.Status != "current" {
		all = append(all, symptom{"truststore", heed, t.Status,
			"Wait some minutes. If it stays, the log of the function standby says why."})
	} else {
		all = append(all, symptom{"truststore", fine, "current", ""})
	}
	if p := ca.Progress; p != nil {
		text := fmt.Sprintf("%d agents, %d have not moved to the current Org CA", p.Agents, p.Remaining)
		f := symptom{"fleet", fine, text, ""}
		if p.Remaining > 0 {
			f.Level = heed
			f.Todo = "mastio agents ls --generation not_current; then mastio agents rotate --generation not_current for\n" +
				"  all of them, or mastio agents rotate NAME --out DIR for one."
			if ca.OverlapUntil != nil {
				f.Todo += " They are cut off " + a.moment(ca.OverlapUntil) + "."
			}
		}
		all = append(all, f)
	}
	return all
}

// due counts the certificates that are due soon, by the first page.
func (a *app) due(ctx context.Context) (symptom, error) {
	var page struct {
		Agents []json.RawMessage `json:"agents"`
		Next   string            `json:"next_cursor"`
	}
	q := url.Values{"due": {fmt.Sprint(soonDue)}, "status": {"active"}, "limit": {"1000"}}
	if _, err := a.read(ctx, api.Request{Path: agentsPath, Query: q}, &page); err != nil {
		return symptom{}, err
	}
	more := ""
	if page.Next != "" {
		more = " or more"
	}
	f := symptom{"certificates due", fine, fmt.Sprintf("%d%s within %d days", len(page.Agents), more, soonDue), ""}
	if len(page.Agents) > 0 {
		f.Level = heed
		f.Todo = "mastio agents ls --due 30d; then mastio agents rotate NAME --out DIR, or have them delivered:\n" +
			"  mastio agents hygiene NAME --deliver secretsmanager."
	}
	return f, nil
}
