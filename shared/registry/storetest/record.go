package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

func empty(t *testing.T, f fixture) {
	f.same("view", f.view(agentID(1)), registry.View{})
	f.same("org", f.org(), registry.Org{})
	f.same("rows", f.rows(orgID), []audit.Row(nil))

	p, err := f.Pointer(t.Context(), agentID(1))
	f.same("pointer", p, (*orgca.Pointer)(nil))
	f.fails("pointer", err, nil)
	a, err := f.Answer(t.Context(), "key", noon)
	f.same("answer", a, (*registry.Answer)(nil))
	f.fails("answer", err, nil)
	k, err := f.TokenKey(t.Context(), 1)
	f.same("token key", k, (*registry.TokenKey)(nil))
	f.fails("token key", err, nil)
	keys, err := f.TokenKeys(t.Context(), 1, 2)
	f.same("token keys", keys, []registry.TokenKey(nil))
	f.fails("token keys", err, nil)
	page, err := f.Agents(t.Context(), registry.Query{Limit: 10})
	f.same("agents", page, registry.Page{})
	f.fails("agents", err, nil)
}

func fullAgent() agent.Agent {
	return agent.Agent{
		ID: agentID(1),
		Profile: agent.Profile{
			DisplayName:  "Zoë's agent",
			Capabilities: []string{"read", "write"},
			Owner:        "zoë@example.com",
			Suspicion:    agent.SuspicionContain,
		},
		Method: agent.SPIFFE,
		Status: agent.Active,
		Pins: []agent.Pin{
			{
				Thumbprint: "aa",
				Key:        "cc",
				Generation: 2,
				NotBefore:  noon,
				NotAfter:   noon.AddDate(1, 0, 0),
				Until:      noon.Add(time.Hour),
				Dormant:    true,
				Unused:     true,
				Yields:     true,
				Due:        noon.AddDate(0, 11, 0),
				JKT:        "dd",
				Renewed:    noon.Add(time.Minute),
			},
			{Thumbprint: "bb", Generation: 1, NotBefore: ago(time.Hour), NotAfter: noon.AddDate(1, 0, 0)},
		},
		SPIFFEID:      "spiffe://acme.test/acme/agent-1",
		Bundle:        [][]byte{{0x30, 4}, {0x30, 5}},
		Intermediates: [][]byte{{0x30, 6}},
		JKT:           "jkt",
		ProofBound:    true,
		Handle:        agent.Handle{1, 15: 0xff},
		EnrolledAt:    ago(time.Hour),
		UpdatedAt:     noon,
		Past: agent.Past{
			Newest: noon,
			Known:  []string{"aa", "cc"},
			Floor:  ago(time.Hour),
			Ended:  []string{"ee"},
			Recent: []agent.KeyID{{1, 2}, {0xff}},
			Stored: 7,

			Activated: ago(time.Minute),
		},
		Suspect: agent.Suspect{Evidence: agent.ForeignProofKey, Thumbprint: "ab", Other: agentID(7), At: noon},
		Early:   noon.AddDate(0, 10, 0),
		Hygiene: agent.Hygiene{
			Deliver:     agent.SecretsManager,
			About:       "aa",
			Told:        true,
			Undelivered: "version",
			Failed:      3,
			Later:       noon.Add(time.Hour),
			Named:       7,
			Job:         noon.Add(-time.Minute),
		},
	}
}

func fullPointer() orgca.Pointer {
	return orgca.Pointer{
		Current:     3,
		Fingerprint: "cc",
		Accepted: []orgca.Overlap{{
			Generation: 2,
			Until:      noon,
			Undone:     true,
			Opens:      ago(time.Minute),
			Closes:     ago(time.Second),
			Bound:      orgca.Everyone,
		}, {Generation: 1, Until: ago(time.Hour)}},
		Previous:   2,
		Fence:      7,
		SigningKey: "arn:aws:kms:::key/issuing",
		Chain:      [][]byte{{0x30, 0}, bytes.Repeat([]byte{0xff}, 700)},
		Legacy:     true,
		NotAfter:   noon.AddDate(15, 0, 0),
		RotatedAt:  noon,
	}
}

