package verifier

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// BenchmarkVerify is a whole verification: a token that is bound to a certificate and a key, with a new proof, under a
// status of two thousand entries. In the steady state the token was seen before, as an agent shows its token for many
// requests: only the proof's signature is verified. The other benchmark is of tokens that come for the first time. Next
// to the time they report the CPU time, on which other processes have less influence, and how many ECDSA verifications
// that is.
func BenchmarkVerify(b *testing.B) {
	b.Run("steady", func(b *testing.B) { benchmark(b, func(*Verifier) {}) })
	b.Run("first", func(b *testing.B) { benchmark(b, func(v *Verifier) { v.opened.forget() }) })
}

func benchmark(b *testing.B, before func(*Verifier)) {
	s, _ := newScene(b)
	v := &Verifier{}
	cfg := Config{Issuer: issuer, Audience: resource, Now: func() time.Time { return now }}
	if err := cfg.complete(); err != nil {
		b.Fatal(err)
	}
	v.setUp(cfg)
	v.ring.keys, v.ring.at = map[string]*ecdsa.PublicKey{"day": &s.day.PublicKey}, now
	full(b, s, v)
	token := s.token(b, s.jkt(), nil)
	requests := make([]*http.Request, min(b.N, 4096))
	for i := range requests {
		proof := prove(b, s.proof, token, map[string]any{"jti": fmt.Sprint(i)})
		requests[i] = vectorRequest{
			Method:      "GET",
			Path:        "/v1/orders",
			Headers:     [][]string{{"Authorization", "DPoP " + token}, {"DPoP", proof}},
			Certificate: stdBase64(s.cert.Raw),
		}.http(b)
	}
	floor := floorOf(b, s)
	b.ReportAllocs()
	used := cpu(b)
	b.ResetTimer()
	for i := range b.N {
		if i%len(requests) == 0 {
			v.memory.young, v.memory.old = nil, nil // the proofs come again
		}
		before(v)
		if _, err := v.Verify(requests[i%len(requests)]); err != nil {
			b.Fatal(err)
		}
	}
	each := float64(cpu(b)-used) / float64(b.N)
	b.ReportMetric(each/floor, "ecdsa/op")
	b.ReportMetric(each/1000, "cpu-µs/op")
}

// full gives the verifier a status with as many entries as one can have.
func full(b *testing.B, s scene, v *Verifier) {
	b.Helper()
	d := document()
	d.Generations, d.NotBefore = []int64{1}, now.Add(-time.Hour)
	for i := range StatusEntries - len(d.Dead) {
		d.Dead = append(d.Dead, Entry{X5T: fmt.Sprintf("%043d", i), NotBefore: now})
	}
	text, err := d.Sign("day", s.day)
	if err != nil {
		b.Fatal(err)
	}
	if err := v.status.Learn(text, v.ring.find, issuer, now, now); err != nil {
		b.Fatal(err)
	}
}

// floorOf is how many nanoseconds of CPU time one verification of a signature takes here.
func floorOf(b *testing.B, s scene) float64 {
	b.Helper()
	digest := sha256.Sum256([]byte("x"))
	sig, err := ecdsa.SignASN1(rand.Reader, s.day, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	const rounds = 500
	used := cpu(b)
	for range rounds {
		if !ecdsa.VerifyASN1(&s.day.PublicKey, digest[:], sig) {
			b.Fatal("it does not verify")
		}
	}
	return float64(cpu(b)-used) / rounds
}

// cpu is the CPU time of this process so far, in nanoseconds.
func cpu(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
