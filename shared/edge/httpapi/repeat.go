package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
)

const (
	keyHeader    = "Idempotency-Key"
	replayHeader = "Idempotency-Replayed"
)

// repeatables are the routes that answer a repetition under the same Idempotency-Key with the first result. Every other route
// refuses the header: a caller that relies on it must not get a second certificate.
var repeatables = []string{
	"POST /registry/agents/{agent_id}/rotate-cert",
	"POST /pki/rotate-ca",
	"POST /v1/admin/agents",
	"POST /v1/admin/agents/enroll/byoca",
	"POST /v1/admin/agents/enroll/spiffe",
	"POST /v1/admin/audit/checkpoint",
}

func repeatable(r routes.Route) bool { return slices.Contains(repeatables, r.Method+" "+r.Path) }

// idempotencyKey reads the Idempotency-Key header; empty: there is none. Of several, each reader on the way may believe
// another one.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values(keyHeader)
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", idempotency.ErrKey
	}
	return values[0], idempotency.Check(values[0])
}

// answer is what a handler writes.
type answer struct {
	status int
	body   any
}

func (a answer) write(w http.ResponseWriter) {
	secret(w)
	write(w, a.status, "application/json", a.body)
}

// named is a request as its Idempotency-Key knows it. asked is what its body says, in one form however it was written, and
// without what proves possession of a key: that is a signature of its own each time, or the key.
func named[R any](r *http.Request, asked any, body func(R) answer) (idempotency.Request[R], error) {
	key, err := idempotencyKey(r)
	if err != nil || key == "" {
		return idempotency.Request[R]{}, err
	}
	hash, err := hashOf(r, asked)
	return idempotency.Request[R]{Key: key, Asked: hash, Body: func(result R) (idempotency.Kept, error) {
		a := body(result)
		encoded, err := json.Marshal(a.body)
		return idempotency.Kept{Status: a.status, Body: encoded}, err
	}}, err
}

// hashOf names a request: who may ask it, where it goes, and what it says. Any version of the admin secret is the same
// operator: a request is repeated across the rotation of the secret.
func hashOf(r *http.Request, asked any) (string, error) {
	scope, _, _ := strings.Cut(CallOf(r.Context()).Actor, ":")
	encoded, err := json.Marshal([]any{scope, r.Method, r.URL.Path, r.URL.Query(), asked})
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), err
}

// replayed writes the answer to a request that was carried out before, as it was written then.
func replayed(w http.ResponseWriter, err error) error {
	kept, ok := errors.AsType[*idempotency.Replay](err)
	if !ok {
		return err
	}
	markReplay(w)
	answer{kept.Status, kept.Body}.write(w)
	return nil
}

func markReplay(w http.ResponseWriter) { w.Header().Set(replayHeader, "true") }
