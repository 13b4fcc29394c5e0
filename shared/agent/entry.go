package agent

import "time"

// Moving an entry of the due index costs half as many write units as the agent's record and its audit row together. A
// rotation of a certificate that is far from due leaves the entry where it is: earlier than the new certificate is due.
// An early entry costs one look of hygiene, which moves it. A late entry would let a certificate end, so there is none:
// Entry takes the earlier of the two instants, whatever else changes in the record.

const (
	// Foresight is how far ahead what is due can be listed. An entry is moved before it is seen there early.
	Foresight = 90 * day
	// Correction is for how long an entry is looked at before it is within Foresight: hygiene runs once a day.
	Correction = 2 * day
)

// Entry is the agent's place in the due index. It is as Due says, or earlier where a rotation left it; never later. The
// zero time: the agent is not in the index.
func (a Agent) Entry() (at time.Time, notified bool) {
	at, notified = a.Due()
	if !notified && !at.IsZero() && !a.Early.IsZero() && a.Early.Before(at) {
		at = a.Early
	}
	return at, notified
}

// Misplaced reports whether the agent's entry is early, and so near at now that it has to be moved. Placed moves it.
func (a Agent) Misplaced(now time.Time) bool {
	at, notified := a.Entry()
	due, _ := a.Due()
	return !notified && at.Before(due) && !at.After(now.Add(Foresight+Correction))
}

// Placed returns the agent with its entry where Due says.
func (a Agent) Placed() Agent {
	a.Early = time.Time{}
	return a
}

// follow returns next, which follows a in the registry, with a's entry if that may stay. The entry may stay while more
// than half of the time until next is due is left. So an agent that rotates seldom moves its entry itself, once, at
// the lowest cost, and an agent that rotates often moves it in few of its rotations.
func (a Agent) follow(next Agent, now time.Time) Agent {
	next.Early = time.Time{}
	at, notified := a.Entry()
	due, _ := next.Due()
	left := at.Sub(now)
	if !notified && !at.IsZero() && at.Before(due) && left > Foresight+Correction && left >= due.Sub(now)/2 {
		next.Early = at
	}
	return next
}
