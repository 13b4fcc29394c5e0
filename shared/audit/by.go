package audit

// By says who asks for a change, and in which request. Both come from the edge and the stored secrets, never from a
// body.
type By struct {
	Actor     string // "admin:VERSION", "dashboard:VERSION/SESSION", "schedule:JOB"; empty: not known yet
	RequestID string // API Gateway's; empty: a schedule asks
	SourceIP  string // of the client, IPv4 or IPv6; empty: a schedule asks
}

// Note adds the request and its address to the details of a row, in place, and returns the details.
func (b By) Note(details map[string]any) map[string]any {
	details["request_id"], details["source_ip"] = b.RequestID, b.SourceIP
	return details
}
