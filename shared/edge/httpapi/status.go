package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/usecase/status"
	"github.com/mastio-aws/mastio/shared/verifier"
)

// Status returns the handlers of the function status.
func Status(p *status.Publisher) Handlers {
	return Handlers{
		"GET /.well-known/mastio-status": func(w http.ResponseWriter, r *http.Request) error {
			document, err := p.Document(r.Context())
			if err != nil {
				return err
			}
			// Weak: another instance signs the same content for the same second in other octets.
			tag := fmt.Sprintf(`W/"%d.%d"`, document.Seq, document.IssuedAt.Unix())
			w.Header().Set("ETag", tag)
			w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", status.MaxAge/time.Second))
			if known(r.Header.Values("If-None-Match"), tag) {
				w.WriteHeader(http.StatusNotModified)
				return nil
			}
			w.Header().Set("Content-Type", verifier.StatusMediaType)
			_, err = w.Write([]byte(document.Compact))
			return err
		},
	}
}

// known reports whether an If-None-Match has the tag, by the weak comparison (RFC 9110 section 13.1.2).
func known(values []string, tag string) bool {
	opaque := func(t string) string { return strings.TrimPrefix(strings.TrimSpace(t), "W/") }
	for t := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if opaque(t) == opaque(tag) || strings.TrimSpace(t) == "*" {
			return true
		}
	}
	return false
}
