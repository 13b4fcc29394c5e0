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

// repeatables are the routes that answer a repetition under the same Idempotency-Key with the first result. Every other
// route refuses the header: a caller that relies on it must not get a second certificate.
var repeatables = []string{
	"POST /registry/agents/{agent_id}/rotate-cert",
	"POST /pki/rotate-ca",
	"POST /v1/admin/agents",
	"POST /v1/admin/agents:rotate",
	"POST /v1/admin/agents/enroll/byoca",
	"POST /v1/admin/agents/enroll/spiffe",
	"POST /pki/rotate-ca/reissue",
	"POST /v1/admin/audit/checkpoint",
}

func repeatable(r routes.Route) bool { return slices.Contains(repeatables, r.Method+" "+r.Path) }

// idempotencyKey reads the Idempotency-Key header; empty: there is none. With several headers, two readers on the way
// may pick different ones.
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

// named is a request in the form that its Idempotency-Key stands for. asked is the content of its body in one
// canonical form, without the proof of possession of a key: the proof is a new signature each time, or the key.
func named[R any](r *http.Request, asked any, body func(R) answer) (idempotency.Request[R], error) {
	key, err := idempotencyKey(r)
	if err != nil || key == "" {
		return idempotency.Request[R]{}, err
	}
	hash, err := hashOf(r, asked)
	return idempotency.Request[R]{
		Key:   key,
		Asked: hash,
		Body: func(result R) (idempotency.KeptAnswer, error) {
			a := body(result)
			encoded, err := json.Marshal(a.body)
			return idempotency.KeptAnswer{Status: a.status, Body: encoded}, err
		},
	}, err
}

// hashOf is the hash of a request: the caller's kind, the address and the content. Any version of the admin secret is
// the same operator: a request is repeated across the rotation of the secret.
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
	var job struct {
		ID string `json:"job_id"`
	}
	if json.Unmarshal(kept.Body, &job) == nil && job.ID != "" {
		located(w, job.ID)
	}
	answer{kept.Status, kept.Body}.write(w)
	return nil
}

func markReplay(w http.ResponseWriter) { w.Header().Set(replayHeader, "true") }
