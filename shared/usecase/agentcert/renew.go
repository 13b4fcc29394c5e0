package agentcert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
)

// ErrSuperseded reports a certificate that a rotation has replaced: a renewal with it would bypass the rotation.
var ErrSuperseded = problem.New(409, "certificate_superseded",
	"certificate was replaced by a rotation and is in its grace period").
	Says("This certificate was replaced by a rotation and only counts until the end of its grace period. " +
		"Renew with the one that replaced it.")

// Bounds of the overlap.
const (
	DefaultOverlap = time.Hour
	MinOverlap     = time.Minute
	MaxOverlap     = agent.MaxGrace
)

// RenewerConfig is what a Renewer is made of; all fields are required.
type RenewerConfig struct {
	Store  authn.Store
	Issuer Issuer
	// Overlap is how long the certificate before still counts at most. It ends earlier with the new one's first use.
	Overlap time.Duration
	Log     *slog.Logger
}

// Renewer renews certificates. It is safe for concurrent use.
type Renewer struct{ RenewerConfig }

// NewRenewer returns a Renewer.
func NewRenewer(cfg RenewerConfig) *Renewer { return &Renewer{cfg} }

// RenewRequest asks for a renewal.
type RenewRequest struct {
	audit.By              // without an actor: the certificate says who that is
	CertificatePEM string // from the TLS connection, by way of the edge; empty: none
	CSR            []byte // PKCS #10, DER: a fresh key, and the certificate's own names
}

// RenewResult is the new certificate. The private key is the agent's own.
type RenewResult struct {
	Agent       agent.Agent
	Certificate Certificate
	Previous    agent.Pin // as it is stored now: with the deadline until which it counts
}

// MarshalJSON refuses: a result is rendered field by field.
func (RenewResult) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a renewal's result is not JSON")
}

var _ json.Marshaler = RenewResult{}

// Renew issues a certificate under the current Org CA and pins it as the successor of the one that authenticated, which
// counts until the successor's first use, or the end of the overlap. After a lost answer the agent repeats the
// request and gets one more successor: the first successor that is used stays. Renew reserves before it signs:
// concurrent requests of one agent cost no more signatures than sequential ones.
//
// Errors: those of authn.Authenticate, agent.ErrRotateAtYourCA, ErrSuperseded, pki.ErrCSR, pki.ErrKey, pki.ErrNames,
// agent.ErrKeyUsed, ErrForeignKey, agent.ErrRenewalEarly; registry.ErrUnknown when the store stayed silent: the old
// certificate counts either way.
func (r *Renewer) Renew(ctx context.Context, req RenewRequest) (RenewResult, error) {
	shown, err := authn.Read(req.CertificatePEM, "")
	if err != nil {
		return RenewResult{}, err
	}
	view, pin, err := r.renewable(ctx, shown, r.Issuer.Now())
	if err != nil {
		return RenewResult{}, err
	}
	csr, err := pki.ReadCSR(req.CSR)
	if err != nil {
		return RenewResult{}, err
	}
	if err := pki.CheckSameNames(csr, shown.Leaf); err != nil {
		return RenewResult{}, err
	}
	p, err := r.pinning(req, shown, view, pin, &registry.Patience{})
	if err != nil {
		return RenewResult{}, err
	}
	stored, certificate, err := r.Issuer.Pin(ctx, p, Material{Public: csr.PublicKey, Days: days(pin)})
	if err != nil {
		r.suspect(ctx, shown, view.Agent.ID, req.By, err)
		return RenewResult{}, err
	}
	r.Log.InfoContext(ctx, "pki.rotate.renewed", "agent_id", string(stored.ID), "generation", certificate.Pin.Generation,
		"thumbprint", certificate.Pin.Thumbprint, "previous", pin.Thumbprint, "request_id", req.RequestID)
	return RenewResult{Agent: stored, Certificate: certificate, Previous: pinOf(stored, pin.Thumbprint)}, nil
}

