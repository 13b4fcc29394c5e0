package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// edgeAnswer is an answer that no function gives. Status, header and body are API Gateway's.
type edgeAnswer struct {
	status    int
	errorType string
	message   string
}

var (
	badRequest  = edgeAnswer{http.StatusBadRequest, "BadRequestException", "Bad Request"}
	forbidden   = edgeAnswer{http.StatusForbidden, "ForbiddenException", "Forbidden"}
	tooSlow     = edgeAnswer{http.StatusRequestTimeout, "RequestTimeoutException", "Request Timeout"}
	tooLong     = edgeAnswer{http.StatusRequestEntityTooLarge, "RequestTooLargeException", "Request Too Long"}
	throttled   = edgeAnswer{http.StatusTooManyRequests, "TooManyRequestsException", "Too Many Requests"}
	internal    = edgeAnswer{http.StatusInternalServerError, "InternalServerErrorException", "Internal server error"}
	badGateway  = edgeAnswer{http.StatusBadGateway, "InternalServerErrorException", "Internal server error"}
	unavailable = edgeAnswer{http.StatusServiceUnavailable, "ServiceUnavailableException", "Service Unavailable"}
	timedOut    = edgeAnswer{http.StatusGatewayTimeout, "InternalServerErrorException", "Endpoint request timed out"}
)

func (e edgeAnswer) write(w http.ResponseWriter) {
	body := `{"message": ` + strconv.Quote(e.message) + `}`
	h := w.Header()
	if e.status == http.StatusRequestTimeout {
		h.Set("Connection", "close") // the rest of the body may come for ever
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Amzn-Errortype", e.errorType)
	w.WriteHeader(e.status)
	_, _ = w.Write([]byte(body)) // the client may be gone
}

// notFound answers a path that no route has: the deployed gateway's response for it is set to the
// same problem document (RFC 9457).
func notFound(w http.ResponseWriter, id ids) {
	// A struct of strings and an int always has a JSON form.
	body, _ := json.Marshal(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		Code      string `json:"code"`
		RequestID string `json:"request_id"`
	}{"about:blank", "Not Found", http.StatusNotFound, "no route has this path", "route_not_found", id.request})
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write(body)
}
