package routes

import (
	"encoding/json"
	"testing"
)

// API Gateway takes any text as a format; what reads the log takes JSON, with the address, the outcome, and the id
// under which the function's own line is found.
func TestAccessLogsAreJSON(t *testing.T) {
	for name, format := range map[string]string{"HTTP": HTTPLog, "REST": RESTLog, "REST, agents": AgentsRESTLog} {
		var line map[string]string
		if err := json.Unmarshal([]byte(format), &line); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, member := range []string{"request_id", "source", "route", "status", "error"} {
			if line[member] == "" {
				t.Errorf("%s: the line has no %s", name, member)
			}
		}
		if _, has := line["certificate"]; has != (format == AgentsRESTLog) {
			t.Errorf("%s: a certificate: %t", name, has)
		}
	}
}
