// Package model checks the rotation state machine against a small model. Operations come in any order, writes are
// lost, unacknowledged or late, and processes die between any two remote calls.
package model

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/warnings"
	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/pkitest"
)

// machine drives a Mastio and remembers what it was promised.
type machine struct {
	*inmemory.Mastio
	ctx context.Context

	mu    sync.Mutex                     // of the next four: hygiene works on several agents at once
	fate  func(op string) memstore.Fault // of the operation that runs now
	alive int                            // remote calls until the process dies; negative: it does not
	spare int                            // calls of agents' secrets until one fails; negative: none does
	// intruded: another one has done something in the middle of the last operation
	intruded bool
	skew     time.Duration // by which the clock of the process that carried it out was off
	fence    int64         // highest seen on the pointer
	claims   []claim

	issued map[agent.ID][]certificate // every certificate that was ever handed out
	grave  dead
	until  map[string]time.Time // by thumbprint: the end of a grace that a rotation left
	outside
	sightings
	resources resources

	requests int // that named an idempotency key
	dates    int // requests that scheduled a rotation, or cancelled one
}

// certificate is one that a caller holds.
type certificate struct {
	pem []byte
	pin agent.Pin
	key crypto.Signer // nil: not held
}

// claim is a promise that must hold for good, whatever arrives late: "nothing was changed".
type claim struct {
	what string
	// holds is asked after every step. The generation that must never become current, or the thumbprint that must never
	// be pinned, is not known to the caller; so it is the fence, or the agent's version, that must not have been used.
	holds func(org registry.Org) error
}

func newMachine(ctx context.Context) *machine {
	m := &machine{
		ctx:     ctx,
		alive:   -1,
		spare:   -1,
		issued:  map[agent.ID][]certificate{},
		grave:   newDead(),
		until:   map[string]time.Time{},
		outside: newOutside(),

		sightings: newSightings(),
		resources: newResources(),
	}
	m.Mastio = inmemory.New(memstore.Config{Fault: func(op string) memstore.Fault {
		if m.dead() {
			return memstore.Refuse
		}
		m.mu.Lock()
		fate := m.fate
		m.mu.Unlock()
		if fate == nil {
			return memstore.None
		}
		return fate(op)
	}})
	m.Keys.Fault = func(string, bool) error { return m.dying() }
	m.Secrets.Fault = func(string, bool) error {
		if err := m.dying(); err != nil {
			return err
		}
		return m.outage()
	}
	m.Objects.Fault = func(bool) error { return m.dying() }
	return m
}

var (
	errDied   = errors.New("process died")
	errOutage = errors.New("no answer")
)

// dead counts a remote call down; once at zero, every further call fails, as after a kill.
func (m *machine) dead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive > 0 {
		m.alive--
	}
	return m.alive == 0
}

// outage counts a call of an agent's secret down; the one at zero fails, and the process lives on.
func (m *machine) outage() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spare--; m.spare == -1 {
		return errOutage
	}
	return nil
}

func (m *machine) dying() error {
	if m.dead() {
		return errDied
	}
	return nil
}

// skews are by how many seconds the clock of a process can be off; jumps are those of one whose clock is plainly wrong.
// What it decides about the Org CA must not outlast it; a deadline that it gives to a certificate is as wrong as its
// clock.
var (
	skews = []int{0, 0, 0, -40, -5, 5, 40}
	jumps = append([]int{-7200, 7200, 86400}, skews...)
	// ahead are those of a deactivation and of an SVID's enrolment: a clock that is behind by more than the record's
	// slack, an hour, takes the floor for one of a fast clock and lowers it.
	ahead = append([]int{7200, 86400}, skews...)
)

// clocked starts a process whose clock is off.
func (m *machine) clocked(skew time.Duration) *inmemory.Process {
	return m.Spawn(func() time.Time { return m.Now().Add(skew) })
}

// troubled draws the troubles of one operation, and takes them away when it is over. The operation runs in a process of
// its own, and so does an intruder: no two of them share a clock.
func (m *machine) troubled(t *rapid.T) func() { return m.troubledBy(t, jumps) }

