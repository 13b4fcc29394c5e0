// Package eventbridge stands in for Amazon EventBridge: it takes events on one bus, and shows them.
package eventbridge

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
)

// Config is what a Server is made of.
type Config struct {
	Bus string    // the one bus; required
	Log io.Writer // each event is a line in it; nil: none
	// Refuse, if set, reports for each entry whether it fails. On AWS single entries fail under load.
	Refuse func(Event) bool
}

// Event is an event as a rule's target would see it.
type Event struct {
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Time       float64         `json:"time"` // Unix seconds
	Detail     json.RawMessage `json:"detail"`
}

// Server answers PutEvents in AWS JSON 1.1 and keeps the last events. It is safe for concurrent use. Package sigv4
// checks the signatures.
type Server struct {
	cfg Config

	mu     sync.Mutex
	events []Event
}

// New returns a Server.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	return &Server{cfg: cfg}
}

// kept is how many events are remembered.
const kept = 10_000

// Limits of a request on AWS.
const (
	maxEntries = 10
	maxBody    = 1 << 20
)

// Events returns what was taken, oldest first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

type putEntry struct {
	Source, DetailType, Detail, EventBusName string
	Time                                     float64
}

type putResult struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if r.Method != http.MethodPost || r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" {
		refuse(w, "UnknownOperationException", fmt.Sprintf("this stand-in does not know %q", r.Header.Get("X-Amz-Target")))
		return
	}
	var in struct{ Entries []putEntry }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
		refuse(w, "SerializationException", "the body is not the JSON of PutEvents")
		return
	}
	if len(in.Entries) == 0 || len(in.Entries) > maxEntries {
		refuse(w, "ValidationException", "1 to 10 entries")
		return
	}
	var out struct {
		FailedEntryCount int
		Entries          []putResult
	}
	for _, e := range in.Entries {
		result := s.put(e)
		if result.ErrorCode != "" {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, result)
	}
	json.NewEncoder(w).Encode(out) //nolint:errcheck // the client is gone: no one reads the error
}

// put stores one entry or returns an error for this entry alone, as AWS does.
func (s *Server) put(e putEntry) putResult {
	var object map[string]json.RawMessage
	switch {
	case e.EventBusName != s.cfg.Bus:
		return putResult{ErrorCode: "InvalidArgument", ErrorMessage: "no such bus"}
	case e.Source == "" || e.DetailType == "":
		return putResult{ErrorCode: "InvalidArgument", ErrorMessage: "Source and DetailType are required"}
	case json.Unmarshal([]byte(e.Detail), &object) != nil || object == nil:
		return putResult{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}
	}
	event := Event{
		ID:         rand.Text(),
		DetailType: e.DetailType,
		Source:     e.Source,
		Time:       e.Time,
		Detail:     json.RawMessage(e.Detail),
	}
	if s.cfg.Refuse != nil && s.cfg.Refuse(event) {
		return putResult{ErrorCode: "InternalFailure", ErrorMessage: "Unexpected error occurred."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events = append(s.events, event); len(s.events) > kept {
		s.events = slices.Delete(s.events, 0, len(s.events)-kept)
	}
	line, err := json.Marshal(event)
	if err == nil {
		fmt.Fprintf(s.cfg.Log, "event %s\n", line)
	}
	return putResult{EventID: event.ID}
}

func refuse(w http.ResponseWriter, kind, message string) {
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": message}) //nolint:errcheck // as above
}
