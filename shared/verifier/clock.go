package verifier

import "time"

// clock is the one place that reads the clock. Its readings have a monotonic part, which no correction of the clock
// moves.
func clock() time.Time { return time.Now() }
