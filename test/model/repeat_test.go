package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// keyedRequest is the request of a client that repeats it under its key until it is answered.
type keyedRequest struct {
	id     agent.ID
	key    string
	enrols bool   // an enrolment; else a rotation
	csr    []byte // of a key of the client's; nil: the Mastio makes the keys
	handed bool   // a private key was handed out
}

// repeat is a client whose answers get lost: it sends the same request again and again, whatever it was answered and
// however late writes land. One change comes of it at most, and one private key; and once the trouble is over, one
// answer.
func (m *machine) repeat(t *rapid.T) {
	m.requests++
	n := &keyedRequest{
		id:     m.someAgent(t),
		key:    fmt.Sprint("request-", m.requests),
		enrols: rapid.Bool().Draw(t, "an enrolment"),
	}
	if rapid.Bool().Draw(t, "key of the client's") {
		csr, err := inmemory.CSR()
		if err != nil {
			t.Fatal(err)
		}
		n.csr = []byte(csr)
	}
	for range rapid.IntRange(1, 4).Draw(t, "repetitions") {
		over := m.troubledBy(t, skews)
		err := m.send(t, n)
		over()
		m.sound(t, n, err)
		if rapid.Bool().Draw(t, "late writes land") {
			m.Store.Deliver()
		}
	}
	m.Store.Deliver()
	err := m.send(t, n)
	m.sound(t, n, err)
	rows := m.of(t, n)
	if len(rows) > 1 && !slices.ContainsFunc(rows[1:], unissued) {
		t.Fatalf("%d changes under %s: %v", len(rows), n.key, rows)
	}
	if len(rows) == 0 {
		if err == nil || repeated(err) {
			t.Fatalf("%s is answered %v, and nothing was changed", n.key, err)
		}
		return
	}
	again := m.send(t, n)
	if !repeated(again) {
		t.Fatalf("%s was carried out, and is answered %v", n.key, again)
	}
	m.sound(t, n, again)
}

// send sends the request once, and holds what it hands out.
func (m *machine) send(t *rapid.T, n *keyedRequest) error {
	by := audit.By{Actor: "test", RequestID: n.key}
	material := agentcert.KeyRequest{CSR: n.csr}
	var c agentcert.Certificate
	var made agentcert.Material
	var err error
	if n.enrols {
		var result enroll.Result
		result, err = m.Enroll.Enroll(m.ctx, enroll.Request{
			Name:     n.id.Name(),
			By:       by,
			Material: material,
			Once:     keptAs(n, func(r enroll.Result) string { return r.Certificate.Pin.Thumbprint }),
		})
		c, made = result.Certificate, result.Material
	} else {
		var result agentcert.RotateResult
		result, err = m.RotateCert.Rotate(m.ctx, agentcert.RotateRequest{
			Agent:    n.id,
			By:       by,
			Material: material,
			Once:     keptAs(n, func(r agentcert.RotateResult) string { return r.Certificate.Pin.Thumbprint }),
		})
		c, made = result.Certificate, result.Material
	}
	if err != nil {
		return err
	}
	if n.handed {
		t.Fatalf("%s was carried out twice", n.key)
	}
	n.handed = true
	m.given(n.id, c, made)
	return nil
}

func keptAs[R any](n *keyedRequest, thumbprint func(R) string) idempotency.Request[R] {
	return idempotency.Request[R]{
		Key:   n.key,
		Asked: n.key,
		Body: func(r R) (idempotency.KeptAnswer, error) {
			body, err := json.Marshal(thumbprint(r))
			return idempotency.KeptAnswer{Status: 200, Body: body}, err
		},
	}
}

// repeated reports whether an error says that the request was carried out before.
func repeated(err error) bool {
	_, replay := errors.AsType[*idempotency.Replay](err)
	return replay || errors.Is(err, idempotency.ErrDone)
}

// sound: the answer to a repetition names a certificate of this request's rows, and a request whose key was made here
// is never answered with a body.
func (m *machine) sound(t *rapid.T, n *keyedRequest, err error) {
	if !repeated(err) {
		return
	}
	var thumbprint string
	if replay, ok := errors.AsType[*idempotency.Replay](err); ok {
		if n.csr == nil {
			t.Fatalf("%s had a private key in its answer, and is replayed", n.key)
		}
		if err := json.Unmarshal(replay.Body, &thumbprint); err != nil {
			t.Fatal(err)
		}
	} else {
		thumbprint = problem.Of(err).Done.Thumbprint
	}
	rows := m.of(t, n)
	if len(rows) == 0 || rows[len(rows)-1].Details["cert_thumbprint"] != thumbprint {
		t.Fatalf("%s is said to have issued %s; its rows: %v", n.key, thumbprint, rows)
	}
}

// of returns the rows of a request.
func (m *machine) of(t *rapid.T, n *keyedRequest) []audit.Row {
	rows, err := m.Store.Rows(m.ctx, string(n.id), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(rows, func(r audit.Row) bool { return r.Details["request_id"] != n.key })
}

// unissued reports whether a row says that a certificate before it was never handed out.
func unissued(r audit.Row) bool { return r.Details["superseded_unissued"] != nil }
