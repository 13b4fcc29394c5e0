package inmemory_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/jose"
	"github.com/mastio-aws/mastio/shared/reason"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// requestFor is a certification request for a key, PEM.
func requestFor(t *testing.T) []byte {
	t.Helper()
	return asPEM(must[[]byte](t)(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, newKey(t))))
}

// proofKeyOf is a new DPoP key as a caller sends it.
func proofKeyOf(t *testing.T) json.RawMessage {
	t.Helper()
	return must[[]byte](t)(json.Marshal(must[jose.JWK](t)(jose.PublicJWK(&newKey(t).PublicKey, ""))))
}

// The record of keys is read by whatever brings a key, TLS or DPoP, and by a compromise, which has to know all keys.
// Where the Mastio makes both keys, none on record can be one of them: it is read only with the rotation that has to
// write it, and where there may be notes of what was staged.
func TestKeysAreReadWhereAKeyIsBrought(t *testing.T) {
	viewed := map[string]int{"ViewKeys": 1, "Apply": 1, "Pointer": 1}
	requested := map[string]int{"ViewKeys": 1, "KeyHolders": 1, "Apply": 1, "Pointer": 1} // no other agent has the key
	unread := map[string]int{"View": 1, "Apply": 1, "Pointer": 1}
	apart := map[string]int{"View": 1, "Keys": 1, "Apply": 1, "Pointer": 1}
	for name, c := range map[string]struct {
		material func(t *testing.T) agentcert.KeyRequest
		why      reason.Statement
		recent   int // keys that the agent's record names before
		deliver  agent.Delivery
		want     map[string]int
	}{
		"both made":                 {want: unread},
		"a validity":                {material: days, want: unread},
		"a CSR":                     {material: csrAlone, want: requested},
		"a DPoP key":                {material: proofKeyAlone, want: viewed},
		"a CSR and a DPoP key":      {material: both, want: requested},
		"a compromise":              {why: compromise, want: viewed},
		"withdrawn, not lost":       {why: reason.Statement{Code: reason.PrivilegeWithdrawn}, want: unread},
		"room for one key":          {recent: agent.MaxRecent - 1, want: unread},
		"no room":                   {recent: agent.MaxRecent, want: apart},
		"no room, a CSR":            {recent: agent.MaxRecent, material: csrAlone, want: requested},
		"a secret, and maybe notes": {deliver: agent.SecretsManager, want: apart},
	} {
		t.Run(name, func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			enrolled := must[enroll.Result](t)(m.Enroll.Enroll(t.Context(), enroll.Request{
				Name:    "kyc",
				Deliver: c.deliver,
				By:      audit.By{Actor: "test"},
			}))
			for n := len(enrolled.Agent.Past.Recent); n < c.recent; n++ {
				must[agentcert.RotateResult](t)(m.Rotate(t.Context(), enrolled.Agent.ID))
			}
			req := agentcert.RotateRequest{Agent: enrolled.Agent.ID, Reason: c.why, By: audit.By{Actor: "test"}}
			if c.material != nil {
				req.Material = c.material(t)
			}
			before := m.Store.Calls()
			must[agentcert.RotateResult](t)(m.RotateCert.Rotate(t.Context(), req))
			if diff := cmp.Diff(c.want, since(before, m.Store.Calls())); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func days(*testing.T) agentcert.KeyRequest       { return agentcert.KeyRequest{ValidityDays: 30} }
func csrAlone(t *testing.T) agentcert.KeyRequest { return agentcert.KeyRequest{CSR: requestFor(t)} }
func proofKeyAlone(t *testing.T) agentcert.KeyRequest {
	return agentcert.KeyRequest{DPoPJWK: proofKeyOf(t)}
}

func both(t *testing.T) agentcert.KeyRequest {
	return agentcert.KeyRequest{CSR: requestFor(t), DPoPJWK: proofKeyOf(t)}
}

// A key that was used once is refused at any time later, wherever its hash is by then, although most of the rotations
// in between have not read the record of keys: in the agent's record, in the record of keys, or, once it was declared
// compromised, there for good. A DPoP key that was lost is refused likewise.
func TestUsedKeysAreRefusedAfterAnyRotations(t *testing.T) {
	m := inmemory.Open(t, memstore.Config{})
	id := admit(t, m, "kyc").Agent.ID
	rotate := func(material agentcert.KeyRequest, why reason.Statement) error {
		_, err := m.RotateCert.Rotate(t.Context(), agentcert.RotateRequest{
			Agent:    id,
			Material: material,
			Reason:   why,
			By:       audit.By{Actor: "test"},
		})
		return err
	}
	once, stolen := csrAlone(t), both(t)
	for _, step := range []struct {
		material agentcert.KeyRequest
		why      reason.Statement
	}{{stolen, reason.Statement{}}, {agentcert.KeyRequest{}, compromise}, {once, reason.Statement{}}} {
		if err := rotate(step.material, step.why); err != nil {
			t.Fatal(err)
		}
	}
	var places []bool // whether the record of keys has it by then
	for n := range agent.MaxRecent + 5 {
		known := must[agent.Keys](t)(m.Store.Keys(t.Context(), id))
		if has := len(known.Earlier) > agent.MaxRecent; len(places) == 0 || places[len(places)-1] != has {
			places = append(places, has)
		}
		for what, c := range map[string]struct {
			material agentcert.KeyRequest
			want     error
		}{
			"the earlier key":     {once, agent.ErrKeyUsed},
			"the stolen key":      {agentcert.KeyRequest{CSR: stolen.CSR}, agent.ErrKeyUsed},
			"the stolen DPoP key": {agentcert.KeyRequest{DPoPJWK: stolen.DPoPJWK}, agent.ErrProofKeyUsed},
		} {
			if err := rotate(c.material, reason.Statement{}); !errors.Is(err, c.want) {
				t.Fatalf("%s, %d rotations later: %v, want %v", what, n, err, c.want)
			}
		}
		if err := rotate(agentcert.KeyRequest{}, reason.Statement{}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(places, []bool{false, true}) {
		t.Errorf("the record of keys had the earlier key: %v, want not at first, and from then on", places)
	}
}
