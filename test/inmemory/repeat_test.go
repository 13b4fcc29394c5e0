package inmemory_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/problem"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/registry/memstore"
	"github.com/mastio-aws/mastio/shared/usecase/agentcert"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/idempotency"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/test/inmemory"
)

// rotationUnder is a rotation under an idempotency key, for a key of the caller's if csr is set.
func rotationUnder(key string, id agent.ID, csr []byte) agentcert.RotateRequest {
	return agentcert.RotateRequest{
		Agent:    id,
		By:       audit.By{Actor: "test"},
		Material: agentcert.KeyRequest{CSR: csr},
		Once: idempotency.Request[agentcert.RotateResult]{
			Key:   key,
			Asked: "rotate",
			Body: func(r agentcert.RotateResult) (idempotency.KeptAnswer, error) {
				return idempotency.KeptAnswer{Status: 200, Body: fmt.Appendf(nil, "%q", r.Certificate.Pin.Thumbprint)}, nil
			},
		},
	}
}

func enrolmentUnder(key, name string) enroll.Request {
	return enroll.Request{
		Name: name,
		By:   audit.By{Actor: "test"},
		Once: idempotency.Request[enroll.Result]{
			Key:   key,
			Asked: name,
			Body: func(enroll.Result) (idempotency.KeptAnswer, error) {
				return idempotency.KeptAnswer{}, errors.New("an answer with a private key is made to be kept")
			},
		},
	}
}

func ownCSR(t *testing.T) []byte {
	t.Helper()
	csr, err := inmemory.CSR()
	if err != nil {
		t.Fatal(err)
	}
	return []byte(csr)
}

// doneAs returns the thumbprint that an error says was done.
func doneAs(t *testing.T, err error) string {
	t.Helper()
	if replay, ok := errors.AsType[*idempotency.Replay](err); ok {
		var thumbprint string
		if err := json.Unmarshal(replay.Body, &thumbprint); err != nil {
			t.Fatal(err)
		}
		return thumbprint
	}
	p := problem.Of(err)
	if !errors.Is(err, idempotency.ErrDone) || p.Done == nil {
		t.Fatalf("err = %v, want what was done", err)
	}
	return p.Done.Thumbprint
}

// If eight repetitions run at once, one commits, with grace or without, with a key of the caller's or not. All report
// that commit.
func TestRepetitionsAtOnce(t *testing.T) {
	for name, change := range map[string]func(*agentcert.RotateRequest){
		"at once":      func(*agentcert.RotateRequest) {},
		"with a grace": func(r *agentcert.RotateRequest) { r.Grace = time.Hour },
		"of a key of the caller's": func(r *agentcert.RotateRequest) {
			r.Material.CSR = ownCSR(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := inmemory.Open(t, memstore.Config{})
			kyc := admit(t, m, "kyc")
			req := rotationUnder("k", kyc.Agent.ID, nil)
			change(&req)
			results, errs := make([]agentcert.RotateResult, 8), make([]error, 8)
			var wg sync.WaitGroup
			for n := range results {
				wg.Go(func() { results[n], errs[n] = m.RotateCert.Rotate(t.Context(), req) })
			}
			wg.Wait()
			won := -1
			for n, err := range errs {
				if err == nil && won >= 0 {
					t.Fatal("two repetitions were carried out")
				}
				if err == nil {
					won = n
				}
			}
			for n, err := range errs {
				if n != won && doneAs(t, err) != results[won].Certificate.Pin.Thumbprint {
					t.Errorf("repetition %d: %v", n, err)
				}
			}
			if rows, err := m.Store.Rows(t.Context(), string(kyc.Agent.ID), 0, 10); err != nil || len(rows) != 2 {
				t.Errorf("%d rows, %v; want one rotation", len(rows), err)
			}
			counts(t, m, "the winner's certificate", results[won].Certificate.CertPEM, true)
		})
	}
}

// The Org CA moves between a commit and the last look, so the same request commits twice: what is kept is the second.
func TestKeptAnswerIsThatOfTheCertificateThatCounts(t *testing.T) {
	var m *inmemory.Mastio
	moved := true
	m = inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
		if op == "Pointer" && !moved {
			moved = true
			m.Do(t, rotateca.Request{Mode: rotateca.Mint})
		}
		return memstore.None
	}})
	kyc := admit(t, m, "kyc")
	for name, csr := range map[string][]byte{"made-here": nil, "the-callers": ownCSR(t)} {
		moved = false
		req := rotationUnder(name, kyc.Agent.ID, csr)
		result, err := m.RotateCert.Rotate(t.Context(), req)
		if err != nil || !moved {
			t.Fatalf("%s: %v, the Org CA moved %t", name, err, moved)
		}
		if current := m.Org(t).Pointer.Current; result.Certificate.Pin.Generation != current {
			t.Errorf("%s: a certificate of generation %d, current is %d", name, result.Certificate.Pin.Generation, current)
		}
		if _, err := m.RotateCert.Rotate(t.Context(), req); doneAs(t, err) != result.Certificate.Pin.Thumbprint {
			t.Errorf("%s again: %v, want %s", name, err, result.Certificate.Pin.Thumbprint)
		}
	}
}

