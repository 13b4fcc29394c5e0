package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var errMalformed = errors.New("malformed proxy response")

// answer is what a function said, ready to be sent.
type answer struct {
	status int
	header http.Header
	body   string
	wire   string // what body is the decoded form of; empty: the function sent text
}

// decode reads a function's proxy response (JSON). It is as strict as API Gateway, which treats a malformed response
// as an internal error, and stricter where net/http would silently mend the response.
func decode(payload []byte) (answer, error) {
	var wire struct {
		StatusCode        int                 `json:"statusCode"`
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
		Body              string              `json:"body"`
		IsBase64Encoded   bool                `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(payload, &wire); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	// A 1xx is no final answer (RFC 9110 section 15.2).
	if wire.StatusCode < 200 || wire.StatusCode > 599 {
		return answer{}, fmt.Errorf("%w: status code %d", errMalformed, wire.StatusCode)
	}
	a := answer{
		status: wire.StatusCode,
		header: make(http.Header, len(wire.Headers)+len(wire.MultiValueHeaders)+4),
		body:   wire.Body,
	}
	if err := a.merge(wire.MultiValueHeaders, wire.Headers); err != nil {
		return answer{}, err
	}
	if wire.IsBase64Encoded {
		octets, err := base64.StdEncoding.DecodeString(wire.Body)
		if err != nil {
			return answer{}, fmt.Errorf("%w: body: %w", errMalformed, err)
		}
		a.body, a.wire = string(octets), wire.Body
	}
	return a, nil
}

// binaryTypes are the operators' and the agents' REST API's; infra/mastio/api.go has the same.
var binaryTypes = []string{"multipart/form-data", "application/gzip"}

// forREST is the answer as a REST API sends it. It decodes base64 only for a client whose Accept begins with a binary
// media type of the API. The rest of Accept and the answer's Content-Type do not matter. All others get the base64.
// Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
func (a answer) forREST(accept string) answer {
	first, _, _ := strings.Cut(accept, ",")
	first, _, _ = strings.Cut(first, ";")
	if a.wire != "" && !slices.Contains(binaryTypes, strings.ToLower(strings.TrimSpace(first))) {
		a.body = a.wire
	}
	return a
}

// merge adds the headers, those with several values first; one that is in both is not repeated.
func (a answer) merge(multi map[string][]string, single map[string]string) error {
	for name, values := range multi {
		for _, value := range values {
			if err := a.add(name, value); err != nil {
				return err
			}
		}
	}
	for name, value := range single {
		if slices.Contains(a.header.Values(sent(name)), value) {
			continue
		}
		if err := a.add(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (a answer) add(name, value string) error {
	if !token(name) || strings.ContainsFunc(value, control) {
		return fmt.Errorf("%w: header %q", errMalformed, name)
	}
	if name = sent(name); name != "" {
		a.header.Add(name, value)
	}
	return nil
}

// sent returns the canonical name under which API Gateway sends a function's header, "" if it drops the header. The
// edge itself sets the headers of the connection and of the request's ids. WWW-Authenticate reaches no client under
// its own name. Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
func sent(name string) string {
	name = http.CanonicalHeaderKey(name)
	switch name {
	case "Content-Length", "Transfer-Encoding", "Trailer", "Te", "Keep-Alive", "Proxy-Connection", headerRequestID,
		headerExtendedID, headerHTTPRequestID:
		return ""
	case "Connection", "Content-Md5", "Date", "Expect", "Host", "Max-Forwards", "Proxy-Authenticate", "Server",
		"Upgrade", "User-Agent", "Via", "Warn", "Www-Authenticate":
		return "X-Amzn-Remapped-" + name
	}
	return name
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	bodyless := a.status == http.StatusNoContent || a.status == http.StatusNotModified
	if !bodyless {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "application/json")
		}
	}
	w.WriteHeader(a.status)
	if !bodyless {
		_, _ = io.WriteString(w, a.body) // the client may be gone
	}
}

// token reports whether a text is a header name (RFC 9110 section 5.6.2).
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// control reports whether a header value must not contain a character (RFC 9110 section 5.5).
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
