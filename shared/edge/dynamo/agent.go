package dynamo

import (
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
	w.text("id", string(a.ID))
	w.profile(a.Profile)
	w.text("method", string(a.Method))
	w.text("status", string(a.Status))
	w.text("spiffe_id", a.SPIFFEID)
	w.text("jkt", a.JKT)
	w.flag("bound", a.ProofBound)
	w.handle("handle", a.Handle)
	w.hygiene(a.Hygiene)
	w.time("early", a.Early)
	w.list("bundle", len(a.Bundle), func(i int) types.AttributeValue { return blob(a.Bundle[i]) })
	w.list("intermediates", len(a.Intermediates), func(i int) types.AttributeValue { return blob(a.Intermediates[i]) })
	w.list("pins", len(a.Pins), func(i int) types.AttributeValue { return encodePin(a.Pins[i]) })
	w.past(a.Past)
	w.digest("suspect", a.Suspect.Thumbprint)
	w.time("suspect_at", a.Suspect.At)
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
	a := agent.Agent{
		ID:            agent.ID(r.text("id")),
		Profile:       r.profile(),
		Method:        agent.Method(r.text("method")),
		Status:        agent.Status(r.text("status")),
		Pins:          elements(&r, "pins", func(v *types.AttributeValueMemberM) agent.Pin { return decodePin(&r, v.Value) }),
		SPIFFEID:      r.text("spiffe_id"),
		JKT:           r.text("jkt"),
		ProofBound:    r.flag("bound"),
		Handle:        r.handle("handle"),
		Hygiene:       r.hygiene(),
		Early:         r.time("early"),
		Bundle:        elements(&r, "bundle", octets),
		Intermediates: elements(&r, "intermediates", octets),
		Past:          r.past(),
		Suspect:       agent.Suspect{Thumbprint: r.digest("suspect"), At: r.time("suspect_at")},
		EnrolledAt:    r.time("enrolled_at"),
		UpdatedAt:     r.time("updated_at"),
		Head:          audit.Head{Seq: r.number("head_seq"), Hash: r.digest("head_hash")},
		Version:       r.number("version"),
	}
	return a, r.err
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

func (w writer) past(p agent.Past) {
	w.time("newest", p.Newest)
	w.list("known", len(p.Known), func(i int) types.AttributeValue { return text(p.Known[i]) })
	w.time("floor", p.Floor)
	w.list("ended", len(p.Ended), func(i int) types.AttributeValue { return text(p.Ended[i]) })
	w.blob("lost", p.Lost)
	w.blob("recent", joined(p.Recent))
	w.number("stored", p.Stored)
	w.time("activated", p.Activated)
}

func (r *reader) past() agent.Past {
	word := func(v *types.AttributeValueMemberS) string { return v.Value }
	return agent.Past{
		Newest: r.time("newest"),
		Known:  elements(r, "known", word),
		Floor:  r.time("floor"),
		Ended:  elements(r, "ended", word),
		Lost:   r.blob("lost"),
		Recent: split(r, "recent"),
		Stored: r.number("stored"),

		Activated: r.time("activated"),
	}
}

func encodePin(p agent.Pin) types.AttributeValue {
	w := writer{make(item, 12)}
	w.digest("thumbprint", p.Thumbprint)
	w.digest("key", p.Key)
	w.number("generation", p.Generation)
	w.time("not_before", p.NotBefore)
	w.time("not_after", p.NotAfter)
	w.time("due", p.Due)
	w.text("jkt", p.JKT)
	w.time("until", p.Until)
	w.flag("dormant", p.Dormant)
	w.flag("unused", p.Unused)
	w.flag("yields", p.Yields)
	w.time("renewed", p.Renewed)
	return &types.AttributeValueMemberM{Value: w.item}
}

func decodePin(of *reader, i item) agent.Pin {
	r := reader{item: i, err: of.err}
	p := agent.Pin{
		Thumbprint: r.digest("thumbprint"),
		Key:        r.digest("key"),
		Generation: r.number("generation"),
		NotBefore:  r.time("not_before"),
		NotAfter:   r.time("not_after"),
		Until:      r.time("until"),
		Dormant:    r.flag("dormant"),
		Unused:     r.flag("unused"),
		Yields:     r.flag("yields"),
		Due:        r.time("due"),
		JKT:        r.text("jkt"),
		Renewed:    r.time("renewed"),
	}
	of.err = r.err
	return p
}
