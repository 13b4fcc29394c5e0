package kms

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A signature must wait neither for a change in progress, which may be waiting for a disk, nor for
// another signature.
func TestSignWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(op string) error {
			if op == "Sign" {
				time.Sleep(time.Second) // the fake clock's second
			}
			return nil
		}
		s, err := New(Config{Before: slow})
		if err != nil {
			t.Fatal(err)
		}
		k := &key{ID: newUUID(), Spec: "ECC_NIST_P256", Origin: "AWS_KMS"}
		raw, err := k.spec().generate()
		if err != nil {
			t.Fatal(err)
		}
		if err := k.setMaterial(raw); err != nil {
			t.Fatal(err)
		}
		if err := s.ring.add(k); err != nil {
			t.Fatal(err)
		}
		s.ring.writing.Lock() // a change that never ends
		defer s.ring.writing.Unlock()
		began := time.Now()
		const signers = 5
		codes := make(chan int, signers)
		for range signers {
			go func() { codes <- signOnce(s, k.ID) }()
		}
		for range signers {
			if code := <-codes; code != http.StatusOK {
				t.Errorf("Sign = %d", code)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("%d signatures of a second each took %s", signers, took)
		}
	})
}

func signOnce(s *Server, id string) int {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(
		`{"KeyId":"`+id+`","Message":"bQ==","SigningAlgorithm":"ECDSA_SHA_256"}`))
	r.Header.Set("X-Amz-Target", "TrentService.Sign")
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

func TestAdditionalDataIsUnambiguous(t *testing.T) {
	header := []byte{1}
	seen := map[string]map[string]string{}
	for _, context := range []map[string]string{
		nil,
		{"a": "b"},
		{"ab": ""},
		{"": "ab"},
		{"a": "", "b": ""},
		{"a": "b", "c": "d"},
		{"a": "d", "c": "b"},
	} {
		data := string(additionalData(header, context))
		if other, twice := seen[data]; twice {
			t.Errorf("%v and %v are spelt alike", context, other)
		}
		seen[data] = context
	}
}
