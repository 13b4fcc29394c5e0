package dynamo

import (
	"fmt"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// An agent's entry holds its places in the indexes by generation and by name, in a table of its own. It follows from
// the agent's record and is written in the same transaction, but only by a change that moves it: a rotation under the
// same Org CA does not. So the table that every request reads has one index, not four.

// entryOf is the entry of an agent.
func entryOf(a agent.Agent) item {
	shard := shardOf(string(a.ID))
	w := writer{key(agentKey(a.ID), single)}
	w.text("gen_pk", shard)
	w.text("gen_sk", place(a))
	w.text("id", string(a.ID))
	if a.Status == agent.Active { // the others are in no count
		w.text("c", countKey(shard, a.Method))
	}
	return w.item
}

// entry writes the entry of a change's agent unless it stays as it is. No condition is needed: the agent's own lets one
// change in, and whatever stood there before is replaced whole.
func (s *Store) entry(c registry.Change) []types.TransactWriteItem {
	next := entryOf(*c.Agent)
	if stays(c, next) {
		return nil
	}
	return []types.TransactWriteItem{{Put: &types.Put{TableName: &s.fleet, Item: next}}}
}

// stays reports whether the entry is known to be there already. The agent that the change was decided on is the one in
// the registry, or the condition on its version is false.
func stays(c registry.Change, next item) bool {
	was := c.Was
	return was != nil && was.Version > 0 && was.Version == c.Agent.Version && maps.EqualFunc(entryOf(*was), next, sameText)
}

func sameText(a, b types.AttributeValue) bool {
	one, ok := a.(*types.AttributeValueMemberS)
	other, too := b.(*types.AttributeValueMemberS)
	return ok && too && one.Value == other.Value
}

// EntryOf is the entry that follows from an item of the registry, for a table that was restored; nil: the item is no
// agent's record. Error: a record that cannot be read.
func EntryOf(record map[string]types.AttributeValue) (map[string]types.AttributeValue, error) {
	r := reader{item: record}
	pk, sk := r.text("pk"), r.text("sk")
	if !strings.HasPrefix(pk, agentKey("")) || sk != single {
		return nil, nil
	}
	a, err := decodeAgent(record)
	if err != nil {
		return nil, fmt.Errorf("read the record %s: %w", pk, err)
	}
	return entryOf(a), nil
}

// EntryItem is the item of the fleet's table that goes with AgentItem.
func EntryItem(a agent.Agent) map[string]types.AttributeValue { return entryOf(a) }
