package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/edge/dynamo"
	"github.com/mastio-aws/mastio/test/permissions"
)

// injector stands between the functions and the services. It counts calls, and can end a function's process before a
// call reaches the service, or after it was carried out and before its answer is back. What functions do in the
// background passes: it arrives at any time, so a test would count it, or strike at it, now and then.
type injector struct {
	mu      sync.Mutex
	calls   map[string]int // by "service.Operation"
	rule    *rule
	answers map[string]http.HandlerFunc // stand in for the service, by call
}

// rule ends processes at a certain call.
type rule struct {
	call   string // "dynamodb.TransactWriteItems"; empty: any
	nth    int    // 1: the first such call
	after  bool   // carried out first
	strike func()
	struck bool
}

func (i *injector) wrap(service string, h http.Handler) http.Handler {
	h = watch.Wrap(service, h)
	return models.Wrap(service, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if inBackground(service, r) {
			h.ServeHTTP(w, r)
			return
		}
		call := service + "." + operation(service, r)
		strike := i.arrive(call)
		if strike == nil {
			if answer := i.answer(call); answer != nil {
				answer(w, r)
				return
			}
			h.ServeHTTP(w, r)
			return
		}
		if strike.after {
			h.ServeHTTP(discard{http.Header{}}, r)
		}
		strike.strike()
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}))
}

// stand lets a handler answer in the service's place while a test runs.
func (i *injector) stand(t *testing.T, call string, h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.answers == nil {
		i.answers = map[string]http.HandlerFunc{}
	}
	i.answers[call] = h
	t.Cleanup(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.answers, call)
	})
}

func (i *injector) answer(call string) http.HandlerFunc {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.answers[call]
}

// arrive counts a call and returns the rule if this is its call.
func (i *injector) arrive(call string) *rule {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.calls == nil {
		i.calls = map[string]int{}
	}
	i.calls[call]++
	if i.rule == nil || i.rule.call != "" && i.rule.call != call || i.rule.struck {
		return nil
	}
	if i.rule.nth--; i.rule.nth > 0 {
		return nil
	}
	i.rule.struck = true
	return i.rule
}

// set sets the rule; nil: none. A test that sets one begins with needsFaults.
func (i *injector) set(r *rule) {
	if r != nil && onLocalStack() {
		panic("e2e: a fault cannot be injected on LocalStack: begin the test with needsFaults(t)")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rule = r
}

func (i *injector) struck() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.rule != nil && i.rule.struck
}

// count returns how often each call arrived while f ran.
func (i *injector) count(f func()) map[string]int {
	i.mu.Lock()
	i.calls = map[string]int{}
	i.mu.Unlock()
	f()
	i.mu.Lock()
	defer i.mu.Unlock()
	counted := i.calls
	i.calls = map[string]int{}
	return counted
}

// inBackground reports whether no caller of the Mastio waits for a request: the function events sends out what was
// committed some time before, and after its answer token notes the hour, and looks and notes whose keys were proved.
func inBackground(service string, r *http.Request) bool {
	switch permissions.Caller(r) {
	case "events":
		return true
	case "token":
		return service == stack.DynamoDB && isNote(operation(service, r), r)
	}
	return false
}

// isNote reports whether a request is about items of notes alone, which are in partitions of their own. The request
// stays readable.
func isNote(operation string, r *http.Request) bool {
	if operation != "PutItem" && operation != "BatchGetItem" {
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	type key struct{ PK struct{ S string } }
	var in struct {
		Item         key
		RequestItems map[string]struct{ Keys []key }
	}
	if json.Unmarshal(body, &in) != nil {
		return false
	}
	if operation == "PutItem" {
		return strings.HasPrefix(in.Item.PK.S, "SEEN#") || strings.HasPrefix(in.Item.PK.S, "KEY#")
	}
	for _, of := range in.RequestItems {
		// A token reads the note of its agent's hour with the agent.
		if slices.ContainsFunc(of.Keys, func(k key) bool { return !strings.HasPrefix(k.PK.S, "KEY#") }) {
			return false
		}
	}
	return true
}

// operation names what a request asks of a service.
func operation(service string, r *http.Request) string {
	switch service {
	case stack.APIGateway:
		return map[string]string{http.MethodGet: "GetDomainName", http.MethodPatch: "UpdateDomainName"}[r.Method]
	case stack.S3:
		return map[string]string{http.MethodGet: "GetObject", http.MethodPut: "PutObject"}[r.Method]
	}
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return op
}

// discard drops an answer.
type discard struct{ header http.Header }

// Header returns a header.
func (d discard) Header() http.Header { return d.header }

// Write drops the body.
func (d discard) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader drops the status.
func (d discard) WriteHeader(int) {}

// store reads the tables directly, past the functions.
func (m *target) store() *dynamo.Store {
	return dynamo.New(dynamo.Config{Client: m.Clients.DynamoDB, Prefix: m.TablePrefix()})
}

func (m *target) keyState(t *testing.T, id string) kmstypes.KeyState {
	t.Helper()
	out, err := m.Clients.KMS.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String(id)})
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata.KeyState
}

// A note that token writes in the background counts in no budget, whenever it arrives. Here it arrives in time.
func TestNotesAreNotCounted(t *testing.T) {
	needsFaults(t)
	m := borrow(t)
	first := m.enrol(t, fresh("noted"))
	got := m.faults.count(func() {
		m.token(t, first, 200)
		waitFor(t, "the note of the agent's hour", func() bool { return m.seenAt(t, first.AgentID) })
	})
	if got["dynamodb.BatchGetItem"] != 1 || got["dynamodb.PutItem"] > 0 {
		t.Errorf("remote calls of a first token: %v, want one read and no write", got)
	}
}

// seenAt looks past the functions for the note of an hour in which the agent got a token.
func (m *target) seenAt(t *testing.T, id string) bool {
	t.Helper()
	seen, err := m.store().SeenAt(t.Context(), []agent.ID{agent.ID(id)})
	if err != nil {
		t.Fatal(err)
	}
	return len(seen) > 0
}
