package mastio

import (
	"github.com/mastio-aws/mastio/shared/schema"
)

// Prefixes of the registry's partition keys, as shared/edge/dynamo spells them. A function without a need for the
// organisation's records cannot write them, whatever its code does.
const (
	orgRecord     = "ORG"
	agentRecords  = "AGENT#*"
	answerRecords = "IDEM#*"
	aliasRecords  = "ALIAS#*"
	edgeRecords   = "EDGE"
	edgeNames     = "EDGE#*"
	headRecord    = "HEAD"
	fleetRecord   = "FLEET"
	movedRecords  = "MOVED#*"
	sealRecord    = "CHECKPOINT"
	seenRecords   = "SEEN#*"
	burndown      = "BURNDOWN"
	jobRecords    = "JOBS"
	deadRecords   = "DEAD"
	statusNote    = "STATUS"
	suspects      = "SUSPECT"
	keyRecords    = "KEY#*"
)

// leading restricts calls to partition keys. Without the second condition, a call that names no key would pass the
// first.
func leading(keys ...string) conditions {
	return conditions{anyOfLike: {leadingKeys: keys}, "Null": {leadingKeys: "false"}}
}

// inTransaction also restricts calls to parts of a transaction.
func inTransaction(c conditions) conditions {
	c["StringEquals"] = map[string]any{"dynamodb:EnclosingOperation": "TransactWriteItems"}
	return c
}

func (s *Service) table(name string) string { return *s.data.Tables[name].TableArn() }

func (s *Service) readOrg() statement {
	return statement{
		sid:        "ReadOrganisation",
		actions:    []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(orgRecord, headRecord, fleetRecord),
	}
}