func fullGeneration(number int64) orgca.Generation {
	return orgca.Generation{
		Number:       number,
		State:        orgca.Superseded,
		RotationID:   "r",
		Source:       orgca.Mint,
		Reason:       "keyCompromise",
		Left:         "cACompromise",
		Actor:        "admin",
		RootKey:      "arn:root",
		IssuingKey:   "arn:issuing",
		Root:         []byte{0x30, 1},
		Issuing:      []byte{0x30, 2},
		Above:        [][]byte{{0x30, 3}, {0x30, 4}},
		Subject:      "CN=acme Org CA G3,O=acme",
		NotBefore:    ago(time.Minute),
		NotAfter:     noon.AddDate(15, 0, 0),
		Legacy:       true,
		Truststore:   "v1",
		CreatedAt:    ago(4 * time.Hour),
		StagedAt:     ago(3 * time.Hour),
		CurrentAt:    ago(2 * time.Hour),
		SupersededAt: ago(time.Hour),
		RetiredAt:    ago(time.Minute),
		Superseding:  8,
	}
}

func fullReissue() orgca.Reissue {
	return orgca.Reissue{
		Generation: 3,
		From:       2,
		Fence:      7,
		Began:      ago(time.Hour),
		Waves:      []int{1, 10, 100},
		Hold:       10 * time.Minute,
		OnHalt:     orgca.RollBackOnHalt,
		Wave:       1,
		WaveBegan:  ago(time.Minute),
		Bound:      orgca.Everyone,
		State:      orgca.Halted,
		Why:        "two deliveries failed",
		Agents:     []string{"acme::one", "acme::two"},
		ReissueCounts: orgca.ReissueCounts{
			Delivered: 1,
			Notified:  2,
			Failed:    3,
			Renewing:  4,
			Waiting:   5,
			Later:     6,
		},
		WaveCounts: orgca.WaveCounts{Moved: 7, Recent: 8, Used: 9, Awaited: 10, Refused: 11, Silent: 12},
		Excused:    13,
		Warned:     true,
		Announced:  true,
		Next:       noon.Add(time.Minute),
		Under:      ago(time.Second),
		Federated:  true,
	}
}

func storedReissue(r orgca.Reissue) *orgca.Reissue {
	r.Version++
	return &r
}

func fullTruststore() registry.Truststore {
	return registry.Truststore{
		Object:   "v2",
		Domain:   "v1",
		Status:   registry.TruststoreUpdating,
		Warnings: []string{"certificate 3 is odd", "another"},
		Since:    ago(time.Minute),
	}
}

func storedTruststore(t registry.Truststore) registry.Truststore {
	t.Version++
	return t
}

func fullPlan() orgca.Plan {
	return orgca.Plan{
		State:       orgca.PlanDropped,
		At:          noon.Add(time.Hour),
		Fingerprint: "ab",
		By:          "admin:v1",
		Request:     []byte{'{', 0, '}'},
		Current:     3,
		Accepted:    []orgca.Overlap{{Generation: 2, Until: noon.Add(2 * time.Hour)}, {Generation: 1, Until: noon}},
		Why:         "another",
	}
}

func storedPlan(p orgca.Plan) orgca.Plan {
	p.Version++
	return p
}

func fullAnswer() registry.Answer {
	return registry.Answer{
		Key:     "key",
		Request: "mint",
		Result:  json.RawMessage(`{"a":"\u00e9"}`),
		Expires: noon.Add(registry.AnswerTTL).Truncate(time.Second),
		Owner:   "call-1",
	}
}

func fullTokenKey(epoch int64) registry.TokenKey {
	return registry.TokenKey{
		Epoch:   epoch,
		ID:      fmt.Sprint("kid-", epoch),
		Public:  []byte{0x30, 3},
		Wrapped: []byte{0, 255},
		Expires: noon.Add(48 * time.Hour),
	}
}

// mustBeFull keeps the round trips honest: a new field of a record has to be added here, and then stored.
func mustBeFull(t *testing.T, record any, except ...string) {
	t.Helper()
	v := reflect.ValueOf(record)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).IsZero() && !slices.Contains(except, name) {
			t.Errorf("%T.%s is not tested: it is zero", record, name)
		}
	}
}

// finer is a copy of a record with every instant in it put off by less than a millisecond, which no store keeps.
func finer[T any](record T) T {
	v := reflect.New(reflect.TypeFor[T]()).Elem()
	v.Set(reflect.ValueOf(record))
	putOff(v)
	return v.Interface().(T)
}

func putOff(v reflect.Value) {
	if t, ok := v.Interface().(time.Time); ok {
		if !t.IsZero() {
			v.Set(reflect.ValueOf(t.Add(123_456 * time.Nanosecond)))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			putOff(v.Field(i))
		}
	case reflect.Slice:
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		if v.Len() > 0 {
			v.Set(own)
		}
		for i := range v.Len() {
			putOff(v.Index(i))
		}
	default: // holds no instant
	}
}