// Whatever becomes of the commit, the same request under the same key finds out: it is done once.
func TestRepeatedAfterALostCommit(t *testing.T) {
	for _, fault := range []memstore.Fault{memstore.Lose, memstore.HalfAck, memstore.Late, memstore.Refuse} {
		for name, ask := range map[string]func(context.Context, *inmemory.Mastio) error{
			"rotation": func(ctx context.Context, m *inmemory.Mastio) error {
				_, err := m.RotateCert.Rotate(ctx, rotationUnder("k", "orga::kyc", nil))
				return err
			},
			"enrolment": func(ctx context.Context, m *inmemory.Mastio) error {
				_, err := m.Enroll.Enroll(ctx, enrolmentUnder("k", "kyc"))
				return err
			},
		} {
			t.Run(fmt.Sprintf("%s, fault %v", name, fault), func(t *testing.T) {
				faulty := false
				m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
					if faulty && op == "Apply" {
						return fault
					}
					return memstore.None
				}})
				before := 0
				if name == "rotation" {
					admit(t, m, "kyc")
					before = 1
				}
				faulty = true
				first := ask(t.Context(), m)
				faulty = false
				m.Store.Deliver()
				again := ask(t.Context(), m)
				if again != nil {
					doneAs(t, again)
				}
				if (first == nil || errors.Is(first, idempotency.ErrDone)) && again == nil {
					t.Errorf("carried out twice: %v, %v", first, again)
				}
				rows, err := m.Store.Rows(t.Context(), "orga::kyc", 0, 10)
				if err != nil || len(rows) != before+1 {
					t.Errorf("%d rows, %v; want one for the request (%v, then %v)", len(rows), err, first, again)
				}
			})
		}
	}
}

// A stage and an upload that were cut off go on under their key, and are answered once they are done.
func TestUploadGoesOnUnderItsKey(t *testing.T) {
	for _, mode := range []rotateca.Mode{rotateca.Upload, rotateca.Stage} {
		t.Run(string(mode), func(t *testing.T) {
			cut := false
			m := inmemory.Open(t, memstore.Config{Fault: func(op string) memstore.Fault {
				if cut && op == "Apply" {
					return memstore.Refuse
				}
				return memstore.None
			}})
			ca := below(t, nil, "Operator Root", 1, ecKey(t, elliptic.P256()), inmemory.Start)
			req := func(key string) rotateca.Request {
				return rotateca.Request{Mode: mode, Upload: files(t, ca), IdempotencyKey: key, By: audit.By{Actor: "test"}}
			}
			m.RotateCA.Trust = func(context.Context) (string, error) { // staged, and then the store is gone
				cut = true
				return "v1", nil
			}
			if _, err := m.RotateCA.Do(t.Context(), req("k")); !errors.Is(err, registry.ErrUnavailable) {
				t.Fatalf("err = %v, want the store away", err)
			}
			cut = false
			m.RotateCA.Trust = func(context.Context) (string, error) { return "v1", nil }
			if _, err := m.RotateCA.Do(t.Context(), req("")); err == nil || problem.Of(err).Code != "ca_key_reused" {
				t.Errorf("without the key: %v, want a reused key", err)
			}
			result, err := m.RotateCA.Do(t.Context(), req("k"))
			if err != nil || result.Replayed {
				t.Fatalf("under the key: %+v, %v", result, err)
			}
			again, err := m.RotateCA.Do(t.Context(), req("k"))
			if err != nil || !again.Replayed || again.Fingerprint != result.Fingerprint {
				t.Errorf("once more: %+v, %v", again, err)
			}
			staged, current := 0, 0
			for _, g := range m.Org(t).Generations {
				if bytes.Equal(g.Root, ca.Chain[0].Raw) {
					switch g.State {
					case orgca.Staged:
						staged++
					case orgca.Current:
						current++
					default:
						t.Errorf("generation %d is %s", g.Number, g.State)
					}
				}
			}
			if want := map[rotateca.Mode][2]int{rotateca.Upload: {0, 1}, rotateca.Stage: {1, 0}}[mode]; [2]int{staged,
				current} != want {
				t.Errorf("%d staged, %d current generations of the upload", staged, current)
			}
		})
	}
}
