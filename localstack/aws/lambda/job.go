package lambda

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// job is one invocation on its way through a pool. All fields but the channels are guarded by the
// pool's lock once the job was submitted.
type job struct {
	id       string
	payload  []byte
	deadline time.Time
	timer    *time.Timer
	taken    bool         // a process has fetched it
	outcome  chan outcome // receives exactly one
	probe    chan *job    // not nil for a job that only waits for an instance to be ready
}

type outcome struct {
	Result
	err error
}

func newJob(payload []byte) *job {
	return &job{id: newRequestID(), payload: payload, outcome: make(chan outcome, 1)}
}

// newProbe returns a job that announces itself on ready once its outcome is there.
func newProbe(ready chan *job) *job {
	j := newJob(nil)
	j.probe = ready
	return j
}

func (j *job) finish(o outcome) {
	o.RequestID = j.id
	j.outcome <- o
	if j.probe != nil {
		j.probe <- j
	}
}

func (j *job) fail(f fault) {
	j.finish(outcome{Result: Result{Payload: f.document(j.id), FunctionError: "Unhandled"}})
}

// trace returns the job's X-Ray header; nothing is sampled here.
func (j *job) trace() string {
	hex := strings.ReplaceAll(j.id, "-", "")
	return fmt.Sprintf("Root=1-%08x-%s;Sampled=0", j.deadline.Unix(), hex[8:])
}

// newRequestID returns a random UUID (RFC 9562 section 5.4).
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never returns an error
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