func fullRecords(t *testing.T, f fixture) {
	a, p, g, g12, k := fullAgent(), fullPointer(), fullGeneration(3), fullGeneration(12), fullTokenKey(5)
	mustBeFull(t, a, "Head", "Version")
	ts, re := fullTruststore(), fullReissue()
	for _, versioned := range []any{p, g, ts, re, fullPlan()} {
		mustBeFull(t, versioned, "Version")
	}
	for _, whole := range []any{a.Pins[0], a.Hygiene, k, fullAnswer()} {
		mustBeFull(t, whole)
	}
	row, agentHead := appended(audit.Head{}, string(a.ID), audit.AgentEnrolled)
	a.Head = agentHead
	orgRow, head := appended(audit.Head{}, orgID, audit.OrgCACreated)
	mustBeFull(t, row)
	answer := fullAnswer()
	held := f.acquire("holder", noon)
	mustBeFull(t, held)
	f.same("lease", f.org().Lease, orgca.Lease{
		Holder:    "holder",
		Operation: "rotate-ca",
		Phase:     "swap",
		Expires:   noon.Add(orgca.LeaseTTL),
		Fence:     1,
	})
	// The written instants are finer than any store keeps; those that are read are not.
	finePointer, fineAgent, fineTruststore, finePlan := finer(p), finer(a), finer(ts), finer(fullPlan())
	fineReissue := finer(re)
	f.apply(registry.Change{
		ID:          newID(),
		Pointer:     &finePointer,
		Generations: finer([]orgca.Generation{g12, g}),
		Truststore:  &fineTruststore,
		Plan:        &finePlan,
		Reissue:     &fineReissue,
		Agent:       &fineAgent,
		Head:        &head,
		Rows:        []audit.Row{row, orgRow},
		Answer:      &answer,
	})
	f.same("view", f.view(a.ID), registry.View{Agent: storedAgent(a), Pointer: storedPointer(p)})
	head.Version = 1
	f.same("org", f.org(), registry.Org{
		Pointer:     storedPointer(p),
		Generations: storedGenerations(g, g12),
		Truststore:  storedTruststore(ts),
		Plan:        storedPlan(fullPlan()),
		Reissue:     storedReissue(re),
		Head:        head,
		Lease:       held,
	})
	f.same("rows of the agent", f.rows(string(a.ID)), []audit.Row{row})
	f.same("rows of the organisation", f.rows(orgID), []audit.Row{orgRow})
	got, err := f.Answer(t.Context(), answer.Key, noon)
	f.fails("answer", err, nil)
	f.same("answer", got, &answer)
	f.fails("put token key", f.PutTokenKey(t.Context(), k), nil)
	f.hasTokenKey(k)
}

func (f fixture) hasTokenKey(want registry.TokenKey) {
	f.t.Helper()
	got, err := f.TokenKey(f.t.Context(), want.Epoch)
	f.fails("token key", err, nil)
	f.same("token key", got, &want)
}

func zeroRecords(t *testing.T, f fixture) {
	a, p, g, head := agent.Agent{ID: agentID(1)}, orgca.Pointer{}, orgca.Generation{Number: 1}, audit.Head{}
	f.apply(registry.Change{
		ID:          newID(),
		Pointer:     &p,
		Generations: []orgca.Generation{g},
		Truststore:  &registry.Truststore{Warnings: []string{}},
		Plan:        &orgca.Plan{Request: []byte{}, Accepted: []orgca.Overlap{}},
		Reissue:     &orgca.Reissue{Waves: []int{}, Agents: []string{}},
		Agent:       &a,
		Head:        &head,
	})
	f.same("view", f.view(a.ID), registry.View{Agent: storedAgent(a), Pointer: storedPointer(p)})
	f.same("org", f.org(), registry.Org{
		Pointer:     storedPointer(p),
		Generations: storedGenerations(g),
		Truststore:  registry.Truststore{Version: 1},
		Plan:        orgca.Plan{Version: 1},
		Reissue:     &orgca.Reissue{Version: 1},
		Head:        audit.Head{Version: 1},
	})

	empty := agent.Agent{ID: agentID(2), Profile: agent.Profile{Capabilities: []string{}}, Pins: []agent.Pin{}}
	bare := agent.Agent{ID: agentID(3), Pins: []agent.Pin{{}}}
	f.apply(registry.Change{ID: newID(), Agent: &empty})
	f.apply(registry.Change{ID: newID(), Agent: &bare})
	f.same("agent with empty lists", f.view(empty.ID).Agent, storedAgent(agent.Agent{ID: empty.ID}))
	f.same("agent with a zero pin", f.view(bare.ID).Agent, storedAgent(bare))

	k := registry.TokenKey{Epoch: 0}
	f.fails("put token key", f.PutTokenKey(t.Context(), k), nil)
	f.hasTokenKey(k)
}

