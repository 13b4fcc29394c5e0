package dashboard

import (
	"context"
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/usecase/health"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// warning is a condition of /healthz with what to do about it.
type warning struct {
	Code, Title, Text string
	Link, Action      string // empty: nothing to click
	Bad               bool
}

var warnings = map[health.Warning]warning{
	health.LegacyPathLenZero: {
		Title: "The Org CA has the legacy pathLen=0 shape", Link: "/proxy/pki/rotate-ca", Action: "Rotate the Org CA", Bad: true,
		Text: "OpenSSL, Go and most other verifiers refuse the chain that auditors and partners pull. Rotating to a Mastio-minted CA remedies it; with an overlap no agent has an outage.",
	},
	health.OrgCAExpiring: {
		Title: "The Org CA ends too soon for agents' certificates", Link: "/proxy/pki/rotate-ca", Action: "Rotate the Org CA", Bad: true,
		Text: "No agent's certificate outlives its CA, so new ones are cut short, or will be soon. Rotate with an overlap while there is time for the fleet to move.",
	},
	health.OrgCANotYetValid: {
		Title: "The Org CA is not valid yet", Link: "/proxy/pki/rotate-ca", Action: "Rotate the Org CA", Bad: true,
		Text: "It was made or committed while a clock was ahead. No certificate can be issued under it until it is valid. Rotate to a CA that is made now.",
	},
	health.OrgCAMissing: {
		Title: "There is no Org CA yet", Link: "/proxy/pki", Action: "See the PKI page",
		Text: "It is made within a minute. An installation that adopts yours (MASTIO_FIRST_CA=adopt) waits for your upload.",
	},
	health.StandbyMissing: {
		Title: "There is no standby CA", Link: "/proxy/pki", Action: "See the PKI page",
		Text: "One is made in the background every few minutes. If this stays, the standby function fails: its log says why. A rotation works all the same, and takes seconds longer.",
	},
	health.TruststoreOutOfDate: {
		Title: "The agents' truststore is out of date", Link: "/proxy/pki", Action: "See the PKI page",
		Text: "The agents' domain may refuse certificates that are right. The next run of the standby function mends it; if this stays, its log says why.",
	},
	health.TrustBundlesFilling: {
		Title: "The edge has little room for more trust bundles", Link: "/proxy/agents", Action: "See the agents",
		Text: "It lets in 100 CAs of agents' trust bundles, and four fifths are taken. Then an enrolment with another CA is refused. Deactivate agents that are gone, and enrol those again whose bundles name old CAs: what no active agent names is dropped within the hour.",
	},
	health.RotationLockStuck: {
		Title: "A rotation of the Org CA died", Link: "/proxy/pki", Action: "See which CA is current",
		Text: "Its lock has run out, so the next rotation simply takes it. Look at which Org CA is current before you rotate again.",
	},
	health.AuditSetBack: {
		Title: "The audit trail was set back", Link: "/proxy/audit", Action: "See the audit trail", Bad: true,
		Text: "The archive has checkpoints of rows that the tables do not hold: they were restored from a backup, or changed by hand. Keep the last bundle, find out which, and look at registry_restored. POST /v1/admin/audit/checkpoint by an operator ends this warning.",
	},
	health.CertsExpiring: {
		Title: "Agents' certificates end soon", Link: dueURL(0), Action: "See which",
		Text: "They are due and have not been replaced. Rotate each, let the agent renew, or have the Mastio deliver the next one: PUT /v1/admin/agents/{agent_id}/hygiene. Deactivate what is not needed any more.",
	},
	health.AdminSecretShort: {
		Title: "The admin secret is short", Link: "/proxy/overview", Action: "Look again",
		Text: "An admin secret below 32 characters can be guessed. Store a longer one in Secrets Manager (on one machine: MCP_PROXY_ADMIN_SECRET in proxy.env). Until then the API refuses it while its address is locked.",
	},
	health.RegistryRestored: {
		Title: "A superseded Org CA is current again", Link: "/proxy/pki/rotate-ca", Action: "Rotate the Org CA again", Bad: true,
		Text: "The registry was restored from a backup that is older than the last rotation. Certificates of the newer Org CA do not count. Re-run the rotation.",
	},
}

// explained puts warnings into words. One that is not known here still shows.
func explained(codes []health.Warning) []warning {
	var all []warning
	for _, code := range codes {
		w, ok := warnings[code]
		if !ok {
			w = warning{Title: string(code), Text: "GET /healthz shows this warning."}
		}
		w.Code = string(code)
		all = append(all, w)
	}
	return all
}

// dated adds to the warnings about the Org CA's validity the day that each is about.
func dated(all []warning, s health.State) []warning {
	for i, w := range all {
		switch health.Warning(w.Code) {
		case health.OrgCAExpiring:
			all[i].Text = "Its chain ends on " + s.CANotAfter.UTC().Format(time.DateOnly) + ". " + w.Text
		case health.OrgCANotYetValid:
			all[i].Text = "Its chain is valid from " + s.CANotBefore.UTC().Format(time.DateOnly) + ". " + w.Text
		default:
		}
	}
	return all
}

// overviewView is the first page.
type overviewView struct {
	Warnings []warning
	Status   rotateca.Status
	Missing  bool // there is no Org CA yet
	Moved    moved
	Due      due
	Events   []event
	Expires  chip
}

func (d *Dashboard) overview(w http.ResponseWriter, r *http.Request) error {
	state, err := d.Health.Check(r.Context())
	if err != nil {
		return err
	}
	org, err := d.Registry.Org(r.Context())
	if err != nil {
		return err
	}
	v := overviewView{Warnings: dated(explained(state.Warnings), state), Due: d.due(r.Context()), Missing: org.Pointer == nil}
	if v.Status, err = d.Progress.Of(r.Context(), org); err != nil {
		return err
	}
	v.Expires, v.Moved = expiry(state.CANotAfter, d.Now()), movedOf(v.Status.Progress)
	if v.Events, _, err = d.events(r.Context(), d.OrgID, org.Head.Seq); err != nil {
		return err
	}
	d.render(w, r, http.StatusOK, page{Name: "overview", Section: "overview", Title: "Overview", Content: v})
	return nil
}

// due is how many certificates are due before long.
type due struct {
	Count      string // empty: none, or unknown at the moment
	Text, Link string
}

// due counts what is due, at a cost that follows the due and not the fleet, and has a bound.
func (d *Dashboard) due(ctx context.Context) due {
	n, err := d.Enroll.CountDue(ctx, ahead, mostSeen)
	if err != nil || n == 0 { // what else there is to see is worth more than an error
		return due{}
	}
	v := due{Count: count(int(n)), Text: "certificates are due within " + lasting(ahead), Link: dueURL(ahead)}
	switch {
	case n == 1:
		v.Text = "certificate is due within " + lasting(ahead)
	case n >= mostSeen:
		v.Count += " or more"
	}
	return v
}

// expiry is how far a CA's end is.
func expiry(t, now time.Time) chip {
	switch left := t.Sub(now); {
	case left <= 0:
		return chip{Kind: "bad", Text: "expired"}
	case left < health.ExpiringWithin(agent.Annually):
		return chip{Kind: "warn", Text: relative(t, now)}
	default:
		return chip{Kind: "plain", Text: relative(t, now)}
	}
}
