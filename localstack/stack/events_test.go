package stack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/aws/eventbridge"
	"github.com/mastio-aws/mastio/localstack/stack"
)

type detail struct {
	ID         string `json:"id"`
	Seq        int64  `json:"seq"`
	Subject    string `json:"subject"`
	Generation int64  `json:"generation"`
	Ended      []int  `json:"ended"`
}

// published waits until the bus has this many events of a type.
func published(t *testing.T, s *stack.Stack, kind string, n int) (found []detail) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		found = nil
		for _, e := range s.Bus.Events() {
			var d detail
			if err := json.Unmarshal(e.Detail, &d); err != nil || e.Source != "mastio" {
				t.Fatalf("event %+v: %v", e, err)
			}
			if e.DetailType == kind {
				found = append(found, d)
			}
		}
		if len(found) >= n {
			return found
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-limit:
			t.Fatalf("%d events %s, want %d: %+v", len(found), kind, n, s.Bus.Events())
		}
	}
}

// An event of a rotation passes the table's stream, the function and the bus, also if the bus fails at first. Each
// event has the id of its row. Internal rows cause no event.
func TestEventsReachTheBus(t *testing.T) {
	t.Parallel()
	var failing atomic.Bool
	failing.Store(true)
	var refused atomic.Int64
	s := startShared(t, stack.Config{RefuseEvent: func(eventbridge.Event) bool {
		if failing.Load() {
			refused.Add(1)
		}
		return failing.Load()
	}})
	a := enrol(t, s, "kyc")
	operator := client(t, s, "", "")
	rotate := func(n int) {
		for range n {
			call(t, s, operator, http.MethodPost, "/registry/agents/orga::kyc/rotate-cert", "").want(t, "rotate-cert", 200)
		}
	}
	rotate(3)
	for limit := time.After(30 * time.Second); refused.Load() < 5; { // more than one invocation's tries
		select {
		case <-time.After(50 * time.Millisecond):
		case <-limit:
			t.Fatal("the bus is not offered what it refused")
		}
	}
	failing.Store(false)
	rotate(2)
	seen, last := map[string]bool{}, int64(1)
	for _, d := range published(t, s, "agent.cert_rotated", 5) {
		if d.ID == "" || seen[d.ID] {
			continue
		}
		seen[d.ID] = true
		if diff := cmp.Diff(detail{ID: d.ID, Seq: last + 1, Subject: "orga::kyc", Generation: 1}, d); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
		last = d.Seq
	}
	if len(seen) != 5 {
		t.Errorf("events of %d rotations, want 5", len(seen))
	}
	call(t, s, operator, http.MethodPost, "/pki/rotate-ca?mode=mint&overlap=3600", "").want(t, "rotate-ca", 200)
	call(t, s, operator, http.MethodPost, "/pki/rotate-ca?mode=finalise", "").want(t, "finalise", 200)
	if d := published(t, s, "org_ca.overlap_ended", 1)[0]; d.Generation != 2 || fmt.Sprint(d.Ended) != "[1]" {
		t.Errorf("end of the overlap: %+v", d)
	}
	published(t, s, "org_ca.rotated", 1)
	for _, e := range s.Bus.Events() {
		if e.DetailType == "agent.enrolled" || e.DetailType == "org_ca.created" {
			t.Errorf("%s went out", e.DetailType)
		}
	}
	t.Logf("an event as received: %s", first(t, s))
	token(t, s, a).want(t, "token with the first certificate", 401)
}

func first(t *testing.T, s *stack.Stack) []byte {
	t.Helper()
	line, err := json.Marshal(s.Bus.Events()[0])
	if err != nil {
		t.Fatal(err)
	}
	return line
}
