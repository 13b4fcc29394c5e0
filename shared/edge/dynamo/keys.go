package dynamo

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
)

// keysKey is the sort key of an agent's keys: an item separate from the agent's record, which a token request does
// not read.
const keysKey = "KEYS"

// Keys reads what is known of an agent's keys.
func (s *Store) Keys(ctx context.Context, id agent.ID) (agent.Keys, error) {
	doing := "read the keys of " + string(id)
	i, err := s.get(ctx, s.registry, key(agentKey(id), keysKey))
	if err != nil || i == nil {
		return agent.Keys{Agent: id}, wrap(doing, err)
	}
	k, err := decodeKeys(i)
	k.Agent = id
	return k, wrap(doing, err)
}

func encodeKeys(k agent.Keys) item {
	w := writer{key(agentKey(k.Agent), keysKey)}
	w.blob("compromised", joined(k.Compromised))
	w.blob("earlier", joined(k.Earlier))
	w.blob("staged", joinedStaged(k.Staged))
	w.text("renewed", k.Renewed)
	w.list("renewals", len(k.Renewals), func(n int) types.AttributeValue { return millis(k.Renewals[n]) })
	w.number("version", k.Version+1)
	return w.item
}

func decodeKeys(i item) (agent.Keys, error) {
	r := reader{item: i}
	k := agent.Keys{
		Compromised: split(&r, "compromised"),
		Earlier:     split(&r, "earlier"),
		Staged:      splitStaged(&r, "staged"),
		Renewed:     r.text("renewed"),
		Version:     r.number("version"),
	}
	k.Renewals = elements(&r, "renewals", func(v *types.AttributeValueMemberN) (at time.Time) {
		one := reader{item: item{"at": v}, err: r.err}
		at = one.time("at")
		r.err = one.err
		return at
	})
	return k, r.err
}

// joined writes key ids without anything between them: the item is written with every certificate.
func joined(ids []agent.KeyID) []byte {
	var all []byte
	for _, id := range ids {
		all = append(all, id[:]...)
	}
	return all
}

func split(r *reader, name string) (ids []agent.KeyID) {
	for _, part := range parts(r, name, len(agent.KeyID{})) {
		ids = append(ids, agent.KeyID(part))
	}
	return ids
}

func joinedStaged(ids []agent.StagedID) []byte {
	var all []byte
	for _, id := range ids {
		all = append(all, id[:]...)
	}
	return all
}

func splitStaged(r *reader, name string) (ids []agent.StagedID) {
	for _, part := range parts(r, name, len(agent.StagedID{})) {
		ids = append(ids, agent.StagedID(part))
	}
	return ids
}

// parts are the octets of an attribute, so many at a time.
func parts(r *reader, name string, size int) [][]byte {
	all := r.blob(name)
	if len(all)%size != 0 {
		r.fail(name)
		return nil
	}
	return slices.Collect(slices.Chunk(all, size))
}
