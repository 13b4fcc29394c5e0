package dynamo

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
)

// encodePointer makes one copy. With the chain of a minted Org CA it stays far below the 4 KB of one read unit; two
// RSA-4096 certificates of an upload still fit. Beyond that nothing breaks: a read costs a second unit.
func encodePointer(p orgca.Pointer, copy int) item {
	w := writer{key(org, pointerKey(copy))}
	w.number("current", p.Current)
	w.text("fingerprint", p.Fingerprint)
	w.overlaps("accepted", p.Accepted)
	w.number("previous", p.Previous)
	w.number("fence", p.Fence)
	w.text("signing_key", p.SigningKey)
	w.list("chain", len(p.Chain), func(i int) types.AttributeValue { return blob(p.Chain[i]) })
	w.flag("legacy", p.Legacy)
	w.time("not_after", p.NotAfter)
	w.time("rotated_at", p.RotatedAt)
	w.number("version", p.Version+1)
	return w.item
}

func decodePointer(i item) (orgca.Pointer, error) {
	r := reader{item: i}
	p := orgca.Pointer{
		Current:     r.number("current"),
		Fingerprint: r.text("fingerprint"),
		Accepted:    r.overlaps("accepted"),
		Previous:    r.number("previous"),
		Fence:       r.number("fence"),
		SigningKey:  r.text("signing_key"),
		Chain:       elements(&r, "chain", func(v *types.AttributeValueMemberB) []byte { return v.Value }),
		Legacy:      r.flag("legacy"),
		NotAfter:    r.time("not_after"),
		RotatedAt:   r.time("rotated_at"),
		Version:     r.number("version"),
	}
	return p, r.err
}

func (w writer) overlaps(name string, all []orgca.Overlap) {
	w.list(name, len(all), func(i int) types.AttributeValue {
		a, o := writer{make(item, 6)}, all[i]
		a.number("generation", o.Generation)
		a.time("until", o.Until)
		a.flag("undone", o.Undone)
		a.time("opens", o.Opens)
		a.time("closes", o.Closes)
		a.number("bound", o.Bound)
		return &types.AttributeValueMemberM{Value: a.item}
	})
}

func (r *reader) overlaps(name string) []orgca.Overlap {
	return elements(r, name, func(v *types.AttributeValueMemberM) orgca.Overlap {
		of := reader{item: v.Value, err: r.err}
		a := orgca.Overlap{
			Generation: of.number("generation"),
			Until:      of.time("until"),
			Undone:     of.flag("undone"),
			Opens:      of.time("opens"),
			Closes:     of.time("closes"),
			Bound:      of.number("bound"),
		}
		r.err = of.err
		return a
	})
}

func encodePlan(p orgca.Plan) item {
	w := writer{key(org, planKey)}
	w.text("state", string(p.State))
	w.time("at", p.At)
	w.text("fingerprint", p.Fingerprint)
	w.text("by", p.By)
	w.blob("request", p.Request)
	w.number("current", p.Current)
	w.overlaps("accepted", p.Accepted)
	w.text("why", p.Why)
	w.number("version", p.Version+1)
	return w.item
}

func decodePlan(i item) (orgca.Plan, error) {
	r := reader{item: i}
	p := orgca.Plan{
		State:       orgca.PlanState(r.text("state")),
		At:          r.time("at"),
		Fingerprint: r.text("fingerprint"),
		By:          r.text("by"),
		Request:     r.blob("request"),
		Current:     r.number("current"),
		Accepted:    r.overlaps("accepted"),
		Why:         r.text("why"),
		Version:     r.number("version"),
	}
	return p, r.err
}

func encodeGeneration(g orgca.Generation) item {
	w := writer{key(org, generationKey(g.Number))}
	w.number("number", g.Number)
	w.text("state", string(g.State))
	w.text("rotation_id", g.RotationID)
	w.text("source", string(g.Source))
	w.text("reason", g.Reason)
	w.text("left", g.Left)
	w.text("actor", g.Actor)
	w.text("root_key", g.RootKey)
	w.text("issuing_key", g.IssuingKey)
	w.blob("root", g.Root)
	w.blob("issuing", g.Issuing)
	w.list("above", len(g.Above), func(i int) types.AttributeValue { return blob(g.Above[i]) })
	w.text("subject", g.Subject)
	w.time("not_before", g.NotBefore)
	w.time("not_after", g.NotAfter)
	w.flag("legacy", g.Legacy)
	w.text("truststore", g.Truststore)
	w.time("created_at", g.CreatedAt)
	w.time("staged_at", g.StagedAt)
	w.time("current_at", g.CurrentAt)
	w.time("superseded_at", g.SupersededAt)
	w.time("retired_at", g.RetiredAt)
	w.number("superseding", g.Superseding)
	w.number("version", g.Version+1)
	return w.item
}

func decodeGeneration(i item) (orgca.Generation, error) {
	r := reader{item: i}
	g := orgca.Generation{
		Number:       r.number("number"),
		State:        orgca.State(r.text("state")),
		RotationID:   r.text("rotation_id"),
		Source:       orgca.Source(r.text("source")),
		Reason:       r.text("reason"),
		Left:         r.text("left"),
		Actor:        r.text("actor"),
		RootKey:      r.text("root_key"),
		IssuingKey:   r.text("issuing_key"),
		Root:         r.blob("root"),
		Issuing:      r.blob("issuing"),
		Above:        elements(&r, "above", func(v *types.AttributeValueMemberB) []byte { return v.Value }),
		Subject:      r.text("subject"),
		NotBefore:    r.time("not_before"),
		NotAfter:     r.time("not_after"),
		Legacy:       r.flag("legacy"),
		Truststore:   r.text("truststore"),
		CreatedAt:    r.time("created_at"),
		StagedAt:     r.time("staged_at"),
		CurrentAt:    r.time("current_at"),
		SupersededAt: r.time("superseded_at"),
		RetiredAt:    r.time("retired_at"),
		Superseding:  r.number("superseding"),
		Version:      r.number("version"),
	}
	return g, r.err
}

func encodeTruststore(t registry.Truststore) item {
	w := writer{key(org, domainKey)}
	w.text("object", t.Object)
	w.text("domain", t.Domain)
	w.text("status", string(t.Status))
	w.list("warnings", len(t.Warnings), func(i int) types.AttributeValue { return text(t.Warnings[i]) })
	w.time("since", t.Since)
	w.number("version", t.Version+1)
	return w.item
}

func decodeTruststore(i item) (registry.Truststore, error) {
	r := reader{item: i}
	t := registry.Truststore{
		Object:   r.text("object"),
		Domain:   r.text("domain"),
		Status:   registry.TruststoreStatus(r.text("status")),
		Warnings: elements(&r, "warnings", func(v *types.AttributeValueMemberS) string { return v.Value }),
		Since:    r.time("since"),
		Version:  r.number("version"),
	}
	return t, r.err
}

func encodeHead(h audit.Head) item {
	w := writer{key(headRecord, single)}
	w.number("seq", h.Seq)
	w.text("hash", h.Hash)
	w.number("version", h.Version+1)
	return w.item
}

func decodeHead(i item) (audit.Head, error) {
	r := reader{item: i}
	h := audit.Head{Seq: r.number("seq"), Hash: r.text("hash"), Version: r.number("version")}
	return h, r.err
}

func decodeLease(i item) (orgca.Lease, error) {
	r := reader{item: i}
	l := orgca.Lease{
		Holder:    r.text("holder"),
		Operation: r.text("operation"),
		Phase:     r.text("phase"),
		Expires:   r.time("expires"),
		Fence:     r.number("fence"),
	}
	return l, r.err
}
