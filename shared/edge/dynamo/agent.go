package dynamo

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
)

// Every encoder of a versioned record writes the version after the one that it was read with.

func encodeAgent(a agent.Agent) item {
	w := writer{key(agentKey(a.ID), single)}
	if sk := duePlace(a); sk != "" {
		w.text("due_pk", shardOf(string(a.ID)))
		w.text("due_sk", sk)
	}
	w.profile(a.Profile)
	w.text("method", string(a.Method))
	w.text("status", string(a.Status))
	w.text("spiffe_id", a.SPIFFEID)
	w.jkt("jkt", a.JKT)
	w.flag("bound", a.ProofBound)
	w.handle("handle", a.Handle)
	w.hygiene(a.Hygiene, a.Pin().Thumbprint)
	w.time("early", a.Early)
	w.list("bundle", len(a.Bundle), func(i int) types.AttributeValue { return blob(a.Bundle[i]) })
	w.list("intermediates", len(a.Intermediates), func(i int) types.AttributeValue { return blob(a.Intermediates[i]) })
	w.list("pins", len(a.Pins), func(i int) types.AttributeValue { return encodePin(a.Pins[i], a.JKT) })
	w.past(a.Past, a.Pin())
	w.suspect(a.Suspect)
	w.time("enrolled_at", a.EnrolledAt)
	w.time("updated_at", a.UpdatedAt)
	w.number("head_seq", a.Head.Seq)
	w.digest("head_hash", a.Head.Hash)
	w.number("version", a.Version+1)
	return w.item
}

// AgentItem is the item that an agent is stored as, for filling a table past the conditions of Apply: a fleet of a
// benchmark, or one that comes from elsewhere.
func AgentItem(a agent.Agent) map[string]types.AttributeValue { return encodeAgent(a) }

func decodeAgent(i item) (agent.Agent, error) {
	r := reader{item: i}
	octets := func(v *types.AttributeValueMemberB) []byte { return v.Value }
	jkt := r.jkt("jkt")
	pins := elements(&r, "pins", func(v *types.AttributeValueMemberM) agent.Pin { return decodePin(&r, v.Value, jkt) })
	newest := agent.Agent{Pins: pins}.Pin()
	a := agent.Agent{
		ID:            r.id(),
		Profile:       r.profile(),
		Method:        agent.Method(r.text("method")),
		Status:        agent.Status(r.text("status")),
		Pins:          pins,
		SPIFFEID:      r.text("spiffe_id"),
		JKT:           jkt,
		ProofBound:    r.flag("bound"),
		Handle:        r.handle("handle"),
		Hygiene:       r.hygiene(newest.Thumbprint),
		Early:         r.time("early"),
		Bundle:        elements(&r, "bundle", octets),
		Intermediates: elements(&r, "intermediates", octets),
		Past:          r.past(newest),
		Suspect:       r.suspect(),
		EnrolledAt:    r.time("enrolled_at"),
		UpdatedAt:     r.time("updated_at"),
		Head:          audit.Head{Seq: r.number("head_seq"), Hash: r.digest("head_hash")},
		Version:       r.number("version"),
	}
	return a, r.err
}

// id is the agent's, which its record names in the key alone.
func (r *reader) id() agent.ID {
	id, ok := strings.CutPrefix(r.text("pk"), agentKey(""))
	if !ok || id == "" {
		r.fail("pk")
	}
	return agent.ID(id)
}

func (w writer) handle(name string, h agent.Handle) {
	if h != (agent.Handle{}) {
		w.blob(name, h[:])
	}
}

func (r *reader) handle(name string) (h agent.Handle) {
	octets := r.blob(name)
	if len(octets) > 0 && len(octets) != len(h) {
		r.fail(name)
	}
	copy(h[:], octets)
	return h
}

func (w writer) profile(p agent.Profile) {
	w.text("display_name", p.DisplayName)
	w.list("capabilities", len(p.Capabilities), func(i int) types.AttributeValue { return text(p.Capabilities[i]) })
	w.text("owner", p.Owner)
	w.text("suspicion", p.Suspicion)
}

func (r *reader) profile() agent.Profile {
	word := func(v *types.AttributeValueMemberS) string { return v.Value }
	return agent.Profile{
		DisplayName:  r.text("display_name"),
		Capabilities: elements(r, "capabilities", word),
		Owner:        r.text("owner"),
		Suspicion:    r.text("suspicion"),
	}
}

// past is written with the newest pin. What is known most often names that pin's certificate and no other.
func (w writer) past(p agent.Past, pin agent.Pin) {
	w.time("newest", p.Newest)
	if own := len(p.Known) > 0 && slices.Equal(p.Known, pin.Names()); own {
		w.flag("known_pin", own)
	} else {
		w.list("known", len(p.Known), func(i int) types.AttributeValue { return hexed(p.Known[i]) })
	}
	w.time("floor", p.Floor)
	w.list("ended", len(p.Ended), func(i int) types.AttributeValue { return hexed(p.Ended[i]) })
	w.blob("lost", p.Lost)
	w.blob("recent", joined(p.Recent))
	w.number("stored", p.Stored)
	w.time("activated", p.Activated)
}

// past reads what writer.past wrote with this newest pin.
func (r *reader) past(pin agent.Pin) agent.Past {
	p := agent.Past{
		Newest: r.time("newest"),
		Known:  digests(r, "known"),
		Floor:  r.time("floor"),
		Ended:  digests(r, "ended"),
		Lost:   r.blob("lost"),
		Recent: split(r, "recent"),
		Stored: r.number("stored"),

		Activated: r.time("activated"),
	}
	if r.flag("known_pin") {
		p.Known = pin.Names()
	}
	return p
}

// encodePin writes a pin. An agent that renews itself has two, and a record with two is to stay below a kilobyte, which
// is what a write is paid by: so names of one letter. A pin's DPoP key is most often the agent's, which the record has.
func encodePin(p agent.Pin, jkt string) types.AttributeValue {
	w := writer{make(item, 12)}
	w.digest("t", p.Thumbprint)
	w.digest("k", p.Key)
	w.number("g", p.Generation)
	w.time("b", p.NotBefore)
	w.time("a", p.NotAfter)
	w.time("d", p.Due)
	if own := p.JKT != "" && p.JKT == jkt; own {
		w.flag("o", own)
	} else {
		w.jkt("j", p.JKT)
	}
	w.time("u", p.Until)
	w.flag("s", p.Dormant)
	w.flag("n", p.Unused)
	w.flag("y", p.Yields)
	w.time("r", p.Renewed)
	return &types.AttributeValueMemberM{Value: w.item}
}

// decodePin reads what encodePin wrote into the record of an agent with this DPoP key.
func decodePin(of *reader, i item, jkt string) agent.Pin {
	r := reader{item: i, err: of.err}
	p := agent.Pin{
		Thumbprint: r.digest("t"),
		Key:        r.digest("k"),
		Generation: r.number("g"),
		NotBefore:  r.time("b"),
		NotAfter:   r.time("a"),
		Due:        r.time("d"),
		JKT:        r.jkt("j"),
		Until:      r.time("u"),
		Dormant:    r.flag("s"),
		Unused:     r.flag("n"),
		Yields:     r.flag("y"),
		Renewed:    r.time("r"),
	}
	if r.flag("o") {
		p.JKT = jkt
	}
	of.err = r.err
	return p
}