// pinning is what a renewal commits. If another writer came first, it authenticates the caller again: a certificate
// that a concurrent rotation ended is not renewed.
func (r *Renewer) pinning(
	req RenewRequest, shown authn.Credential, view registry.View, pin agent.Pin, patience *registry.Patience,
) (Pinning, error) {
	p := Pinning{
		Agent:    *view.Agent,
		Pointer:  *view.Pointer,
		Was:      view.Agent,
		Grace:    r.Overlap,
		UntilUse: true,
		Entry:    func(next agent.Pin) audit.Entry { return renewalEntry(req, *view.Agent, pin, next) },
		Reserve: func(k agent.Keys) (agent.Keys, error) {
			return agent.ReserveRenewal(k, *view.Agent, pin, *view.Pointer, r.Issuer.Now())
		},
		Allow: func(a agent.Agent, ca orgca.Pointer) error {
			_, err := a.Authenticate(pin.Thumbprint, ca, r.Issuer.Now())
			return err
		},
		Again: func(ctx context.Context, _ agent.Agent) (Pinning, error) {
			if !patience.Left(ctx) {
				return Pinning{}, fmt.Errorf("renew: %w", registry.ErrConflict)
			}
			view, pin, err := r.renewable(ctx, shown, r.Issuer.Now())
			if err != nil {
				return Pinning{}, err
			}
			return r.pinning(req, shown, view, pin, patience)
		},
	}
	now := r.Issuer.Now()
	if used, changed := view.Agent.Use(pin, view.Pointer, now); changed {
		row, head, err := view.Agent.Head.Append(view.Agent.Activation(used, pin, now))
		if err != nil {
			return p, err
		}
		used.Head = head
		p.Agent, p.Before = used, []audit.Row{row}
	}
	return p, nil
}

// renewable authenticates the caller and decides whether its certificate may be renewed: it is one that the Mastio
// issued, and is in use, whether or not a successor is waiting for its own first use. A certificate that a rotation
// replaced is not renewable: a renewal with it would bypass the rotation.
func (r *Renewer) renewable(
	ctx context.Context, shown authn.Credential, now time.Time,
) (registry.View, agent.Pin, error) {
	view, pin, err := authn.Authenticate(ctx, r.Store, nil, shown, "", now)
	switch {
	case err != nil:
		return view, pin, err
	case view.Agent.Method != agent.Minted:
		return view, pin, agent.ErrRotateAtYourCA
	case !pin.Until.IsZero() && !pin.Yields:
		return view, pin, ErrSuperseded
	}
	return view, pin, nil
}

// days is the validity that the present certificate was issued with: a renewal does not lengthen it.
func days(p agent.Pin) int {
	const day = 24 * time.Hour
	return min(max(int(p.NotAfter.Sub(p.NotBefore).Round(day)/day), 1), MaxDays)
}

func pinOf(a agent.Agent, thumbprint string) agent.Pin {
	for _, p := range a.Pins {
		if p.Thumbprint == thumbprint {
			return p
		}
	}
	return agent.Pin{}
}

func renewalEntry(req RenewRequest, a agent.Agent, pin, next agent.Pin) audit.Entry {
	return audit.Entry{
		Event: audit.AgentCertRenewed,
		Actor: "agent:" + string(a.ID),
		Details: req.Note(map[string]any{
			"cert_thumbprint": next.Thumbprint, "generation": next.Generation, "previous_thumbprint": pin.Thumbprint,
		}),
	}
}

// Info authenticates the caller and says when its certificate should be renewed. Errors: as of Renew.
func (r *Renewer) Info(
	ctx context.Context, certificatePEM string,
) (w agent.RenewalWindow, poll time.Duration, err error) {
	shown, err := authn.Read(certificatePEM, "")
	if err != nil {
		return w, 0, err
	}
	now := r.Issuer.Now()
	view, pin, err := r.renewable(ctx, shown, now)
	if err != nil {
		return w, 0, err
	}
	w = agent.RenewalWindowOf(view.Agent.ID, pin, *view.Pointer, now)
	return w, w.Poll(now), nil
}
