// Package schema describes the DynamoDB tables as data: the deployment and the local run create the same ones.
package schema

// Table is one DynamoDB table. All keys are strings; capacity is on demand.
type Table struct {
	Name         string // logical name; a deployment may prefix it
	PartitionKey string
	SortKey      string // empty: none
	TTL          string // attribute holding the expiry in Unix seconds; empty: items do not expire
	Stream       bool   // the table has a stream of the new items
	Indexes      []Index
}

// Index is a global secondary index.
type Index struct {
	Name         string
	PartitionKey string
	SortKey      string
	Include      []string // projected attributes beyond the keys; nil: keys only
}

// Logical names of the tables.
const (
	Registry = "registry" // what is: pointer, generations, lease, agents
	Fleet    = "fleet"    // where the indexes find agents by name and by generation, in step with their records
	Audit    = "audit"    // what happened: append-only rows
	Replay   = "replay"   // DPoP proof ids already seen
	Keys     = "keys"     // token signing keys, one an epoch
	Sessions = "sessions" // sign-ins to the dashboard, and the counts of failed attempts
)

// Names of the indexes.
const (
	AgentsByGeneration = "agents_by_generation" // who still lives under which generation
	ActiveAgents       = "active_agents"        // how many agents of each method are active; counted, never read
	AgentsByDue        = "agents_by_due"        // whose certificate is due, and when; only those that hygiene is for
	AuditByDay         = "audit_by_day"         // rows of one day, for export
	AgentsByName       = "agents_by_name"       // an agent by the beginning of its name; written once, at enrolment
)

// Shards is how many partitions an index's entries spread over. One DynamoDB partition takes 1,000 writes a
// second; sixteen of them let a whole fleet re-enrol at once.
const Shards = 16

// Tables returns every table.
func Tables() []Table {
	return []Table{
		// Every request reads and writes here, and on DynamoDB Local each index of a table is work for every call, for a read
		// too. So it has the one index whose entries move often: moved with the record, an entry costs half as much.
		{
			Name:         Registry,
			PartitionKey: "pk",
			SortKey:      "sk",
			TTL:          "ttl",
			Indexes:      []Index{{Name: AgentsByDue, PartitionKey: "due_pk", SortKey: "due_sk"}},
		},
		{
			Name:         Fleet,
			PartitionKey: "pk",
			SortKey:      "sk",
			Indexes: []Index{{
				Name:         AgentsByGeneration,
				PartitionKey: "gen_pk",
				SortKey:      "gen_sk", // keys alone: a rotation leaves them
			}, {
				Name:         AgentsByName,
				PartitionKey: "gen_pk",
				SortKey:      "id",
			}, {
				// A count reads every entry, names of attributes included, so a key of one letter: 40 octets for agent
				// orga::agent-0000001, including 30 of the table's own key. The generation is not in it, so that a
				// re-issue does not move the entry.
				Name:         ActiveAgents,
				PartitionKey: "c",
			}},
		},
		{
			Name:         Audit,
			PartitionKey: "subject",
			SortKey:      "seq",
			Stream:       true,
			Indexes:      []Index{{Name: AuditByDay, PartitionKey: "day", SortKey: "id", Include: []string{"row"}}},
		},
		{Name: Replay, PartitionKey: "pk", TTL: "ttl"},
		{Name: Keys, PartitionKey: "pk", TTL: "ttl"},
		{Name: Sessions, PartitionKey: "pk", TTL: "ttl"},
	}
}