func (m *machine) troubledBy(t *rapid.T, skews []int) func() {
	faults := rapid.SliceOfN(rapid.SampledFrom([]memstore.Fault{
		memstore.None, memstore.None, memstore.None, memstore.Lose, memstore.HalfAck, memstore.Late, memstore.Refuse,
	}), 12, 12).Draw(t, "faults")
	m.alive = rapid.SampledFrom([]int{-1, -1, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25}).Draw(t, "calls until death")
	m.spare = rapid.SampledFrom([]int{-1, -1, -1, 0, 1, 2, 3, 4, 5}).Draw(t, "calls of secrets until a failure")
	skew := time.Duration(rapid.SampledFrom(skews).Draw(t, "clock skew")) * time.Second
	if rapid.Bool().Draw(t, "calm") { // with a fault in every other call, hardly a rotation would ever succeed
		faults, m.alive, m.spare = nil, -1, -1
	}
	m.intruded = false
	intrude := m.intruder(t)
	m.skew = skew
	home := m.Process
	m.Process = m.clocked(skew)
	next := 0
	m.fate = func(op string) memstore.Fault {
		m.mu.Lock()
		call, fault := next, memstore.None
		if next < len(faults) {
			fault = faults[next]
		}
		next++
		m.mu.Unlock()
		intrude(call)
		return fault
	}
	return func() {
		m.fate, m.alive, m.spare, m.Process = nil, -1, -1, home
		m.deviates(skew)
	}
}

// intruder is another operator, or the schedule, who does something in the middle of the operation, between two of its
// calls, and without troubles of his own.
func (m *machine) intruder(t *rapid.T) func(call int) {
	at := rapid.SampledFrom([]int{-1, -1, -1, 0, 1, 2, 3, 5, 8}).Draw(t, "another one comes before call")
	mode := rapid.SampledFrom([]rotateca.Mode{rotateca.Mint, rotateca.Rollback, rotateca.Finalise, rotateca.Stage,
		rotateca.Cancel, ""}).Draw(t, "and does")
	skew := time.Duration(rapid.SampledFrom(jumps).Draw(t, "by a clock that is off by")) * time.Second
	return func(call int) {
		m.mu.Lock()
		if call != at || m.alive == 0 {
			m.mu.Unlock()
			return
		}
		at, m.intruded = -1, true
		fate, alive, home := m.fate, m.alive, m.Process
		m.fate, m.alive, m.Process = nil, -1, m.clocked(skew)
		m.mu.Unlock()
		if mode == "" {
			_, _ = m.Standby.Run(m.ctx)
		} else {
			_, _ = m.RotateCA.Do(m.ctx, rotateca.Request{Mode: mode, By: audit.By{Actor: "another"}})
		}
		m.mu.Lock()
		m.fate, m.alive, m.Process = fate, alive, home
		m.mu.Unlock()
	}
}

