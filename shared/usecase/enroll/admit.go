package enroll

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/authn"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// Admission is an agent whose certificate was issued elsewhere, as it is stored.
type Admission struct {
	Agent      agent.Agent
	Thumbprint string // of the certificate that was shown
	Generation int64  // of the Org CA that vouches for it; zero: a bundle of its own does
	Updated    bool   // it was enrolled, and active, before
	// Truststore is how the edge stands, which lets in certificates under the bundle once it is current; empty: no bundle.
	Truststore registry.TruststoreStatus
}

// BYOCA admits an agent whose certificate was issued elsewhere under the current Org CA, or replaces the pin of an
// existing agent. With Update it replaces any pin, otherwise only if no pin counts under the current generation.
//
// Errors: agent.ErrID, agent.ErrProfile, agent.ErrProofBound, agent.ErrAlreadyEnrolled, ErrBinding and ErrCapabilities
// (nothing of the existing agent changes), orgca.ErrMissing, agentcert.ErrDPoPJWK, those of pki.CheckLeaf,
// pki.ErrPossession, those that begin with ErrCertificatePEM, and those of idempotency.Do.
func (e *Enroller) BYOCA(ctx context.Context, req Outside) (Admission, error) {
	return idempotency.Do(ctx, e.Store, req.Once, e.Now, func() (Admission, error) { return e.byoca(ctx, req) })
}

func (e *Enroller) byoca(ctx context.Context, req Outside) (Admission, error) {
	r, err := e.read(agent.BYOCA, req)
	if err != nil {
		return Admission{}, err
	}
	if err := e.checkNames(r); err != nil {
		return Admission{}, err
	}
	return e.admit(ctx, agent.BYOCA, req, r,
		func(ctx context.Context, p orgca.Pointer, a *agent.Agent, c *registry.Change) error {
			if err := e.under(ctx, r, p); err != nil {
				return err
			}
			pin := r.pin(p.Current)
			if !req.Update && !r.reason.Code.AtOnce() && a.Holds(r.thumbprint, p, e.Now()) { // the same enrolment once more
				return nil
			}
			keep := agent.Keep{Restorable: p.Previous}
			if *a = a.Believed(e.Now()); r.reason.Code.AtOnce() {
				*a, keep = a.End(e.Now()), agent.Keep{}
			}
			if err := a.Outlives(pin); err != nil {
				return err
			}
			a.Pins = slices.DeleteFunc(slices.Clone(a.Pins), func(p agent.Pin) bool { return p.Thumbprint == r.thumbprint })
			*a = a.Repin(pin, keep, e.Now())
			if a.SPIFFEID, _ = pki.URI(r.leaf); pki.CheckSPIFFEID(a.SPIFFEID) != nil {
				a.SPIFFEID = ""
			}
			c.Aliases = []registry.Alias{{Name: registry.PinAlias(r.thumbprint), Agent: a.ID, Expires: r.leaf.NotAfter}}
			return nil
		})
}

// pin is the pin of the certificate that was shown, under a generation; zero: none.
func (r submission) pin(generation int64) agent.Pin {
	return agent.Pin{
		Thumbprint: r.thumbprint,
		Key:        r.key,
		Generation: generation,
		NotBefore:  r.leaf.NotBefore,
		NotAfter:   r.leaf.NotAfter,
	}
}

// SPIFFE admits an agent that is known by its SPIFFE ID and by what its SVIDs are issued under, or, for the same SPIFFE
// ID, replaces the latter; with Update it changes both. Such an agent has no pin, so that its next SVID needs no
// enrolment.
//
// Errors: as of BYOCA, and authn.ErrNoSPIFFEID.
func (e *Enroller) SPIFFE(ctx context.Context, req Outside) (Admission, error) {
	return idempotency.Do(ctx, e.Store, req.Once, e.Now, func() (Admission, error) { return e.spiffe(ctx, req) })
}

