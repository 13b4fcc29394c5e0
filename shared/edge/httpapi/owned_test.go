package httpapi_test

import (
	"crypto/x509"
	"net/url"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// stores gives an agent another bundle, as an earlier release would have taken it.
func (w *world) stores(t testing.TB, id agent.ID, bundle ...*x509.Certificate) {
	t.Helper()
	view, err := w.Store.View(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	a := *view.Agent
	a.Bundle = nil
	for _, c := range bundle {
		a.Bundle = append(a.Bundle, c.Raw)
	}
	change := registry.Change{ID: w.NewID(), Agent: &a}.Ends(*view.Agent, w.Now())
	if err := w.Store.Apply(t.Context(), change); err != nil {
		t.Fatal(err)
	}
}

// A bundle that was stored before holds a CA of the Mastio's own, its key, or a CA above it. No SVID counts by it:
// neither under the present generation, nor after that was rotated away, for whatever reason.
func TestAStoredBundleOfOursMakesNoSVIDCount(t *testing.T) {
	for _, reason := range []string{"keyCompromise", "superseded"} {
		w := open(t, memstore.Config{})
		server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
		own := w.orgCA(t)
		again := pkitest.CATemplate("The same key", 1, w.Now())
		twin := pkitest.Sign(t, again, pki.Authority{Key: own.Key}, own.Key.Public())
		above := pki.Authority{
			Chain: []*x509.Certificate{pkitest.Sign(t, again, server.root, own.Key.Public())},
			Key:   own.Key,
		}
		w.postSPIFFE(t, spiffeRequest(t, "x", svid(t, server.root, workload, w.Now()), server.root.Chain[0])).into(t, 201,
			&enrolAnswer{})
		chain := func(ca pki.Authority) edit {
			return body(formType, url.Values{"svid_chain_pem": {string(pki.EncodeCertificates(ca.Chain[0]))}}.Encode())
		}
		refused := func(when string) {
			t.Helper()
			for what, bundle := range map[string]*x509.Certificate{"the CA itself": own.Chain[0],
				"another certificate of its key": twin} {
				w.stores(t, "orga::x", bundle, server.root.Chain[0])
				w.tokenStatus(t, when+", "+what, svid(t, own, workload, w.Now()).certPEM(), 401, chain(own))
				w.tokenStatus(t, when+", under the other CA of the bundle", svid(t, server.root, workload, w.Now()).certPEM(), 200)
			}
			w.stores(t, "orga::x", server.root.Chain[0])
			w.tokenStatus(t, when+", a path to the bundle through the CA", svid(t, above, workload, w.Now()).certPEM(), 401,
				chain(above))
		}
		refused("current")
		w.change(t, query("mode", "mint"), query("reason", reason))
		refused("superseded by " + reason)
		w.change(t, query("mode", "mint"))
		refused("two generations later, after " + reason)
		leaf := svid(t, above, workload+"-2", w.Now())
		m := spiffeRequest(t, "y", leaf, server.root.Chain[0]).with("svid_pem",
			leaf.certPEM()+string(pki.EncodeCertificates(above.Chain[0])))
		w.refusedWith(t, spiffeRoute, "an enrolment by such a path", m, 400, "svid_not_signed_by_trust_bundle")
	}
}

// What the Mastio's own CAs are is read once for each swap of the Org CA, and not for each token.
func TestOwnCAsAreReadOncePerSwap(t *testing.T) {
	w := open(t, memstore.Config{})
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	leaf := svid(t, server.root, workload, w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "x", leaf, server.root.Chain[0])).into(t, 201, &enrolAnswer{})
	for range 2 {
		before := w.Store.Calls()["Org"]
		for range 5 {
			w.tokenStatus(t, "an SVID under a bundle", leaf.certPEM(), 200)
		}
		if n := w.Store.Calls()["Org"] - before; n != 1 {
			t.Errorf("%d reads of the organisation for five tokens, want 1", n)
		}
		w.change(t, query("mode", "mint"))
	}
}

// Under an Org CA that is not valid no certificate can count, and none is wrong for that: the answer names the Org CA.
func TestAnOrgCAThatIsNotValidIsNamed(t *testing.T) {
	for what, off := range map[string]time.Duration{"ended": 16 * 365 * 24 * time.Hour, "not begun": -24 * time.Hour} {
		w := open(t, memstore.Config{})
		id := "spiffe://mastio.test/ns/default/sa/kyc"
		w.postSPIFFE(t, spiffeRequest(t, "x", svid(t, w.orgCA(t), id, w.Now()))).into(t, 201, &enrolAnswer{})
		w.Advance(off)
		leaf := sign(t, w.orgCA(t), leafTemplate(w.Now()), newKey(t))
		w.refusedWith(t, byocaRoute, what+": BYOCA", byocaRequest(t, "y", leaf), 503, "org_ca_not_valid")
		next := svid(t, w.orgCA(t), id, w.Now())
		w.refusedWith(t, spiffeRoute, what+": SPIFFE", spiffeRequest(t, "z", next), 503, "org_ca_not_valid")
		a := w.send(t, tokenRequest(next.certPEM()))
		if wantOAuthError(t, a, "temporarily_unavailable"); a.status != 503 {
			t.Errorf("%s: token of an SVID: %d %s", what, a.status, a.body)
		}
		other := newSPIRE(t, inmemory.ForeignDomain, w.Now()).root
		w.tokenStatus(t, what+": token of a forged SVID", svid(t, other, id, w.Now()).certPEM(), 401)
	}
}

// A BYOCA agent's certificate may hold a SPIFFE ID of a foreign trust domain. Its record does not stand in the way of
// the SPIFFE agent that is enrolled by this ID, even where the ID's path is the BYOCA agent's own name.
func TestABYOCASPIFFEIDLocksNobodyOut(t *testing.T) {
	w := open(t, memstore.Config{})
	const id = "spiffe://" + inmemory.ForeignDomain + "/orga/x"
	first := svid(t, w.orgCA(t), id, w.Now())
	w.postBYOCA(t, byocaRequest(t, "x", first)).into(t, 201, &enrolAnswer{})
	server := newSPIRE(t, inmemory.ForeignDomain, w.Now())
	leaf := svid(t, server.root, id, w.Now())
	w.postSPIFFE(t, spiffeRequest(t, "y", leaf, server.root.Chain[0])).into(t, 201, &enrolAnswer{})
	for who, c := range map[string]issuedElsewhere{"orga::x": first, "orga::y": leaf} {
		var got tokenAnswer
		w.send(t, tokenRequest(c.certPEM())).into(t, 200, &got)
		if sub := w.verified(t, got.AccessToken, inmemory.Issuer).Subject; sub != who {
			t.Errorf("the certificate of %s gets a token of %s", who, sub)
		}
	}
	w.Advance(time.Minute)
	w.postBYOCA(t, byocaRequest(t, "x", svid(t, w.orgCA(t), id, w.Now())).with("update_existing", true)).into(t, 201,
		&enrolAnswer{})
	w.tokenStatus(t, "the BYOCA agent's replaced certificate", first.certPEM(), 401)
}