func (m *machine) org(t *rapid.T) registry.Org {
	org, err := m.Store.Org(m.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return org
}

func (m *machine) standby(t *rapid.T) {
	over := m.troubledBy(t, jumps)
	_, _ = m.Standby.Run(m.ctx)
	over()
}

func (m *machine) mint(t *rapid.T) { m.swap(t, rotateca.Request{Mode: rotateca.Mint}) }

// upload brings an operator's CA, now and then a legacy one, which is welcome in an empty organisation only.
func (m *machine) upload(t *rapid.T) {
	length := rapid.SampledFrom([]int{0, 1, 1, 3, -1}).Draw(t, "pathLen")
	before := m.org(t)
	if m.swap(t, rotateca.Request{
		Mode:   rotateca.Upload,
		Upload: m.operatorCA(t, length),
	}) && length == 0 && before.Pointer != nil {
		t.Fatal("a legacy root has become the Org CA")
	}
}

func (m *machine) operatorCA(t *rapid.T, pathLen int) *rotateca.Files {
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := pkitest.CATemplate("Operator Root", pathLen, m.Now())
	template.SerialNumber = big.NewInt(1 + rapid.Int64Range(0, 1<<40).Draw(t, "serial"))
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := pki.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &rotateca.Files{Certificates: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: encoded}
}

// stage brings one up to the pre-flight; commit takes any of those that wait.
func (m *machine) stage(t *rapid.T) {
	req := rotateca.Request{
		Mode:   rotateca.Stage,
		By:     audit.By{Actor: "test"},
		Reason: rapid.SampledFrom(reasons).Draw(t, "reason"),
	}
	if rapid.Bool().Draw(t, "upload") {
		req.Upload = m.operatorCA(t, 1)
	}
	over := m.troubledBy(t, jumps)
	result, err := m.RotateCA.Do(m.ctx, req)
	over()
	if err == nil && result.Status != orgca.Staged {
		t.Fatalf("staged %+v", result)
	}
	if err == nil {
		m.grave.staged[result.Fingerprint] = req.Reason
	}
}

// reasons are why the Org CA is rotated.
var reasons = []string{"", "", "superseded", "keyCompromise"}

func (m *machine) commit(t *rapid.T) {
	var waiting []string
	for _, g := range m.org(t).Generations {
		if g.State == orgca.Staged {
			waiting = append(waiting, g.Fingerprint())
		}
	}
	if len(waiting) > 0 {
		m.swap(t, rotateca.Request{Mode: rotateca.Commit, Fingerprint: rapid.SampledFrom(waiting).Draw(t, "which")})
	}
}

// swap asks for another generation. Success must be visible at once; a failure that is not "unknown" must never become
// a success.
func (m *machine) swap(t *rapid.T, req rotateca.Request) bool {
	before := m.org(t)
	req.Actor, req.Reason = "test", rapid.SampledFrom(reasons).Draw(t, "reason")
	req.Overlap = rapid.SampledFrom([]time.Duration{0, 0, 10 * time.Minute}).Draw(t, "overlap")
	if req.Overlap > 0 && rapid.Bool().Draw(t, "in waves") {
		req.Moves = drawMoves(t)
	}
	over := m.troubledBy(t, jumps)
	result, err := m.RotateCA.Do(m.ctx, req)
	died := m.alive == 0
	over()
	after := m.org(t)
	if err == nil {
		m.compromised(before, after, req.Reason)
	}
	switch {
	case err == nil && m.intruded: // the other one may have come after the commit
	case err == nil:
		if after.Pointer == nil || after.Pointer.Current != result.Generation ||
			after.Pointer.Fingerprint != result.Fingerprint {
			t.Fatalf("rotation to generation %d was reported, pointer is %+v", result.Generation, after.Pointer)
		}
	case died || errors.Is(err, registry.ErrUnknown): // no caller got an answer
	default:
		fence := after.Lease.Fence
		if fence == before.Lease.Fence || m.intruded { // whose fence it is cannot be seen from here
			break
		}
		m.claims = append(m.claims, claim{fmt.Sprintf("rotation under fence %d failed: %v", fence, err),
			func(org registry.Org) error {
				if org.Pointer != nil && org.Pointer.Fence == fence {
					return errors.New("it committed")
				}
				return nil
			}})
	}
	return err == nil
}

// undo rolls back or finalises. A rollback that is reported has made the generation before current, and nothing else.
func (m *machine) undo(t *rapid.T) {
	mode := rapid.SampledFrom([]rotateca.Mode{rotateca.Rollback, rotateca.Finalise}).Draw(t, "mode")
	before := m.org(t)
	over := m.troubledBy(t, jumps)
	result, err := m.RotateCA.Do(m.ctx, rotateca.Request{Mode: mode, By: audit.By{Actor: "test"}})
	over()
	after := m.org(t)
	if err != nil || mode == rotateca.Finalise || m.intruded {
		if err == nil && mode == rotateca.Finalise && !m.intruded &&
			(len(after.Pointer.Accepted) > 0 || after.Pointer.Previous != 0 || after.Pointer.Current != before.Pointer.Current) {
			t.Fatalf("finalised, pointer is %+v", after.Pointer)
		}
		return
	}
	if after.Pointer.Current != before.Pointer.Previous || result.Generation != before.Pointer.Previous ||
		len(after.Pointer.Accepted) > 0 {
		t.Fatalf("rolled back from %+v to %+v", before.Pointer, after.Pointer)
	}
}

func (m *machine) admit(t *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b", "a", "b", "c"}).Draw(t, "name")
	over := m.troubled(t)
	result, err := m.Admit(m.ctx, name, agent.Introspect)
	over()
	if err == nil {
		m.given(result.Agent.ID, result.Certificate, result.Material)
	}
}

func (m *machine) hold(id agent.ID, c certificate) { m.issued[id] = append(m.issued[id], c) }

// rotate rotates a certificate. Success means that the new one is the agent's newest pin, and that of all others at
// most one is left, dormant, for a rollback.
func (m *machine) rotate(t *rapid.T) {
	id := agent.ID("orga::" + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"))
	grace := rapid.SampledFrom([]time.Duration{0, 0, 10 * time.Minute, time.Hour}).Draw(t, "grace")
	over := m.troubled(t)
	result, err := m.RotateCert.Rotate(m.ctx, agentcert.RotateRequest{
		Agent: id,
		Grace: grace,
		By:    audit.By{Actor: "test"},
	})
	over()
	if err != nil {
		return
	}
	m.graced(id, grace)
	if grace == 0 {
		m.dies(id)
	}
	m.given(id, result.Certificate, result.Material)
	view, err := m.Store.View(m.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	pins := view.Agent.Pins
	if diff := cmp.Diff(result.Certificate.Pin, pins[0]); diff != "" || grace == 0 &&
		slices.ContainsFunc(pins[1:], func(p agent.Pin) bool { return !p.Dormant }) {
		t.Fatalf("after a rotation the pins are %+v\n%s", pins, diff)
	}
}

// token asks with every certificate that was ever handed out. The newest counts while its generation is accepted; the
// one that the agent left counts if a rollback has made its generation current; no other ever does.
func (m *machine) token(t *rapid.T) {
	org := m.org(t)
	m.resources.asks = nil
	for id, all := range m.issued {
		for _, c := range all {
			view, err := m.Store.View(m.ctx, id)
			if err != nil || view.Agent == nil {
				t.Fatalf("%s was enrolled, now it is %+v, %v", id, view.Agent, err)
			}
			if pinOf(*view.Agent, c).Unused { // that is for use to do
				continue
			}
			got, err := m.TokenFor(m.ctx, c.pem)
			if err == nil {
				m.shows(t, id, got.AccessToken)
				m.resources.asks = c.pem
			}
			want := m.counts(org, *view.Agent, c)
			if early := m.early(t, c.pem); early && err != nil { // issued by a clock that is ahead
				want = false
			}
			if (err == nil) != want || (err != nil && problem.Of(err).Status != http.StatusUnauthorized) {
				t.Fatalf("%s with the certificate of generation %d: err = %v, want token %v", id, c.pin.Generation, err, want)
			}
		}
	}
}

func pinOf(a agent.Agent, c certificate) agent.Pin {
	i := slices.IndexFunc(a.Pins, func(p agent.Pin) bool { return p.Thumbprint == c.pin.Thumbprint })
	if i < 0 {
		return agent.Pin{}
	}
	return a.Pins[i]
}

func (m *machine) authenticates(t *rapid.T, id agent.ID, c certificate) bool {
	view, err := m.Store.View(m.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	_, err = view.Agent.Authenticate(c.pin.Thumbprint, view.Pointer, m.Now())
	return err == nil
}

// held draws one of the certificates that agents hold.
func (m *machine) held(t *rapid.T) (id agent.ID, c certificate, ok bool) {
	id = agent.ID("orga::" + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"))
	if len(m.issued[id]) == 0 {
		return id, c, false
	}
	return id, rapid.SampledFrom(m.issued[id]).Draw(t, "certificate"), true
}

// renew asks with any certificate that its agent holds. Whatever becomes of the request, one that counted counts on:
// its deadline is an hour away, or was there before.
func (m *machine) renew(t *rapid.T) {
	id, c, ok := m.held(t)
	if !ok {
		return
	}
	before := m.authenticates(t, id, c)
	key, csr := request(t, c.pem)
	over := m.troubled(t)
	result, err := m.Renew.Renew(m.ctx, agentcert.RenewRequest{CertificatePEM: string(c.pem), CSR: csr})
	over()
	if m.intruded { // the Org CA may have moved, and what counted with it
		if err == nil {
			m.hold(id, certificate{result.Certificate.CertPEM, result.Certificate.Pin, key})
		}
		return
	}
	// A deadline that a clock gives which is further behind than the deadline is away has passed: the successor counts.
	if before && !m.authenticates(t, id, c) && m.skew > -agentcert.DefaultOverlap {
		t.Fatalf("%s renewed (%v), and the certificate that asked does not count any more", id, err)
	}
	if err != nil {
		return
	}
	if !before && m.skew == 0 {
		t.Fatalf("%s renewed a certificate that does not count", id)
	}
	m.hold(id, certificate{result.Certificate.CertPEM, result.Certificate.Pin, key})
	if !m.authenticates(t, id, certificate{pin: result.Certificate.Pin}) {
		t.Fatalf("%s was given a certificate that does not count", id)
	}
}

// use asks for a token with any certificate. A successor that was used without trouble has ended what yielded to it.
func (m *machine) use(t *rapid.T) {
	id, c, ok := m.held(t)
	if !ok {
		return
	}
	counted := m.authenticates(t, id, c)
	troubled := rapid.Bool().Draw(t, "troubled")
	over := func() {}
	m.intruded, m.skew = false, 0
	if troubled {
		over = m.troubled(t)
	}
	_, err := m.TokenFor(m.ctx, c.pem)
	over()
	if m.intruded || m.skew != 0 { // decided by another state, or another clock
		return
	}
	if err == nil && !counted || err != nil && counted && !troubled && !m.early(t, c.pem) {
		t.Fatalf("%s, whose certificate counted %v: %v", id, counted, err)
	}
	if err != nil || troubled {
		return
	}
	view, err := m.Store.View(m.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	p := pinOf(*view.Agent, c)
	if _, changed := view.Agent.Use(p, view.Pointer, m.Now()); changed {
		t.Fatalf("%s used %+v, and what that ends is not committed: %+v", id, p, view.Agent.Pins)
	}
}

// counts is what the record says of a certificate; where no renewal is under way, in the model's own words.
func (m *machine) counts(org registry.Org, a agent.Agent, c certificate) bool {
	if slices.ContainsFunc(a.Pins, func(p agent.Pin) bool { return p.Unused || p.Yields || !p.Until.IsZero() }) {
		_, err := a.Authenticate(c.pin.Thumbprint, org.Pointer, m.Now())
		return err == nil
	}
	current := c.pin.Generation == org.Pointer.Current
	if a.Pin().Thumbprint == c.pin.Thumbprint {
		overlap := false
		for _, accepted := range org.Pointer.Accepted {
			overlap = overlap || accepted.Generation == c.pin.Generation && m.Now().Before(accepted.Until)
		}
		return current || overlap
	}
	return current && len(a.Pins) > 1 && a.Pins[1].Thumbprint == c.pin.Thumbprint
}

func (m *machine) deliver(*rapid.T) { m.Store.Deliver() }
func (m *machine) advance(t *rapid.T) {
	m.Advance(time.Duration(rapid.IntRange(1, 1200).Draw(t, "seconds")) * time.Second)
}

// check holds after every step, also in the middle of another operation.
func (m *machine) check(t *rapid.T) {
	org := m.org(t)
	m.checkGenerations(t, org)
	m.checkCopies(t, org)
	m.checkKeys(t, org)
	m.checkChains(t, org)
	m.checkDates(t)
	m.checkJobs(t)
	m.checkDeliveries(t)
	for _, c := range m.claims {
		if err := c.holds(org); err != nil {
			t.Fatalf("%s, then: %v", c.what, err)
		}
	}
	if org.Pointer != nil {
		m.token(t)
		m.checkDead(t, org)
		m.checkResources(t, org)
	}
	m.checkSightings(t)
}

func (m *machine) checkGenerations(t *rapid.T, org registry.Org) {
	var current []int64
	for _, g := range org.Generations {
		if g.State == orgca.Current {
			current = append(current, g.Number)
		}
	}
	switch {
	case org.Pointer == nil && len(current) == 0:
	case org.Pointer == nil || !slices.Equal(current, []int64{org.Pointer.Current}):
		t.Fatalf("current generations %v, pointer %+v", current, org.Pointer)
	case org.Pointer.Fence < m.fence || org.Lease.Fence < org.Pointer.Fence:
		t.Fatalf("pointer's fence %d, after %d, lease's %d", org.Pointer.Fence, m.fence, org.Lease.Fence)
	default:
		m.fence = org.Pointer.Fence
	}
}

func (m *machine) checkCopies(t *rapid.T, org registry.Org) {
	for i := range 40 {
		p, err := m.Store.Pointer(m.ctx, agent.ID(fmt.Sprintf("orga::%d", i)))
		if diff := cmp.Diff(org.Pointer, p); err != nil || diff != "" {
			t.Fatalf("copies of the pointer differ: %v\n%s", err, diff)
		}
	}
}

// checkKeys: no key is without a row; what issues, or may be next, has a key that signs; every root key that is not
// being made is disabled.
func (m *machine) checkKeys(t *rapid.T, org registry.Org) {
	states := map[string]inmemory.KeyState{}
	for _, k := range m.Keys.All() {
		g, ok := org.Generation(k.Spec.Generation)
		if !ok || g.RotationID != k.Spec.RotationID {
			t.Fatalf("key %s has no generation", k.ID)
		}
		states[k.ID] = k.State
	}
	for _, g := range org.Generations {
		if g.State != orgca.Current && g.State != orgca.Staged && g.State != orgca.Superseded {
			continue
		}
		if org.Pointer != nil && org.Pointer.Spent(g, m.Now()) { // its keys may be gone already, its row not yet
			continue
		}
		if states[g.SigningKey()] != inmemory.Enabled || !g.Legacy && states[g.RootKey] != inmemory.Disabled {
			t.Fatalf("generation %d is %s, its issuing key %s, its root key %s", g.Number, g.State, states[g.SigningKey()],
				states[g.RootKey])
		}
	}
}

// checkChains: every chain verifies to its head, and each swap has exactly one row.
func (m *machine) checkChains(t *rapid.T, org registry.Org) {
	swaps := 0
	for _, r := range m.verified(t, inmemory.OrgID, org.Head) {
		if r.EventType == audit.OrgCARotated || r.EventType == audit.OrgCACreated {
			swaps++
		}
	}
	reigned := 0
	for _, g := range org.Generations {
		if g.State == orgca.Current || g.State == orgca.Superseded || g.State == orgca.Retired {
			reigned++
		}
	}
	if swaps != reigned {
		t.Fatalf("%d rows of swaps, %d generations that were ever current", swaps, reigned)
	}
	for id := range m.issued {
		view, err := m.Store.View(m.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		rows := m.verified(t, string(id), view.Agent.Head)
		// The use of a certificate that a rollback restored keeps its unused successor.
		last := rows[len(rows)-1]
		// A policy is about no certificate, and a suspicion about a dead one.
		other := []audit.Event{audit.AgentHygieneSet, audit.AgentCredentialSuspect}
		for n := len(rows) - 2; slices.Contains(other, last.EventType); n-- {
			last = rows[n]
		}
		named := func(p agent.Pin) bool { return p.Thumbprint == last.Details["cert_thumbprint"] }
		activated := last.EventType == audit.AgentCertActivated && slices.ContainsFunc(view.Agent.Pins, named)
		ended := last.EventType == audit.AgentDeactivated && len(view.Agent.Pins) == 0
		outside := view.Agent.Method == agent.SPIFFE && len(view.Agent.Pins) == 0
		if !named(view.Agent.Pin()) && !activated && !ended && !outside {
			t.Fatalf("%s: last row is %s of %v, pins are %+v", id, last.EventType, last.Details["cert_thumbprint"],
				view.Agent.Pins)
		}
	}
}

func (m *machine) verified(t *rapid.T, subject string, head audit.Head) []audit.Row {
	rows, err := m.Store.Rows(m.ctx, subject, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	end, err := audit.Verify(rows)
	if err != nil || end.Seq != head.Seq || end.Hash != head.Hash {
		t.Fatalf("chain of %s ends in %+v, %v; its head says %+v", subject, end, err, head)
	}
	return rows
}

// recovers: with the trouble over and every lease expired, one run and one rotation put everything right.
func (m *machine) recovers(t *rapid.T) {
	m.Store.Deliver()
	m.Advance(time.Hour)
	if _, err := m.Standby.Run(m.ctx); err != nil {
		t.Fatalf("standby after the trouble: %v", err)
	}
	m.noDate(t)
	if org := m.org(t); org.Reissue.Works(org.Pointer) && org.Reissue.Bound >= orgca.Everyone {
		m.jobsEnd(t)
		m.fleetMoves(t)
	}
	if _, err := m.Mint(m.ctx); err != nil {
		t.Fatalf("rotation after the trouble: %v", err)
	}
	if _, err := m.Standby.Run(m.ctx); err != nil {
		t.Fatalf("standby after the rotation: %v", err)
	}
	m.check(t)
	m.jobsEnd(t)
	m.fleetMoves(t)
	m.healthy(t)
	for _, g := range m.org(t).Generations {
		if g.State == orgca.Preparing {
			t.Fatalf("generation %d was left behind", g.Number)
		}
	}
}

// healthy holds that no warning is left, except of suspect agents: the operations have shown their dead certificates,
// as a thief does.
func (m *machine) healthy(t *rapid.T) {
	var want []warnings.Warning
	for _, a := range m.agents(t) {
		if a.Suspicious() {
			want = []warnings.Warning{warnings.CredentialSuspect}
		}
	}
	state, err := m.Health.Check(m.ctx)
	if err != nil || !slices.Equal(state.Warnings, want) {
		t.Fatalf("health after the trouble = %+v, %v; want the warnings %v", state, err, want)
	}
}

// CI always draws the same checks: it judges a change, not luck. Every other run draws new ones. With -short, rapid
// makes a fifth of the checks with half of the steps: TestMain asks for twice the checks, and for all steps,
// because a shallow run finds nothing.
func TestMain(m *testing.M) {
	defaults := map[string]string{"rapid.checks": "25"}
	if os.Getenv("CI") != "" {
		defaults["rapid.seed"] = "20261124"
	}
	for name, value := range defaults {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	if testing.Short() {
		multiply("rapid.checks", 2)
		multiply("rapid.steps", 2)
	}
	os.Exit(m.Run())
}

// multiply sets a flag that is a whole number to so many times its value.
func multiply(name string, times int) {
	n, err := strconv.Atoi(flag.Lookup(name).Value.String())
	if err == nil {
		err = flag.Set(name, strconv.Itoa(times*n))
	}
	if err != nil {
		panic(err)
	}
}

func TestRotationStateMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(context.Background())
		t.Repeat(map[string]func(*rapid.T){
			"standby": m.standby, "mint": m.mint, "upload": m.upload, "stage": m.stage, "commit": m.commit, "undo": m.undo,
			"schedule": m.schedule, "cancel": m.cancel,
			"steer": m.steer, "go back": m.goBack, "refused": m.refused,
			"admit": m.admit, "rotate": m.rotate, "renew": m.renew, "use": m.use,
			"emergency": m.emergency, "spiffe": m.spiffe, "login": m.login, "deactivate": m.deactivate, "again": m.again,
			"repeat": m.repeat, "finalise": m.finalise, "deliver": m.deliver, "advance": m.advance,
			"order": m.order, "hygiene": m.hygiene, "policy": m.policy, "reissue": m.reissue,
			"": m.check,
		})
		m.recovers(t)
	})
}