func (e *Enroller) spiffe(ctx context.Context, req Outside) (Admission, error) {
	r, err := e.read(agent.SPIFFE, req)
	if err != nil {
		return Admission{}, err
	}
	id, err := authn.CheckSVID(r.leaf, e.Now())
	if err != nil {
		return Admission{}, err
	}
	if err := e.checkNames(r); err != nil {
		return Admission{}, err
	}
	return e.admit(ctx, agent.SPIFFE, req, r,
		func(ctx context.Context, p orgca.Pointer, a *agent.Agent, c *registry.Change) error {
			if err := e.vouched(ctx, r, p); err != nil {
				return err
			}
			shown := r.pin(0)
			*a = a.Believed(e.Now())
			if err := a.Outlives(shown); err != nil {
				return err
			}
			if r.reason.Code.AtOnce() {
				if a.Past.Newest.Equal(shown.NotBefore) && a.Knows(shown) {
					return agent.ErrKeyUsed
				}
				*a = a.EndBefore(shown, e.Now())
				// it was deactivated, and has SVIDs of then that only the token endpoint saw
			} else if a.Version > 0 && a.SPIFFEID == "" {
				*a = a.EndOlder(shown)
			}
			*a = a.Learn(shown)
			if req.Update { // such an agent has no certificate to rotate
				*a = a.Trusted()
			}
			if a.SPIFFEID != "" && a.SPIFFEID != id {
				c.Forget = []registry.Alias{{Name: registry.SPIFFEAlias(a.SPIFFEID), Agent: a.ID}}
			}
			c.Aliases = []registry.Alias{{Name: registry.SPIFFEAlias(id), Agent: a.ID}}
			a.SPIFFEID, a.Bundle, a.Intermediates, a.UpdatedAt = id, ders(r.bundle), ders(r.between), e.Now()
			c.EdgeCAs, err = e.edgeCAs(ctx, r.bundle)
			return err
		})
}

// edgeCAs returns those of a bundle that the edge does not know yet, or is about to forget.
func (e *Enroller) edgeCAs(ctx context.Context, bundle []*x509.Certificate) ([]registry.EdgeCA, error) {
	if len(bundle) == 0 {
		return nil, nil
	}
	present, err := e.Store.EdgeCAs(ctx)
	if err != nil {
		return nil, err
	}
	var missing []registry.EdgeCA
	for _, c := range bundle {
		n := slices.IndexFunc(present, func(known registry.EdgeCA) bool { return slices.Equal(known.DER, c.Raw) })
		switch {
		case n < 0:
			present = append(present, registry.EdgeCA{DER: c.Raw, Expires: c.NotAfter, Counted: true})
			missing = append(missing, present[len(present)-1])
		case !present[n].Unnamed.IsZero():
			present[n].Unnamed = time.Time{}
			missing = append(missing, present[n])
		}
	}
	if len(missing) > 0 && !truststore.Fits(present) {
		return nil, ErrEdgeFull
	}
	return missing, nil
}

// admission completes the record and the change of one kind of agent.
type admission func(ctx context.Context, p orgca.Pointer, a *agent.Agent, c *registry.Change) error

const admitTries = 3

