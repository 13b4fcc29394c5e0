package registry

import (
	"context"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/session"
)

// Store is the contract of a store: everything that one can do, and what each method guarantees. A use case declares
// the few methods that it needs. Package storetest tests a store against this contract.
//
// Concurrency: any number of goroutines and processes may use the same state at once. A store hands out and takes in
// values that share no memory with its own.
//
// Consistency: a read sees every write whose success was reported before the read began. Only Agents, Census and what
// is due may lag behind. Several records of one read are each consistent, not with one another.
//
// Durability: a write that was reported is kept.
//
// Errors: a write that returns none of the errors named at its method returns ErrUnavailable if it certainly did
// not happen and never will, and ErrUnknown in every other case: it happened, or not, or still will. A read
// returns ErrUnavailable, and nothing of what it may have read. Records that do not exist are no error. A call
// whose context is over before it begins does nothing.
//
// Values: times are kept in UTC and to the millisecond, what is finer is cut off. The zero time stays the zero time.
// Lists without elements are read as nil. The details of an audit row are read as encoding/json reads them.
type Store interface {
	// View reads, in one call, an agent and a copy of the pointer.
	View(ctx context.Context, id agent.ID) (View, error)

	// ViewKeys is View, and reads in the same call what is known of the agent's keys: View.Keys is not nil then.
	ViewKeys(ctx context.Context, id agent.ID) (View, error)

	// ViewSeen is View, and reads in the same call when the agent was last seen: View.Seen is not nil then. If only
	// the sighting cannot be read, it is the zero Sighting: it is worth neither an error nor a wait.
	ViewSeen(ctx context.Context, id agent.ID) (View, error)

	// ViewBoth is View, and reads another agent in the same call: View.Other is nil if there is no such agent. Both may be
	// the same.
	ViewBoth(ctx context.Context, id, other agent.ID) (View, error)

	// Keys reads what is known of an agent's keys, which need not exist.
	Keys(ctx context.Context, id agent.ID) (agent.Keys, error)

	// Pointer reads the copy of the pointer that View reads for the same agent, which need not exist.
	Pointer(ctx context.Context, id agent.ID) (*orgca.Pointer, error)

	// Org reads everything about the organisation's CA, and the end of its chain. Generations are in the order of their
	// numbers.
	Org(ctx context.Context) (Org, error)

	// Acquire takes the lease for want.Holder until want.Expires, if it is free at now (orgca.Lease.Held), and returns
	// it with its fence, one above the last one. want.Fence is ignored. A holder names one acquisition: if it holds the
	// lease already, the lease is returned as it is, so a call whose outcome is unknown may be repeated.
	//
	// Errors: orgca.ErrLeaseHeld, which names the operation that holds it, and how long to wait.
	Acquire(ctx context.Context, want orgca.Lease, now time.Time) (orgca.Lease, error)

	// Extend sets phase and expiry of the lease that l.Holder holds under l.Fence. The lease may have expired, as long
	// as no other holder took it. It may be repeated.
	//
	// Errors: orgca.ErrLeaseLost if it is held differently or free.
	Extend(ctx context.Context, l orgca.Lease) error

	// Release frees the lease that l.Holder holds under l.Fence; the fence stays. Its success proves that no change that
	// releases the same lease has happened or ever will.
	//
	// Errors: ErrConflict if it is held differently or free.
	Release(ctx context.Context, l orgca.Lease) error

	// Apply carries out a change, all of it or nothing. Each record is written iff its version is the one stored, zero
	// standing for no record, and has the next version then. Rows are appended iff their places are free; nothing ever
	// changes or removes a row. Aliases are taken and forgotten iff each is free or the agent's own; forgetting one that
	// leads nowhere is no error. CAs of the edge are added. The answer is kept iff its key is free or of the same owner;
	// that of an expired answer may still be taken. The same change with the same ID is applied once, however often it is
	// asked for, for ten minutes at least. The versions of chain heads within an agent's record mean nothing.
	//
	// A change that no store can carry out (no ID or one of over 36 octets, no record or over 100, each copy of the
	// pointer being one, two records for one key, an answer above MaxAnswer) is refused with ErrUnavailable, or a panic in
	// a store for tests.
	//
	// Errors: ErrConflict if a condition does not hold, if another change has the same ID, or if another change to
	// the same records was under way.
	Apply(ctx context.Context, c Change) error

	// Agents reads a page of agents. Agents without pins, deactivated or known by their SPIFFE ID, have generation 0.
	// Records have no version, no chain head, no SPIFFE ID and no JKT. An agent that is written during the listing can
	// appear twice, or, when its generation falls (deactivation, rollback), not at all.
	//
	// Errors: ErrCursor for a cursor that no page of a query for the same generation had.
	Agents(ctx context.Context, q Query) (Page, error)

	// Find reads a page of agents whose ids begin with a text, in the order of their ids. Records are as in Agents.
	//
	// Errors: ErrCursor for a cursor that no page of a search for the same text had.
	Find(ctx context.Context, q Search) (Page, error)

	// List reads a page of the agents that match a filter, in the listing's order. Records are as in Agents. A page ends
	// at l.Limit agents, l.Keys entries of the index or l.Records records, whichever comes first; only a page without a
	// cursor is the last. It may lag behind as Agents may.
	//
	// Errors: ErrCursor for a cursor that no page of a listing in this order had.
	List(ctx context.Context, l Selection) (Page, error)

	// Count counts what all pages of a listing have, where Selection.Counter says that an index can. It may lag behind as
	// Agents may; of the due index it counts entries, which may be early.
	//
	// Errors: ErrUnavailable, or ErrUnsupported, for a listing that no index counts.
	Count(ctx context.Context, l Selection) (int64, error)

	// Names reads the ids of all agents, in their order, the first most of them; whole: there are no others. It may lag
	// behind as Agents may.
	Names(ctx context.Context, most int) (ids []agent.ID, whole bool, err error)

	// Job reads an operator's job; nil: there is none, or it was forgotten, JobTTL after its end.
	Job(ctx context.Context, id string) (*Job, error)

	// Jobs reads the last jobs, newest first, at most JobsKept.
	Jobs(ctx context.Context) ([]Job, error)

	// Census counts the active agents of every method by the generation of their newest pin, seen from current. newest is
	// the newest generation that ever was current. An agent that has moved beyond it meanwhile counts as older: it is
	// not under what the caller knows. Census may lag behind as Agents may.
	Census(ctx context.Context, current, newest int64) (map[agent.Method]Tally, error)

	// Due reads a page of the agents that are due at a time, as agent.Agent.Entry says, which may be early. Agents
	// whose operator was notified are on it only if the query asks for them. It may lag behind as Agents may.
	//
	// Errors: ErrCursor for a cursor that no page of such a query had.
	Due(ctx context.Context, q DueQuery) (DuePage, error)

	// CountDue counts what all pages of Due would have. With a limit it may stop early: a result below the limit is
	// exact, any other result means at least the limit.
	CountDue(ctx context.Context, q DueQuery) (int64, error)

	// DueTimes reads, in order, at which instants the agents are due that Due would have, of those whose operators were
	// not notified. It reads at most 16 times q.Limit of them, the earliest first, and has every one up to through. It may
	// lag behind as Due may.
	DueTimes(ctx context.Context, q DueQuery) (at []time.Time, through time.Time, err error)

	// Records reads up to a hundred agents, in the order of their ids given, without those that are not there. They are as
	// in Agents.
	Records(ctx context.Context, ids []agent.ID) ([]agent.Agent, error)

	// Suspects reads the ids of up to limit agents that are suspect, in the order of ids. Its cost does not grow with
	// the fleet.
	Suspects(ctx context.Context, limit int) ([]agent.ID, error)

	// KeyHolders reads, in one call, which agents have proved up to ten keys. Keys without a holder are left out. It may
	// lag behind.
	KeyHolders(ctx context.Context, keys ...agent.ProvedKey) (map[agent.ProvedKey]KeyHolder, error)

	// HoldKey notes the holder of a key, if the key has none, the same, or former; an empty former is no agent. It may be
	// repeated.
	//
	// Errors: ErrConflict if another agent holds the key.
	HoldKey(ctx context.Context, h KeyHolder, former agent.ID) error

	// Seen notes a sighting iff it Replaces the stored one, or none is stored; otherwise it changes nothing, which is no
	// error. A sighting shares no record with a Change, so neither makes the other fail. Seen may be repeated.
	Seen(ctx context.Context, s Sighting) error

	// SeenAt reads the sightings of up to a thousand agents, without agents that were never seen.
	SeenAt(ctx context.Context, ids []agent.ID) (map[agent.ID]Sighting, error)

	// Burndown reads the burn-down of the last rotation; the zero Burndown if there was none.
	Burndown(ctx context.Context) (Burndown, error)

	// PutBurndown stores the burn-down iff its version is the one stored.
	//
	// Errors: ErrConflict if the version is another one, or if an earlier attempt of this call changed it.
	PutBurndown(ctx context.Context, b Burndown) error

	// Refuse notes a refusal iff none of the same agent and certificate is stored; otherwise it changes nothing, which is
	// no error. It shares no record with a Change, nor with a Sighting. Refuse may be repeated.
	Refuse(ctx context.Context, r Refusal) error

	// Refusals reads the last refusals of up to a thousand agents, without agents that have none.
	Refusals(ctx context.Context, ids []agent.ID) (map[agent.ID]Refusal, error)

	// Expiring reports whether an operator was notified of a certificate that has not ended at now and is still the
	// agent's, or whether an agent has been due since overdue, as agent.Agent.Entry says. Its cost does not depend on how
	// many there are. It may lag behind.
	Expiring(ctx context.Context, now, overdue time.Time) (bool, error)

	// Alias finds, in one call, the agent that the first of these names leads to; empty if none of them leads to an
	// agent. An expired alias may still lead to its agent.
	Alias(ctx context.Context, names ...string) (agent.ID, error)

	// EdgeCAs reads, in one call, the CAs of others that the edge lets in, in the order of their fingerprints.
	EdgeCAs(ctx context.Context) ([]EdgeCA, error)

	// Status reads what a status document is made of: the note of the last one first, and then, at the same time, the
	// pointer and the deaths of changes that are later than since, in the order of their times. So the note never is
	// newer than the rest.
	Status(ctx context.Context, since time.Time) (Status, error)

	// PutStatusNote stores the note of a status document iff the stored one has this number, zero standing for none.
	//
	// Errors: ErrConflict if it has another one, or if an earlier attempt of this call changed it.
	PutStatusNote(ctx context.Context, n StatusNote, was int64) error

	// Named reports, in one call whose cost does not depend on how many there are, whether an agent names this CA (DER).
	Named(ctx context.Context, der []byte) (bool, error)

	// Answer reads what was kept for an idempotency key; nil if nothing was, or it is over at now.
	Answer(ctx context.Context, key string, now time.Time) (*Answer, error)

	// UseProof notes that the proof jti of the key jkt was used. Until then, which is when the proof is over anyway, it is
	// accepted once; jti may be any octets.
	//
	// Errors: ErrReplayed if it was used before, or until is not after now. A proof may be refused as used although its
	// first use got no answer; a used proof is never accepted again.
	UseProof(ctx context.Context, jkt, jti string, until, now time.Time) error

	// TokenKey reads the key of an epoch, expired or not.
	TokenKey(ctx context.Context, epoch int64) (*TokenKey, error)

	// TokenKeys reads, in one call, the keys of up to 100 epochs: those that exist, each once, in the order of epochs.
	TokenKeys(ctx context.Context, epochs ...int64) ([]TokenKey, error)

	// PutTokenKey stores the key of an epoch that has none.
	//
	// Errors: ErrConflict if it has a key; that may be the key of this call, so the caller reads again.
	PutTokenKey(ctx context.Context, k TokenKey) error

	// Rows reads up to limit rows of one chain, in order, those with numbers above after.
	Rows(ctx context.Context, subject string, after int64, limit int) ([]audit.Row, error)

	// LastRow reads the end of a chain; nil if there is none.
	LastRow(ctx context.Context, subject string) (*audit.Row, error)

	// Covered reads the rows that leaves cover, leaf by leaf, each chain in order. Rows that do not exist are left out.
	Covered(ctx context.Context, leaves ...audit.Leaf) ([]audit.Row, error)

	// RowsOfDay reads up to limit rows of a day in UTC, of every chain, in the order of their ids: those with ids
	// above after and below before. It may lag behind.
	RowsOfDay(ctx context.Context, day, after, before string, limit int) ([]audit.Row, error)

	// LatestRows is RowsOfDay from the other end: the rows with the highest ids, in descending order.
	LatestRows(ctx context.Context, day, after, before string, limit int) ([]audit.Row, error)

	// Moved reads up to limit chains that moved since they were covered last, in the order of their subjects, with the
	// first and the last row of each move. A row is listed as soon as it is committed. Only an empty answer means that
	// there are no more.
	Moved(ctx context.Context, limit int) ([]audit.Leaf, error)

	// Cover marks a chain as covered up to the row that l ends with. Rows after that row stay listed as moved. Cover
	// may be repeated, and may come late: it does not undo a later Cover.
	Cover(ctx context.Context, l audit.Leaf) error

	// Checkpoint reads the last checkpoint; nil if there was none.
	Checkpoint(ctx context.Context) (*LastCheckpoint, error)

	// Session reads, in one call, a session, which may have ended, and the present epoch. The first epoch is 0.
	Session(ctx context.Context, id string) (s *session.Session, epoch int64, err error)

	// PutSession stores a session, DropSession deletes one, EndSessions raises the epoch. Each may be repeated.
	PutSession(ctx context.Context, s session.Session) error
	DropSession(ctx context.Context, id string) error
	EndSessions(ctx context.Context) error

	// Gates reads, in one call, the gates of up to 100 keys, in the order of keys. A gate that is not stored is open.
	Gates(ctx context.Context, keys ...string) ([]session.Gate, error)

	// PutGate stores a gate iff its version is the one stored. It may be forgotten from forget on.
	//
	// Errors: ErrConflict if the version is another one, or if an earlier attempt of this call changed it.
	PutGate(ctx context.Context, g session.Gate, forget time.Time) error
}