// readStatus is what a status document is made of: the pointer, what died, and the number of the last document.
func (s *Service) readStatus() statement {
	return statement{
		sid:        "ReadStatus",
		actions:    []string{"dynamodb:GetItem", "dynamodb:Query"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(orgRecord, deadRecords, statusNote),
	}
}

// noteStatus lets a function number status documents, and write nothing that they say.
func (s *Service) noteStatus() statement {
	return statement{
		sid:        "NoteStatus",
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(statusNote),
	}
}

// readAgents covers three reads: the batch of an agent and a copy of the pointer, the last read of the pointer, and
// the aliases of an agent whose certificate does not name it.
func (s *Service) readAgents() statement {
	return statement{
		sid:        "ReadAgentsAndPointer",
		actions:    []string{"dynamodb:BatchGetItem", "dynamodb:GetItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(orgRecord, agentRecords, aliasRecords),
	}
}

// readAgentsSeen is readAgents, with the note of when the agent was last seen in the same batch: IAM judges the keys of
// a batch together.
func (s *Service) readAgentsSeen() statement {
	st := s.readAgents()
	st.conditions = leading(orgRecord, agentRecords, aliasRecords, seenRecords)
	return st
}

// noteSeen lets a function note when agents got tokens. It is part of no transaction.
func (s *Service) noteSeen() statement {
	return statement{
		sid:        "NoteSeenAgents",
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(seenRecords),
	}
}

// findKeyHolders lets a function find out which agent has proved a key.
func (s *Service) findKeyHolders() statement {
	return statement{
		sid:        "FindKeyHolders",
		actions:    []string{"dynamodb:BatchGetItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(keyRecords),
	}
}

// noteKeyHolders is of the function that sees keys in use. It is part of no transaction.
func (s *Service) noteKeyHolders() statement {
	return statement{
		sid:        "NoteKeyHolders",
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(keyRecords),
	}
}

// plotBurndown lets the standby job count the agents that remain of a rotation.
func (s *Service) plotBurndown() statement {
	return statement{
		sid:        "PlotBurndown",
		actions:    []string{"dynamodb:GetItem", "dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(burndown),
	}
}

func (s *Service) readBurndown() statement {
	return statement{
		sid:        "ReadBurndown",
		actions:    []string{"dynamodb:GetItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(burndown),
	}
}

func (s *Service) readSeen() statement {
	return statement{
		sid:        "ReadSeenAgents",
		actions:    []string{"dynamodb:BatchGetItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(seenRecords),
	}
}

// readOwners reads the agents that a listing has found, in batches.
func (s *Service) readOwners() statement {
	return statement{
		sid:        "ReadOwners",
		actions:    []string{"dynamodb:BatchGetItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(agentRecords),
	}
}

// writeAliases permits writing and deleting an agent's aliases, together with the agent's record.
func (s *Service) writeAliases() statement {
	return statement{
		sid:        "WriteAliases",
		actions:    []string{"dynamodb:DeleteItem", "dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: inTransaction(leading(aliasRecords)),
	}
}

func (s *Service) readEdgeCAs() statement {
	return statement{
		sid:        "ReadEdgeCAs",
		actions:    []string{"dynamodb:Query"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(edgeRecords),
	}
}

func (s *Service) addEdgeCAs() statement {
	return statement{
		sid:        "AddEdgeCAs",
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(edgeRecords),
	}
}

// nameEdgeCAs lets an agent's bundle name CAs of the edge, or name them no longer, together with the agent.
func (s *Service) nameEdgeCAs() statement {
	return statement{
		sid:        "NameEdgeCAs",
		actions:    []string{"dynamodb:DeleteItem", "dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: inTransaction(leading(edgeNames)),
	}
}

// forgetEdgeCAs is the standby job's: it looks whether an agent names a CA of the edge, marks it, and forgets it.
func (s *Service) forgetEdgeCAs() []statement {
	return []statement{
		{
			sid:        "FindEdgeNames",
			actions:    []string{"dynamodb:Query"},
			resources:  []string{s.table(schema.Registry)},
			conditions: leading(edgeNames),
		},
		{
			sid:        "ForgetEdgeCAs",
			actions:    []string{"dynamodb:DeleteItem", "dynamodb:PutItem"},
			resources:  []string{s.table(schema.Registry)},
			conditions: inTransaction(leading(edgeRecords)),
		},
	}
}

func (s *Service) readAnswers() statement {
	return statement{
		sid:        "ReadKeptAnswers",
		actions:    []string{"dynamodb:GetItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(answerRecords),
	}
}

// keepAnswers keeps the answer to a request under its idempotency key, in the transaction of the change that it
// reports.
func (s *Service) keepAnswers() statement {
	return statement{
		sid:        "KeepAnswers",
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: inTransaction(leading(answerRecords)),
	}
}

// listAgents lets a function page through the agents by generation, and through more indexes of them. One statement has
// all: a policy's length is limited.
func (s *Service) listAgents(indexes ...string) statement {
	st := statement{sid: "ListAgents", actions: []string{"dynamodb:Query"}}
	for _, index := range append([]string{schema.AgentsByGeneration}, indexes...) {
		st.resources = append(st.resources, s.table(schema.Fleet)+"/index/"+index)
	}
	return st
}

// findJobs is of the function that works on jobs, readJobs of the one that begins and shows them.
func (s *Service) findJobs() statement {
	return statement{
		sid:        "FindJobs",
		actions:    []string{"dynamodb:Query"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(jobRecords),
	}
}

func (s *Service) readJobs() statement {
	st := s.findJobs()
	st.sid, st.actions = "ReadJobs", []string{"dynamodb:GetItem", "dynamodb:Query"}
	return st
}

func (s *Service) writeJobs() statement {
	return statement{
		sid:        "WriteJobs",
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: inTransaction(leading(jobRecords)),
	}
}

// readStream is what Lambda reads the audit table's stream with, in the function's name.
func (s *Service) readStream() statement {
	return statement{
		sid:       "ReadAuditStream",
		actions:   []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
		resources: []string{*s.data.Tables[schema.Audit].TableStreamArn()},
	}
}

func (s *Service) listStreams() statement {
	return statement{sid: "ListStreams", actions: []string{"dynamodb:ListStreams"}, resources: []string{"*"}}
}

func (s *Service) findDue() statement {
	return statement{
		sid:       "FindDueAgents",
		actions:   []string{"dynamodb:Query"},
		resources: []string{s.table(schema.Registry) + "/index/" + schema.AgentsByDue},
	}
}

// keepSessions is the dashboard's alone: nothing else can open a session, or let a guess through.
func (s *Service) keepSessions() statement {
	return statement{
		sid:       "KeepSessions",
		actions:   []string{"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
		resources: []string{s.table(schema.Sessions)},
	}
}

// readSessions lets a function find out who acts: it opens no session and lets no guess through.
func (s *Service) readSessions() statement {
	return statement{
		sid:        "ReadSessions",
		actions:    []string{"dynamodb:BatchGetItem"},
		resources:  []string{s.table(schema.Sessions)},
		conditions: leading("SESSION#*", "EPOCH"),
	}
}

// countGuesses goes with the right to check the admin secret: a wrong one is counted for its address.
func (s *Service) countGuesses() statement {
	return statement{
		sid:        "CountGuesses",
		actions:    []string{"dynamodb:BatchGetItem", "dynamodb:PutItem"},
		resources:  []string{s.table(schema.Sessions)},
		conditions: leading("GATE#*"),
	}
}

const writeAgents = "WriteAgents"

// writeAgents and writeOrg are parts of transactions; IAM asks for the right to each item of one. With an agent's
// record goes the record of the tokens that die with its change.
func (s *Service) writeAgents() statement {
	return statement{
		sid:        writeAgents,
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(agentRecords, deadRecords),
	}
}

// placeAgents accompanies writeAgents in every role: an agent's places in the indexes, together with its record.
func (s *Service) placeAgents() statement {
	return statement{
		sid:        "PlaceAgents",
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Fleet)},
		conditions: inTransaction(leading(agentRecords)),
	}
}

// markSuspects accompanies writeAgents in every role: it permits setting and removing the mark of a suspect agent,
// together with the agent's record.
func (s *Service) markSuspects() statement {
	return statement{
		sid:        "MarkSuspects",
		actions:    []string{"dynamodb:DeleteItem", "dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: inTransaction(leading(suspects)),
	}
}

func (s *Service) findSuspects() statement {
	return statement{
		sid:        "FindSuspects",
		actions:    []string{"dynamodb:Query"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(suspects),
	}
}

func (s *Service) writeOrg() statement {
	return statement{
		sid:        "WriteOrganisation",
		actions:    []string{"dynamodb:PutItem", "dynamodb:UpdateItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(orgRecord, headRecord, fleetRecord, answerRecords),
	}
}

const appendAudit = "AppendAudit"

// appendAudit lets a function put rows, and only together with the change that they record.
func (s *Service) appendAudit() statement {
	return statement{
		sid:        appendAudit,
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Audit)},
		conditions: inTransaction(conditions{}),
	}
}

// noteMoved accompanies appendAudit in every role: the checkpoint job reads the note to find the chains that moved.
func (s *Service) noteMoved() statement {
	return statement{
		sid:        "NoteMovedChains",
		actions:    []string{"dynamodb:UpdateItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: inTransaction(leading(movedRecords)),
	}
}

// readTrail is rows by their keys, by their chains and by their days; which chains moved, and the last checkpoint. The
// registry's batches and queries name their keys; the audit table's are all of one kind.
func (s *Service) readTrail() statement {
	return statement{
		sid:       "ReadTrail",
		actions:   []string{"dynamodb:BatchGetItem", "dynamodb:Query"},
		resources: []string{s.table(schema.Audit), s.table(schema.Audit) + "/index/" + schema.AuditByDay},
	}
}

func (s *Service) readSeals() statement {
	return statement{
		sid:        "ReadSeals",
		actions:    []string{"dynamodb:GetItem", "dynamodb:Query"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(movedRecords, sealRecord),
	}
}

// findSeals reads the last checkpoint alone.
func (s *Service) findSeals() statement {
	return statement{
		sid:        "FindSeals",
		actions:    []string{"dynamodb:GetItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(sealRecord),
	}
}

// sealTrail is the last checkpoint with the end of the organisation's chain, and what it covers.
func (s *Service) sealTrail() statement {
	return statement{
		sid:        "SealTrail",
		actions:    []string{"dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: leading(movedRecords, sealRecord),
	}
}

// moveHead writes the end of the organisation's chain, and nothing of the organisation else.
// followFleet lets hygiene note how far it has come with a re-issue, and nothing else of the organisation.
func (s *Service) followFleet() statement {
	return statement{
		sid:        "FollowFleet",
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: inTransaction(leading(fleetRecord)),
	}
}

func (s *Service) moveHead() statement {
	return statement{
		sid:        "MoveHead",
		actions:    []string{"dynamodb:PutItem"},
		resources:  []string{s.table(schema.Registry)},
		conditions: inTransaction(leading(headRecord)),
	}
}

// recordRefusals is the chain of refused admin secrets, and no other chain. A function that may append to
// every chain may append to this one.
func (s *Service) recordRefusals(appends bool) []statement {
	chain := s.props.OrgID + "/admin.login_refused"
	note := s.noteMoved()
	note.sid = "NoteRefusals"
	read := statement{
		sid:        "ReadRefusals",
		actions:    []string{"dynamodb:Query"},
		resources:  []string{s.table(schema.Audit)},
		conditions: leading(chain),
	}
	if appends {
		return []statement{read}
	}
	return []statement{
		read,
		{
			sid:        "AppendRefusals",
			actions:    []string{"dynamodb:PutItem"},
			resources:  []string{s.table(schema.Audit)},
			conditions: inTransaction(leading(chain)),
		},
		note,
	}
}

func (s *Service) useProofs() statement {
	return statement{sid: "UseProofs", actions: []string{"dynamodb:PutItem"}, resources: []string{s.table(schema.Replay)}}
}

// backUp lets backups be asked for, and neither read, restored nor deleted: that is the operator's to do.
func (s *Service) backUp() statement {
	return statement{
		sid:       "BackUpBeforeARotation",
		actions:   []string{"dynamodb:CreateBackup"},
		resources: []string{s.table(schema.Registry), s.table(schema.Audit)},
	}
}
