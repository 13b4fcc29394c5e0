package orgca

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The gate's numbers.
const (
	gateUsed     = 90 // percent of the recent agents of the waves that have used their new certificate
	gateFailures = 2  // percent of the waves' agents that failed
	gateLeast    = 2  // agents that failed; below it nothing halts
	gateNamed    = 10 // agents that a halt names
)

// WaveCounts is what the gate saw of the agents of the present wave and of the waves before it, in its last look.
type WaveCounts struct {
	Moved   int64 `json:"moved"`   // their newest certificate is under the new generation
	Recent  int64 `json:"recent"`  // of them, those that got a token in the last day
	Used    int64 `json:"used"`    // of the recent ones, those that have used the new certificate
	Awaited int64 `json:"awaited"` // are in use and have not moved, and will without a human
	Refused int64 `json:"refused"` // whose new certificate was refused
	Silent  int64 `json:"silent"`  // silent for three of their own usual intervals since they moved
}

// Wave is what the gate decides on: the agents of the present wave and of the waves before it.
type Wave struct {
	Moved, Recent, Used int64    // as in WaveCounts
	Refused, Silent     []string // ids, each at most once in both together
	Failed              int64    // deliveries that did not succeed
	FailedAgents        []string // the first of them
	Awaited             int64    // are in use, have not moved, and will without a human
}

// MovedAgent is what is known of an agent whose newest certificate is under the new generation.
type MovedAgent struct {
	Recent  bool // got a token in the last day
	Used    bool // with the new certificate
	Refused bool // the new certificate was refused
	Silent  bool // for three of its own usual intervals since it moved
}

// Moves adds an agent that has moved. One that was refused counts as that, and not as silent too.
func (w *Wave) Moves(id string, a MovedAgent) {
	w.Moved++
	if a.Recent {
		w.Recent++
		if a.Used {
			w.Used++
		}
	}
	switch {
	case a.Refused:
		w.Refused = append(w.Refused, id)
	case a.Silent:
		w.Silent = append(w.Silent, id)
	}
}

// Await adds an agent that has not moved.
func (w *Wave) Await(id string, comes, failed bool) {
	switch {
	case failed:
		if len(w.FailedAgents) < gateNamed {
			w.FailedAgents = append(w.FailedAgents, id)
		}
	case comes:
		w.Awaited++
	}
}

// Counts is what the record of the re-issue keeps.
func (w Wave) Counts() WaveCounts {
	return WaveCounts{
		Moved:   w.Moved,
		Recent:  w.Recent,
		Used:    w.Used,
		Awaited: w.Awaited,
		Refused: int64(len(w.Refused)),
		Silent:  int64(len(w.Silent)),
	}
}

// Verdict is what a gate decides.
type Verdict int

// The verdicts.
const (
	Wait    Verdict = iota // and look again
	Advance                // the next wave begins
	Halt
)

// failures is how many agents failed, each counted once.
func (w Wave) failures() int64 { return w.Failed + int64(len(w.Refused)+len(w.Silent)) }

// Size is how many agents the gate speaks of.
func (w Wave) Size() int64 { return w.Moved + w.Failed + w.Awaited }

// Gate decides on the present wave. A halt says why, and Named names the agents. Excused failures were there when an
// operator let the re-issue go on, and do not halt it again.
//
// Failures halt at once, whatever else holds. The next wave begins when Hold is over and gateUsed
// percent of the agents that are in use have used their new certificate; an agent that is awaited has not.
func (r Reissue) Gate(w Wave, now time.Time) (v Verdict, why string) {
	failed := max(w.failures()-r.Excused, 0)
	if failed >= gateLeast && failed*100 >= gateFailures*w.Size() {
		return Halt, w.why(r, failed)
	}
	switch {
	case r.LastWave() || r.holds(now):
		return Wait, ""
	case w.Used*100 < gateUsed*(w.Recent+w.Failed+w.Awaited):
		return Wait, ""
	}
	return Advance, ""
}

// holds reports whether the wave is younger than Hold. One that began later than now was begun by a clock that was
// ahead: its age is not known, and the waves must not wait until that clock is true.
func (r Reissue) holds(now time.Time) bool {
	return now.Before(r.WaveBegan.Add(r.Hold)) && !r.WaveBegan.After(now.Add(ClockSkew))
}

func (w Wave) why(r Reissue, failed int64) string {
	var parts []string
	for _, c := range []struct {
		n    int64
		what string
	}{
		{int64(len(w.Refused)), "new certificates were refused"},
		{w.Failed, "deliveries failed"},
		{int64(len(w.Silent)), "agents that had moved fell silent"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	limit := max(gateLeast, (gateFailures*w.Size()+99)/100)
	return fmt.Sprintf("wave %d of %d: %d of %d agents failed, the limit is %d: %s", r.Wave+1, len(r.Waves), failed,
		w.Size(), limit, strings.Join(parts, ", "))
}

// Named returns the first agents that failed, refused ones first.
func (w Wave) Named() []string {
	all := slices.Concat(sorted(w.Refused), sorted(w.FailedAgents), sorted(w.Silent))
	return all[:min(len(all), gateNamed)]
}

func sorted(ids []string) []string { return slices.SortedFunc(slices.Values(ids), cmp.Compare[string]) }

// Failures is how many agents failed at the gate's last look. An operator who resumes a halted re-issue excuses them.
func (r Reissue) Failures() int64 { return r.Failed + r.Refused + r.Silent }

// Same reports whether two records say the same.
func (r Reissue) Same(s Reissue) bool {
	return reflect.DeepEqual(r, s)
}