// admit commits an agent, new or updated, with its row and aliases, and then lets its CAs through the edge.
func (e *Enroller) admit(
	ctx context.Context, m agent.Method, req Outside, r submission, complete admission,
) (Admission, error) {
	for range admitTries {
		view, err := e.admissibleAs(ctx, m, req, r)
		if err != nil {
			return Admission{}, err
		}
		a := e.outsideRecord(m, req, r, view.Agent)
		if req.ProofBound != nil && *req.ProofBound && a.JKT == "" {
			return Admission{}, agent.ErrProofBound
		}
		c := registry.Change{ID: e.NewID()}
		if err := complete(ctx, *view.Pointer, &a, &c); err != nil {
			return Admission{}, err
		}
		old := active(view.Agent)
		out := Admission{Agent: a, Thumbprint: r.thumbprint, Updated: old != nil}
		if r.bundle == nil {
			out.Generation = view.Pointer.Current
		}
		if old != nil && !req.Update && repeats(a, *old, c) {
			out.Truststore = e.letIn(ctx, r)
			return out, e.keep(ctx, req, out, c.ID)
		}
		a, keys, err := e.admitKey(ctx, m, r, old, a, *view.Pointer)
		if err != nil {
			return Admission{}, err
		}
		c.Naming = registry.NamingOf(view.Agent, a)
		row, head, err := a.Head.Append(e.outsideEntry(m, req, r, old, a, out))
		if err != nil {
			return Admission{}, err
		}
		a.Head, c.Agent, c.Keys, c.Rows = head, &a, &keys, []audit.Row{row}
		c = c.Ends(stored(view.Agent), e.Now())
		out.Agent = a
		if r.bundle != nil {
			out.Truststore = registry.TruststorePending // which is what is known before the edge was asked
		}
		if c.Answer, err = req.answer(out, e.Now(), c.ID); err != nil {
			return Admission{}, err
		}
		err = registry.Settle(ctx, e.Store.Apply, c)
		if err == nil {
			out.Agent.Version++
			e.publish(ctx, req, r, &out, c.ID)
			return out, nil
		}
		if !errors.Is(err, registry.ErrConflict) {
			return Admission{}, fmt.Errorf("admit %s: %w", r.id, err)
		}
		if err := e.taken(ctx, c); err != nil {
			return Admission{}, err
		}
	}
	return Admission{}, fmt.Errorf("admit %s: %w", r.id, registry.ErrConflict)
}

// stored is the record of an agent, or the zero Agent where there is none.
func stored(a *agent.Agent) agent.Agent {
	if a == nil {
		return agent.Agent{}
	}
	return *a
}

// publish adds the agent's CAs to the edge, and stores the resulting state in the kept answer if the enrolment named
// an idempotency key. If that write fails, the kept answer says that the truststore is pending.
func (e *Enroller) publish(ctx context.Context, req Outside, r submission, out *Admission, owner string) {
	before := out.Truststore
	if out.Truststore = e.letIn(ctx, r); out.Truststore == before {
		return
	}
	if err := e.keep(ctx, req, *out, owner); err != nil {
		e.Log.WarnContext(ctx, "enroll.answer", "agent_id", string(r.id), "cause", err.Error())
	}
}

// keep stores the answer to an enrolment separately; without a key it does nothing.
func (e *Enroller) keep(ctx context.Context, req Outside, out Admission, owner string) error {
	answer, err := req.answer(out, e.Now(), owner)
	if err != nil || answer == nil {
		return err
	}
	return registry.Settle(ctx, e.Store.Apply, registry.Change{ID: e.NewID(), Answer: answer})
}

func (o Outside) answer(out Admission, now time.Time, owner string) (*registry.Answer, error) {
	answer, err := o.Once.Keep(out, now)
	if answer != nil {
		answer.Owner = owner
	}
	return answer, err
}

// taken separates a conflict about an alias from a conflict about the agent's record. The second is read again.
func (e *Enroller) taken(ctx context.Context, c registry.Change) error {
	for _, a := range c.Aliases {
		id, err := e.Store.Alias(ctx, a.Name)
		if err != nil {
			return err
		}
		if id != "" && id != a.Agent {
			return fmt.Errorf("%w: %s", ErrTaken, id)
		}
	}
	return nil
}

// letIn makes the edge accept certificates under the agent's bundle, and returns the state of the truststore. It
// reads the state also if the edge knows all CAs of the bundle, because another enrolment may have added them a
// moment ago. A busy or failing edge does not fail the enrolment, which is committed: the standby job completes the
// work, and /healthz warns until then.
func (e *Enroller) letIn(ctx context.Context, r submission) registry.TruststoreStatus {
	if len(r.bundle) == 0 {
		return ""
	}
	err := e.keepIn(ctx, r)
	if err != nil {
		e.Log.WarnContext(ctx, "enroll.edge_ca", "agent_id", string(r.id), "cause", err.Error())
	}
	status, err := e.Trust(ctx)
	if err != nil {
		e.Log.WarnContext(ctx, "enroll.truststore", "agent_id", string(r.id), "cause", err.Error())
		return registry.TruststorePending
	}
	return status
}