func times(t *testing.T, f fixture) {
	elsewhere := time.FixedZone("elsewhere", 7*3600)
	for n, c := range []struct {
		name        string
		write, read time.Time
	}{
		{"zero", time.Time{}, time.Time{}},
		{"the beginning of Unix time", time.Unix(0, 0), time.Unix(0, 0)},
		{"before Unix time", time.Unix(-1, 0), time.Unix(-1, 0)},
		{"with nanoseconds", noon.Add(999_999), noon},
		{"elsewhere", noon.In(elsewhere), noon},
	} {
		id := agentID(n)
		f.apply(registry.Change{
			ID:    newID(),
			Agent: &agent.Agent{ID: id, EnrolledAt: c.write, Pins: []agent.Pin{{Until: c.write}}},
		})
		got := f.view(id).Agent
		for _, at := range []time.Time{got.EnrolledAt, got.Pins[0].Until} {
			if !at.Equal(c.read) || at.IsZero() != c.read.IsZero() || at.Location() != time.UTC {
				t.Errorf("%s: got %v, want %v in UTC", c.name, at, c.read)
			}
		}
	}
}

func aliases(t *testing.T, f fixture) {
	a, p, g, ts, planned := fullAgent(), fullPointer(), fullGeneration(1), fullTruststore(), fullPlan()
	f.apply(registry.Change{ID: newID(), Agent: &a, Pointer: &p, Generations: []orgca.Generation{g}, Truststore: &ts})
	re := fullReissue()
	f.apply(registry.Change{ID: newID(), Plan: &planned, Reissue: &re})
	re.Waves[0], re.Agents[0] = 99, "x"
	spoil(&a, &p, &g)
	ts.Warnings[0], planned.Request[0], planned.Accepted[0].Generation = "x", 'x', 99
	view, org := f.asWritten("the change was spoilt")
	org.Truststore.Warnings[0], org.Plan.Request[0], org.Plan.Accepted[0].Generation = "x", 'x', 99
	org.Reissue.Waves[0], org.Reissue.Agents[0], org.Reissue.State = 99, "x", "x"
	spoil(view.Agent, view.Pointer, &org.Generations[0])
	spoil(view.Agent, org.Pointer, &org.Generations[0])
	f.asWritten("what was read was spoilt")
}

// asWritten compares with new values, which share no memory with anything.
func (f fixture) asWritten(after string) (registry.View, registry.Org) {
	f.t.Helper()
	view, org := f.view(agentID(1)), f.org()
	f.same("view after "+after, view, registry.View{
		Agent:   storedAgent(fullAgent()),
		Pointer: storedPointer(fullPointer()),
	})
	f.same("org after "+after, org, registry.Org{
		Pointer:     storedPointer(fullPointer()),
		Generations: storedGenerations(fullGeneration(1)),
		Truststore:  storedTruststore(fullTruststore()),
		Plan:        storedPlan(fullPlan()),
		Reissue:     storedReissue(fullReissue()),
	})
	return view, org
}

func spoil(a *agent.Agent, p *orgca.Pointer, g *orgca.Generation) {
	a.DisplayName, a.Capabilities[0], a.Pins[0].Thumbprint = "x", "x", "x"
	a.Bundle[0][0], a.Intermediates[0][0] = 'x', 'x'
	p.Chain[0][0], p.Accepted[0].Generation, p.Current = 'x', 99, 99
	g.Root[0], g.Issuing[0], g.Above[1][0], g.State = 'x', 'x', 'x', "x"
}

func copies(t *testing.T, f fixture) {
	p := fullPointer()
	for round := range 2 {
		f.apply(registry.Change{ID: newID(), Pointer: &p})
		p = *storedPointer(p)
		seen := map[int]bool{}
		for n := 0; len(seen) < orgca.Copies; n++ {
			if seen[orgca.Copy(string(agentID(n)))] {
				continue
			}
			seen[orgca.Copy(string(agentID(n)))] = true
			got, err := f.Pointer(t.Context(), agentID(n))
			f.fails("pointer", err, nil)
			f.same(fmt.Sprintf("copy read by %s, round %d", agentID(n), round), got, &p)
			f.same("the same in a view", f.view(agentID(n)).Pointer, &p)
		}
		p.Current++
	}
}
