// Package storetest tests that a store keeps the contract of registry.Store.
package storetest

import (
	"testing"

	"github.com/mastio-aws/mastio/shared/registry"
)

// Run tests a store against all of the contract (registry.Store); open returns an empty one.
func Run(t *testing.T, open func(t *testing.T) registry.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, fixture)
	}{
		{"an empty store has nothing", empty},
		{"full records are read as written", fullRecords},
		{"zero records are read as written", zeroRecords},
		{"times are kept to the millisecond and in UTC", times},
		{"values share no memory with the store", aliases},
		{"all pointer copies are equal", copies}, {"two agents are read in one call", viewBoth},
		{"a version must be the stored one", versions}, {"keys are a record of their own", keys},
		{"a change is all or nothing", atomicity},
		{"a change is applied once", once},
		{"an id belongs to one change", reusedID},
		{"one of many conflicting changes wins", conflicting},
		{"changes of different agents never conflict", disjoint},
		{"rows are appended and nothing else", appendOnly},
		{"rows are read in parts", rowParts},
		{"rows are read by what covers them", covered},
		{"rows of a day are read in order", dayInOrder},
		{"chains that moved are told until they are covered", moved},
		{"many chains that moved are told in parts", movedInParts},
		{"one of many checkpoints wins", checkpoints},
		{"a lease has one holder", oneHolder},
		{"a lease that is over can be taken", takeover},
		{"a lease that ends too late can be taken", futureLease},
		{"one of many acquisitions wins", acquisitions},
		{"an acquisition can be repeated", sameHolder},
		{"fences outlive releases", fences},
		{"a lease can be extended while it is held", extend},
		{"a commit under an old fence is refused", lateCommit},
		{"an alias leads to one agent", aliasing},
		{"CAs of the edge are added once", edgeCAs},
		{"a CA of the edge is named by agents", named},
		{"a CA of the edge is marked and forgotten as it was read", marks},
		{"answers end", answers},
		{"a proof works once", proofs}, {"proofs differ by key and id", distinctProofs},
		{"pages meet every agent in order", pages},
		{"an agent that comes and goes is met once", comesAndGoes},
		{"cursors are checked", cursors}, {"listings have who matches, in their order, and stop in time", listings},
		{"agents are found by the beginning of their ids", searches},
		{"an agent is seen in its latest hour", seen}, {"an agent is seen while its record changes", seenMeanwhile},
		{"suspect agents are found", suspects}, {"deaths are read in order, with the change", deaths},
		{"one of many notes of a status document wins", statusNotes},
		{"a burn-down is moved one version at a time", burndown}, {"token keys are written once", tokenKeys},
		{"refusals are noted once for each certificate", refusals}, {"a key has one holder", holders},
		{"jobs are written under their versions, and the last are found", jobs}, {"sessions begin and end", sessions},
		{"gates are moved one attempt at a time", gates},
		{"a census counts active agents by method and generation", census},
		{"agents are due in order, and only those that hygiene is for", due},
		{"those who were told are listed before who is due", dueTold},
		{"an early entry is listed by its own instant, a range without its beginning", dueEarly},
		{"a certificate that ends is told of", expiring},
		{"a call that is over does nothing", overBeforeItBegan},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, fixture{open(t), t}) })
	}
}