// keepIn looks, after the commit, whether the edge still knows the bundle's CAs. The standby job may have forgotten a
// CA that no agent named at that time. The second of the two, the job or the enrolment, sees the first.
func (e *Enroller) keepIn(ctx context.Context, r submission) error {
	missing, err := e.edgeCAs(ctx, r.bundle)
	if err != nil || len(missing) == 0 {
		return err
	}
	return registry.Settle(ctx, e.Store.Apply, registry.Change{ID: e.NewID(), EdgeCAs: missing})
}

// admissibleAs decides whether the agent may be enrolled, or, if it exists, enrolled again or updated: by the method
// that it came by only. To change the method, an operator deactivates the agent first, which ends everything that
// authenticates it.
func (e *Enroller) admissibleAs(ctx context.Context, m agent.Method, req Outside, r submission) (registry.View, error) {
	view, err := e.Store.View(ctx, r.id)
	switch {
	case err != nil:
		return view, err
	case view.Pointer == nil:
		return view, orgca.ErrMissing
	case view.Agent != nil && req.Limit != nil:
		return view, req.Limit.Allow(false, req.Capabilities)
	case active(view.Agent) == nil:
		return view, nil
	case !req.Update:
		return view, r.readmissible(e, m, *view.Agent, *view.Pointer, req)
	case view.Agent.Method != m:
		return view, fmt.Errorf("%w: %s", ErrMethod, view.Agent.Method)
	}
	return view, nil
}

// outsideRecord is the agent's record, without what authenticates the agent.
func (e *Enroller) outsideRecord(m agent.Method, req Outside, r submission, old *agent.Agent) agent.Agent {
	a := agent.Agent{ID: r.id, EnrolledAt: e.Now().Truncate(time.Millisecond), UpdatedAt: e.Now()} // as the store keeps it
	if old != nil {
		a.Head, a.Version, a.EnrolledAt, a.Past = old.Head, old.Version, old.EnrolledAt, old.Past
		a.Owner, a.Hygiene.Job = old.Owner, old.Hygiene.Job
	}
	existing := active(old)
	if existing != nil {
		a = *existing
		a.UpdatedAt = e.Now()
	}
	a.Method, a.Status = m, agent.Active
	if existing == nil || req.Update {
		a.Profile = req.Over(a.Profile, req.Name)
	}
	a.Owner = cmp.Or(req.Owner, a.Owner)
	if req.ProofBound != nil {
		a.ProofBound = *req.ProofBound
	}
	a.JKT = cmp.Or(r.jkt, a.JKT)
	if existing != nil && r.reason.Code.Compromise() { // the proof key was on the same host: admitKey refuses it
		a.JKT = r.jkt
	}
	return a
}

func (e *Enroller) outsideEntry(
	m agent.Method, req Outside, r submission, old *agent.Agent, a agent.Agent, out Admission,
) audit.Entry {
	details := map[string]any{
		"method": string(m), "cert_thumbprint": r.thumbprint, "generation": out.Generation,
		"capabilities": texts(a.Capabilities), "owner": a.Owner, "spiffe_id": a.SPIFFEID,
		"possession": r.possession, "trust_bundle": thumbprints(r.bundle), "dpop_jkt": a.JKT, "dpop_bound": a.ProofBound,
	}
	event := audit.AgentEnrolled
	if old != nil {
		event = audit.AgentCertRotated
		maps.Copy(details, replaced(*old))
	}
	return audit.Entry{
		Time:    e.Now(),
		Event:   event,
		Actor:   req.Actor,
		Subject: string(a.ID),
		Details: r.reason.Note(req.Note(details)),
	}
}

func thumbprints(certs []*x509.Certificate) []any {
	list := make([]any, len(certs))
	for i, c := range certs {
		list[i] = pki.Thumbprint(c.Raw)
	}
	return list
}

func ders(certs []*x509.Certificate) [][]byte {
	var list [][]byte
	for _, c := range certs {
		list = append(list, c.Raw)
	}
	return list
}

// agentOf reads the path of a SPIFFE ID of the Mastio's own form.
func agentOf(path string) (agent.ID, bool) {
	org, name, _ := strings.Cut(path, "/")
	id, err := agent.NewID(org, name)
	return id, err == nil
}
