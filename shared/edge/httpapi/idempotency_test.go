package httpapi_test

import (
	"testing"

	"github.com/mastio-aws/mastio/shared/registry/memstore"
)

// Where an Idempotency-Key does nothing, the request is refused and nothing happens.
func TestIdempotencyKeyWhereItDoesNothing(t *testing.T) {
	w, agents := openWithCast(t)
	key := header("Idempotency-Key", "k")
	for route, s := range shapes(w, agents) {
		if route == "POST /pki/rotate-ca" {
			continue
		}
		t.Run(route, func(t *testing.T) {
			code, path := "idempotency_key_not_supported", ""
			if route == tokenRoute {
				code, path = "invalid_request", "/v1/auth/token"
			}
			w.refuse(t, path, refusal{"with a key", with(s.request, key), 400, code})
		})
	}
	w = open(t, memstore.Config{})
	for name, mode := range map[string]edit{"stage": query("mode", "stage"), "rehearsal": both(query("mode", "mint"), query("dry_run", "true"))} {
		w.refuse(t, "", refusal{name, event("POST", "/pki/rotate-ca", admin, mode, key), 400, "idempotency_key_not_supported"})
	}
}
