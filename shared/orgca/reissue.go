package orgca

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Everyone is the bound of a re-issue that takes every agent: one above the largest share.
const Everyone int64 = 1 << 32

// ReissueState is the state of a re-issue. An unknown state counts as Halted: nothing is re-issued.
type ReissueState string

// The states. Only Running re-issues.
const (
	Running  ReissueState = "running"
	Paused   ReissueState = "paused"   // by an operator
	Halted   ReissueState = "halted"   // by the gate, which says why
	Finished ReissueState = "finished" // every agent has moved, or its owner was named
)

// OnHalt is what happens when the gate halts a re-issue.
type OnHalt string

// The two. Anything else counts as HoldOnHalt: nothing is undone without an operator.
const (
	HoldOnHalt     OnHalt = "hold"
	RollBackOnHalt OnHalt = "rollback"
)

// Reissue is how far the fleet has been brought to the generation that a swap made current. The swap writes it, and the
// next swap replaces it, a rollback too: then agents are brought back to the older generation. The swap itself touches
// no agent. Version is the record's own, as read; zero: not stored yet.
type Reissue struct {
	Generation int64 // where agents are brought to; the record is void for a pointer that names another one
	From       int64 // what the swap superseded; agents of other generations are brought along
	Fence      int64 // of that swap: names this re-issue among all
	Began      time.Time

	Waves     []int // cumulative percents, rising, the last is 100; without waves it is the only one
	Hold      time.Duration
	OnHalt    OnHalt
	Wave      int // index of the present one
	WaveBegan time.Time
	Bound     int64 // agents whose Share is below are in the present wave or an earlier one; Everyone: all

	State  ReissueState
	Why    string   // the gate's words when it halted
	Agents []string // ids of the first ten agents that the gate names

	ReissueCounts
	WaveCounts
	Excused   int64     // failures that were there when an operator let the re-issue go on
	Warned    bool      // a row says that the waves no longer fit before the end of the overlap
	Announced bool      // a row says that the re-issue has finished
	Next      time.Time // no pass begins before; zero: the next run begins one
	Federated bool      // the agents that are known by their SPIFFE ID were looked through, once
	// Under is when the run began that is at work now, or that died at work; zero: the last run came to its end.
	Under   time.Time
	Version int64
}

// ReissueCounts is what the last passes over the fleet saw and did. Delivered and Notified add up over the whole
// re-issue; they leave out what a run did that died before it could write them. The others are what the last pass saw.
type ReissueCounts struct {
	Delivered int64 `json:"delivered"` // got their new certificate in their secret
	Notified  int64 `json:"notified"`  // were named to their owners
	Failed    int64 `json:"failed"`    // deliveries that did not succeed, and are tried again
	Renewing  int64 `json:"renewing"`  // renew themselves, and have not yet
	Waiting   int64 `json:"waiting"`   // their owners were named; they have not moved
	Later     int64 `json:"later"`     // of later waves
}

// NewReissue is the re-issue that a swap begins, in the waves that were asked for. It is nil for the first generation,
// before which there were no agents. Before is the record that it replaces; nil: none.
func NewReissue(s Swap, before *Reissue, asked Moves, now time.Time) *Reissue {
	if s.Previous == nil {
		return nil
	}
	r := &Reissue{
		Generation: s.Next.Number,
		From:       s.Previous.Number,
		Fence:      s.Pointer.Fence,
		Began:      now,
		Waves:      []int{100},
		OnHalt:     HoldOnHalt,
		WaveBegan:  now,
		Bound:      Everyone,
		State:      Running,
	}
	r.begin(asked)
	if before != nil {
		r.Version = before.Version
	}
	return r
}

// Share is an agent's place in the order in which waves take agents: at least zero and below Everyone, the same for
// every re-issue, and spread evenly whatever the names of the agents are.
func Share(id string) int64 {
	sum := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint32(sum[:4]))
}

// BoundOf is the bound of a wave of so many percent.
func BoundOf(percent int) int64 { return Everyone/100*int64(percent) + Everyone%100*int64(percent)/100 }

// Takes reports whether the present wave, or an earlier one, takes an agent.
func (r Reissue) Takes(id string) bool { return Share(id) < r.Bound }

// Works reports whether agents are re-issued under this record while p is the pointer: a record of an earlier swap, and
// one in a state that is not known, re-issue nothing.
func (r *Reissue) Works(p *Pointer) bool {
	return r != nil && p != nil && r.Generation == p.Current && r.State == Running
}
